//! What a client says that happened, and the event that comes of it.

use cart::model::ProductId;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::Value;
use shared::id::Generator;
use shared::problem::Problem;
use uuid::Uuid;

use crate::model::{AnonymousId, Device, Event, EventName, Properties};

/// How old an event may be that a client kept while it was offline.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(31 * 24);

/// How far a client's clock may be ahead.
const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// What a client says that happened. Neither its network address nor its browser's name is ever kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Reported {
    name: EventName,
    /// Makes it safe to send the event again.
    id: Option<Uuid>,
    anonymous_id: Option<AnonymousId>,
    at: Option<Timestamp>,
    #[serde(default)]
    properties: Properties,
}

/// What is known without the client's saying so.
#[derive(Debug)]
pub(super) struct Circumstances {
    pub(super) now: Timestamp,
    pub(super) user_id: Option<Uuid>,
    pub(super) device: Device,
}

impl Reported {
    /// The event to store.
    pub(super) fn event(self, circumstances: &Circumstances, ids: &Generator) -> Result<Event, Problem> {
        if self.name.is_reserved() {
            let detail = "Names that begin with order_, payment_succeeded and payment_declined are facts that only the server states";
            return Err(Problem::unprocessable(detail).with("field", "name"));
        }
        let now = circumstances.now;
        let product_id = self.product_id()?;
        Ok(Event {
            id: self.id.unwrap_or_else(|| ids.uuid(now)).to_string(),
            at: self.at.map_or(Ok(now), |at| time(at, now))?,
            name: self.name,
            received_at: now,
            user_id: circumstances.user_id,
            anonymous_id: self.anonymous_id,
            device: Some(circumstances.device),
            order_id: None,
            revenue: None,
            refund: None,
            lines: Vec::new(),
            product_id,
            properties: self.properties.to_json(),
            trace: None,
        })
    }

    /// The product that it happened to. An event that names none is still an event, of no product.
    fn product_id(&self) -> Result<Option<ProductId>, Problem> {
        let id = self.properties.get("product_id").filter(|_| self.name.is_about_product());
        let id = match id {
            None => return Ok(None),
            Some(Value::String(id)) => ProductId::try_from(id.clone()).map_err(str::to_owned),
            Some(_) => Err("expected the id of a product".to_owned()),
        };
        id.map(Some).map_err(|error| Problem::bad_request(error).with("field", "properties.product_id"))
    }
}

/// When it happened: as the client says, within bounds, and not later than now.
fn time(at: Timestamp, now: Timestamp) -> Result<Timestamp, Problem> {
    let age = now.duration_since(at);
    if age > MAX_AGE || age < -MAX_AHEAD {
        let detail = "at must be within the last 31 days, and at most 10 minutes ahead";
        return Err(Problem::unprocessable(detail).with("field", "at"));
    }
    Ok(at.min(now))
}

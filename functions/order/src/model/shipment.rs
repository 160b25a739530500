//! How an order travels, and what the shop does with it until it arrives.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use shared::text::Text;

use super::Transition;

/// How an order travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Shipment {
    /// Who carries it.
    pub carrier: Text<100>,
    /// The carrier's number for it.
    pub tracking_number: Text<100>,
    /// When it should arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_delivery: Option<Estimate>,
}

/// A day or a moment, RFC 3339 `full-date` or `date-time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("anyOf" = [{ "format": "date" }, { "format": "date-time" }])))]
pub enum Estimate {
    /// Some time on this day, at the place of delivery.
    Day(Date),
    /// At this time.
    Time(Timestamp),
}

/// What the shop does with a paid order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fulfilment {
    /// Puts it in a parcel.
    Pack,
    /// Gives it to a carrier.
    Ship(Shipment),
    /// The carrier has brought it.
    Deliver,
}

impl Fulfilment {
    /// The move.
    pub fn transition(&self) -> Transition {
        match self {
            Self::Pack => Transition::Pack,
            Self::Ship(_) => Transition::Ship,
            Self::Deliver => Transition::Deliver,
        }
    }
}

impl TryFrom<String> for Estimate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // A `full-date` has ten characters; jiff alone would also take a date-time for a day, and drop the time.
        let parsed = if text.len() == 10 {
            Date::from_str(&text).map(Self::Day)
        } else {
            Timestamp::from_str(&text).map(Self::Time)
        };
        parsed.map_err(|_| "expected an RFC 3339 date or time, such as 2026-01-31 or 2026-01-31T12:00:00Z")
    }
}

impl From<Estimate> for String {
    fn from(estimate: Estimate) -> Self {
        match estimate {
            Estimate::Day(date) => date.to_string(),
            Estimate::Time(time) => time.to_string(),
        }
    }
}

//! What Stripe tells by itself, and how it is known that Stripe tells it.
//! <https://docs.stripe.com/webhooks#verify-manually>

use aws_lc_rs::hmac;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{PaymentIntent, RefundObject, StripeSecret};

/// How far a signature's time may be from ours, either way.
pub const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Why an event is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// `Stripe-Signature` is not there, or not `t=…,v1=…`.
    #[error("the signature header is not t=…,v1=…")]
    Header,
    /// The signature is older than [`TOLERANCE`], or of the future.
    #[error("the signature's time is {0} s from ours")]
    Time(i64),
    /// No secret of ours makes such a signature.
    #[error("no signature is one of ours")]
    Signature,
    /// It is signed, and yet no event.
    #[error("the body is not an event")]
    Body,
}

/// An event. <https://docs.stripe.com/api/events/object>
#[derive(Debug, Deserialize)]
pub struct Event {
    /// Its id, the same each time that it is sent.
    pub id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Debug, Deserialize)]
struct Data {
    object: serde_json::Value,
}

/// What an event is about.
#[derive(Debug)]
pub(crate) enum About {
    Payment(PaymentIntent),
    Refund(RefundObject),
    Nothing,
}

impl Event {
    /// The event in `body`, if it comes from Stripe, and lately.
    pub fn believe(
        header: Option<&str>,
        body: &[u8],
        secret: &StripeSecret,
        now: Timestamp,
    ) -> Result<Self, Unbelievable> {
        let (at, signatures) = header.and_then(parse).ok_or(Unbelievable::Header)?;
        let signed = [at.to_string().as_bytes(), b".", body].concat();
        let signed_by = |key: &hmac::Key| {
            signatures.iter().any(|signature| hmac::verify(key, &signed, signature).is_ok())
        };
        if !secret.webhook_keys().any(|key| signed_by(&key)) {
            return Err(Unbelievable::Signature);
        }
        let age = now.as_second().saturating_sub(at);
        if age.saturating_abs() > TOLERANCE.as_secs() {
            return Err(Unbelievable::Time(age));
        }
        serde_json::from_slice(body).map_err(|_| Unbelievable::Body)
    }

    pub(crate) fn about(&self) -> Result<About, Unbelievable> {
        let object = &self.data.object;
        Ok(match self.kind.as_str() {
            "payment_intent.succeeded" | "payment_intent.payment_failed" | "payment_intent.canceled" => {
                About::Payment(PaymentIntent::deserialize(object).map_err(|_| Unbelievable::Body)?)
            }
            "refund.created" | "refund.updated" | "refund.failed" | "charge.refund.updated" => {
                About::Refund(RefundObject::deserialize(object).map_err(|_| Unbelievable::Body)?)
            }
            _ => About::Nothing,
        })
    }
}

/// The time and the signatures of scheme `v1`; others are passed over.
fn parse(header: &str) -> Option<(i64, Vec<Vec<u8>>)> {
    let pairs = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let at = pairs().find(|(name, _)| *name == "t")?.1.parse().ok()?;
    let signatures: Option<Vec<_>> =
        pairs().filter(|(name, _)| *name == "v1").map(|(_, signature)| bytes(signature)).collect();
    Some((at, signatures.filter(|signatures| !signatures.is_empty())?))
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    hex.as_bytes().chunks(2).map(pair).collect()
}

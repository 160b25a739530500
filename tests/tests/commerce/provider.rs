//! The built-in provider, which here also sends webhooks, as Stripe does and signed as Stripe signs them.

use std::fmt::Write as _;
use std::sync::Mutex;

use aws_lc_rs::hmac;
use payment::model::{MethodToken, PaymentMethod, RefundOutcome};
use payment::provider::{
    Answer, Charge, ChargeRequest, PaymentProvider, ProviderError, RefundRequest, TestProvider,
};
use serde_json::{Value, json};

const SECRET: &str = "whsec_commerce";

/// The keys of the provider, as a function reads them.
pub(crate) fn keys() -> Value {
    json!({"secret_key": "sk_commerce", "webhook_secrets": [SECRET]})
}

/// `Stripe-Signature` of a body that is sent at this time, seconds since the epoch.
/// <https://docs.stripe.com/webhooks#verify-manually>
pub(crate) fn signature(body: &str, at: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut header = format!("t={at},v1=");
    for byte in hmac::sign(&key, format!("{at}.{body}").as_bytes()).as_ref() {
        write!(header, "{byte:02x}").unwrap();
    }
    header
}

/// The provider, and the events that it has to tell of.
#[derive(Debug)]
pub(crate) struct Provider {
    inner: TestProvider,
    events: Mutex<Vec<Value>>,
}

impl Provider {
    pub(crate) fn new(inner: TestProvider) -> Self {
        Self { inner, events: Mutex::default() }
    }

    /// One of the events so far; each may be sent at any time and any number of times.
    pub(crate) fn event(&self, number: usize) -> Option<Value> {
        let events = self.events.lock().unwrap();
        let newest_first = number.checked_rem(events.len())?;
        events.iter().rev().nth(newest_first).cloned()
    }

    fn tell(&self, kind: &str, object: &Value) {
        let mut events = self.events.lock().unwrap();
        let id = format!("evt_{}", events.len());
        events.push(json!({"id": id, "type": kind, "data": {"object": object}}));
    }

    fn tell_of_charge(&self, request: &ChargeRequest, charge: &Result<Charge, ProviderError>) {
        let (kind, id, status) = match charge {
            Ok(charge) => ("payment_intent.succeeded", charge.id.as_str(), "succeeded"),
            Err(ProviderError::Declined(_)) => {
                ("payment_intent.payment_failed", "pi_declined", "requires_payment_method")
            }
            Err(_) => return,
        };
        let object = json!({
            "id": id, "status": status, "amount": request.amount.amount,
            "currency": request.amount.currency.as_str().to_ascii_lowercase(),
            "metadata": {"payment_id": request.idempotency_key},
        });
        self.tell(kind, &object);
    }

    fn tell_of_refund(&self, request: &RefundRequest, outcome: &Result<RefundOutcome, ProviderError>) {
        let Ok(RefundOutcome::Refunded(id)) = outcome else { return };
        let object = json!({
            "id": id, "status": "succeeded", "amount": request.amount.amount,
            "currency": request.amount.currency.as_str().to_ascii_lowercase(),
            "metadata": {"payment_id": request.payment_id, "refund_id": request.idempotency_key},
        });
        self.tell("refund.updated", &object);
    }
}

impl PaymentProvider for Provider {
    fn method<'a>(&'a self, token: &'a MethodToken) -> Answer<'a, Option<PaymentMethod>> {
        self.inner.method(token)
    }

    fn charge<'a>(&'a self, request: &'a ChargeRequest) -> Answer<'a, Charge> {
        Box::pin(async move {
            let answer = self.inner.charge(request).await;
            if matches!(answer, Err(ProviderError::Unknown(_))) {
                // The answer is lost to the caller; the provider itself knows, and tells by a webhook.
                self.tell_of_charge(request, &self.inner.charge(request).await);
            }
            self.tell_of_charge(request, &answer);
            answer
        })
    }

    fn refund<'a>(&'a self, request: &'a RefundRequest) -> Answer<'a, RefundOutcome> {
        Box::pin(async move {
            let answer = self.inner.refund(request).await;
            if matches!(answer, Err(ProviderError::Unknown(_))) {
                self.tell_of_refund(request, &self.inner.refund(request).await);
            }
            self.tell_of_refund(request, &answer);
            answer
        })
    }
}

//! A request as clients make it: sent again while the answer says that this helps.

use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::Value;
use shared::testing::{Answer, call, issuer};
use uuid::Uuid;

use crate::provider::signature;
use crate::shop::Shop;

/// How often a client tries before it tells its makers.
const PATIENCE: u32 = 60;

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The customer of this number.
    Customer(u8),
    /// The shop.
    Admin,
    /// Somebody who did not log in.
    Anybody,
}

/// A request that can be sent again.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    who: Who,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
    /// Whether it is the provider's, and signed.
    signed: bool,
}

/// The id of the customer of this number.
pub(crate) fn customer(number: u8) -> Uuid {
    Uuid::from_u128(0xc0 + u128::from(number))
}

impl Request {
    pub(crate) fn new(who: Who, method: Method, path: impl Into<String>) -> Self {
        Self { who, method, path: path.into(), headers: Vec::new(), body: None, signed: false }
    }

    pub(crate) fn post(who: Who, path: impl Into<String>) -> Self {
        Self::new(who, Method::POST, path)
    }

    /// With this `Idempotency-Key`, if any.
    pub(crate) fn key(mut self, key: Option<String>) -> Self {
        self.headers.extend(key.map(|key| ("idempotency-key", key)));
        self
    }

    /// With the token of an anonymous cart.
    pub(crate) fn cart_token(mut self, token: &str) -> Self {
        self.headers.push(("cart-token", token.to_owned()));
        self
    }

    pub(crate) fn json(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    /// With this event, which the provider signs each time that it sends it.
    pub(crate) fn event(self, event: Value) -> Self {
        Self { signed: true, ..self.json(event) }
    }

    /// The endpoint as documents name it, `GET /orders/{id}`.
    pub(crate) fn endpoint(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        let parts: Vec<&str> = path
            .split('/')
            .map(|part| match part {
                "cup" | "pot" if path.starts_with("/cart") => "{product_id}",
                "cup" | "pot" => "{id}",
                part if part.parse::<Uuid>().is_ok() => "{id}",
                part => part,
            })
            .collect();
        format!("{} {}", self.method, parts.join("/"))
    }

    /// Sends it once.
    pub(crate) async fn send(&self, shop: &Shop) -> Answer {
        let now = shop.clock.now();
        let mut call = call(self.method.clone(), &self.path);
        match self.who {
            Who::Customer(number) => call = call.token(&issuer().token(customer(number), now)),
            Who::Admin => call = call.token(&issuer().admin_token(Uuid::from_u128(0xad), now)),
            Who::Anybody => {}
        }
        for (name, value) in &self.headers {
            call = call.header(name, value);
        }
        if let Some(body) = &self.body {
            if self.signed {
                call = call.header("stripe-signature", &signature(&body.to_string(), now.as_second()));
            }
            call = call.json(body);
        }
        call.send(shop.router(&self.path)).await
    }

    /// As [`ask`](Self::ask), but twice at once where it has a key, as a client does that is impatient. Who is told that it is done
    /// is told the same again.
    pub(crate) async fn ask_impatiently(&self, shop: &Shop) -> Answer {
        if self.headers.is_empty() {
            return self.ask(shop).await;
        }
        let (one, two) = tokio::join!(self.ask(shop), self.ask(shop));
        let answer = if one.status.is_success() { one } else { two };
        if answer.status.is_success() {
            let again = self.ask(shop).await;
            assert_eq!((again.status, &again.json), (answer.status, &answer.json), "{self:?}");
            assert_eq!(again.headers["idempotency-replayed"], "true", "{self:?}");
        }
        answer
    }

    /// Sends it until the answer is final, and lets the time pass that each answer says to wait. An answer must be right, or
    /// say when to ask again; and asking again must help.
    pub(crate) async fn ask(&self, shop: &Shop) -> Answer {
        for _ in 0..PATIENCE {
            let answer = self.send(shop).await;
            if answer.status == StatusCode::SERVICE_UNAVAILABLE && self.headers.is_empty() {
                *shop.told.lock().unwrap().unknown.entry(self.endpoint()).or_default() += 1;
            }
            match wait(&answer) {
                Some(seconds) => shop.clock.advance(SignedDuration::from_secs(seconds)),
                None if answer.status.is_server_error() => panic!("{self:?} is answered {answer:?}"),
                None => return answer,
            }
        }
        panic!("{self:?} is not answered however often it is sent")
    }
}

/// The seconds after which the same request may be answered otherwise, where it may.
fn wait(answer: &Answer) -> Option<i64> {
    let later = [StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    let seconds = answer.headers.get(RETRY_AFTER).filter(|_| later.contains(&answer.status))?;
    Some(seconds.to_str().unwrap().parse().unwrap())
}

//! Against a server that answers what the test says, and remembers what it was asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;

/// A peer with its next answers.
#[derive(Clone, Default)]
struct Peer {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    /// `METHOD path?query`, the idempotency key, the body.
    asked: Arc<Mutex<Vec<(String, String, String)>>>,
}

async fn answer(State(peer): State<Peer>, request: Request) -> (StatusCode, String) {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
    assert_eq!(header("authorization"), "Bearer sk_test_1");
    let (what, key) = (format!("{} {}", parts.method, parts.uri), header("idempotency-key"));
    let body = axum::body::to_bytes(body, 10_000).await.unwrap();
    peer.asked.lock().unwrap().push((what, key, String::from_utf8(body.to_vec()).unwrap()));
    let (status, body) = peer.answers.lock().unwrap().pop_front().expect("an answer for each request");
    (status.try_into().unwrap(), body.to_string())
}

impl Peer {
    /// A server with these answers, and Stripe's client for it.
    async fn with(answers: impl IntoIterator<Item = (u16, Value)>) -> (Self, Stripe) {
        let peer = Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Self::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(
            axum::serve(listener, Router::new().fallback(answer).with_state(peer.clone())).into_future(),
        );
        let secret =
            StripeSecret::parse(r#"{"secret_key":"sk_test_1","webhook_secrets":["whsec_1"]}"#).unwrap();
        let stripe = Stripe::fixed(&url, secret, &Clock::fixed(Timestamp::UNIX_EPOCH)).unwrap();
        (peer, stripe)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(what, ..)| what.clone()).collect()
    }
}

/// Whether it is the error that was expected.
type Check = Box<dyn Fn(&ProviderError) -> bool>;

const PAYMENT: Uuid = Uuid::from_u128(1);
const REFUND: Uuid = Uuid::from_u128(2);

fn euros() -> Money {
    Money::new(5097, "EUR".parse().unwrap())
}

fn charge(is_repeated: bool) -> ChargeRequest {
    ChargeRequest {
        idempotency_key: PAYMENT,
        amount: euros(),
        method: "pm_1".to_owned().try_into().unwrap(),
        user_id: Uuid::from_u128(3),
        order_id: Uuid::from_u128(4),
        created_at: Timestamp::UNIX_EPOCH,
        is_repeated,
    }
}

fn refund(is_repeated: bool) -> RefundRequest {
    RefundRequest {
        idempotency_key: REFUND,
        charge_id: "pi_1".to_owned(),
        amount: euros(),
        payment_id: PAYMENT,
        is_repeated,
    }
}

fn intent(status: &str) -> Value {
    json!({
        "id": "pi_1", "object": "payment_intent", "status": status, "amount": 5097, "currency": "eur",
        "metadata": {"payment_id": PAYMENT},
    })
}

fn refund_object(status: &str) -> Value {
    json!({
        "id": "re_1", "object": "refund", "status": status, "amount": 5097, "currency": "eur",
        "metadata": {"refund_id": REFUND, "payment_id": PAYMENT},
    })
}

fn error(kind: &str, code: &str, decline_code: &str) -> Value {
    json!({"error": {"type": kind, "code": code, "decline_code": decline_code, "message": "Said so."}})
}

#[tokio::test]
async fn a_charge_is_one_call_off_session_with_the_payments_id_as_its_key() {
    let (peer, stripe) = Peer::with([(200, intent("succeeded"))]).await;
    assert_eq!(stripe.charge(&charge(false)).await.unwrap().id, "pi_1");
    let asked = peer.asked.lock().unwrap().clone();
    let [(what, key, body)] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((what.as_str(), key), ("POST /v1/payment_intents", &PAYMENT.to_string()));
    let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    for (name, value) in [
        ("amount", "5097"),
        ("currency", "eur"),
        ("payment_method", "pm_1"),
        ("confirm", "true"),
        ("off_session", "true"),
        ("metadata[payment_id]", &PAYMENT.to_string()),
    ] {
        assert!(form.contains(&(name.to_owned(), value.to_owned())), "{name} in {body}");
    }
}

#[tokio::test]
async fn what_stripe_answers_is_a_charge_a_decline_a_refusal_or_not_known() {
    let declined = |reason| move |error: &ProviderError| matches!(error, ProviderError::Declined(said) if *said == reason);
    let unknown = |error: &ProviderError| matches!(error, ProviderError::Unknown(_));
    let refused = |error: &ProviderError| matches!(error, ProviderError::Refused(_));
    let cases: Vec<(u16, Value, Check)> = vec![
        (
            402,
            error("card_error", "card_declined", "insufficient_funds"),
            Box::new(declined(DeclineReason::InsufficientFunds)),
        ),
        (
            402,
            error("card_error", "card_declined", "lost_card"),
            Box::new(declined(DeclineReason::CardDeclined)),
        ),
        (
            402,
            error("card_error", "expired_card", "expired_card"),
            Box::new(declined(DeclineReason::ExpiredCard)),
        ),
        (
            402,
            error("card_error", "authentication_required", "authentication_required"),
            Box::new(declined(DeclineReason::AuthenticationRequired)),
        ),
        (200, intent("canceled"), Box::new(declined(DeclineReason::AuthenticationRequired))),
        (200, intent("processing"), Box::new(unknown)),
        (200, json!("not an intent"), Box::new(unknown)),
        (409, error("idempotency_error", "idempotency_key_in_use", ""), Box::new(unknown)),
        (429, error("api_error", "rate_limit", ""), Box::new(unknown)),
        (500, error("api_error", "", ""), Box::new(unknown)),
        (503, json!("down"), Box::new(unknown)),
        (
            400,
            error("invalid_request_error", "amount_too_small", ""),
            Box::new(declined(DeclineReason::NotAccepted)),
        ),
        (
            404,
            error("invalid_request_error", "resource_missing", ""),
            Box::new(declined(DeclineReason::NotAccepted)),
        ),
        (400, error("idempotency_error", "", ""), Box::new(refused)),
        (403, error("invalid_request_error", "", ""), Box::new(refused)),
        (401, error("invalid_request_error", "", ""), Box::new(refused)),
        (
            200,
            json!({"id": "pi_1", "status": "succeeded", "amount": 1, "currency": "eur"}),
            Box::new(refused),
        ),
        (
            200,
            json!({"id": "pi_1", "status": "succeeded", "amount": 5097, "currency": "usd"}),
            Box::new(refused),
        ),
    ];
    for (status, body, expected) in cases {
        let (_peer, stripe) = Peer::with([(status, body.clone())]).await;
        let error = stripe.charge(&charge(false)).await.unwrap_err();
        assert!(expected(&error), "{status} {body}: {error:?}");
    }
    let nobody = Stripe::fixed(
        "http://127.0.0.1:1",
        StripeSecret::parse(r#"{"secret_key":"sk","webhook_secrets":["w"]}"#).unwrap(),
        &Clock::fixed(Timestamp::UNIX_EPOCH),
    );
    assert!(unknown(&nobody.unwrap().charge(&charge(false)).await.unwrap_err()));
}

#[tokio::test]
async fn who_goes_on_with_a_payment_looks_first_whether_it_was_charged() {
    let found = json!({"data": [intent("succeeded")], "has_more": false});
    let (peer, stripe) = Peer::with([(200, found), (200, intent("succeeded"))]).await;
    assert_eq!(stripe.charge(&charge(true)).await.unwrap().id, "pi_1");
    let asked = peer.asked();
    assert!(asked[0].starts_with("GET /v1/payment_intents/search?query="), "{asked:?}");
    assert!(asked[0].contains(&PAYMENT.to_string()));
    // What a search finds may be a while old.
    assert_eq!(asked[1..], ["GET /v1/payment_intents/pi_1?"]);

    // It was not, so it is now.
    let (peer, stripe) = Peer::with([(200, json!({"data": []})), (200, intent("succeeded"))]).await;
    stripe.charge(&charge(true)).await.unwrap();
    assert_eq!(peer.asked().last().unwrap(), "POST /v1/payment_intents");
}

#[tokio::test]
async fn where_there_is_no_search_the_list_is_looked_through() {
    let other =
        |id: &str| json!({"id": id, "status": "succeeded", "amount": 1, "currency": "eur", "metadata": {}});
    let (peer, stripe) = Peer::with([
        (400, error("invalid_request_error", "", "")),
        (200, json!({"data": [other("pi_8"), other("pi_9")], "has_more": true})),
        (200, json!({"data": [intent("succeeded")], "has_more": false})),
        (200, intent("succeeded")),
    ])
    .await;
    assert_eq!(stripe.charge(&charge(true)).await.unwrap().id, "pi_1");
    assert_eq!(peer.asked()[2], "GET /v1/payment_intents?limit=100&starting_after=pi_9");

    // Whether it was charged could not be found out: nothing is charged now.
    let (peer, stripe) = Peer::with([(500, json!({}))]).await;
    let error = stripe.charge(&charge(true)).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unknown(_)), "{error:?}");
    assert_eq!(peer.asked().len(), 1);
}

/// Nothing older than the payment can be its charge.
#[tokio::test]
async fn the_list_is_looked_through_only_as_far_back_as_the_payment() {
    let old = |id: &str, created: i64| json!({"id": id, "status": "succeeded", "amount": 1, "currency": "eur", "created": created});
    let (peer, stripe) = Peer::with([
        (400, error("invalid_request_error", "", "")),
        (200, json!({"data": [old("pi_8", -300), old("pi_9", -301)], "has_more": true})),
        (200, intent("succeeded")),
    ])
    .await;
    stripe.charge(&charge(true)).await.unwrap();
    assert_eq!(peer.asked().last().unwrap(), "POST /v1/payment_intents");
}

#[tokio::test]
async fn an_intent_that_could_still_be_charged_is_cancelled_before_it_counts_as_declined() {
    let mut failed = intent("requires_payment_method");
    failed["last_payment_error"] = json!({"code": "card_declined", "decline_code": "insufficient_funds"});
    for (waiting, reason) in [
        (intent("requires_action"), DeclineReason::AuthenticationRequired),
        (intent("requires_confirmation"), DeclineReason::AuthenticationRequired),
        (failed, DeclineReason::InsufficientFunds),
    ] {
        let (peer, stripe) = Peer::with([(200, waiting.clone()), (200, intent("canceled"))]).await;
        let error = stripe.charge(&charge(false)).await.unwrap_err();
        assert!(matches!(error, ProviderError::Declined(said) if said == reason), "{error:?}");
        assert_eq!(peer.asked()[1], "POST /v1/payment_intents/pi_1/cancel");
        // One that cannot be cancelled may have been charged meanwhile.
        for status in [400, 500] {
            let refusal = error_of_a_cancellation();
            let (_peer, stripe) = Peer::with([(200, waiting.clone()), (status, refusal)]).await;
            let error = stripe.charge(&charge(false)).await.unwrap_err();
            assert!(matches!(error, ProviderError::Unknown(_)), "{error:?}");
        }
    }
}

fn error_of_a_cancellation() -> Value {
    error("invalid_request_error", "payment_intent_unexpected_state", "")
}

#[tokio::test]
async fn currencies_that_stripe_counts_otherwise_are_not_taken() {
    let (_peer, stripe) = Peer::with([]).await;
    for (currency, taken) in [("EUR", true), ("JPY", true), ("ISK", false), ("KWD", false), ("MGA", false)] {
        assert_eq!(stripe.takes(currency.parse().unwrap()), taken, "{currency}");
    }
}

#[tokio::test]
async fn a_refund_is_one_call_and_who_goes_on_with_it_looks_first() {
    for (status, outcome) in [
        ("succeeded", Some(RefundOutcome::Refunded("re_1".to_owned()))),
        ("failed", Some(RefundOutcome::Failed(RefundFailure::Rejected))),
        ("canceled", Some(RefundOutcome::Failed(RefundFailure::Cancelled))),
        ("pending", None),
        ("requires_action", None),
    ] {
        let (peer, stripe) = Peer::with([(200, refund_object(status))]).await;
        assert_eq!(stripe.refund(&refund(false)).await.ok(), outcome, "{status}");
        assert_eq!(peer.asked.lock().unwrap()[0].1, REFUND.to_string());
        let (peer, stripe) = Peer::with([(200, json!({"data": [refund_object(status)]}))]).await;
        assert_eq!(stripe.refund(&refund(true)).await.ok(), outcome, "{status}");
        assert_eq!(peer.asked(), ["GET /v1/refunds?payment_intent=pi_1&limit=100"]);
    }
    // What Stripe never does is final, and holds up nothing.
    for code in ["charge_already_refunded", "charge_disputed"] {
        let (_peer, stripe) = Peer::with([(400, error("invalid_request_error", code, ""))]).await;
        let outcome = stripe.refund(&refund(false)).await.unwrap();
        assert_eq!(outcome, RefundOutcome::Failed(RefundFailure::Rejected));
    }
    let first = json!({"id": "re_9", "status": "succeeded", "amount": 1, "currency": "eur"});
    let (peer, stripe) = Peer::with([
        (200, json!({"data": [first], "has_more": true})),
        (200, json!({"data": [refund_object("succeeded")], "has_more": false})),
    ])
    .await;
    stripe.refund(&refund(true)).await.unwrap();
    assert_eq!(peer.asked()[1], "GET /v1/refunds?payment_intent=pi_1&limit=100&starting_after=re_9");
}

#[tokio::test]
async fn a_card_number_is_never_sent_to_stripe() {
    let (peer, stripe) = Peer::with([]).await;
    for typed in
        ["4242424242424242", "pm_4242424242424242", "pm_1/../x", "pm_1?a=b", "pm_%2e", "tok_visa", "pm-1"]
    {
        let token = typed.to_owned().try_into().unwrap();
        assert_eq!(stripe.method(&token).await.unwrap(), None, "{typed}");
    }
    assert!(peer.asked().is_empty());
}

#[tokio::test]
async fn a_method_is_what_stripe_says_it_is() {
    let card = json!({"id": "pm_9", "type": "card", "card": {"brand": "visa", "last4": "4242"}});
    let missing = error("invalid_request_error", "resource_missing", "");
    let no_card = json!({"id": "pm_8", "type": "sepa_debit"});
    let (_peer, stripe) = Peer::with([(200, card), (404, missing), (200, no_card), (500, json!({}))]).await;
    let token = "pm_card_visa".to_owned().try_into().unwrap();
    let method = stripe.method(&token).await.unwrap().unwrap();
    assert_eq!(
        (method.token.as_str(), method.brand.as_str(), method.last4.as_str()),
        ("pm_9", "visa", "4242")
    );
    for _missing_and_no_card in 0..2 {
        assert_eq!(stripe.method(&token).await.unwrap(), None);
    }
    assert!(matches!(stripe.method(&token).await.unwrap_err(), ProviderError::Unknown(_)));
}

#[test]
fn keys_are_never_printed_and_must_be_whole() {
    let secret = StripeSecret::parse(r#"{"secret_key":"sk_hush","webhook_secrets":["whsec_hush"]}"#).unwrap();
    assert!(!format!("{secret:?}").contains("hush"));
    for bad in [
        "",
        "sk_test_1",
        r#"{"secret_key":"sk"}"#,
        r#"{"secret_key":"","webhook_secrets":["w"]}"#,
        r#"{"secret_key":"sk","webhook_secrets":[]}"#,
        r#"{"secret_key":"sk","webhook_secrets":[""]}"#,
        r#"{"secret_key":"s\nk","webhook_secrets":["w"]}"#,
    ] {
        assert!(StripeSecret::parse(bad).is_none(), "{bad}");
    }
}

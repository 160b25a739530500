//! The words of this service's description; the rest of it follows from the types.

use http::StatusCode;
use serde_json::json;
use shared::openapi::Document;

use crate::routes::receipt::Receipt;
use crate::routes::refund::View;

/// Adds this service to the description of the API.
pub fn describe(document: &mut Document) {
    let about = "Charges and refunds, each once";
    document.service("payment", about, &crate::routes(), |service| {
        let payment = service.schema::<Receipt>();
        let refund = service.schema::<View>();
        service
            .operation("POST /pay", "pay", "Pays an order, once")
            .description("The caller's newest order awaiting payment, by the caller's default method, unless said otherwise.")
            .example(json!({ "payment_method": "pm_card_visa" }))
            .creates(&payment)
            .refuses(404)
            .problem(StatusCode::PAYMENT_REQUIRED, "The payment was declined")
            .problem(StatusCode::CONFLICT, "no order awaits payment, or a payment of it is under way")
            .problem(StatusCode::UNPROCESSABLE_ENTITY, "the payment method or the currency is not accepted");
        service.operation("GET /payments", "listPayments", "The caller's payments, newest first");
        service.operation("GET /payments/{id}", "getPayment", "One of the caller's payments").refuses(404);
        service
            .operation("POST /payments/{id}/refund", "refundPayment", "Pays back some of a payment, or all that is left")
            .description("503 while the provider has not said what came of it; the same request under the same key tells.")
            .example(json!({ "amount": { "amount": 100, "currency": "EUR" }, "reason": "Arrived broken" }))
            .creates(&refund)
            .refuses(404)
            .problem(StatusCode::CONFLICT, "the payment has not that much to pay back, or the refund failed")
            .problem(StatusCode::UNPROCESSABLE_ENTITY, "the payment was made in another currency");
        service
            .operation("POST /webhooks/stripe", "stripeWebhook", "Takes what Stripe says became of a payment or a refund")
            .description("For Stripe alone, which signs it; 404 where payments do not go through Stripe.")
            .takes("application/json", json!({ "type": "object" }))
            .example(json!({ "id": "evt_1", "type": "payment_intent.succeeded" }))
            .refuses(404)
            .refuses(413)
            .problem(StatusCode::UNPROCESSABLE_ENTITY, "The event contradicts what is recorded");
    });
}

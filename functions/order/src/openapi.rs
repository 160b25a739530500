//! The words of this service's description; the rest of it follows from the types.

use http::StatusCode;
use serde_json::json;
use shared::openapi::Document;

use crate::routes::view::OrderView;

/// Adds this service to the description of the API.
pub fn describe(document: &mut Document) {
    let about = "What a customer bought, from checkout to delivery";
    document.service("order", about, &crate::routes(), |service| {
        let order = service.schema::<OrderView>();
        service.operation("GET /orders", "listOrders", "The caller's orders, newest first");
        service
            .operation("POST /orders", "placeOrder", "Orders all that is in the caller's cart")
            .example(json!({}))
            .creates(&order)
            .problem(StatusCode::CONFLICT, "the cart is empty, or there is not enough stock")
            .problem(StatusCode::UNPROCESSABLE_ENTITY, "the caller has no such address");
        service.operation("GET /orders/{id}", "getOrder", "One of the caller's orders").refuses(404);
        service
            .operation("GET /orders/{id}/tracking", "trackOrder", "Where one of the caller's orders is, and since when")
            .refuses(404);
        let illegal = "The order's state does not allow it";
        service
            .operation("POST /orders/{id}/cancel", "cancelOrder", "Gives up an order that is not packed yet")
            .description("Its stock is returned, and what was paid is refunded soon. Admins give up anybody's orders.")
            .example(json!({ "reason": "Changed my mind" }))
            .refuses(404)
            .problem(StatusCode::CONFLICT, illegal);
        service
            .operation("POST /orders/{id}/pack", "packOrder", "The order was put in a parcel")
            .refuses(404)
            .problem(StatusCode::CONFLICT, illegal);
        service
            .operation("POST /orders/{id}/ship", "shipOrder", "The order was given to a carrier")
            .example(json!({ "carrier": "DHL", "tracking_number": "00340434161094042557", "estimated_delivery": "2030-01-31" }))
            .refuses(404)
            .problem(StatusCode::CONFLICT, illegal);
        service
            .operation("POST /orders/{id}/deliver", "deliverOrder", "The order has arrived")
            .refuses(404)
            .problem(StatusCode::CONFLICT, illegal);
    });
}

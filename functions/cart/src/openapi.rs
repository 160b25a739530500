//! The words of this service's description; the rest of it follows from the types.

use http::StatusCode;
use serde_json::json;
use shared::openapi::Document;

/// Adds this service to the description of the API.
pub fn describe(document: &mut Document) {
    let about = "What can be bought, and what a customer is about to buy";
    document.service("cart", about, &crate::routes(), |service| {
        service.operation("GET /products", "listProducts", "The catalogue, by category and product id");
        service
            .operation("GET /products/{id}", "getProduct", "One product, with its stock")
            .example_parameter("id", "moka-pot")
            .refuses(404);
        service
            .operation("PUT /products/{id}", "putProduct", "Adds a product, or replaces it and its stock")
            .example_parameter("id", "tea-pot")
            .example(json!({
                "name": "Tea pot",
                "description": "Stoneware, 1 litre.",
                "price": { "amount": 3990, "currency": "EUR" },
                "category": "tea",
                "stock": 12,
            }))
            .status(StatusCode::OK)
            .status(StatusCode::CREATED);
        service
            .operation("PATCH /products/{id}", "patchProduct", "Changes members of a product")
            .description("A JSON merge patch (RFC 7396): what is left out stays, null removes.")
            .example_parameter("id", "moka-pot")
            .example(json!({ "price": { "amount": 2990 } }))
            .refuses(404);
        service
            .operation("DELETE /products/{id}", "retireProduct", "Takes a product out of the catalogue")
            .example_parameter("id", "tea-pot")
            .status(StatusCode::NO_CONTENT)
            .refuses(404);
        service
            .operation("POST /cart", "openCart", "Makes a cart for somebody who did not log in")
            .status(StatusCode::CREATED)
            .answers_header("Cart-Token", "What opens the cart", &json!({ "type": "string" }));
        service
            .operation("GET /cart", "getCart", "The cart, at today's prices")
            .description("Of the user with this access token, or the anonymous one with this `Cart-Token`.");
        service.operation("DELETE /cart", "emptyCart", "Empties the cart").status(StatusCode::NO_CONTENT);
        service
            .operation(
                "PUT /cart/items/{product_id}",
                "putCartItem",
                "Sets how many pieces of a product are in the cart",
            )
            .example_parameter("product_id", "moka-pot")
            .example(json!({ "quantity": 2 }))
            .refuses(404)
            .problem(StatusCode::CONFLICT, "The cart is full, or its products are sold in another currency");
        service
            .operation("DELETE /cart/items/{product_id}", "deleteCartItem", "Takes a product out of the cart")
            .example_parameter("product_id", "moka-pot")
            .status(StatusCode::NO_CONTENT);
        service
            .operation(
                "POST /cart/merge",
                "mergeCarts",
                "Puts an anonymous cart's products into the caller's cart",
            )
            .description(
                "After a login. The anonymous cart is none any more then; done again, nothing changes.",
            )
            .problem(StatusCode::CONFLICT, "The cart would be too full, or hold two currencies");
    });
}

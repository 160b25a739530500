//! The words of this service's description; the rest of it follows from the types.

use http::StatusCode;
use serde_json::json;
use shared::openapi::Document;

use crate::model::Address;

/// Adds this service to the description of the API.
pub fn describe(document: &mut Document) {
    let about = "Who a user is, and where their parcels go";
    document.service("user", about, &crate::routes(), |service| {
        let address = service.schema::<Address>();
        let label = json!({
            "name": "Ada Lovelace",
            "line1": "12 St James's Square",
            "city": "London",
            "postal_code": "SW1Y 4JH",
            "country": "GB",
        });
        service.operation("GET /profile", "getProfile", "The caller's profile").refuses(404);
        service
            .operation("PATCH /profile", "patchProfile", "Changes the caller's profile")
            .description(
                "A JSON merge patch (RFC 7396): what is left out stays, null removes. Another e-mail address needs a login \
                 within the last 10 minutes; a 401 says so (RFC 9470).",
            )
            .example(json!({ "name": "Ada Lovelace", "locale": "en-GB" }))
            .refuses(404);
        service.operation("GET /profile/addresses", "listAddresses", "The caller's addresses, newest first");
        service
            .operation("POST /profile/addresses", "addAddress", "Adds an address")
            .example(label.clone())
            .creates(&address)
            .problem(StatusCode::CONFLICT, "The caller has as many addresses as may be");
        service
            .operation("GET /profile/addresses/{id}", "getAddress", "One of the caller's addresses")
            .refuses(404);
        service
            .operation("PUT /profile/addresses/{id}", "putAddress", "Replaces one of the caller's addresses")
            .example(label)
            .refuses(404);
        service
            .operation("DELETE /profile/addresses/{id}", "deleteAddress", "Deletes one of the caller's addresses")
            .status(StatusCode::NO_CONTENT)
            .refuses(404);
    });
}

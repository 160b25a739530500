//! The words of this service's description; the rest of it follows from the types.

use http::StatusCode;
use serde_json::json;
use shared::openapi::Document;

/// Adds this service to the description of the API.
pub fn describe(document: &mut Document) {
    document.service("sample", "Entries of each user", &crate::routes(), |service| {
        service.operation("GET /sample", "listSampleEntries", "The caller's entries, the highest id first");
        service
            .operation("GET /sample/{id}", "getSampleEntry", "One of the caller's entries")
            .refuses(404);
        service
            .operation("PUT /sample/{id}", "putSampleEntry", "Makes an entry of the caller, or replaces it")
            .example(json!({ "text": "a lamp" }))
            .status(StatusCode::OK)
            .status(StatusCode::CREATED);
        service
            .operation("DELETE /sample/{id}", "deleteSampleEntry", "Deletes one of the caller's entries")
            .status(StatusCode::NO_CONTENT)
            .refuses(404);
    });
}

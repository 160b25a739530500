//! The words of this service's description; the rest of it follows from the types.

use http::StatusCode;
use serde_json::json;
use shared::openapi::Document;

/// Adds this service to the description of the API.
pub fn describe(document: &mut Document) {
    let about = "Tells users what happens to their orders";
    document.service("notification", about, &crate::routes(), |service| {
        service.operation("GET /notifications", "listNotifications", "What the caller was told, newest first");
        service
            .operation("POST /notifications/read", "readNotifications", "Marks the caller's notifications as read")
            .description("All, or those up to one.")
            .example(json!({}));
        service
            .operation("POST /notifications/{id}/read", "readNotification", "Marks one of the caller's notifications as read")
            .status(StatusCode::NO_CONTENT)
            .refuses(404);
        service.operation("GET /notifications/preferences", "getPreferences", "What the caller wants to be told, and how");
        let both = json!({ "email": true, "sms": true });
        let mail = json!({ "email": true, "sms": false });
        service
            .operation("PUT /notifications/preferences", "putPreferences", "Replaces what the caller wants to be told")
            .example(json!({
                "order_placed": mail,
                "order_paid": mail,
                "order_shipped": both,
                "order_delivered": both,
                "order_cancelled": mail,
                "quiet_hours": { "from": "22:00", "to": "07:00", "time_zone": "Europe/Berlin" },
            }));
        let html = json!({ "type": "string" });
        service
            .operation("GET /notifications/unsubscribe/{token}", "askToUnsubscribe", "The page behind a link in a mail")
            .description("It changes nothing, for mail scanners follow links; it has a button that does.")
            .answers("text/html; charset=utf-8", &html)
            .refuses(404);
        let everything = json!({ "type": "object", "properties": { "scope": { "type": "string", "enum": ["everything"] } } });
        service
            .operation("POST /notifications/unsubscribe/{token}", "unsubscribe", "Ends mails, without logging in (RFC 8058)")
            .takes("application/x-www-form-urlencoded", everything)
            .example(json!({ "scope": "everything" }))
            .answers("text/html; charset=utf-8", &html)
            .refuses(404)
            .refuses(413);
    });
}

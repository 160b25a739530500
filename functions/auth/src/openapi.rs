//! The words of this service's description; the rest of it follows from the types.

use http::StatusCode;
use serde_json::{Value, json};
use shared::openapi::{Document, Extracted, Operation, Schemas, ServiceDescription};

use crate::clients::ClientForm;

const WRONG: &str = "The password or the code is wrong";
const WEAK: &str = "The password is too easy to guess";
const CACHED: &str = "public, max-age=300";

impl Extracted for ClientForm {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        shared::http::Form::describe(operation, schemas);
    }
}

/// Adds this service to the description of the API.
pub fn describe(document: &mut Document) {
    let about = "Who somebody is: accounts, sessions and tokens";
    document.service("auth", about, &crate::routes(), |service| {
        accounts(service);
        sessions(service);
        second_factor(service);
        oauth(service);
        let ok = json!({
            "type": "object",
            "required": ["status"],
            "properties": { "status": { "type": "string", "enum": ["ok"] } },
        });
        service
            .operation("GET /health", "health", "The API runs")
            .description("Whether a service can work is its `/ready`'s to say.")
            .answers("application/json", &ok);
        service
            .operation("GET /openapi.json", "getOpenApi", "This document")
            .answers(
                "application/json",
                &json!({ "type": "object", "required": ["openapi", "info", "paths"] }),
            )
            .answers_header("ETag", "The version", &json!({ "type": "string" }))
            .answers_header(
                "Cache-Control",
                "How long it may be kept",
                &json!({ "type": "string", "enum": [CACHED] }),
            )
            .status(StatusCode::OK)
            .status(StatusCode::NOT_MODIFIED);
    });
}

fn accounts(service: &mut ServiceDescription<'_>) {
    service
        .operation("POST /register", "register", "Makes an account")
        .example(json!({
            "username": "ada",
            "password": "seven purple walruses dance",
            "email": "ada@example.com",
        }))
        .status(StatusCode::CREATED)
        .problem(StatusCode::CONFLICT, "The user name is taken")
        .problem(StatusCode::UNPROCESSABLE_ENTITY, WEAK);
    service
        .operation(
            "POST /password/change",
            "changePassword",
            "Sets another password, and ends all other sessions",
        )
        .example(json!({
            "current_password": "seven purple walruses dance",
            "new_password": "eight yellow penguins sing",
        }))
        .problem(StatusCode::FORBIDDEN, "The current password is wrong")
        .problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The new password is the current one, or too easy to guess",
        );
    service
        .operation("POST /password/forgot", "forgotPassword", "Asks for a mail with which to set another password")
        .description("The same answer whether there is such a user or not. Either the user name or the e-mail address.")
        .example(json!({ "username": "mahindra" }))
        .status(StatusCode::ACCEPTED);
    service
        .operation("POST /password/reset", "resetPassword", "Sets another password by the token of a mail")
        .example(json!({
            "token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "new_password": "eight yellow penguins sing",
        }))
        .status(StatusCode::NO_CONTENT)
        .problem(StatusCode::UNPROCESSABLE_ENTITY, WEAK);
    service
        .operation(
            "POST /email/verification",
            "askForVerification",
            "Asks for a mail that verifies the caller's address",
        )
        .status(StatusCode::ACCEPTED)
        .refuses(404);
    service
        .operation("POST /email/verify", "verifyEmail", "Verifies an e-mail address by the token of a mail")
        .example(json!({ "token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }))
        .status(StatusCode::NO_CONTENT)
        .problem(StatusCode::CONFLICT, "The e-mail address belongs to another account");
}

fn sessions(service: &mut ServiceDescription<'_>) {
    service
        .operation("POST /login", "logIn", "Exchanges a user name and a password for the tokens of a new session")
        .description(
            "With a second factor, send `otp` or `recovery_code` too; a 401 of the type second-factor-required says so. A demo \
             user of the local run needs no password.",
        )
        .example(json!({ "username": "mahindra" }))
        .refuses(401);
    service
        .operation(
            "POST /refresh",
            "refresh",
            "Exchanges a refresh token for an access token and the next refresh token",
        )
        .example(json!({ "refresh_token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }))
        .refuses(401);
    service
        .operation("POST /logout", "logOut", "Ends the session of the access token")
        .status(StatusCode::NO_CONTENT);
    service
        .operation(
            "POST /logout/all",
            "logOutEverywhere",
            "Ends all sessions of the caller, this one included",
        )
        .status(StatusCode::NO_CONTENT);
    service.operation(
        "GET /sessions",
        "listSessions",
        "Where the caller is logged in, the most recently used first",
    );
    service
        .operation("DELETE /sessions/{id}", "endSession", "Ends one of the caller's sessions")
        .status(StatusCode::NO_CONTENT)
        .refuses(404);
}

fn second_factor(service: &mut ServiceDescription<'_>) {
    let password = "seven purple walruses dance";
    service
        .operation("POST /totp", "enrolTotp", "Gives the caller a secret for an authenticator app")
        .description("It is not in force before `POST /totp/confirm`.")
        .example(json!({ "password": password }))
        .problem(StatusCode::FORBIDDEN, WRONG)
        .problem(StatusCode::CONFLICT, "There is a second factor already");
    service
        .operation("POST /totp/confirm", "confirmTotp", "Puts the second factor in force")
        .description("Answers the recovery codes, once and never again.")
        .example(json!({ "code": "123456" }))
        .problem(StatusCode::FORBIDDEN, WRONG)
        .problem(StatusCode::CONFLICT, "There is no second factor to confirm, or it is in force already");
    service
        .operation(
            "POST /totp/recovery-codes",
            "replaceRecoveryCodes",
            "Replaces the caller's recovery codes",
        )
        .example(json!({ "password": password, "code": "123456" }))
        .problem(StatusCode::FORBIDDEN, WRONG)
        .problem(StatusCode::CONFLICT, "There is no second factor");
    service
        .operation("POST /totp/disable", "disableTotp", "Takes the caller's second factor away")
        .description("Either the app's code or a recovery code.")
        .example(json!({ "password": password, "code": "123456" }))
        .status(StatusCode::NO_CONTENT)
        .problem(StatusCode::FORBIDDEN, WRONG)
        .problem(StatusCode::CONFLICT, "There is no second factor");
}

fn oauth(service: &mut ServiceDescription<'_>) {
    let cached = json!({ "type": "string", "enum": [CACHED] });
    service
        .operation("GET /.well-known/jwks.json", "getKeys", "The keys that verify access tokens (RFC 7517)")
        .only_as("application/jwk-set+json")
        .answers_header("Cache-Control", "How long it may be kept", &cached);
    for (path, id) in
        [("openid-configuration", "getOpenIdConfiguration"), ("oauth-authorization-server", "getMetadata")]
    {
        service
            .operation(&format!("GET /.well-known/{path}"), id, "What OAuth clients need to know (RFC 8414)")
            .answers_header("Cache-Control", "How long it may be kept", &cached);
    }
    let token = json!({ "type": "string", "minLength": 1 });
    let client = json!({ "type": "string", "description": "Who asks, where HTTP Basic does not say it" });
    service
        .operation(
            "POST /token",
            "refreshToken",
            "Exchanges a refresh token for its successor and an access token",
        )
        .description(
            "The token endpoint of RFC 6749 with its refresh grant (6). `POST /refresh` is the same in JSON.",
        )
        .form(&form(
            &["grant_type", "refresh_token"],
            json!({
                "grant_type": { "type": "string", "enum": ["refresh_token"] },
                "refresh_token": token,
                "scope": { "type": "string", "enum": ["api"] },
                "client_id": { "type": "string", "enum": ["shop"] },
            }),
        ))
        .example(json!({ "grant_type": "refresh_token", "refresh_token": "AAAA" }));
    let hint = json!({ "type": "string" });
    service
        .operation("POST /revoke", "revokeToken", "Ends the session of a token (RFC 7009)")
        .form(&form(
            &["token"],
            json!({
                "token": token,
                "token_type_hint": hint,
                "client_id": { "type": "string", "enum": ["shop"] },
            }),
        ))
        .example(json!({ "token": "AAAA" }));
    service
        .operation(
            "POST /introspect",
            "introspectToken",
            "What a token is good for at this moment (RFC 7662)",
        )
        .form(&form(
            &["token"],
            json!({
                "token": token,
                "token_type_hint": hint,
                "client_id": client,
                "client_secret": client,
            }),
        ))
        .example(json!({ "token": "AAAA" }))
        .security(json!([{ "client": [] }, {}]));
}

/// A form; unknown parameters are ignored (RFC 6749, 3.2).
fn form(required: &[&str], properties: Value) -> Value {
    let mut form = json!({ "type": "object", "required": required });
    form["properties"] = properties;
    form
}

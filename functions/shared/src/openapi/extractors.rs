//! What our extractors and answers say.

use axum::extract::{Request, State};
use axum::response::Response;
use http::header::HeaderName;
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde_json::json;

use super::operation::request_id;
use super::{Answered, Extracted, Operation, Schemas};
use crate::http::{ClientAddress, ETag, Form, IfMatch, IfNoneMatch, Json, OptionalJson, Path, Query};
use crate::idempotency::Keyed;
use crate::oauth::OAuthError;
use crate::problem::Problem;
use crate::token::Caller;

const ENTITY_TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#;

/// These are no part of what a client has to know, or the declaration of the route says it.
macro_rules! silent {
    ($trait:ident: $($type:ty),*) => {
        $(impl $trait for $type {
            fn describe(_: &mut Operation, _: &mut Schemas) {}
        })*
    };
}

silent!(Extracted: Caller, Option<Caller>, ClientAddress, HeaderMap, Request, axum::body::Bytes);
silent!(Answered: StatusCode, Response, &'static str, String);

impl<S> Extracted for State<S> {
    fn describe(_: &mut Operation, _: &mut Schemas) {}
}

impl<V, const N: usize> Answered for [(HeaderName, V); N] {
    fn describe(_: &mut Operation, _: &mut Schemas) {}
}

impl<T: JsonSchema> Extracted for Path<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.path_parameter(&schemas.input::<T>());
    }
}

impl<T: JsonSchema> Extracted for Query<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.query(schemas.input::<T>());
    }
}

impl<T: JsonSchema> Extracted for Json<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.body("application/json", true, schemas.input::<T>());
    }
}

impl<T: JsonSchema> Extracted for OptionalJson<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.body("application/json", false, schemas.input::<T>());
    }
}

/// Which parameters there are is the route's to say.
impl Extracted for Form {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.body("application/x-www-form-urlencoded", true, json!({ "type": "object" }));
    }
}

impl<T: Extracted> Extracted for Keyed<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        T::describe(operation, schemas);
        operation.header_parameter(
            "Idempotency-Key",
            false,
            "Names this request: sent again with the same key, it is answered as before, and nothing is done twice",
            &json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": r#"^"*[!#-~]([ -~]*[!-~])?$"# }),
        );
        operation.may_answer_header(
            "Idempotency-Replayed",
            "This is the answer to an earlier request with the same key",
            &json!({ "type": "string", "enum": ["true"] }),
        );
        operation.problem(StatusCode::CONFLICT, "A request with this Idempotency-Key is being answered");
        operation.problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The Idempotency-Key was sent with another request before",
        );
    }
}

impl Extracted for IfMatch {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.header_parameter(
            "If-Match",
            false,
            "The request is for these versions only (RFC 9110, 13.1.1)",
            &json!({ "type": "string", "pattern": ENTITY_TAGS }),
        );
        operation.refuses(412);
    }
}

impl Extracted for IfNoneMatch {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.header_parameter(
            "If-None-Match",
            false,
            "The request is for other versions than these; * is for none at all (RFC 9110, 13.1.2)",
            &json!({ "type": "string", "pattern": ENTITY_TAGS }),
        );
    }
}

impl<T: JsonSchema> Answered for Json<T> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        operation.answers("application/json", &schemas.output::<T>());
    }
}

impl Answered for ETag {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        let tag = json!({ "type": "string", "pattern": "^\"[0-9]+\"$" });
        operation.answers_header("ETag", "The version", &tag);
    }
}

impl<T: Answered> Answered for Result<T, Problem> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        T::describe(operation, schemas);
    }
}

impl<T: Answered> Answered for Result<T, OAuthError> {
    fn describe(operation: &mut Operation, schemas: &mut Schemas) {
        T::describe(operation, schemas);
        for (status, when) in [
            (400, "The request, or what it presents, is not good"),
            (401, "The client does not prove who it is"),
        ] {
            let content = json!({
                "application/json": { "schema": { "$ref": "#/components/schemas/OAuthError" } },
                "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } },
            });
            let response = json!({ "description": when, "headers": request_id(), "content": content });
            operation.refuses_as(status, response);
        }
    }
}

//! The whole description.

use http::Method;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::operation::request_id;
use super::{Operation, Schemas};
use crate::routes::Routes;

/// The description of all services.
#[derive(Debug)]
pub struct Document {
    schemas: Schemas,
    tags: Vec<Value>,
    paths: Map<String, Value>,
}

/// The description of one service, while its words are added to what its types say.
#[derive(Debug)]
pub struct ServiceDescription<'a> {
    name: &'static str,
    schemas: &'a mut Schemas,
    operations: Vec<Operation>,
}

impl Default for Document {
    fn default() -> Self {
        Self { schemas: Schemas::new(), tags: Vec::new(), paths: Map::new() }
    }
}

impl Document {
    /// Adds a service: its routes, and the words for each of them.
    ///
    /// # Panics
    /// When a route has no words, or a body no example, or words are about no route.
    pub fn service<S: Clone + Send + Sync + 'static>(
        &mut self,
        name: &'static str,
        about: &str,
        routes: &Routes<S>,
        describe: impl FnOnce(&mut ServiceDescription<'_>),
    ) {
        let operations = routes.describe(&mut self.schemas);
        let mut service = ServiceDescription { name, schemas: &mut self.schemas, operations };
        service
            .operation(
                &format!("GET /{name}/ready"),
                &format!("{name}Ready"),
                "Whether the service can answer",
            )
            .description("It can verify tokens, and its tables answer.");
        describe(&mut service);
        self.tags.push(json!({ "name": name, "description": about }));
        for operation in service.operations {
            let route = &operation.route;
            assert!(
                operation.is_named(),
                "say in {name}'s openapi.rs what {} {} is for",
                route.method,
                route.path
            );
            assert!(operation.has_example(), "{} needs an example of its body", operation.id);
            let path = self.paths.entry(route.path.clone()).or_insert_with(|| json!({}));
            let method = route.method.as_str().to_ascii_lowercase();
            path[method] = operation.into_value(name);
        }
    }

    /// The document.
    pub fn finish(self) -> Value {
        let mut schemas = self.schemas.into_components();
        schemas.insert("Problem".to_owned(), problem());
        schemas.insert("OAuthError".to_owned(), oauth_error());
        schemas.insert("GatewayMessage".to_owned(), gateway_message());
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Shop",
                "version": env!("CARGO_PKG_VERSION"),
                "summary": "A shop of seven services behind one API",
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            },
            "servers": [{ "url": "/" }],
            "tags": self.tags,
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "responses": responses(),
                "headers": {
                    "RequestId": {
                        "description": "Names the request in our logs",
                        "schema": { "type": "string" },
                    },
                },
                "securitySchemes": {
                    "accessToken": {
                        "type": "http",
                        "scheme": "bearer",
                        "bearerFormat": "JWT",
                        "description": "The `access_token` of `POST /login`",
                    },
                    "cartToken": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "Cart-Token",
                        "description": "The `cart_token` of `POST /cart`: opens a cart without a login",
                    },
                    "client": {
                        "type": "http",
                        "scheme": "basic",
                        "description": "An OAuth client's id and secret (RFC 6749, 2.3.1)",
                    },
                },
            },
        })
    }
}

impl ServiceDescription<'_> {
    /// The schema of what a request may hold that a handler's types do not name.
    pub fn input<T: JsonSchema>(&mut self) -> Value {
        self.schemas.input::<T>()
    }

    /// The schema of an answer that a handler's types do not name.
    pub fn schema<T: JsonSchema>(&mut self) -> Value {
        self.schemas.output::<T>()
    }

    /// The operation at `METHOD /path`, by its name and what it does.
    ///
    /// # Panics
    /// When there is no such route.
    pub fn operation(&mut self, route: &str, id: &str, summary: &str) -> &mut Operation {
        let (method, path) = route.split_once(' ').unwrap_or_default();
        let method = method.parse().unwrap_or(Method::GET);
        let found = self.operations.iter_mut().find(|operation| operation.is(&method, path));
        let Some(operation) = found else { panic!("{} has no route {route}", self.name) };
        operation.name(id, summary);
        operation
    }
}

/// RFC 9457; members beyond these are the problem's own.
fn problem() -> Value {
    json!({
        "description": "Why a request failed (RFC 9457)",
        "type": "object",
        "required": ["type", "title", "status", "request_id"],
        "properties": {
            "type": { "type": "string", "pattern": "^urn:problem-type:[a-z0-9-]+$" },
            "title": { "type": "string", "description": "The same for every problem of the type", "minLength": 1 },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": { "type": "string", "description": "What happened this time" },
            "request_id": { "type": "string", "description": "Names the request in our logs" },
        },
    })
}

fn oauth_error() -> Value {
    json!({
        "description": "Why a request to an OAuth endpoint failed (RFC 6749, 5.2)",
        "type": "object",
        "required": ["error", "error_description"],
        "properties": {
            "error": {
                "type": "string",
                "enum": [
                    "invalid_request", "invalid_client", "invalid_grant", "unsupported_grant_type", "invalid_scope",
                ],
            },
            "error_description": { "type": "string" },
        },
        "additionalProperties": false,
    })
}

fn gateway_message() -> Value {
    json!({
        "description": "What API Gateway itself answers, before a function is asked",
        "type": "object",
        "required": ["message"],
        "properties": { "message": { "type": ["string", "null"] } },
    })
}

/// The refusals that are the same everywhere.
fn responses() -> Value {
    let mut responses = Map::new();
    for (status, when, header) in [
        (400, "The request is malformed", None),
        (401, "A valid access token is required", Some(("WWW-Authenticate", "Which one (RFC 6750)"))),
        (403, "The caller may not do this", None),
        (404, "There is no such thing, or not for this caller", None),
        (412, "The resource is not at a version that the request allows", None),
        (413, "The body is too large", None),
        (415, "The body is of another media type", None),
        (422, "The content is not acceptable", None),
        (429, "Too many requests", None),
        (500, "Something went wrong on our side", None),
        (503, "The service cannot answer right now", None),
    ] {
        let mut headers = request_id();
        if let Some((name, description)) = header {
            headers[name] =
                json!({ "description": description, "required": true, "schema": { "type": "string" } });
        }
        if [429, 503].contains(&status) {
            let seconds = json!({ "type": "integer", "minimum": 0 });
            headers["Retry-After"] = json!({ "description": "Seconds to wait", "schema": seconds });
        }
        let schema = json!({ "schema": { "$ref": "#/components/schemas/Problem" } });
        let mut content = json!({ "application/problem+json": schema });
        if [400, 413, 429, 500, 503].contains(&status) {
            content["application/json"] =
                json!({ "schema": { "$ref": "#/components/schemas/GatewayMessage" } });
        }
        let response = json!({ "description": when, "headers": headers, "content": content });
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

//! One route of the API.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::schemas::without_null;
use crate::routes::{Access, Route};

/// A route's description.
#[derive(Debug)]
pub struct Operation {
    pub(super) route: Route,
    pub(super) id: String,
    summary: String,
    description: Option<String>,
    parameters: Vec<Value>,
    body: Option<Body>,
    /// Statuses of success.
    statuses: Vec<StatusCode>,
    /// Content of an answer, by media type.
    content: Map<String, Value>,
    /// Headers of an answer.
    headers: Map<String, Value>,
    problems: BTreeMap<u16, Value>,
    security: Option<Value>,
}

#[derive(Debug)]
struct Body {
    media_type: &'static str,
    schema: Value,
    required: bool,
    example: Option<Value>,
}

impl Operation {
    pub(crate) fn new(route: Route) -> Self {
        let mut operation = Self {
            route,
            id: String::new(),
            summary: String::new(),
            description: None,
            parameters: Vec::new(),
            body: None,
            statuses: Vec::new(),
            content: Map::new(),
            headers: Map::new(),
            problems: BTreeMap::new(),
            security: None,
        };
        let statuses: &[u16] = match operation.route.access {
            Access::Public => &[],
            Access::Optional | Access::Caller => &[401],
            Access::Admin => &[401, 403],
        };
        // The last ones API Gateway may answer to any request, too.
        for status in statuses.iter().chain(&[400, 429, 500, 503]) {
            operation.refuses(*status);
        }
        operation
    }

    pub(super) fn name(&mut self, id: &str, summary: &str) {
        id.clone_into(&mut self.id);
        summary.clone_into(&mut self.summary);
    }

    /// What the summary leaves open.
    pub fn description(&mut self, text: &str) -> &mut Self {
        self.description = Some(text.to_owned());
        self
    }

    /// A body that works with the demo data of the local run.
    pub fn example(&mut self, body: Value) -> &mut Self {
        if let Some(described) = &mut self.body {
            described.example = Some(body);
        }
        self
    }

    /// A value of the parameter that works with the demo data of the local run.
    pub fn example_parameter(&mut self, name: &str, value: impl Into<Value>) -> &mut Self {
        let value = value.into();
        for parameter in self.parameters.iter_mut().filter(|parameter| parameter["name"] == name) {
            parameter["example"] = value.clone();
        }
        self
    }

    /// The status of success, where it is not 200; called again, another one.
    pub fn status(&mut self, status: StatusCode) -> &mut Self {
        self.statuses.push(status);
        self
    }

    /// A refusal that follows from neither the declaration of the route nor the types of its handler; called again for the
    /// same status, another reason.
    pub fn problem(&mut self, status: StatusCode, when: &str) -> &mut Self {
        let known = self.problems.get(&status.as_u16()).and_then(|known| known["description"].as_str());
        let when = known.map_or_else(|| when.to_owned(), |known| format!("{known}; {when}"));
        let content =
            json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
        let response = json!({ "description": when, "headers": request_id(), "content": content });
        self.problems.insert(status.as_u16(), response);
        self
    }

    /// A refusal that is the same everywhere: one of [`Document`](super::Document)'s.
    pub fn refuses(&mut self, status: u16) -> &mut Self {
        self.problems
            .entry(status)
            .or_insert_with(|| json!({ "$ref": format!("#/components/responses/{status}") }));
        self
    }

    /// A refusal in another form than a problem's.
    pub fn refuses_as(&mut self, status: u16, response: Value) -> &mut Self {
        self.problems.insert(status, response);
        self
    }

    /// The parameter in the path.
    pub fn path_parameter(&mut self, schema: &Value) {
        let name = self.route.path.split('/').find_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        if let Some(name) = name {
            let parameter = json!({ "name": name, "in": "path", "required": true, "schema": schema });
            self.parameters.push(parameter);
            // Of a path that no route takes, too: one without the parameter, or with a slash in it.
            self.refuses(404);
        }
    }

    /// The members of a query string.
    pub fn query(&mut self, mut schema: Value) {
        let required = schema["required"].take();
        let Value::Object(properties) = schema["properties"].take() else { return };
        for (name, mut schema) in properties {
            let required = required.as_array().is_some_and(|names| names.contains(&json!(name)));
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            without_null(&mut schema);
            let mut parameter =
                json!({ "name": name, "in": "query", "required": required, "schema": schema });
            if let Some(description) = description {
                parameter["description"] = description;
            }
            self.parameters.push(parameter);
        }
    }

    /// A request header.
    pub fn header_parameter(&mut self, name: &str, required: bool, description: &str, schema: &Value) {
        self.parameters.push(json!({
            "name": name, "in": "header", "required": required, "description": description, "schema": schema,
        }));
    }

    /// The body of the request.
    pub fn body(&mut self, media_type: &'static str, required: bool, schema: Value) {
        self.body = Some(Body { media_type, schema, required, example: None });
        for status in [413, 415] {
            self.refuses(status);
        }
    }

    /// A body that its handler reads by itself; it may be left out as far as the front door is concerned.
    pub fn takes(&mut self, media_type: &'static str, schema: Value) -> &mut Self {
        self.body = Some(Body { media_type, schema, required: false, example: None });
        self
    }

    /// The content of an answer; called again, another one, for the client to choose.
    pub fn answers(&mut self, media_type: &str, schema: &Value) -> &mut Self {
        self.content.insert(media_type.to_owned(), json!({ "schema": schema }));
        self
    }

    /// The media type of the answers, where it is not the one of their type.
    pub fn only_as(&mut self, media_type: &str) -> &mut Self {
        let content = std::mem::take(&mut self.content).into_iter().map(|(_, content)| content);
        self.content = content.map(|content| (media_type.to_owned(), content)).collect();
        self
    }

    /// The parameters of a form.
    pub fn form(&mut self, schema: &Value) -> &mut Self {
        self.body("application/x-www-form-urlencoded", true, schema.clone());
        self
    }

    /// A header of an answer.
    pub fn answers_header(&mut self, name: &str, description: &str, schema: &Value) -> &mut Self {
        let header = json!({ "description": description, "required": true, "schema": schema });
        self.headers.insert(name.to_owned(), header);
        self
    }

    /// A header that an answer may have.
    pub fn may_answer_header(&mut self, name: &str, description: &str, schema: &Value) -> &mut Self {
        self.headers.insert(name.to_owned(), json!({ "description": description, "schema": schema }));
        self
    }

    /// 201, where it is and what it is.
    pub fn creates(&mut self, schema: &Value) -> &mut Self {
        let path = json!({ "type": "string", "format": "uri-reference" });
        self.status(StatusCode::CREATED)
            .answers_header("Location", "The path of what was made", &path)
            .answers("application/json", schema)
    }

    /// Other ways than an access token to say who asks: the requirement's alternatives (OpenAPI 3.1, 4.8.30).
    pub fn security(&mut self, alternatives: Value) {
        self.security = Some(alternatives);
    }

    pub(super) fn is_named(&self) -> bool {
        !self.id.is_empty()
    }

    pub(super) fn has_example(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.example.is_some())
    }

    pub(super) fn into_value(mut self, tag: &str) -> Value {
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": [tag],
            "responses": self.responses(),
            "security": self.security.take().unwrap_or_else(|| match self.route.access {
                Access::Public => json!([]),
                Access::Optional => json!([{}, { "accessToken": [] }]),
                Access::Caller | Access::Admin => json!([{ "accessToken": [] }]),
            }),
        });
        if let Some(description) = self.description {
            operation["description"] = description.into();
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = self.parameters.into();
        }
        if let Some(Body { media_type, schema, required, example }) = self.body {
            let mut content = json!({ "schema": schema });
            if let Some(example) = example {
                content["example"] = example;
            }
            operation["requestBody"] = json!({ "required": required, "content": { media_type: content } });
        }
        operation
    }

    fn responses(&mut self) -> Value {
        let mut responses = Map::new();
        if self.statuses.is_empty() {
            self.statuses.push(StatusCode::OK);
        }
        for status in &self.statuses {
            let mut headers = request_id();
            for (name, header) in &self.headers {
                headers[name] = header.clone();
            }
            let reason = status.canonical_reason().unwrap_or_default();
            let mut response = json!({ "description": reason, "headers": headers });
            let empty = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(status);
            if !self.content.is_empty() && !empty {
                response["content"] = self.content.clone().into();
            }
            responses.insert(status.as_str().to_owned(), response);
        }
        for (status, response) in std::mem::take(&mut self.problems) {
            responses.insert(status.to_string(), response);
        }
        responses.into()
    }

    pub(super) fn is(&self, method: &Method, path: &str) -> bool {
        self.route.method == method && self.route.path == path
    }
}

/// Every answer of ours has it.
pub(super) fn request_id() -> Value {
    json!({ "X-Request-Id": { "$ref": "#/components/headers/RequestId" } })
}

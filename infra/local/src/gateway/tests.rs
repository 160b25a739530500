//! The gateway in front of a `cargo lambda watch` that a test plays.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};

use axum::extract::{DefaultBodyLimit, Path};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::*;

const AMPLE: Duration = Duration::from_mins(1);

/// A gateway on a free port, whose function answers every event with the same.
struct Local {
    address: SocketAddr,
    events: Arc<Mutex<Vec<(String, Value)>>>,
    tasks: Vec<AbortHandle>,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Local {
    async fn answering(status: StatusCode, answer: Value) -> Self {
        Self::for_pages(None, status, answer).await
    }

    /// One that lets pages of other origins call it.
    async fn for_pages(cors: Option<CorsLayer>, status: StatusCode, answer: Value) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = events.clone();
        let watch = Router::new().route(
            "/2015-03-31/functions/{name}/invocations",
            post(move |Path(name): Path<String>, Json(event): Json<Value>| async move {
                seen.lock().unwrap().push((name, event));
                (status, Json(answer))
            }),
        );
        let watch = watch.layer(DefaultBodyLimit::disable());
        let watch_listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let watch_url = format!("http://{}", watch_listener.local_addr().unwrap());
        let watch = tokio::spawn(async move { axum::serve(watch_listener, watch).await.unwrap() });
        let mut local = Self::with_cors(cors, &watch_url, AMPLE).await;
        local.tasks.push(watch.abort_handle());
        local.events = events;
        local
    }

    async fn in_front_of(watch_url: &str, timeout: Duration) -> Self {
        Self::with_cors(None, watch_url, timeout).await
    }

    async fn with_cors(cors: Option<CorsLayer>, watch_url: &str, timeout: Duration) -> Self {
        let listeners = listen(0).await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        let target = Target {
            default: Callee { function: "auth".to_owned(), timeout },
            routes: Arc::new(Table::new(&functions())),
            watch_url: watch_url.to_owned(),
            doubt: Arc::default(),
            cors,
            distribution: None,
            pages: Router::new(),
        };
        let gateway = tokio::spawn(serve(listeners, target, pending()));
        Self { address, events: Arc::default(), tasks: vec![gateway.abort_handle()] }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn event(&self) -> Value {
        let events = self.events.lock().unwrap();
        events.last().expect("a function was invoked").1.clone()
    }

    /// The function that was invoked last.
    fn invoked(&self) -> String {
        self.events.lock().unwrap().last().expect("a function was invoked").0.clone()
    }

    fn invocations(&self) -> usize {
        self.events.lock().unwrap().len()
    }

    /// Sends bytes that no HTTP client would, returns the status line.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
    }
}

/// Those of a template with two services.
fn functions() -> Vec<template::Function> {
    let template = "
Resources:
  Api: { Type: AWS::Serverless::HttpApi }
  CartFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: cart }, LocalPort: 1 }
    Properties:
      CodeUri: functions/cart
      Timeout: 7
      Events:
        One: { Type: HttpApi, Properties: { Method: GET, Path: \"/products/{id}\" } }
        Own: { Type: HttpApi, Properties: { Method: GET, Path: /products/own } }
        Rest: { Type: HttpApi, Properties: { } }
  UserFunction:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: user }, LocalPort: 2 }
    Properties:
      CodeUri: functions/user
      Timeout: 9
      Events:
        Own: { Type: HttpApi, Properties: { Method: PATCH, Path: /products/own } }
";
    template::Template::parse(template, &BTreeMap::new()).unwrap().functions().to_vec()
}

fn ok() -> Value {
    json!({ "statusCode": 200, "body": "" })
}

async fn problem(response: reqwest::Response) -> Value {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status);
    problem
}

#[tokio::test]
async fn a_request_becomes_the_event_that_aws_makes() {
    let local = Local::answering(StatusCode::OK, ok()).await;
    let request = reqwest::Client::new()
        .patch(local.url("/profile/addresses/a%20b?x=1&x=2&y=%C3%A4"))
        .header("Authorization", "Bearer t")
        .header("X-Twice", "1")
        .header("X-Twice", "2")
        .header("Cookie", "a=1; b=2")
        .header("User-Agent", "curl")
        .header("X-Forwarded-For", "10.0.0.1")
        .header("X-Forwarded-Proto", "not a scheme")
        .header("Content-Type", "application/json; charset=utf-8")
        .body("{\"a\":1}");
    let response = request.send().await.unwrap();
    let mut event = local.event();
    let context = event["requestContext"].take();
    assert!(context["timeEpoch"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(context["time"].as_str().unwrap().len(), "22/Nov/2026:18:16:04 +0000".len());
    assert_eq!(context["requestId"], response.headers()["apigw-requestid"].to_str().unwrap());
    assert_eq!(context["stage"], "$default");
    assert_eq!(
        context["http"],
        json!({
            "method": "PATCH",
            "path": "/profile/addresses/a%20b",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "curl",
        })
    );
    assert_eq!(
        event,
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": "/profile/addresses/a%20b",
            "rawQueryString": "x=1&x=2&y=%C3%A4",
            "queryStringParameters": { "x": "1,2", "y": "ä" },
            "cookies": ["a=1", "b=2"],
            "headers": {
                "accept": "*/*",
                "authorization": "Bearer t",
                "content-length": "7",
                "content-type": "application/json; charset=utf-8",
                "host": local.address.to_string(),
                "user-agent": "curl",
                "x-forwarded-for": "10.0.0.1, 127.0.0.1",
                "x-forwarded-proto": "http",
                "x-twice": "1,2",
            },
            "requestContext": null,
            "body": "{\"a\":1}",
            "isBase64Encoded": false,
        })
    );
}

#[tokio::test]
async fn bytes_that_are_not_text_travel_as_base64() {
    let local = Local::answering(StatusCode::OK, ok()).await;
    for (content_type, body, expected, is_base64) in [
        ("application/json", &b"\xff\xfe"[..], json!("//4="), true),
        ("application/octet-stream", b"abc", json!("YWJj"), true),
        ("application/merge-patch+json", b"{}", json!("{}"), false),
        ("application/json", b"", Value::Null, false),
    ] {
        let request =
            reqwest::Client::new().post(local.url("/")).header("content-type", content_type).body(body);
        assert_eq!(request.send().await.unwrap().status(), 200);
        let event = local.event();
        assert_eq!(
            (&event["body"], &event["isBase64Encoded"]),
            (&expected, &json!(is_base64)),
            "{content_type}"
        );
    }
}

#[tokio::test]
async fn an_answer_becomes_a_response() {
    let answer = json!({
        "statusCode": 201,
        "headers": { "Content-Type": "application/json", "Content-Length": "999", "X-One": "1" },
        "multiValueHeaders": { "x-one": ["1"], "www-authenticate": ["A", "B"] },
        "cookies": ["a=1", "b=2"],
        "body": "eyJhIjoxfQ==",
        "isBase64Encoded": true,
    });
    let local = Local::answering(StatusCode::OK, answer).await;
    let response = reqwest::get(local.url("/")).await.unwrap();
    assert_eq!(response.status(), 201);
    let values = |name: &str| response.headers().get_all(name).iter().collect::<Vec<_>>();
    assert_eq!(values("x-one"), ["1"]);
    assert_eq!(values("www-authenticate"), ["A", "B"]);
    assert_eq!(values("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.text().await.unwrap(), "{\"a\":1}");
}

#[tokio::test]
async fn an_answer_without_status_is_the_body() {
    let local = Local::answering(StatusCode::OK, json!({ "a": 1 })).await;
    let response = reqwest::get(local.url("/")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "a": 1 }));
}

#[tokio::test]
async fn an_answer_that_is_no_response_is_a_502() {
    for answer in [
        json!({ "statusCode": "abc" }),
        json!({ "statusCode": 99 }),
        json!({ "statusCode": 200, "headers": { "a b": "c" } }),
        json!({ "statusCode": 200, "headers": { "a": "b\nc" } }),
        json!({ "statusCode": 200, "body": "%", "isBase64Encoded": true }),
    ] {
        let local = Local::answering(StatusCode::OK, answer.clone()).await;
        let response = reqwest::get(local.url("/")).await.unwrap();
        assert_eq!(problem(response).await["status"], 502, "{answer}");
    }
}

#[tokio::test]
async fn a_body_over_ten_megabytes_never_reaches_the_function() {
    let local = Local::answering(StatusCode::OK, ok()).await;
    let post = |bytes| reqwest::Client::new().post(local.url("/")).body(vec![b'a'; bytes]).send();
    assert_eq!(post(LARGEST_BODY).await.unwrap().status(), 200);
    assert_eq!(local.invocations(), 1);
    assert_eq!(problem(post(LARGEST_BODY + 1).await.unwrap()).await["status"], 413);
    assert_eq!(local.invocations(), 1);
}

#[tokio::test]
async fn what_the_runtime_cannot_read_never_reaches_the_function() {
    let local = Local::answering(StatusCode::OK, ok()).await;
    for request in [
        "GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: evil/x?\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ä\r\nConnection: close\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        assert_eq!(local.raw(request).await, "HTTP/1.1 400 Bad Request", "{request}");
    }
    assert_eq!(local.invocations(), 0);
    let fine = "GET //a?b=%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(local.raw(fine).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_failing_function_is_a_502_that_says_why() {
    let error = json!({ "errorType": "x", "errorMessage": "Lambda panicked: boom" });
    let local = Local::answering(StatusCode::INTERNAL_SERVER_ERROR, error).await;
    let problem = problem(reqwest::get(local.url("/")).await.unwrap()).await;
    assert_eq!(problem["status"], 502);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("Lambda panicked: boom") && detail.contains("see the log"), "{detail}");
}

#[tokio::test]
async fn a_function_that_does_not_answer_in_time_is_a_504() {
    // Connections are accepted and never answered, as watch does when a function's process died.
    let hung = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let watch_url = format!("http://{}", hung.local_addr().unwrap());
    let local = Local::in_front_of(&watch_url, Duration::from_millis(20)).await;
    let problem = problem(reqwest::get(local.url("/")).await.unwrap()).await;
    assert_eq!(problem["status"], 504);
    assert!(problem["detail"].as_str().unwrap().contains("hangs"), "{problem}");
}

#[tokio::test]
async fn no_functions_running_is_a_503() {
    let unused = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    let local = Local::in_front_of(&format!("http://{unused}"), AMPLE).await;
    let problem = problem(reqwest::get(local.url("/")).await.unwrap()).await;
    assert_eq!(problem["status"], 503);
    assert!(problem["detail"].as_str().unwrap().contains("cargo lambda watch does not answer"));
}

#[tokio::test]
async fn localhost_answers_whatever_it_resolves_to() {
    let local = Local::answering(StatusCode::OK, ok()).await;
    let port = local.address.port();
    assert_eq!(reqwest::get(format!("http://localhost:{port}/")).await.unwrap().status(), 200);
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
        assert_eq!(reqwest::get(format!("http://[::1]:{port}/")).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_path_of_another_service_is_answered_by_that_service() {
    let local = Local::answering(StatusCode::OK, ok()).await;
    let client = reqwest::Client::new();
    for (method, path, function) in [
        ("GET", "/products/p-1?a=1", "cart"),
        ("GET", "/products/own", "cart"),
        ("PATCH", "/products/own", "user"),
        // What no route takes, its method or its path, is the default route's.
        ("DELETE", "/products/p-1", "auth"),
        ("GET", "/products", "auth"),
        ("GET", "/products/p-1/more", "auth"),
        ("GET", "/", "auth"),
    ] {
        let request = client.request(method.parse().unwrap(), local.url(path));
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(local.invoked(), function, "{method} {path}");
    }
}

/// What the template says of browsers, when pages of this origin may call the API.
fn cors() -> CorsLayer {
    let parameters =
        BTreeMap::from([("CorsOrigins".to_owned(), "https://shop.example,http://localhost:5173".to_owned())]);
    let template = template::Template::load(&template::workspace_root(), &parameters).unwrap();
    cors::layer(&template.cors().unwrap().unwrap()).unwrap()
}

fn header<'a>(response: &'a reqwest::Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_page_of_a_known_origin_may_ask_without_a_token_what_it_may_send() {
    let local = Local::for_pages(Some(cors()), StatusCode::OK, json!({"statusCode": 200})).await;
    let preflight = |origin: &'static str| {
        let request = reqwest::Client::new().request(reqwest::Method::OPTIONS, local.url("/orders"));
        let request = request.header("origin", origin).header("access-control-request-method", "POST");
        request.header("access-control-request-headers", "authorization,idempotency-key").send()
    };
    for origin in ["https://shop.example", "http://localhost:5173"] {
        let answer = preflight(origin).await.unwrap();
        assert!(answer.status().is_success());
        assert_eq!(header(&answer, "access-control-allow-origin"), Some(origin));
        let allowed = header(&answer, "access-control-allow-headers").unwrap();
        for name in ["authorization", "idempotency-key", "cart-token"] {
            assert!(allowed.contains(name), "{name} is not in {allowed}");
        }
        assert!(header(&answer, "access-control-allow-methods").unwrap().contains("PATCH"));
        assert_eq!(header(&answer, "access-control-allow-credentials"), None, "there are no cookies");
    }
    let other = preflight("https://other.example").await.unwrap();
    assert_eq!(header(&other, "access-control-allow-origin"), None);
    assert!(local.events.lock().unwrap().is_empty(), "no function is asked");
}

#[tokio::test]
async fn a_page_reads_errors_too_and_none_of_another_origin() {
    let answer = json!({"statusCode": 409, "headers": {"x-request-id": "r"}, "body": "{}"});
    let local = Local::for_pages(Some(cors()), StatusCode::OK, answer).await;
    let get = |origin: &'static str| {
        reqwest::Client::new().get(local.url("/orders")).header("origin", origin).send()
    };
    let known = get("https://shop.example").await.unwrap();
    assert_eq!(
        (known.status().as_u16(), header(&known, "access-control-allow-origin")),
        (409, Some("https://shop.example"))
    );
    assert!(header(&known, "access-control-expose-headers").unwrap().contains("x-request-id"));
    assert_eq!(header(&get("https://other.example").await.unwrap(), "access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_origins_no_page_is_let_in_and_options_is_a_method_like_any_other() {
    let template = template::Template::load(&template::workspace_root(), &BTreeMap::new()).unwrap();
    assert_eq!(template.cors().unwrap(), None);
    let local = Local::answering(StatusCode::OK, json!({"statusCode": 405})).await;
    let request = reqwest::Client::new().request(reqwest::Method::OPTIONS, local.url("/orders"));
    let answer = request.header("origin", "https://shop.example").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), header(&answer, "access-control-allow-origin")), (405, None));
    assert_eq!(local.invoked(), "auth", "the function of the default route");
}

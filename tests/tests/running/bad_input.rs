//! Bad input on every route of every service: a clear problem, never a 5xx, never a success.

use http::Method;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::bad_tokens::{path, routes};
use crate::client::{Client, admin_token, in_parallel};

fn takes_a_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

/// Which succeed for any caller, and do not read a body.
const WITHOUT_A_BODY: [&str; 4] = ["/logout", "/logout/all", "/email/verification", "/cart"];

#[tokio::test]
async fn bad_bodies_are_refused_everywhere() {
    let client = Client::new();
    let oversized = format!(r#"{{"username":"{}"}}"#, "x".repeat(64 * 1024));
    let bodies: [(&str, &str, &[u8]); 12] = [
        ("malformed", "application/json", b"{\"a\":"),
        ("not an object", "application/json", b"[]"),
        ("text", "application/json", b"\"x\""),
        ("number", "application/json", b"1e999"),
        ("null", "application/json", b"null"),
        ("unknown field", "application/json", b"{\"no_such_field\":1}"),
        ("two values", "application/json", b"{} {}"),
        ("bad UTF-8", "application/json", b"{\"username\":\"\xff\xfe\"}"),
        ("bad UTF-8 of no type", "application/octet-stream", b"\xff\xfe"),
        ("oversized", "application/json", oversized.as_bytes()),
        ("form", "application/x-www-form-urlencoded", b"username=mahindra"),
        ("XML", "application/xml", b"<login/>"),
    ];
    // Nobody's user: no profile, cart or order, so that no legal request succeeds by accident.
    let token = admin_token();
    let mut count = 0;
    let mut routes = routes();
    routes.retain(|(_, route)| takes_a_body(&route.method) && !WITHOUT_A_BODY.contains(&route.path.as_str()));
    for (service, route) in routes {
        in_parallel(bodies.iter().map(|(what, content_type, body)| {
            let what = format!("{what}: {} {}", route.method, route.path);
            let request = client.request(route.method.clone(), service, &path(&route)).bearer_auth(&token);
            let request = request.header(CONTENT_TYPE, *content_type).body(body.to_vec());
            let client = client.clone();
            async move { client.send(request).await.assert_problem(&what) }
        }))
        .await;
        count += bodies.len();
        if route.path == "/notifications/read" {
            continue; // Nothing means all of them.
        }
        let what = format!("nothing: {} {}", route.method, route.path);
        let request = client.request(route.method.clone(), service, &path(&route)).bearer_auth(&token);
        client.send(request).await.assert_problem(&what);
    }
    assert!(count > 100, "the routes with a body are listed");
}

#[tokio::test]
async fn bad_ids_are_refused_everywhere() {
    let client = Client::new();
    let token = admin_token();
    for (service, route) in routes().into_iter().filter(|(_, route)| route.path.contains("{id}")) {
        for id in ["x", "0", "..%2f..%2fetc", "%00", "%ff", "a b", &"9".repeat(2000)] {
            let id = id.replace(' ', "%20");
            let path = route.path.replace("{id}", &id);
            let body = takes_a_body(&route.method).then(|| json!({}));
            let answer = client.call(route.method.clone(), service, &path, &token, body).await;
            answer.assert_problem(&format!("{} {path}", route.method));
        }
    }
}

#[tokio::test]
async fn bad_pages_are_refused_everywhere() {
    let client = Client::new();
    let token = admin_token();
    let lists = [
        ("user", "/profile/addresses"),
        ("cart", "/products"),
        ("order", "/orders"),
        ("payment", "/payments"),
        ("notification", "/notifications"),
    ];
    for (service, list) in lists {
        assert_eq!(client.get(service, list, &token).await.status, 200, "{list}");
        // `UFJPRklMRQ` is base64url for PROFILE: well-formed, and no cursor of any of these lists.
        for query in [
            "cursor=",
            "cursor=!",
            "cursor=%ff",
            "cursor=UFJPRklMRQ",
            "limit=0",
            "limit=-1",
            "limit=1000",
            "x=1",
        ] {
            let answer = client.get(service, &format!("{list}?{query}"), &token).await;
            assert_eq!(answer.status, 400, "{list}?{query}: {}", answer.json);
            answer.assert_problem(query);
        }
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there_are_problems() {
    let client = Client::new();
    for service in ["auth", "user", "cart", "order", "payment", "notification", "analytics"] {
        let nowhere = client.send(client.request(Method::GET, service, "/no/such/path")).await;
        assert_eq!(nowhere.status, 404);
        nowhere.assert_problem(service);
        let ready = client.request(Method::DELETE, service, &format!("/{service}/ready"));
        let wrong = client.send(ready).await;
        assert_eq!(wrong.status, 405);
        wrong.assert_problem(service);
        assert!(wrong.headers.contains_key("allow"), "{service}");
    }
}

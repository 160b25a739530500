//! `cargo lambda watch` on its one port: the same paths, and every function by its name.

use http::Method;
use serde_json::json;
use shared::routes::Access;
use template::{Template, workspace_root};

use crate::bad_tokens::{path, routes};
use crate::client::{Client, admin_token};
use crate::system;

#[tokio::test]
async fn every_path_is_served_on_the_one_port_too() {
    let client = Client::new();
    let token = admin_token();
    for (service, route) in routes().into_iter().filter(|(_, route)| route.method == Method::GET) {
        let direct = client.get(service, &path(&route), &token).await;
        let url = format!("{}{}", system().addresses.watch, path(&route));
        let watched = client.send(client.to(Method::GET, &url).bearer_auth(&token)).await;
        assert_eq!(watched.status, direct.status, "{}: {}", route.path, watched.json);
        if route.access != Access::Public {
            let bare = client.send(client.to(Method::GET, &url)).await;
            assert_eq!(bare.status, 401, "{}", route.path);
        }
    }
}

#[tokio::test]
async fn every_function_can_be_invoked_by_its_name() {
    let client = Client::new();
    let template = Template::load(&workspace_root(), &std::collections::BTreeMap::default()).unwrap();
    for function in template.functions() {
        let url = format!("{}/2015-03-31/functions/{}/invocations", system().addresses.watch, function.name);
        // An HTTP function answers an API Gateway event with a status, a worker an empty batch without failures, the
        // operators' function a command that changes nothing. Custom resource and rotation have no such harmless event, and
        // say what they refuse.
        let event = if function.local_port.is_some() {
            json!({
                "version": "2.0", "routeKey": "$default", "rawPath": format!("/{}/ready", function.name),
                "rawQueryString": "", "headers": {}, "isBase64Encoded": false,
                "requestContext": {"http": {"method": "GET", "path": format!("/{}/ready", function.name),
                    "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"},
                    "requestId": "test", "stage": "$default", "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 0},
            })
        } else {
            match function.name.as_str() {
                "auth-operator" => json!({"command": "list_clients"}),
                "auth-rotation" => {
                    json!({"Step": "testSecret", "SecretId": "another", "ClientRequestToken": "test"})
                }
                _ => json!({"Records": []}),
            }
        };
        let answer = client.send(client.to(Method::POST, &url).json(&event)).await;
        if function.local_port.is_some() {
            assert_eq!(answer.expect(200)["statusCode"], 200, "{}", function.name);
        } else if let Some(reason) = refused(&function.name) {
            let message = answer.json["errorMessage"].as_str().unwrap_or_default();
            assert!(message.contains(&reason), "{}: {answer:?}", function.name);
        } else {
            assert_eq!(answer.status, 200, "{}: {}", function.name, answer.json);
        }
    }
}

/// What a function says that refuses the event.
fn refused(function: &str) -> Option<String> {
    match function {
        "auth-bootstrap" => Some("missing field `RequestType`".to_owned()),
        "auth-rotation" => {
            let secret = &system().addresses.environment["SIGNING_KEY_SECRET"];
            Some(format!("rotates secret {secret} and no other"))
        }
        _ => None,
    }
}

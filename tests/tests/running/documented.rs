//! The documented session: the README's commands, word for word, with real curl.

use std::process::Command;

use local::SESSION;
use serde_json::Value;

use crate::client::Client;
use crate::system;

/// Runs a documented command; only the ports are those of this test run, and the token is pasted in.
fn run(command: &str, token: &str) -> Value {
    let mut command = command.replace("<token>", token);
    for (port, service) in
        [(8000, "auth"), (8001, "user"), (8002, "cart"), (8003, "order"), (8004, "payment")]
    {
        let documented = format!("http://localhost:{port}");
        command = command.replace(&documented, &system().addresses.services[service]);
    }
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("{command} answered {text}"))
}

#[test]
fn the_documented_session_works_again_and_again() {
    let readme = std::fs::read_to_string(template::workspace_root().join("README.md")).unwrap();
    for command in SESSION {
        assert!(readme.lines().any(|line| line.trim() == command), "the README does not show: {command}");
    }
    let [login, profile, cart, orders, pay] = SESSION;
    for round in 1..=3 {
        let login = run(login, "");
        assert_eq!(login["token_type"], "Bearer");
        let token = login["access_token"].as_str().unwrap();

        assert_eq!(run(profile, token)["username"], "mahindra");
        let cart = run(cart, token);
        assert_eq!(cart["lines"].as_array().unwrap().len(), 2, "{cart}");
        assert!(cart["total"]["amount"].as_u64().unwrap() > 0);
        let order = &run(orders, token)["items"][0];
        let receipt = run(pay, token);
        if round == 1 {
            assert_eq!(order["status"], "PENDING_PAYMENT", "{order}");
            assert_eq!(receipt["status"], "SUCCEEDED", "{receipt}");
            assert_eq!(receipt["order_id"], order["id"]);
            assert_eq!(receipt["amount"], order["total"]);
        } else {
            assert_eq!(order["status"], "PAID", "{order}");
            assert_eq!(receipt["status"], 409, "{receipt}");
            assert_eq!(receipt["type"], "urn:problem-type:nothing-owed");
        }
    }
}

#[tokio::test]
async fn only_demo_users_log_in_without_a_password() {
    let client = Client::new();
    let user = client.new_user().await;
    for username in [user.username.as_str(), "nobody-of-this-name"] {
        let request = client.request(http::Method::POST, "auth", "/login");
        let answer = client.send(request.json(&serde_json::json!({ "username": username }))).await;
        assert_eq!(answer.status, 401, "{}", answer.json);
    }
}

//! Sessions: what a login starts, how it goes on, and that its end reaches every service.

use std::time::Duration;

use http::Method;
use http::header::USER_AGENT;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::client::{Client, User};

/// A path of each service that any caller may read.
pub(crate) const OF_CALLERS: [(&str, &str); 7] = [
    ("auth", "/sessions"),
    ("user", "/profile"),
    ("cart", "/cart"),
    ("order", "/orders"),
    ("payment", "/payments"),
    ("notification", "/notifications"),
    // Takes no token for granted, but refuses a bad one.
    ("analytics", "/events"),
];

/// The time within which the end of a session has reached every service.
const REACH: Duration = Duration::from_secs(30);

/// Whether a service takes the token, asked many times at once, so that all its instances are.
async fn takes(client: &Client, service: &'static str, path: &'static str, token: &str) -> bool {
    let ask = |client: Client, token: String| async move {
        let (method, body) = match service {
            "analytics" => (Method::POST, Some(json!({"name": "seen"}))),
            _ => (Method::GET, None),
        };
        client.call(method, service, path, &token, body).await.status
    };
    let asked: JoinSet<_> = (0..16).map(|_| ask(client.clone(), token.to_owned())).collect();
    let statuses = asked.join_all().await;
    let any = statuses.iter().any(|status| *status != 401);
    assert!(statuses.iter().all(|status| *status == 401 || (200..300).contains(status)), "{statuses:?}");
    any
}

/// Every service takes the token.
async fn assert_taken(client: &Client, token: &str) {
    for (service, path) in OF_CALLERS {
        assert!(takes(client, service, path, token).await, "{service}");
    }
}

/// No instance of any service takes the token any more, [`REACH`] from now at the latest.
pub(crate) async fn assert_refused_soon(client: &Client, token: &str) {
    let deadline = Instant::now() + REACH;
    for (service, path) in OF_CALLERS {
        let refused = client.eventually("the token is refused", || async {
            (!takes(client, service, path, token).await).then_some(())
        });
        timeout_at(deadline, refused)
            .await
            .unwrap_or_else(|_| panic!("{service} takes the token after {REACH:?}"));
    }
}

async fn login(client: &Client, user: &User) -> Value {
    client.start_session(&user.username, &user.password).await.expect(200)
}

pub(crate) async fn refresh(client: &Client, tokens: &Value) -> crate::client::Answer {
    let body = json!({"refresh_token": tokens["refresh_token"]});
    client.send(client.request(Method::POST, "auth", "/refresh").json(&body)).await
}

fn access(tokens: &Value) -> &str {
    tokens["access_token"].as_str().unwrap()
}

#[tokio::test]
async fn a_logout_reaches_every_service_and_no_other_session() {
    let client = Client::new();
    let user = client.new_user().await;
    let (ended, kept) = (login(&client, &user).await, login(&client, &user).await);
    assert_taken(&client, access(&ended)).await;

    let logout = client.post("auth", "/logout", access(&ended), None).await;
    assert_eq!(logout.status, 204, "{}", logout.json);
    assert_eq!(refresh(&client, &ended).await.status, 401, "at once, because Auth reads the session itself");
    assert_refused_soon(&client, access(&ended)).await;
    assert_taken(&client, access(&kept)).await;
    refresh(&client, &kept).await.expect(200);
}

#[tokio::test]
async fn logging_out_everywhere_ends_all_sessions() {
    let client = Client::new();
    let user = client.new_user().await;
    let sessions = [login(&client, &user).await, login(&client, &user).await];
    let logout = client.post("auth", "/logout/all", access(&sessions[0]), None).await;
    assert_eq!(logout.status, 204, "{}", logout.json);
    for session in &sessions {
        assert_eq!(refresh(&client, session).await.status, 401);
    }
    for session in &sessions {
        assert_refused_soon(&client, access(session)).await;
    }
    let again = login(&client, &user).await;
    assert_taken(&client, access(&again)).await;
}

#[tokio::test]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_session() {
    let client = Client::new();
    let user = client.new_user().await;
    let first = login(&client, &user).await;
    let second = refresh(&client, &first).await.expect(200);
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let retried = refresh(&client, &first).await.expect(200);
    assert_eq!(retried["refresh_token"], second["refresh_token"], "the answer may have been lost");
    let third = refresh(&client, &second).await.expect(200);
    assert_taken(&client, access(&third)).await;

    let stolen = refresh(&client, &first).await;
    assert_eq!(stolen.status, 401, "{}", stolen.json);
    stolen.assert_problem("a used refresh token");
    assert_eq!(refresh(&client, &third).await.status, 401, "nobody knows who of the two was the thief");
    assert_refused_soon(&client, access(&third)).await;
}

#[tokio::test]
async fn parallel_refreshes_have_one_outcome() {
    let client = Client::new();
    let user = client.new_user().await;
    let tokens = login(&client, &user).await;
    let ask = |client: Client, tokens: Value| async move { refresh(&client, &tokens).await };
    let asked: JoinSet<_> = (0..16).map(|_| ask(client.clone(), tokens.clone())).collect();
    let mut successors = Vec::new();
    for answer in asked.join_all().await {
        // A client retries what says that it can be retried.
        if answer.status != 503 {
            successors.push(answer.expect(200)["refresh_token"].as_str().unwrap().to_owned());
        }
    }
    assert!(!successors.is_empty());
    successors.dedup();
    assert_eq!(successors.len(), 1, "one lineage");
    refresh(&client, &json!({"refresh_token": successors[0]})).await.expect(200);
}

#[tokio::test]
async fn a_user_sees_the_sessions_and_ends_one() {
    let client = Client::new();
    let user = client.new_user().await;
    let body = json!({"username": user.username, "password": user.password});
    let request = client.request(Method::POST, "auth", "/login").header(USER_AGENT, "Telephone/1.0");
    let telephone = client.send(request.json(&body)).await.expect(200);

    let sessions = client.get("auth", "/sessions", &user.token).await.expect(200);
    let sessions = sessions["items"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    let other = sessions.iter().find(|session| session["current"] == false).unwrap();
    assert_eq!(other["device"], "Telephone/1.0");
    let path = format!("/sessions/{}", other["id"].as_str().unwrap());

    let stranger = client.new_user().await;
    let not_theirs = client.call(Method::DELETE, "auth", &path, &stranger.token, None).await;
    assert_eq!(not_theirs.status, 404, "{}", not_theirs.json);
    refresh(&client, &telephone).await.expect(200);

    let ended = client.call(Method::DELETE, "auth", &path, &user.token, None).await;
    assert_eq!(ended.status, 204, "{}", ended.json);
    assert_eq!(refresh(&client, &telephone).await.status, 401);
    assert_refused_soon(&client, access(&telephone)).await;
}

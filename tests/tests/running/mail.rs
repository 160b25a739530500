//! What comes by mail: the tokens that verify an address and that set a new password.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client, User};
use crate::sessions::{assert_refused_soon, refresh};
use crate::system;

/// The subject of the mail that everybody gets who registers.
pub(crate) const VERIFY: &str = "Verify your e-mail address";

/// The mails to an address, as the emulator's SES took them.
pub(crate) async fn mails(client: &Client, address: &str) -> Vec<Value> {
    let url = format!("{}/_ministack/ses/messages", system().addresses.emulator);
    let answer = client.send(client.to(Method::GET, &url)).await.expect(200);
    let accounts = answer["messages"].as_object().unwrap_or_else(|| panic!("{answer}"));
    let all = accounts.values().flat_map(|list| list.as_array().unwrap());
    all.filter(|mail| mail["To"][0] == address).cloned().collect()
}

/// The token in the one mail to the user with this subject, once it is there.
async fn token(client: &Client, user: &User, subject: &str) -> String {
    let mail = client
        .eventually(subject, || async {
            mails(client, &user.email).await.into_iter().find(|mail| mail["Subject"] == subject)
        })
        .await;
    // On a line of its own, and the only one that is a single word.
    let mut lines = mail["BodyText"].as_str().unwrap().lines().map(str::trim);
    lines.find(|line| line.len() >= 20 && !line.contains(' ')).unwrap_or_else(|| panic!("{mail}")).to_owned()
}

async fn post(client: &Client, path: &str, body: &Value) -> Answer {
    client.send(client.request(Method::POST, "auth", path).json(body)).await
}

/// Registers a user and verifies the address.
async fn verified_user(client: &Client) -> User {
    let user = client.new_user().await;
    let token = token(client, &user, VERIFY).await;
    let verified = post(client, "/email/verify", &json!({ "token": token })).await;
    assert!((200..300).contains(&verified.status), "{}", verified.json);
    user
}

#[tokio::test]
async fn a_registered_address_is_verified_by_the_mail() {
    let client = Client::new();
    let user = verified_user(&client).await;
    let profile = client.get("user", "/profile", &user.token).await.expect(200);
    assert_eq!(profile["email_verified"], true, "{profile}");
    let wrong = post(&client, "/email/verify", &json!({"token": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})).await;
    wrong.assert_problem("a token that nobody got");
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_once_and_ends_the_sessions() {
    let client = Client::new();
    let user = verified_user(&client).await;
    let tokens = client.start_session(&user.username, &user.password).await.expect(200);
    let forgot = post(&client, "/password/forgot", &json!({"username": user.username})).await;
    assert_eq!(forgot.status, 202, "{}", forgot.json);
    let token = token(&client, &user, "Set a new password").await;

    let new = "another battery, another staple";
    let reset = json!({"token": token, "new_password": new});
    let done = post(&client, "/password/reset", &reset).await;
    assert!((200..300).contains(&done.status), "{}", done.json);
    post(&client, "/password/reset", &reset).await.assert_problem("the token is used up");
    assert_eq!(refresh(&client, &tokens).await.status, 401);
    assert_eq!(client.start_session(&user.username, &user.password).await.status, 401, "the old password");
    client.start_session(&user.username, new).await.expect(200);
    assert_refused_soon(&client, tokens["access_token"].as_str().unwrap()).await;
}

#[tokio::test]
async fn nobody_learns_who_has_an_account_by_forgetting_a_password() {
    let client = Client::new();
    let user = client.new_user().await;
    let mut answers = Vec::new();
    for body in [
        json!({"username": user.username}),
        json!({"username": "nobody-of-this-name"}),
        json!({"email": user.email}),
        json!({"email": "nobody@example.com"}),
    ] {
        let answer = post(&client, "/password/forgot", &body).await;
        answers.push((answer.status, answer.json));
    }
    assert!(answers.iter().all(|answer| *answer == (202, answers[0].1.clone())), "{answers:?}");
}

//! What operators ask of the function `auth-operator`.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::system;
use crate::upgrade::enrol;

async fn operate(client: &Client, command: &Value) -> Answer {
    let url = format!("{}/2015-03-31/functions/auth-operator/invocations", system().addresses.watch);
    client.send(client.to(Method::POST, &url).json(command)).await
}

#[tokio::test]
async fn who_lost_the_second_factor_can_log_in_when_it_is_taken_away() {
    let client = Client::new();
    let member = enrol(&client).await;
    let text = |name: &str| member[name].as_str().unwrap().to_owned();
    let login = async || client.start_session(&text("username"), &text("password")).await.status;
    assert_eq!(login().await, 401);
    let disable = json!({"command": "disable_factor", "username": member["username"]});
    operate(&client, &disable).await.expect(200);
    assert_eq!(login().await, 200);
}

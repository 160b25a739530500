//! The signing keys rotate under the running system.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use serde_json::{Value, json};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Env;
use shared::testing::Issuer;
use template::{Template, workspace_root};
use tokio::task::JoinSet;

use crate::bad_tokens::UNKNOWN_KEYS;
use crate::client::{Client, User};
use crate::sessions::OF_CALLERS;
use crate::system;

/// The content of one of the two secrets.
pub(crate) async fn secret(variable: &str) -> Value {
    let env = Env::of(system().addresses.environment.clone());
    let client = Aws::new(&env).unwrap().secrets_manager();
    let output = client.get_secret_value().secret_id(env.required(variable).unwrap()).send().await.unwrap();
    serde_json::from_str(output.secret_string().unwrap()).unwrap()
}

/// What every service says to the token.
async fn statuses(client: &Client, token: &str) -> Vec<(&'static str, u16)> {
    let mut statuses = Vec::new();
    for (service, path) in OF_CALLERS {
        let answer = match service {
            "analytics" => client.post(service, path, token, Some(json!({"name": "seen"}))).await,
            _ => client.get(service, path, token).await,
        };
        statuses.push((service, answer.status));
    }
    statuses
}

/// Logs in, refreshes and asks every service with both access tokens, until told to stop; how often.
async fn load(client: Client, user: User, stop: Arc<AtomicBool>) -> u32 {
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let session = client.start_session(&user.username, &user.password).await.expect(200);
        let body = json!({"refresh_token": session["refresh_token"]});
        let request = client.request(Method::POST, "auth", "/refresh").json(&body);
        let refreshed = client.send(request).await.expect(200);
        for tokens in [session, refreshed] {
            let token = tokens["access_token"].as_str().unwrap();
            let refused = statuses(&client, token).await;
            let refused: Vec<_> = refused.iter().filter(|(_, status)| !(200..300).contains(status)).collect();
            assert!(refused.is_empty(), "{refused:?}");
        }
        rounds += 1;
    }
    rounds
}

#[tokio::test]
async fn three_rotations_under_load_refuse_nobody() {
    let _alone = UNKNOWN_KEYS.lock().await;
    let client = Client::new();
    let template = Template::load(&workspace_root(), &std::collections::BTreeMap::default()).unwrap();
    let mut rotation = template.function("auth-rotation").unwrap().clone();
    rotation.environment.clone_from(&system().addresses.environment);
    let stop = Arc::new(AtomicBool::new(false));
    let mut loads = JoinSet::new();
    for _ in 0..3 {
        let user = client.new_user().await;
        loads.spawn(load(client.clone(), user, Arc::clone(&stop)));
    }
    let user = client.new_user().await;

    for _ in 0..3 {
        let before = secret("SIGNING_KEY_SECRET").await;
        local::rotate::run_steps(&rotation, &system().addresses.watch).await.unwrap();
        let (after, published) =
            (secret("SIGNING_KEY_SECRET").await, secret("VERIFICATION_KEYS_SECRET").await);
        assert_eq!(after["current"]["kid"], before["next"]["kid"], "next was promoted");
        assert_ne!(after["next"]["kid"], before["next"]["kid"], "and there is another one");
        let ends = |kid: &Value| {
            let key = published["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *kid);
            key.map(|key| !key["not_after"].is_null())
        };
        let known = [&after["current"], &after["next"], &before["current"]].map(|key| ends(&key["kid"]));
        assert_eq!(known, [Some(false), Some(false), Some(true)], "all are published, and the old one ends");
    }

    // The token of before the rotations, and one of the newest key, which Auth itself may sign with some minutes later only.
    let newest = secret("SIGNING_KEY_SECRET").await["current"]["private_key"].as_str().unwrap().to_owned();
    let newest = Issuer::from_pem(&newest).named(&system().addresses.services["auth"]);
    let newest = newest.token(user.id, Clock::system().now());
    for token in [&user.token, &newest] {
        client
            .eventually("every service takes the token", || async {
                let statuses = statuses(&client, token).await;
                statuses.iter().all(|(_, status)| (200..300).contains(status)).then_some(())
            })
            .await;
    }
    stop.store(true, Ordering::Relaxed);
    let rounds = loads.join_all().await;
    assert!(rounds.iter().all(|rounds| *rounds > 0), "{rounds:?}");
}

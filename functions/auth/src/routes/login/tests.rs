//! Logins, right and wrong, and what an attacker sees of them.

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::db::Key;
use shared::testing::{AUDIENCE, Answer, ISSUER, call};
use shared::token::Refused;
use uuid::Uuid;

use super::*;
use crate::model::{ADMIN, CUSTOMER};
use crate::testing::{App, PASSWORD};

async fn login(app: &App, username: &str, password: &str) -> Answer {
    app.post("/login", &json!({"username": username, "password": password})).await
}

fn token(answer: &Answer) -> &str {
    answer.json["access_token"].as_str().unwrap()
}

#[tokio::test]
async fn the_right_password_gets_a_token_that_every_service_accepts() {
    let app = App::new().await;
    app.register("Alice").await;
    let answer = login(&app, "aLICE", PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.json["token_type"], "Bearer");
    assert_eq!(answer.json["expires_in"], 900);

    let alice = app.accounts.account(&"alice".to_owned().try_into().unwrap()).await.unwrap().unwrap();
    let claims = app.verifier.verify(token(&answer)).await.unwrap();
    assert_eq!((claims.iss.as_str(), claims.aud), (ISSUER, AUDIENCE.into()));
    assert_eq!((claims.sub, claims.username.as_str()), (alice.user_id, "Alice"));
    assert_eq!((claims.nbf, claims.exp - claims.iat), (claims.iat, 900));
    assert_eq!(claims.scope, answer.json["scope"]);
    assert!(claims.roles == [CUSTOMER] && !claims.client_id.is_empty() && claims.sid != Uuid::nil());
    assert_eq!(claims.auth_time, Some(claims.iat));

    app.clock.advance(SignedDuration::from_secs(899));
    app.verifier.verify(token(&answer)).await.unwrap();
    app.clock.advance(SignedDuration::from_secs(1));
    assert_eq!(app.verifier.verify(token(&answer)).await.unwrap_err(), Refused::Expired);
}

#[tokio::test]
async fn each_login_is_a_session_and_a_token_of_its_own() {
    let app = App::new().await;
    app.register("alice").await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let answer = login(&app, "alice", PASSWORD).await.expect(StatusCode::OK);
        let claims = app.verifier.verify(token(&answer)).await.unwrap();
        seen.extend([claims.jti, claims.sid.to_string()]);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[tokio::test]
async fn a_granted_role_is_in_the_next_token() {
    let app = App::new().await;
    app.register("alice").await;
    app.accounts.grant_role(&"alice".to_owned().try_into().unwrap(), ADMIN).await.unwrap();
    let answer = login(&app, "alice", PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(app.verifier.verify(token(&answer)).await.unwrap().roles, [CUSTOMER, ADMIN]);
}

/// What an attacker who wants to know user names sees: the answer, and how long it took. The time is what argon2 and the
/// calls to the table take, so argon2's parameters and the calls are compared.
#[tokio::test]
async fn nobody_can_tell_an_unknown_user_from_a_wrong_password() {
    let app = App::with_demo_login().await;
    app.register("alice").await;
    app.seed_demo("mahindra", &[]).await;
    let mut seen = Vec::new();
    for (username, password) in [
        ("alice", "wrong password"),
        ("alice", ""),
        ("nobody", PASSWORD),
        ("mahindra", PASSWORD),
        ("no such name can be", PASSWORD),
        ("", PASSWORD),
        ("ALICE\u{0}", PASSWORD),
        (&"a".repeat(5_000), PASSWORD),
    ] {
        // Until the buckets are full again: what was done before does not show.
        app.clock.advance(SignedDuration::from_hours(6));
        app.passwords.computed.lock().unwrap().clear();
        app.database.take_calls();
        let answer = login(&app, username, password).await.expect(StatusCode::UNAUTHORIZED);
        let mut calls = app.database.take_calls();
        if Username::try_from(username.to_owned()).is_err() {
            // A name that nobody can have is not looked up, which tells nobody anything.
            calls.insert(0, "GetItem AuthTable".to_owned());
        }
        let work = app.passwords.computed.lock().unwrap().clone();
        seen.push((headers(&answer), answer.json.to_string(), work, calls));
    }
    let (headers, json, work, _) = &seen[0];
    assert!(headers.iter().any(|header| header.starts_with("www-authenticate")), "{headers:?}");
    assert!(json.contains("urn:problem-type:invalid-credentials"), "{json}");
    assert_eq!(work, &["m=19456,t=2,p=1"]);
    assert!(seen.iter().all(|other| *other == seen[0]), "{seen:#?}");
}

fn headers(answer: &Answer) -> Vec<String> {
    let mut headers: Vec<_> =
        answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    headers
}

#[tokio::test]
async fn a_throttled_login_says_nothing_of_who_exists_either() {
    let app = App::with_demo_login().await;
    app.register("alice").await;
    app.seed_demo("mahindra", &[]).await;
    let mut seen = Vec::new();
    for (n, username) in ["alice", "nobody", "mahindra", "no such name can be"].iter().enumerate() {
        let mut answers = Vec::new();
        for _ in 0..12 {
            let body = json!({"username": username, "password": "wrong password"});
            let call = call(Method::POST, "/login").from(&format!("192.0.2.{n}")).json(&body);
            app.database.take_calls();
            let answer = call.send(&app.router).await;
            let mut calls = app.database.take_calls();
            calls.retain(|call| !call.starts_with("GetItem"));
            answers.push((answer.status, headers(&answer), answer.json.to_string(), calls));
        }
        seen.push(answers);
    }
    let statuses: Vec<_> = seen[0].iter().map(|(status, ..)| status.as_u16()).collect();
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    assert_eq!(seen[0][10].2, seen[0][11].2, "refused attempts do not add to the wait");
    assert!(seen.iter().all(|other| *other == seen[0]), "{seen:#?}");
}

#[tokio::test]
async fn the_right_password_gets_in_from_home_while_an_attack_runs() {
    let app = App::new().await;
    app.register("alice").await;
    let from = async |address: &str, password: &str| {
        let body = json!({"username": "alice", "password": password});
        call(Method::POST, "/login").from(address).json(&body).send(&app.router).await
    };
    let _home = from("192.0.2.1", PASSWORD).await.expect(StatusCode::OK);
    for n in 0..20 {
        let _guess = from(&format!("198.18.0.{n}"), "wrong password").await.expect(StatusCode::UNAUTHORIZED);
    }
    let answer = from("198.18.0.99", PASSWORD).await.expect(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.json["type"], "urn:problem-type:too-many-attempts");
    let _home = from("192.0.2.1", PASSWORD).await.expect(StatusCode::OK);

    let seconds: i64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    app.clock.advance(SignedDuration::from_secs(seconds));
    let _elsewhere = from("198.18.0.99", PASSWORD).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_throttled_attempt_costs_no_hash_whether_the_password_is_right_or_not() {
    let app = App::new().await;
    app.register("alice").await;
    for _ in 0..10 {
        let _wrong = login(&app, "alice", "wrong password").await.expect(StatusCode::UNAUTHORIZED);
    }
    app.passwords.computed.lock().unwrap().clear();
    let right = login(&app, "alice", PASSWORD).await.expect(StatusCode::TOO_MANY_REQUESTS);
    let wrong = login(&app, "alice", "wrong password").await.expect(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((headers(&right), right.json), (headers(&wrong), wrong.json));
    assert!(app.passwords.computed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_password_logs_in_in_whatever_form_it_is_typed() {
    let app = App::new().await;
    let body = json!({"username": "alice", "password": "Größe ４２ déjà-vu ﬁx", "email": "a@example.com"});
    let _registered = app.post("/register", &body).await.expect(StatusCode::CREATED);
    for typed in
        ["Größe ４２ déjà-vu ﬁx", "Gro\u{308}ße 42 de\u{301}ja\u{300}-vu fix", "Ｇröße\u{3000}42 déjà-vu fix"]
    {
        let _in = login(&app, "alice", typed).await.expect(StatusCode::OK);
    }
    let _case_matters = login(&app, "alice", "größe 42 déjà-vu fix").await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn all_of_a_long_password_counts() {
    let app = App::new().await;
    let password: String = "🐙 nine blue Teekannen! ".chars().cycle().take(128).collect();
    let body = json!({"username": "alice", "password": password, "email": "a@example.com"});
    let _registered = app.post("/register", &body).await.expect(StatusCode::CREATED);
    let _in = login(&app, "alice", &password).await.expect(StatusCode::OK);
    let shorter: String = password.chars().take(127).collect();
    for wrong in [shorter.clone(), format!("{shorter}x")] {
        let _out = login(&app, "alice", &wrong).await.expect(StatusCode::UNAUTHORIZED);
    }
}

/// Gives alice the hash that her password would have got with other parameters.
async fn outdate(app: &App) -> PasswordHash {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
    let hash = argon2.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).unwrap();
    let hash = PasswordHash(hash.to_string());
    let mut account = alice(app).await;
    account.password_hash = Some(hash.clone());
    app.database.table("AuthTable").put(&Key::new("ACCOUNT#alice", "ACCOUNT"), &account).await.unwrap();
    hash
}

async fn alice(app: &App) -> Account {
    app.accounts.account(&"alice".to_owned().try_into().unwrap()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_login_renews_a_hash_with_older_parameters() {
    let app = App::new().await;
    app.register("alice").await;
    let old = outdate(&app).await;
    let _wrong = login(&app, "alice", "wrong password").await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(alice(&app).await.password_hash.as_ref(), Some(&old), "only who knows it renews it");

    let answers = tokio::join!(
        login(&app, "alice", PASSWORD),
        login(&app, "alice", PASSWORD),
        login(&app, "alice", PASSWORD)
    );
    for answer in <[Answer; 3]>::from(answers) {
        let _in = answer.expect(StatusCode::OK);
    }
    let renewed = alice(&app).await.password_hash.unwrap();
    assert!(renewed != old && !renewed.is_outdated());

    let _in = login(&app, "alice", PASSWORD).await.expect(StatusCode::OK);
    assert_eq!(alice(&app).await.password_hash, Some(renewed), "and that once");
}

#[tokio::test]
async fn the_demo_login_opens_seeded_demo_accounts_only() {
    let app = App::with_demo_login().await;
    app.seed_demo("mahindra", &[]).await;
    app.register("alice").await;
    let demo = |username: &str| {
        let body = json!({"username": username});
        let app = &app;
        async move { app.post("/login", &body).await }
    };
    let answer = demo("Mahindra").await.expect(StatusCode::OK);
    let claims = app.verifier.verify(token(&answer)).await.unwrap();
    assert_eq!((claims.username.as_str(), claims.roles), ("mahindra", vec![CUSTOMER.to_owned()]));

    for username in ["alice", "nobody", "no such name can be"] {
        let answer = demo(username).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json["type"], "urn:problem-type:invalid-credentials");
    }
    app.seed_demo("mahindra", &[ADMIN]).await;
    let _an_admin = demo("mahindra").await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_the_demo_login_a_missing_password_is_a_malformed_request() {
    let app = App::new().await;
    app.seed_demo("mahindra", &[]).await;
    let answer = app.post("/login", &json!({"username": "mahindra"})).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(
        (&answer.json["field"], &answer.json["detail"]),
        (&json!("password"), &json!("missing field `password`"))
    );
}

#[tokio::test]
async fn malformed_logins_name_the_field_and_cost_no_hash() {
    for app in [App::new().await, App::with_demo_login().await] {
        app.seed_demo("mahindra", &[]).await;
        for (body, field) in [
            (json!({"username": 5, "password": PASSWORD}), "username"),
            (json!({"username": "mahindra", "password": null}), "password"),
            (json!({"username": "mahindra", "password": 12_345_678}), "password"),
            (json!({"username": "mahindra", "password": {"$ne": ""}}), "password"),
            (json!({"username": "mahindra", "password": "a".repeat(129)}), "password"),
            (json!({"username": "mahindra", "password": PASSWORD, "code": 1}), "code"),
        ] {
            let answer = app.post("/login", &body).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["field"], field, "{body}");
            assert!(!answer.json["detail"].to_string().contains("12345678"));
        }
        for body in [json!({"password": PASSWORD}), json!({}), Value::Null, json!("mahindra")] {
            let _refused = app.post("/login", &body).await.expect(StatusCode::BAD_REQUEST);
        }
        assert!(app.passwords.computed.lock().unwrap().is_empty());
    }
}

use http::{Method, StatusCode};
use jiff::SignedDuration;
use shared::testing::{Answer, call};

use super::*;
use crate::testing::{App, PASSWORD};

/// What an operator sends, and what comes of it.
async fn run(app: &App, command: Value) -> Result<Value, OperatorError> {
    app.operator().run(serde_json::from_value(command).unwrap()).await
}

async fn login(app: &App, username: &str) -> Answer {
    app.post("/login", &json!({"username": username, "password": PASSWORD})).await
}

/// Whether the refresh token of a login is still good.
async fn refreshes(app: &App, login: &Answer) -> bool {
    let body = json!({"refresh_token": login.json["refresh_token"]});
    app.post("/refresh", &body).await.status == StatusCode::OK
}

async fn roles(app: &App, username: &str) -> Vec<String> {
    let username = username.to_owned().try_into().unwrap();
    app.accounts.account(&username).await.unwrap().unwrap().roles
}

fn admin(command: &str, username: &str) -> Value {
    json!({"command": command, "username": username, "role": "admin"})
}

#[test]
fn only_known_commands_with_all_their_fields_and_no_others_are_taken() {
    for (command, reason) in [
        (json!({"command": "drop_table"}), "unknown variant `drop_table`, expected one of `grant_role`"),
        (json!({}), "missing field `command`"),
        (json!("list_clients"), "invalid type"),
        (json!({"command": "grant_role", "username": "alice"}), "missing field `role`"),
        (
            json!({"command": "grant_role", "username": "alice", "role": "root"}),
            "expected `customer` or `admin`",
        ),
        (json!({"command": "grant_role", "username": "a b", "role": "admin"}), "expected 3 to 32 of a-z"),
        (json!({"command": "grant_role", "username": "alice", "role": "admin", "force": true}), "`force`"),
        (json!({"command": "create_client", "client_id": "Big Shop"}), "client_id of 3 to 32"),
        (json!({"command": "create_client", "client_id": "shop"}), "another client_id than shop"),
        (json!({"command": "list_clients", "all": true}), "`all`"),
    ] {
        let error = serde_json::from_value::<Command>(command.clone()).unwrap_err().to_string();
        assert!(error.contains(reason), "{command}: {error}");
    }
    let twice = r#"{"command":"end_sessions","username":"alice","username":"bob"}"#;
    assert!(serde_json::from_str::<Command>(twice).unwrap_err().to_string().contains("duplicate"));
}

#[tokio::test]
async fn a_granted_role_is_in_the_next_tokens_and_granting_it_again_changes_nothing() {
    let app = App::new().await;
    app.register("alice").await;
    for _ in 0..2 {
        let answer = run(&app, admin("grant_role", "ALICE")).await.unwrap();
        assert_eq!((&answer["username"], &answer["roles"]), (&json!("alice"), &json!(["customer", "admin"])));
    }
    let token = login(&app, "alice").await.expect(StatusCode::OK).json["access_token"].clone();
    let claims = app.verifier.verify(token.as_str().unwrap()).await.unwrap();
    assert_eq!(claims.roles, ["customer", "admin"]);
}

#[tokio::test]
async fn nobody_and_demo_users_get_no_role() {
    let app = App::new().await;
    app.seed_demo("mahindra", &[]).await;
    for (username, reason) in [("nobody", "no such user"), ("mahindra", "demo user")] {
        let error = run(&app, admin("grant_role", username)).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    for command in [admin("revoke_role", "nobody"), json!({"command": "end_sessions", "username": "nobody"})]
    {
        assert!(run(&app, command).await.unwrap_err().to_string().contains("no such user"));
    }
}

#[tokio::test]
async fn a_role_that_is_taken_ends_the_sessions_whose_tokens_have_it() {
    let app = App::new().await;
    app.register("alice").await;
    app.register("bob").await;
    run(&app, admin("grant_role", "alice")).await.unwrap();
    let (first, second, bobs) =
        (login(&app, "alice").await, login(&app, "alice").await, login(&app, "bob").await);

    let answer = run(&app, admin("revoke_role", "alice")).await.unwrap();
    assert_eq!(answer["roles"], json!(["customer"]));
    assert_eq!(roles(&app, "alice").await, ["customer"]);
    assert!(!refreshes(&app, &first).await && !refreshes(&app, &second).await);
    assert!(refreshes(&app, &bobs).await, "somebody else's session");
    assert_eq!(app.database.items::<Value>("RevocationTable").await.len(), 2, "one for each session");

    // Again, and with nothing to take: who is no admin keeps the sessions.
    let third = login(&app, "alice").await.expect(StatusCode::OK);
    run(&app, admin("revoke_role", "alice")).await.unwrap();
    assert!(refreshes(&app, &third).await);
}

#[tokio::test]
async fn no_login_that_runs_beside_it_comes_away_with_the_role() {
    for _ in 0..8 {
        let app = App::new().await;
        app.register("alice").await;
        run(&app, admin("grant_role", "alice")).await.unwrap();
        let (revoked, answer) = tokio::join!(run(&app, admin("revoke_role", "alice")), login(&app, "alice"));
        revoked.unwrap();
        if answer.status == StatusCode::OK {
            let token = answer.json["access_token"].as_str().unwrap();
            let claims = app.verifier.verify(token).await.unwrap();
            let is_admin = claims.roles.iter().any(|role| role == "admin");
            assert!(!is_admin || !refreshes(&app, &answer).await, "a session that outlives the role has it");
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_made_good_by_sending_the_command_again() {
    let app = App::new().await;
    app.register("alice").await;
    run(&app, admin("grant_role", "alice")).await.unwrap();
    let session = login(&app, "alice").await.expect(StatusCode::OK);
    app.database.lose_answers("TransactWriteItems", 0..10);
    run(&app, admin("revoke_role", "alice")).await.unwrap_err();
    app.database.lose_answers("TransactWriteItems", 0..0);
    run(&app, admin("revoke_role", "alice")).await.unwrap();
    assert_eq!(roles(&app, "alice").await, ["customer"]);
    assert!(!refreshes(&app, &session).await);
}

#[tokio::test]
async fn sessions_end_and_nothing_else_changes() {
    let app = App::new().await;
    app.register("alice").await;
    run(&app, admin("grant_role", "alice")).await.unwrap();
    let session = login(&app, "alice").await.expect(StatusCode::OK);
    app.clock.advance(SignedDuration::from_secs(60));
    run(&app, json!({"command": "end_sessions", "username": "alice"})).await.unwrap();
    assert!(!refreshes(&app, &session).await);
    assert_eq!(roles(&app, "alice").await, ["customer", "admin"]);
    let _works = login(&app, "alice").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn when_all_sessions_end_no_token_of_before_is_good_and_whoever_logs_in_again_notices_nothing() {
    let app = App::new().await;
    let secret = app.client("warehouse").await;
    let introspected = async |token: &Value| {
        let form =
            [("client_id", "warehouse"), ("client_secret", &secret), ("token", token.as_str().unwrap())];
        let answer = call(Method::POST, "/introspect").form(&form).send(&app.router).await;
        answer.expect(StatusCode::OK).json["active"] == true
    };
    app.register("alice").await;
    app.register("bob").await;
    let logins = [login(&app, "alice").await, login(&app, "bob").await];
    app.clock.advance(SignedDuration::from_secs(60));
    let answer = run(&app, json!({"command": "end_all_sessions"})).await.unwrap();
    assert_eq!(answer, json!({"ended_at": "2026-01-01T00:01:00Z"}));
    for before in &logins {
        assert!(!introspected(&before.json["access_token"]).await, "up to date at once");
        assert!(!introspected(&before.json["refresh_token"]).await);
        assert!(!refreshes(&app, before).await);
    }

    app.clock.advance(SignedDuration::from_secs(1));
    let after = login(&app, "alice").await.expect(StatusCode::OK);
    let listed = call(Method::GET, "/sessions").token(after.json["access_token"].as_str().unwrap());
    let listed = listed.send(&app.router).await.expect(StatusCode::OK);
    assert_eq!(listed.json["items"].as_array().unwrap().len(), 1, "only the new one");
    assert!(introspected(&after.json["access_token"]).await && refreshes(&app, &after).await);
    // For as long as a session could have lasted.
    for _ in 0..3 {
        app.clock.advance(SignedDuration::from_hours(29 * 24));
        assert!(!refreshes(&app, &logins[1]).await);
    }
}

#[tokio::test]
async fn who_lost_the_second_factor_logs_in_without_it_and_is_told() {
    let app = App::new().await;
    let member = app.register_with_factor("alice").await;
    let body = json!({"username": "alice", "password": PASSWORD, "otp": member.app.next_code()});
    let session = app.post("/login", &body).await.expect(StatusCode::OK);
    let disable = json!({"command": "disable_factor", "username": "alice"});
    run(&app, disable.clone()).await.unwrap();
    assert!(!refreshes(&app, &session).await);

    // Again, and with nothing to take: the session stays, and nobody is told twice.
    let later = login(&app, "alice").await.expect(StatusCode::OK);
    run(&app, disable).await.unwrap();
    assert!(refreshes(&app, &later).await);
    let told = app.database.items::<Value>("AuthOutboxTable").await;
    assert_eq!(told.iter().filter(|item| item["event"]["change"] == "disabled").count(), 1);
    let nobody = json!({"command": "disable_factor", "username": "nobody"});
    assert!(run(&app, nobody).await.unwrap_err().to_string().contains("no such user"));
}

#[tokio::test]
async fn a_clients_secret_is_shown_once_and_stored_as_a_hash() {
    let app = App::new().await;
    let create = json!({"command": "create_client", "client_id": "warehouse"});
    let created = run(&app, create.clone()).await.unwrap();
    let secret = created["client_secret"].as_str().unwrap();
    assert_eq!((created["client_id"].as_str().unwrap(), secret.len()), ("warehouse", 43));
    let stored = app.database.items::<Value>("AuthTable").await;
    assert!(!json!(stored).to_string().contains(secret));

    let error = run(&app, create).await.unwrap_err().to_string();
    assert!(error.contains("already"), "{error}");
    let listed = run(&app, json!({"command": "list_clients"})).await.unwrap();
    let expected = json!([{"client_id": "warehouse", "created_at": "2026-01-01T00:00:00Z"}]);
    assert_eq!(listed["clients"], expected, "no secret, and not its hash");
    let authenticated = call(Method::POST, "/introspect")
        .form(&[("client_id", "warehouse"), ("client_secret", secret), ("token", "x")])
        .send(&app.router)
        .await;
    assert_eq!(authenticated.expect(StatusCode::OK).json, json!({"active": false}));
}

#[tokio::test]
async fn of_two_that_make_a_client_at_once_one_gets_its_secret() {
    let app = App::new().await;
    let create = || run(&app, json!({"command": "create_client", "client_id": "warehouse"}));
    let outcomes: [_; 4] = tokio::join!(create(), create(), create(), create()).into();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_deleted_client_is_refused_at_once() {
    let app = App::new().await;
    let secret = app.client("warehouse").await;
    let delete = json!({"command": "delete_client", "client_id": "warehouse"});
    run(&app, delete.clone()).await.unwrap();
    let refused = call(Method::POST, "/introspect")
        .form(&[("client_id", "warehouse"), ("client_secret", &secret), ("token", "x")])
        .send(&app.router)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    assert_eq!(refused.json["error"], "invalid_client");
    assert!(run(&app, delete).await.unwrap_err().to_string().contains("no such client"));
}

#[tokio::test]
async fn all_clients_are_listed_however_many() {
    let app = App::new().await;
    for number in 0..25 {
        app.client(&format!("client-{number}")).await;
    }
    let listed = run(&app, json!({"command": "list_clients"})).await.unwrap();
    assert_eq!(listed["clients"].as_array().unwrap().len(), 25);
}

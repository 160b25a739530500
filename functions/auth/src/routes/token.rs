//! `POST /token`: the token endpoint of RFC 6749, with the one grant that we have (§6). `POST /refresh` is the same in JSON.

use axum::extract::State;
use shared::http::Json;
use shared::oauth::{Code, OAuthError};

use crate::State as App;
use crate::clients::ClientForm;
use crate::sessions::{self, RefreshError};
use crate::tokens::{CLIENT, SCOPE, Tokens};

/// The one `grant_type`.
pub(crate) const GRANT: &str = "refresh_token";

/// Exchanges a refresh token for its successor and a new access token.
pub(crate) async fn post(State(app): State<App>, request: ClientForm) -> Result<Json<Tokens>, OAuthError> {
    request.public()?;
    let form = &request.form;
    if form.required("grant_type", "grant_type is missing")? != GRANT {
        return Err(Code::UnsupportedGrantType.because("The one grant_type here is refresh_token"));
    }
    let token = form.required("refresh_token", "refresh_token is missing")?;
    // The same scope or a narrower one (§6): there is none between ours and nothing.
    if form.optional("scope").is_some_and(|scope| scope.split(' ').any(|scope| scope != SCOPE)) {
        return Err(Code::InvalidScope.because("The one scope here is api"));
    }
    sessions::refresh(&app, token, CLIENT).await.map(Json).map_err(|error| match error {
        RefreshError::Invalid => {
            Code::InvalidGrant.because("The refresh token is not valid, or not any more: log in again")
        }
        RefreshError::Failed(problem) => problem.into(),
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use http::{Method, StatusCode};
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};

    use crate::model::session::GRACE;
    use crate::testing::{App, PASSWORD};

    /// The refresh token of a new login.
    async fn log_in(app: &App) -> String {
        app.register("alice").await;
        let body = json!({"username": "alice", "password": PASSWORD});
        refresh_token(&app.post("/login", &body).await.expect(StatusCode::OK))
    }

    fn refresh_token(answer: &Answer) -> String {
        answer.json["refresh_token"].as_str().unwrap().to_owned()
    }

    async fn refresh(app: &App, token: &str) -> Answer {
        app.form("/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    #[tokio::test]
    async fn a_refresh_token_gets_the_next_pair() {
        let app = App::new().await;
        let first = log_in(&app).await;
        let parameters = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &first),
            ("client_id", "shop"),
            ("scope", "api"),
            ("client_secret", ""),
            ("unknown", "ignored"),
        ];
        let answer = app.form("/token", &parameters).await.expect(StatusCode::OK);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!((&answer.json["token_type"], &answer.json["scope"]), (&json!("Bearer"), &json!("api")));
        assert!(answer.json["expires_in"].as_i64().is_some_and(|seconds| seconds == 900));
        let claims = app.verifier.verify(answer.json["access_token"].as_str().unwrap()).await.unwrap();
        assert_eq!((claims.username.as_str(), claims.client_id.as_str()), ("alice", "shop"));
        let _next = refresh(&app, &refresh_token(&answer)).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn bad_requests_get_the_error_of_the_protocol_and_cost_no_token() {
        let app = App::new().await;
        let token = log_in(&app).await;
        let (grant, good) = (("grant_type", "refresh_token"), ("refresh_token", token.as_str()));
        for (parameters, error) in [
            (vec![], "invalid_request"),
            (vec![good], "invalid_request"),
            (vec![grant], "invalid_request"),
            (vec![grant, ("refresh_token", "")], "invalid_request"),
            (vec![grant, good, grant], "invalid_request"),
            (vec![grant, good, good], "invalid_request"),
            (vec![grant, good, ("x", "1"), ("x", "1")], "invalid_request"),
            (vec![("grant_type", "password"), good], "unsupported_grant_type"),
            (vec![("grant_type", "client_credentials")], "unsupported_grant_type"),
            (vec![("grant_type", "Refresh_Token"), good], "unsupported_grant_type"),
            (vec![grant, good, ("scope", "admin")], "invalid_scope"),
            (vec![grant, good, ("scope", "api admin")], "invalid_scope"),
            (vec![grant, good, ("client_id", "warehouse")], "invalid_client"),
            (vec![grant, good, ("client_id", "shop"), ("client_secret", "x")], "invalid_client"),
            (vec![grant, ("refresh_token", "x")], "invalid_grant"),
            (vec![grant, ("refresh_token", "a.b.c")], "invalid_grant"),
            (vec![grant, ("refresh_token", &token[1..])], "invalid_grant"),
        ] {
            let answer = app.form("/token", &parameters).await;
            assert_eq!(answer.json["error"], error, "{parameters:?}");
        }
        let _unused = refresh(&app, &token).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn a_client_that_authenticates_is_none_of_this_endpoints() {
        let app = App::new().await;
        let token = log_in(&app).await;
        let secret = app.client("warehouse").await;
        let basic = |credentials: &str| format!("Basic {}", STANDARD.encode(credentials));
        let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let with = |authorization: String| {
            call(Method::POST, "/token").form(&form).header("authorization", &authorization)
        };
        for authorization in [
            basic(&format!("warehouse:{secret}")),
            basic("shop:secret"),
            basic("nobody:"),
            "Basic %%%".to_owned(),
            "Bearer x".to_owned(),
        ] {
            let answer = with(authorization).send(&app.router).await.expect(StatusCode::UNAUTHORIZED);
            assert_eq!(answer.json["error"], "invalid_client");
            assert_eq!(answer.headers["www-authenticate"], "Basic realm=\"oauth\"");
        }
        // A public client whose library sends its name with an empty secret.
        let _accepted = with(basic("shop:")).send(&app.router).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn what_is_no_form_stays_a_problem() {
        let app = App::new().await;
        let huge = format!("refresh_token={}", "x".repeat(70_000));
        let form = "application/x-www-form-urlencoded";
        for path in ["/token", "/revoke", "/introspect"] {
            for (content_type, body, status) in [
                ("application/json", "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
                ("multipart/form-data; boundary=x", "", StatusCode::UNSUPPORTED_MEDIA_TYPE),
                ("", "grant_type=refresh_token", StatusCode::UNSUPPORTED_MEDIA_TYPE),
                (form, &huge, StatusCode::PAYLOAD_TOO_LARGE),
            ] {
                let call =
                    call(Method::POST, path).header("content-type", content_type).body(body.to_owned());
                let answer = call.send(&app.router).await.expect(status);
                assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
            }
            let _no_get = app.get(path).await.expect(StatusCode::METHOD_NOT_ALLOWED);
        }
        let call = call(Method::POST, "/token").header("content-type", &format!("{form}; charset=UTF-8"));
        assert_eq!(call.body("a=b").send(&app.router).await.json["error"], "invalid_request");
    }

    #[tokio::test]
    async fn a_lost_answer_is_given_again_and_reuse_ends_the_session() {
        let app = App::new().await;
        let first = log_in(&app).await;
        let second = refresh_token(&refresh(&app, &first).await.expect(StatusCode::OK));
        assert_eq!(
            refresh_token(&refresh(&app, &first).await.expect(StatusCode::OK)),
            second,
            "an honest retry"
        );

        app.clock.advance(GRACE + SignedDuration::from_secs(1));
        for token in [&first, &second] {
            let answer = refresh(&app, token).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["error"], "invalid_grant", "nobody has the session any more");
        }
        assert_eq!(app.database.items::<Value>("RevocationTable").await.len(), 1);
    }

    #[tokio::test]
    async fn of_parallel_refreshes_here_and_there_one_lineage_survives() {
        let app = App::new().await;
        let first = log_in(&app).await;
        let body = json!({"refresh_token": first});
        let answers: [_; 4] = tokio::join!(
            refresh(&app, &first),
            app.post("/refresh", &body),
            refresh(&app, &first),
            app.post("/refresh", &body)
        )
        .into();
        let successors = answers.map(|answer| refresh_token(&answer.expect(StatusCode::OK)));
        assert!(successors.iter().all(|successor| *successor == successors[0]));
        let _alive = refresh(&app, &successors[0]).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn a_table_that_fails_is_a_503_and_the_token_still_good() {
        let app = App::new().await;
        let token = log_in(&app).await;
        app.database.lose_answers("GetItem", 0..20);
        let _down = refresh(&app, &token).await.expect(StatusCode::SERVICE_UNAVAILABLE);
        app.database.lose_answers("GetItem", 0..0);
        let _up = refresh(&app, &token).await.expect(StatusCode::OK);
    }
}

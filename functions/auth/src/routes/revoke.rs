//! `POST /revoke` (RFC 7009): whoever holds a token may end its session, whichever of the two tokens it is.

use axum::extract::State;
use http::StatusCode;
use shared::oauth::OAuthError;
use shared::problem::Problem;

use crate::State as App;
use crate::clients::ClientForm;
use crate::presented::{self, Token};
use crate::sessions;

/// Ends the session of the token. A token that is none, or not any more, needs no revocation: the same answer (§2.2).
/// `token_type_hint` is not needed: the two kinds do not look alike.
pub(crate) async fn post(State(app): State<App>, request: ClientForm) -> Result<StatusCode, OAuthError> {
    request.public()?;
    let token = request.form.required("token", "token is missing")?;
    let session = match presented::token(&app, token).await? {
        Some(Token::Access(claims)) => Some((claims.sub, claims.sid)),
        // A used one too: it proves that its holder had part in the session, and ending it does no more than using it.
        Some(Token::Refresh(session, _)) => Some((session.user_id, session.session_id)),
        None => None,
    };
    if let Some((user_id, session_id)) = session {
        sessions::end(&app, user_id, session_id, "revoked_by_client").await.map_err(Problem::from)?;
    }
    Ok(StatusCode::OK)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::testing::Answer;

    use super::*;
    use crate::testing::{App, PASSWORD};

    async fn log_in(app: &App) -> Answer {
        app.post("/login", &json!({"username": "alice", "password": PASSWORD})).await.expect(StatusCode::OK)
    }

    fn token<'a>(login: &'a Answer, kind: &str) -> &'a str {
        login.json[kind].as_str().unwrap()
    }

    /// Whether the login's refresh token is still good.
    async fn lives(app: &App, login: &Answer) -> bool {
        let body = json!({"refresh_token": login.json["refresh_token"]});
        app.post("/refresh", &body).await.status == StatusCode::OK
    }

    async fn revocations(app: &App) -> usize {
        app.database.items::<Value>("RevocationTable").await.len()
    }

    #[tokio::test]
    async fn either_token_ends_its_session_whatever_the_hint_and_no_other() {
        let app = App::new().await;
        app.register("alice").await;
        let other = log_in(&app).await;
        for (number, (kind, hint)) in [
            ("refresh_token", "refresh_token"),
            ("refresh_token", "access_token"),
            ("access_token", "access_token"),
            ("access_token", "refresh_token"),
            ("access_token", "nonsense"),
            ("refresh_token", ""),
        ]
        .into_iter()
        .enumerate()
        {
            let login = log_in(&app).await;
            let parameters =
                [("token", token(&login, kind)), ("token_type_hint", hint), ("client_id", "shop")];
            let answer = app.form("/revoke", &parameters).await.expect(StatusCode::OK);
            assert_eq!(
                (answer.json, &answer.headers["cache-control"]),
                (Value::Null, &"no-store".parse().unwrap())
            );
            assert!(!lives(&app, &login).await, "{kind} {hint}");
            assert_eq!(revocations(&app).await, number + 1, "its access tokens too");
            let _again = app.form("/revoke", &parameters).await.expect(StatusCode::OK);
            assert_eq!(revocations(&app).await, number + 1);
        }
        assert!(lives(&app, &other).await);
    }

    #[tokio::test]
    async fn what_is_no_token_is_the_same_answer_and_changes_nothing() {
        let app = App::new().await;
        app.register("alice").await;
        let login = log_in(&app).await;
        let (access, refresh) = (token(&login, "access_token"), token(&login, "refresh_token"));
        // The first half of a refresh token is ids, which are no secret.
        let ids_only = format!("{}{}", &refresh[..60], "A".repeat(refresh.len() - 60));
        let tampered = format!("{}x", &access[..access.len() - 1]);
        let expired = log_in(&app).await;
        app.clock.advance(jiff::SignedDuration::from_mins(15));
        for bad in ["x", "a.b.c", "\u{fffd}", &tampered, &ids_only, token(&expired, "access_token")] {
            let _answer = app.form("/revoke", &[("token", bad)]).await.expect(StatusCode::OK);
        }
        assert_eq!(revocations(&app).await, 0);
        assert!(lives(&app, &login).await && lives(&app, &expired).await);
    }

    #[tokio::test]
    async fn bad_requests_get_the_error_of_the_protocol() {
        let app = App::new().await;
        for (parameters, error) in [
            (vec![], "invalid_request"),
            (vec![("token", "")], "invalid_request"),
            (vec![("token", "a"), ("token", "b")], "invalid_request"),
            (vec![("token", "a"), ("client_id", "nobody")], "invalid_client"),
            (vec![("token", "a"), ("client_secret", "x")], "invalid_client"),
        ] {
            assert_eq!(app.form("/revoke", &parameters).await.json["error"], error, "{parameters:?}");
        }
    }

    #[tokio::test]
    async fn a_revocation_that_could_not_be_written_is_a_503_to_be_sent_again() {
        let app = App::new().await;
        app.register("alice").await;
        let login = log_in(&app).await;
        let parameters = [("token", token(&login, "refresh_token"))];
        app.database.lose_answers("TransactWriteItems", 0..20);
        let _lost = app.form("/revoke", &parameters).await.expect(StatusCode::SERVICE_UNAVAILABLE);
        app.database.lose_answers("TransactWriteItems", 0..0);
        let _heard = app.form("/revoke", &parameters).await.expect(StatusCode::OK);
        assert!(!lives(&app, &login).await);
        assert_eq!(revocations(&app).await, 1);
    }
}

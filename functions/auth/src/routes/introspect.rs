//! `POST /introspect` (RFC 7662): what a token is good for at this very moment, for resource servers outside, which keep no
//! copy of the revocations.

use axum::extract::State;
use serde::Serialize;
use shared::http::Json;
use shared::oauth::OAuthError;
use shared::token::Claims;
use uuid::Uuid;

use crate::State as App;
use crate::clients::ClientForm;
use crate::model::session::Presented;
use crate::presented::{self, Token};

/// RFC 7662 §2.2.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(transform = tight))]
pub(crate) struct Introspection {
    /// Whether it is good. Why it is not is nobody's business (§2.2).
    active: bool,
    #[serde(flatten)]
    about: Option<About>,
}

#[derive(Serialize)]
#[serde(tag = "token_use", rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
enum About {
    /// An access token: what it says itself.
    AccessToken {
        token_type: &'static str,
        #[serde(flatten)]
        claims: Box<Claims>,
    },
    /// A refresh token opens nothing at a resource server, so there is little to say about it, and no `scope`.
    RefreshToken { client_id: String, sub: Uuid, sid: Uuid, exp: i64 },
}

/// What is said about no token, schemars takes for anything.
#[cfg(feature = "openapi")]
fn tight(introspection: &mut schemars::Schema) {
    if let Some(nothing) = introspection.pointer_mut("/anyOf/1") {
        *nothing = serde_json::json!({ "properties": { "active": { "const": false } }, "maxProperties": 1 });
    }
}

/// Says whether the token is good. An access token is where every service would accept it and its session is still there,
/// read consistently: it is not from the moment on in which the session ends.
pub(crate) async fn post(
    State(app): State<App>,
    request: ClientForm,
) -> Result<Json<Introspection>, OAuthError> {
    let _any_client = request.confidential(&app).await?;
    let token = request.form.required("token", "token is missing")?;
    let about = match presented::token(&app, token).await? {
        Some(Token::Access(claims)) => {
            let session = app.accounts.session(claims.sub, claims.sid).await?;
            session.map(|_| About::AccessToken { token_type: "Bearer", claims: Box::new(claims) })
        }
        Some(Token::Refresh(session, Presented::Current)) => Some(About::RefreshToken {
            client_id: session.client_id.clone(),
            sub: session.user_id,
            sid: session.session_id,
            exp: session.ends_at().as_second(),
        }),
        _ => None,
    };
    Ok(Json(Introspection { active: about.is_some(), about }))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use http::{Method, StatusCode};
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::{AUDIENCE, Answer, ISSUER, Issuer, call};

    use super::*;
    use crate::testing::{App, PASSWORD};

    /// A resource server that asks about tokens.
    struct Asking {
        app: App,
        secret: String,
    }

    impl Asking {
        async fn new() -> Self {
            let app = App::new().await;
            app.register("alice").await;
            let secret = app.client("warehouse").await;
            Self { app, secret }
        }

        async fn log_in(&self) -> Answer {
            let body = json!({"username": "alice", "password": PASSWORD});
            self.app.post("/login", &body).await.expect(StatusCode::OK)
        }

        async fn about(&self, token: &str) -> Value {
            let client = [("client_id", "warehouse"), ("client_secret", self.secret.as_str())];
            let parameters = [client[0], client[1], ("token", token)];
            self.app.form("/introspect", &parameters).await.expect(StatusCode::OK).json
        }
    }

    #[tokio::test]
    async fn an_access_token_says_all_that_it_says_itself() {
        let asking = Asking::new().await;
        let login = asking.log_in().await;
        let about = asking.about(login.json["access_token"].as_str().unwrap()).await;
        assert_eq!((&about["active"], &about["token_type"]), (&json!(true), &json!("Bearer")));
        assert_eq!((&about["iss"], &about["aud"]), (&json!(ISSUER), &json!(AUDIENCE)));
        assert_eq!(
            (&about["scope"], &about["client_id"], &about["username"]),
            (&json!("api"), &json!("shop"), &json!("alice"))
        );
        assert_eq!(about["token_use"], "access_token");
        assert_eq!(about["exp"].as_i64().unwrap() - about["iat"].as_i64().unwrap(), 900);
        for member in ["nbf", "sub", "jti", "sid", "roles"] {
            assert!(!about[member].is_null(), "{member}");
        }
    }

    #[tokio::test]
    async fn a_refresh_token_is_active_until_it_is_used_and_looking_does_not_use_it() {
        let asking = Asking::new().await;
        let login = asking.log_in().await;
        let first = login.json["refresh_token"].as_str().unwrap();
        for _ in 0..2 {
            let about = asking.about(first).await;
            assert_eq!((&about["active"], &about["token_use"]), (&json!(true), &json!("refresh_token")));
            assert!(
                about["exp"].is_i64() && about["scope"].is_null() && about["token_type"].is_null(),
                "{about}"
            );
        }
        let refreshed =
            asking.app.post("/refresh", &json!({"refresh_token": first})).await.expect(StatusCode::OK);
        assert_eq!(asking.about(first).await, json!({"active": false}));
        assert_eq!(asking.about(refreshed.json["refresh_token"].as_str().unwrap()).await["active"], true);
    }

    #[tokio::test]
    async fn both_are_inactive_from_the_end_of_the_session_on() {
        let asking = Asking::new().await;
        let login = asking.log_in().await;
        let tokens = ["access_token", "refresh_token"].map(|kind| login.json[kind].as_str().unwrap());
        for token in tokens {
            assert_eq!(asking.about(token).await["active"], true);
        }
        let _ended = asking.app.form("/revoke", &[("token", tokens[1])]).await.expect(StatusCode::OK);
        for token in tokens {
            assert_eq!(asking.about(token).await, json!({"active": false}), "nothing but that");
        }
    }

    #[tokio::test]
    async fn whatever_is_not_valid_is_inactive_without_a_reason() {
        let asking = Asking::new().await;
        let login = asking.log_in().await;
        let access = login.json["access_token"].as_str().unwrap();
        let stranger = Issuer::generate();
        let now = asking.app.clock.now();
        let forged = stranger.token(Uuid::from_u128(7), now);
        // Signed by us, for a session that was never started.
        let without_session = shared::testing::issuer().token(Uuid::from_u128(7), now);
        let tampered = format!("{}x", &access[..access.len() - 1]);
        for token in ["x", "a.b.c", ".", &forged, &without_session, &tampered, &"A".repeat(107)] {
            assert_eq!(asking.about(token).await, json!({"active": false}), "{token}");
        }
        asking.app.clock.advance(SignedDuration::from_mins(15));
        assert_eq!(asking.about(access).await, json!({"active": false}), "expired");
    }

    #[tokio::test]
    async fn a_client_proves_itself_in_one_way() {
        let asking = Asking::new().await;
        let secret = asking.secret.as_str();
        let basic = |credentials: &str| format!("Basic {}", STANDARD.encode(credentials));
        let good = basic(&format!("warehouse:{secret}"));
        // As RFC 6749 §2.3.1 has it: form-encoded first, here every character of it.
        let encode =
            |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat();
        let encoded = basic(&format!("{}:{}", encode("warehouse"), encode(secret)));
        let (id, proof) = (("client_id", "warehouse"), ("client_secret", secret));
        for (authorizations, parameters, expected) in [
            (vec![good.as_str()], vec![], Ok(())),
            (vec![&encoded], vec![], Ok(())),
            (vec![&good], vec![id], Ok(())),
            (vec![], vec![id, proof], Ok(())),
            (vec![], vec![], Err("invalid_client")),
            (vec![], vec![id], Err("invalid_client")),
            (vec![], vec![proof], Err("invalid_client")),
            (vec![], vec![id, ("client_secret", "wrong")], Err("invalid_client")),
            (vec![], vec![("client_id", "nobody"), proof], Err("invalid_client")),
            (vec![], vec![("client_id", "no client's name"), proof], Err("invalid_client")),
            (vec![], vec![("client_id", "shop"), proof], Err("invalid_client")),
            (vec![&basic("warehouse:")], vec![], Err("invalid_client")),
            (vec![&basic("warehouse:wrong")], vec![], Err("invalid_client")),
            (vec![&basic(&format!("nobody:{secret}"))], vec![], Err("invalid_client")),
            (vec!["Bearer x"], vec![], Err("invalid_client")),
            (vec!["Basic"], vec![], Err("invalid_client")),
            (vec!["Bearer x"], vec![id, proof], Err("invalid_request")),
            (vec![&good], vec![id, proof], Err("invalid_request")),
            (vec![&good, &good], vec![], Err("invalid_request")),
            (vec![&good], vec![("client_id", "another")], Err("invalid_request")),
            (vec![], vec![id, proof, proof], Err("invalid_request")),
        ] {
            let mut parameters = parameters.clone();
            parameters.push(("token", "x"));
            let mut call = call(Method::POST, "/introspect").form(&parameters);
            for authorization in &authorizations {
                call = call.header("authorization", authorization);
            }
            let answer = call.send(&asking.app.router).await;
            match expected {
                Ok(()) => {
                    assert_eq!(answer.json, json!({"active": false}), "{authorizations:?} {parameters:?}");
                }
                Err(error) => assert_eq!(answer.json["error"], error, "{authorizations:?} {parameters:?}"),
            }
        }
        // Who the client is comes first: nobody else learns what a good request would be.
        let nobody = asking.app.form("/introspect", &[]).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(nobody.json["error"], "invalid_client");
        let no_token = asking.app.form("/introspect", &[id, proof]).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(no_token.json["error"], "invalid_request");
    }
}

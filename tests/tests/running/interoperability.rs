//! Libraries that know nothing of us, given only the issuer's URL: `PyJWT` and `jose` verify our tokens, `Authlib` and
//! `openid-client` refresh, introspect and revoke.

pub(crate) mod libraries;

use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, User};
use crate::system;
use libraries::{node, python};

fn issuer() -> &'static str {
    &system().addresses.services["auth"]
}

/// The tokens of a login.
async fn log_in(client: &Client, user: &User) -> Value {
    let body = json!({"username": user.username, "password": user.password});
    client.send(client.request(Method::POST, "auth", "/login").json(&body)).await.expect(200)
}

/// What the function `auth-operator` answers, invoked as an operator invokes it.
async fn operate(client: &Client, command: &Value) -> Value {
    let url = format!("{}/2015-03-31/functions/auth-operator/invocations", system().addresses.watch);
    client.send(client.to(Method::POST, &url).json(command)).await.expect(200)
}

/// The token with the first bit of its signature turned.
fn with_bad_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "g" } else { "A" };
    format!("{signed}.{first}{}", &signature[1..])
}

/// The token that says `name` is `value`, with the signature of before.
fn with_claim(token: &str, name: &str, value: Value) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    claims[name] = value;
    format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[tokio::test]
async fn libraries_that_know_the_issuers_url_verify_our_tokens_and_refuse_tampered_ones() {
    let client = Client::new();
    let user = client.new_user().await;
    let tampered = with_bad_signature(&user.token);
    let promoted = with_claim(&user.token, "roles", json!(["customer", "admin"]));
    let arguments = [issuer(), &user.token, &tampered, &promoted];
    for (library, printed, signature) in [
        ("PyJWT", python(include_str!("interoperability/verify.py"), &arguments), "InvalidSignatureError"),
        (
            "jose",
            node(include_str!("interoperability/verify.mjs"), &arguments),
            "ERR_JWS_SIGNATURE_VERIFICATION_FAILED",
        ),
    ] {
        let [claims, tampered, promoted] = &printed.as_array().unwrap()[..] else { panic!("{printed}") };
        assert_eq!(claims["sub"], user.id.to_string(), "{library}");
        assert_eq!(claims["client_id"], "shop", "{library}");
        assert_eq!(tampered["refused"], signature, "{library}");
        assert_eq!(promoted["refused"], signature, "{library}");
    }
}

#[tokio::test]
async fn oauth_clients_refresh_introspect_and_revoke() {
    let client = Client::new();
    let user = client.new_user().await;
    for (client_id, program) in [("authlib", Program::Python), ("openid-client", Program::Node)] {
        let made = operate(&client, &json!({"command": "create_client", "client_id": client_id})).await;
        let secret = made["client_secret"].as_str().unwrap();
        let login = log_in(&client, &user).await;
        let refresh_token = login["refresh_token"].as_str().unwrap();
        let arguments = [issuer(), refresh_token, client_id, secret];
        let report = match program {
            Program::Python => python(include_str!("interoperability/oauth.py"), &arguments),
            Program::Node => node(include_str!("interoperability/oauth.mjs"), &arguments),
        };
        assert_eq!(report["tokens"]["scope"], "api", "{client_id}: {report}");
        assert_ne!(report["tokens"]["refresh_token"], refresh_token, "{client_id}");
        for method in ["basic", "post"] {
            let introspected = &report[method];
            assert_eq!(introspected["active"], true, "{client_id} by {method}: {report}");
            assert_eq!(introspected["sub"], user.id.to_string(), "{client_id} by {method}");
            assert_eq!(introspected["username"], user.username, "{client_id} by {method}");
        }
        assert_eq!(report["refresh_token"]["active"], true, "{client_id}: {report}");
        assert_eq!(report["wrong_secret"], 401, "{client_id}: {report}");
        assert_eq!(report["revoked"], 200, "{client_id}");
        assert_eq!(report["afterwards"], json!({"active": false}), "{client_id}");
        assert_eq!(report["refused"]["error"], "invalid_grant", "{client_id}: {report}");
        operate(&client, &json!({"command": "delete_client", "client_id": client_id})).await;
    }
}

enum Program {
    Python,
    Node,
}

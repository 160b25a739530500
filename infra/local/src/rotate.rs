//! Rotates the signing keys of the running system: the four steps, as Secrets Manager has them done on AWS.

use std::sync::Arc;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::json;
use shared::clock::Clock;
use shared::id::Generator;
use template::Function;

use crate::invoke::Functions;
use crate::ports::Ports;
use crate::system;
use crate::workspace::Workspace;

/// The function that rotates.
const ROTATION: &str = "auth-rotation";
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>
const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// Rotates the keys of the system on the documented ports.
pub async fn rotate(workspace: &Workspace) -> Result<()> {
    let template = system::template(workspace, &BTreeMap::new())?;
    let function =
        template.function(ROTATION).with_context(|| format!("template.yaml has no function {ROTATION}"))?;
    let watch = format!("http://127.0.0.1:{}", Ports::documented(&template).watch);
    run_steps(function, &watch).await.context("is `cargo local` running?")
}

/// Rotates by the function that answers at `watch`. Secrets Manager gives all steps of a rotation one id, that of the
/// version which it makes.
pub async fn run_steps(function: &Function, watch: &str) -> Result<()> {
    let functions = Functions::new(watch, Arc::default())?;
    let secret = function.environment.get("SIGNING_KEY_SECRET").context("it has no SIGNING_KEY_SECRET")?;
    let version = Generator::system().uuid(Clock::system().now());
    for step in STEPS {
        let event = json!({ "Step": step, "SecretId": secret, "ClientRequestToken": version });
        let done = functions.invoke(&function.name, &event, function.timeout).await;
        done.with_context(|| format!("step {step} of the rotation failed"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::extract::State;
    use axum::http::StatusCode;
    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::Value;
    use template::{Template, workspace_root};
    use tokio::net::TcpListener;

    use super::*;

    type Seen = Arc<Mutex<Vec<Value>>>;

    /// A rotation function whose third step fails at first.
    async fn step(State(seen): State<Seen>, Json(event): Json<Value>) -> (StatusCode, Json<Value>) {
        let mut seen = seen.lock().unwrap();
        seen.push(event);
        if seen.len() == 3 {
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "errorMessage": "not today" })));
        }
        (StatusCode::OK, Json(Value::Null))
    }

    #[tokio::test]
    async fn the_steps_run_in_order_under_one_id_until_one_fails() {
        let seen = Seen::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let watch = format!("http://{}", listener.local_addr().unwrap());
        let path = format!("/2015-03-31/functions/{ROTATION}/invocations");
        let router = Router::new().route(&path, post(step)).with_state(Arc::clone(&seen));
        tokio::spawn(axum::serve(listener, router).into_future());
        let template = Template::load(&workspace_root(), &BTreeMap::new()).unwrap();
        let function = template.function(ROTATION).unwrap();

        let error = format!("{:#}", run_steps(function, &watch).await.unwrap_err());
        assert!(error.contains("testSecret") && error.contains("not today"), "{error}");
        run_steps(function, &watch).await.unwrap();
        let seen = seen.lock().unwrap();
        let steps: Vec<_> = seen.iter().map(|event| event["Step"].as_str().unwrap()).collect();
        assert_eq!(steps, [&STEPS[..3], &STEPS[..]].concat());
        let ids: Vec<_> = seen.iter().map(|event| event["ClientRequestToken"].clone()).collect();
        assert!(ids[..3].iter().all(|id| *id == ids[0]) && ids[3..].iter().all(|id| *id == ids[3]));
        assert_ne!(ids[0], ids[3], "another rotation");
        assert_eq!(seen[0]["SecretId"], function.environment["SIGNING_KEY_SECRET"]);
    }
}

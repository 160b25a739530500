//! Operators' commands, carried out on a running system by the code of the function `auth-operator`.

use anyhow::{Context as _, Error, Result};
use auth::model::Role;
use auth::operator::{Command, Operator};
use serde_json::Value;
use shared::aws::Aws;
use shared::config::Env;
use user::model::Username;

use crate::watch::Environment;

/// Carries out a command on the tables that the environment names; what it answers.
pub async fn operate(environment: &Environment, command: Command) -> Result<Value> {
    let env = Env::of(environment.clone());
    let operator = Operator::new(&env, &Aws::new(&env)?)?;
    operator.run(command).await.map_err(|error| {
        let unavailable = error.is_unavailable();
        let error = Error::from(error);
        if unavailable { error.context("is `cargo local` running?") } else { error }
    })
}

/// Makes a registered user an admin.
pub async fn grant_admin(environment: &Environment, username: &str) -> Result<()> {
    let name = Username::try_from(username.to_owned()).map_err(Error::msg)?;
    let command = Command::GrantRole { username: name, role: Role::Admin };
    operate(environment, command).await.map(drop).with_context(|| format!("cannot make {username} an admin"))
}

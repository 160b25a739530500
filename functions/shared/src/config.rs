//! Configuration from the environment, read once at start.

use std::collections::HashMap;
use std::fmt;

/// The environment variables of this process, or of a test.
#[derive(Clone, Default)]
pub struct Env(HashMap<String, String>);

/// What is wrong with the configuration; names the variable, never its value.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable that the function cannot run without.
    #[error("environment variable {0} is not set")]
    Missing(String),
    /// A variable whose value means nothing to the function.
    #[error("environment variable {name} is not valid: {reason}")]
    Invalid {
        /// The variable.
        name: String,
        /// What would have been valid.
        reason: String,
    },
}

impl Env {
    /// The environment of this process. Variables that are not UTF-8 are left out.
    pub fn process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// An environment made of `vars`.
    pub fn of<K: Into<String>, V: Into<String>>(vars: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The variable's value, where it is set and not empty.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variable's value; an error that names the variable where it is unset or empty.
    pub fn required(&self, name: &str) -> Result<&str, ConfigError> {
        self.optional(name).ok_or_else(|| ConfigError::Missing(name.to_owned()))
    }
}

impl fmt::Debug for Env {
    /// The names only: among the values are the credentials that Lambda puts there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_printed() {
        let env = Env::of([("AWS_SECRET_ACCESS_KEY", "hush")]);
        assert_eq!(format!("{env:?}"), r#"{"AWS_SECRET_ACCESS_KEY"}"#);
    }

    #[test]
    fn a_missing_or_empty_variable_is_named() {
        let env = Env::of([("EMPTY", "")]);
        for name in ["EMPTY", "ABSENT"] {
            let error = env.required(name).unwrap_err().to_string();
            assert_eq!(error, format!("environment variable {name} is not set"));
        }
    }
}

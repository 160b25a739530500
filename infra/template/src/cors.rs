//! What browsers let pages of other origins do: `CorsConfiguration` of the HTTP API.

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;

/// The members of `CorsConfiguration` that this template has.
/// <https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-httpapi-httpapicorsconfiguration.html>
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Cors {
    /// Such as `https://shop.example`.
    pub allow_origins: Vec<String>,
    /// Such as `POST`.
    pub allow_methods: Vec<String>,
    /// What a page may send.
    pub allow_headers: Vec<String>,
    /// What a page may read.
    pub expose_headers: Vec<String>,
    /// How long a browser keeps this, in seconds.
    pub max_age: u64,
}

impl Cors {
    pub(crate) fn read(configuration: &Value) -> Result<Self> {
        Self::deserialize(configuration).context("not understood by infra/template")
    }
}

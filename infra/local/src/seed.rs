//! Demo data.

use anyhow::Result;

use crate::watch::Environment;

/// Writes the demo data that is missing.
pub async fn seed(_environment: &Environment) -> Result<()> {
    Ok(())
}

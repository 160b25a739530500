//! The template's `Rules`: combinations of parameters that it refuses.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::intrinsics::Scope;
use crate::value;

/// Refuses what the rules refuse, in the words of their `AssertDescription`.
pub(crate) fn check(document: &Value, scope: &Scope) -> Result<()> {
    for (name, rule) in value::object(document, "Rules")? {
        let concerns = rule.get("RuleCondition").map_or(Ok(true), |condition| scope.holds(condition, &[]));
        if !concerns.with_context(|| format!("rule {name}"))? {
            continue;
        }
        for assertion in value::list(&rule["Assertions"]) {
            let holds = scope.holds(&assertion["Assert"], &[]).with_context(|| format!("rule {name}"))?;
            if !holds {
                let description = value::text(&assertion["AssertDescription"]);
                bail!("rule {name}: {}", description.unwrap_or_else(|| assertion["Assert"].to_string()));
            }
        }
    }
    Ok(())
}

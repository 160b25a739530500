//! What CloudFormation says of a stack.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::routes::ALIAS;

/// A deployed stack.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// Its outputs.
    pub outputs: BTreeMap<String, String>,
    /// The physical id of each resource, by logical id.
    pub resources: BTreeMap<String, String>,
}

impl Stack {
    /// Reads the answers of `DescribeStacks` and `DescribeStackResources`.
    pub(super) fn read(stacks: &Value, resources: &Value) -> Self {
        let pairs = |list: &Value, key: &str, value: &str| {
            let list = list.as_array().into_iter().flatten();
            let pairs = list
                .filter_map(|item| Some((item[key].as_str()?.to_owned(), item[value].as_str()?.to_owned())));
            pairs.collect::<BTreeMap<_, _>>()
        };
        Self {
            outputs: pairs(&stacks["Stacks"][0]["Outputs"], "OutputKey", "OutputValue"),
            resources: pairs(&resources["StackResources"], "LogicalResourceId", "PhysicalResourceId"),
        }
    }

    /// An output's value.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.outputs.get(name).map(String::as_str).with_context(|| format!("the stack has no output {name}"))
    }

    /// The physical id of a resource.
    pub fn physical(&self, logical_id: &str) -> Result<&str> {
        let found = self.resources.get(logical_id).map(String::as_str);
        found.with_context(|| format!("the stack has no resource {logical_id}"))
    }

    /// What callers of a function name: its alias, or, in versions that have none, the function itself.
    pub fn invoked(&self, logical_id: &str) -> Result<String> {
        let name = self.physical(logical_id)?;
        let has_alias = self.resources.contains_key(&format!("{logical_id}Alias{ALIAS}"));
        Ok(if has_alias { format!("{name}:{ALIAS}") } else { name.to_owned() })
    }

    /// Whether something with this physical id is the stack's.
    pub fn has(&self, physical_id: &str) -> bool {
        self.resources.values().any(|id| id == physical_id)
    }
}

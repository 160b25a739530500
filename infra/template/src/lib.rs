//! Reads `template.yaml`, the single source of truth of what runs: on AWS through SAM, on a laptop through `cargo local`,
//! and in tests, which make their tables from it.
//!
//! [`Template::load`] resolves the intrinsic functions, conditions, mappings and SAM globals that the template uses, so
//! that callers see plain values. A resource's physical name is its logical id. What is not understood is an error, never
//! a silent difference between the laptop and AWS.

mod cors;
mod function;
mod globals;
mod intrinsics;
mod parameters;
mod policy;
mod resource;
mod rules;
mod value;
mod yaml;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub use cors::Cors;
pub use function::{Function, Schedule, ScheduleKind, StartingPosition, StreamMapping};
pub use policy::Statement;
use resource::Resource;
pub use resource::{Queue, Secret, Table};
use serde_json::Value;

/// The region that `AWS::Region` stands for on a laptop.
pub const REGION: &str = "us-east-1";
/// The account that `AWS::AccountId` stands for on a laptop.
pub const ACCOUNT: &str = "000000000000";

/// The directory that holds `template.yaml`.
pub fn workspace_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A template as it is written, with the long forms of intrinsic functions.
pub fn document(text: &str) -> Result<Value> {
    yaml::parse(text)
}

/// The resolved template.
#[derive(Debug, Clone)]
pub struct Template {
    resources: BTreeMap<String, Resource>,
    tables: Vec<Table>,
    secrets: Vec<Secret>,
    queues: Vec<Queue>,
    functions: Vec<Function>,
}

impl Template {
    /// Reads `template.yaml` in `root`; `parameters` override the defaults of its parameters. One that it does not have,
    /// a value that it does not allow, and a combination that its `Rules` refuse are errors.
    pub fn load(root: &Path, parameters: &BTreeMap<String, String>) -> Result<Self> {
        let path = root.join("template.yaml");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, parameters).with_context(|| format!("in {}", path.display()))
    }

    /// Like [`Template::load`], from the template's text.
    pub fn parse(text: &str, parameters: &BTreeMap<String, String>) -> Result<Self> {
        let document = yaml::parse(text)?;
        let scope = intrinsics::Scope::new(&document, parameters)?;
        rules::check(&document, &scope)?;
        let mut resources = BTreeMap::new();
        for (id, declared) in value::object(&document, "Resources")? {
            if scope.has_resource(id) {
                let resource = Resource::resolve(&globals::merged(&document, declared), &scope);
                resources.insert(id.clone(), resource.with_context(|| format!("resource {id}"))?);
            }
        }
        Ok(Self {
            tables: Resource::all(&resources, "AWS::DynamoDB::Table", Table::read)?,
            secrets: Resource::all(&resources, "AWS::SecretsManager::Secret", Secret::read)?,
            queues: Resource::all(&resources, "AWS::SQS::Queue", Queue::read)?,
            functions: Resource::all(&resources, "AWS::Serverless::Function", Function::read)?,
            resources,
        })
    }

    /// The DynamoDB tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// The Secrets Manager secrets.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The SQS queues.
    pub fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// The Lambda functions.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The table with this logical id.
    pub fn table(&self, logical_id: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.logical_id == logical_id)
    }

    /// The function of the API's `$default` route, which takes what no other route does.
    pub fn default_route(&self) -> Option<&Function> {
        let takes_the_rest =
            |function: &&Function| function.routes.iter().any(|(_, path)| path == "$default");
        self.functions().iter().find(takes_the_rest)
    }

    /// Which pages of other origins may call the API; `None`: none.
    pub fn cors(&self) -> Result<Option<Cors>> {
        let mut apis = self.resources.values().filter(|resource| resource.kind == "AWS::Serverless::HttpApi");
        let configured = apis.find_map(|api| api.properties.get("CorsConfiguration"));
        configured.map(Cors::read).transpose().context("CorsConfiguration")
    }

    /// The function with this name, which is its binary's.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == name)
    }

    /// Whether the function's policies may allow the action (such as `secretsmanager:GetSecretValue`) on the resource with
    /// this logical id, wildcards included. A condition is taken to hold where it allows, and not to hold where it denies.
    pub fn may(&self, function: &Function, action: &str, logical_id: &str) -> bool {
        let Some(resource) = self.resources.get(logical_id) else {
            return false;
        };
        // Policies name a secret by reference, which is its logical id here, or by an ARN with wildcards.
        let names = [logical_id.to_owned(), intrinsics::arn(logical_id, &resource.kind)];
        let concerns = |effect: &str, name: &str| {
            function.policies.iter().any(|statement| {
                let unconditional = statement.condition.is_none();
                statement.effect == effect
                    && (effect == "Allow" || unconditional)
                    && statement.covers(action, name)
            })
        };
        names.iter().any(|name| concerns("Allow", name)) && !names.iter().all(|name| concerns("Deny", name))
    }
}

#[cfg(test)]
mod costs_tests;
#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod operation_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod tests;

//! What a service may be called.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use template::Template;

use super::read;

/// Words that are no name of a crate: Rust's keywords, and the crates that come with it.
const RESERVED: [&str; 52] = [
    "abstract", "alloc", "as", "async", "await", "become", "box", "break", "const", "continue", "core",
    "crate", "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in",
    "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "proc", "pub", "ref",
    "return", "self", "static", "std", "struct", "super", "test", "trait", "true", "try", "type", "unsafe",
    "use", "where", "while",
];

/// The name of a new service: of its crate, its function and its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl FromStr for Name {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let good = (2..=20).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        ensure!(
            good,
            "{name:?} is no name of a service: 2 to 20 of a-z and 0-9, a letter first, such as wishlist"
        );
        ensure!(!RESERVED.contains(&name), "{name} is a word of Rust's own");
        Ok(Self(name.to_owned()))
    }
}

impl Name {
    /// The name as it is in paths.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `text` about the service `sample`, as it is about this one.
    pub(super) fn put_into(&self, text: &str) -> String {
        // The name as CloudFormation and Rust's types have it; it is ASCII.
        let (first, rest) = self.0.split_at(1);
        text.replace("sample", &self.0)
            .replace("Sample", &format!("{}{rest}", first.to_uppercase()))
            .replace("SAMPLE", &self.0.to_uppercase())
    }

    /// Fails where something else has the name.
    pub(super) fn check_free(&self, root: &Path, template: &Template) -> Result<()> {
        let name = self.as_str();
        for lock in ["Cargo.lock", "tests/fuzz/Cargo.lock"] {
            let known = read(root, lock)?.lines().any(|line| line == format!("name = \"{name}\""));
            ensure!(!known, "there is a crate {name} already, see {lock}");
        }
        for function in template.functions() {
            ensure!(function.name != name, "there is a function {name} already");
            let taken = function.routes.iter().find(|(_, path)| path.split('/').nth(1) == Some(name));
            if let Some((method, path)) = taken {
                bail!("the paths of {name} are taken: {} answers {method} {path}", function.name);
            }
        }
        let table = self.put_into("SampleTable");
        ensure!(template.table(&table).is_none(), "there is a table {table} already");
        Ok(())
    }
}

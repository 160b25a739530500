//! The upgrade: an older version is deployed and data is written, this version is deployed over it, and all data and all sessions
//! are there. And the way back, where that version itself can be built: it reads what this version wrote. What is written and
//! read back is in tests/tests/running/upgrade.rs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use template::Template;

use super::fixture::{self, Fixture};
use super::stack::Stack;
use super::{Before, Deployment, Options, Version, build, directory, suite};
use crate::workspace::Workspace;

/// Names the file that tells the second half of the story what the first wrote.
const FILE: &str = "UPGRADE_FILE";

/// Deploys what is to be there before, if anything, and then this version.
pub(super) async fn run(deployment: &mut Deployment, version: &Version) -> Result<()> {
    let before = deployment.options.before.clone();
    let (older, written) = match before {
        Before::Nothing => return deployment.update(version).await,
        Before::Fixture => {
            let fixture = Fixture::of(&deployment.options.workspace);
            let older = fixture.version(&deployment.options.workspace)?;
            deployment.options.console.say("what an older version left, from tests/fixtures/upgrade");
            deployment.update(&older).await?;
            let written = fixture.load(deployment).await?;
            (older, written)
        }
        Before::Revision { revision, record } => {
            let older = older(deployment, &revision).await?;
            deployment.update(&older).await?;
            let written = directory(&deployment.options.workspace).join("written.json");
            half(deployment, "upgrade::writes", &written).await?;
            if record {
                Fixture::of(&deployment.options.workspace).record(deployment, &older, &written).await?;
                deployment.options.console.say(&format!("tests/fixtures/upgrade is now of {revision}"));
            }
            (older, written)
        }
    };
    step(deployment, &older.template, version, &written).await?;
    if let Before::Revision { revision, .. } = &deployment.options.before {
        deployment.options.console.say(&format!("rolling back to {revision}"));
        half(deployment, "upgrade::writes", &written).await?;
        step(deployment, &older.template, &older, &written).await?;
        deployment.update(version).await?;
    }
    Ok(())
}

/// Deploys a version over another, and finds what that one wrote, and all that the older one of the two has.
async fn step(
    deployment: &mut Deployment,
    older: &Template,
    version: &Version,
    written: &Path,
) -> Result<()> {
    let ids = with_data(older, &deployment.stack)?;
    let secrets = fixture::secrets(deployment, older.secrets().iter()).await?;
    deployment.update(version).await?;
    assert_kept(&ids, &with_data(&version.template, &deployment.stack)?)?;
    assert_kept(&secrets, &fixture::secrets(deployment, version.template.secrets().iter()).await?)?;
    half(deployment, "upgrade::verifies", written).await
}

async fn half(deployment: &Deployment, test: &str, file: &Path) -> Result<()> {
    deployment.options.console.say(test);
    let file = file.to_str().context("the file's name is not UTF-8")?;
    suite::ignored(deployment, test, &[(FILE.to_owned(), file.to_owned())].into()).await
}

/// Builds an older version, in a clone of its own that borrows this repository's objects.
async fn older(deployment: &Deployment, revision: &str) -> Result<Version> {
    let Options { workspace, guard, console, .. } = &deployment.options;
    let directory = directory(workspace);
    let (root, build) = (directory.join("from"), directory.join("from-build"));
    let commit = git(&workspace.root, &["rev-parse", "--verify", &format!("{revision}^{{commit}}")])?;
    if !root.join(".git").exists() {
        let root = root.to_str().context("the directory's name is not UTF-8")?;
        git(&workspace.root, &["clone", "--quiet", "--shared", "--no-checkout", ".", root])?;
    }
    let is_built = git(&root, &["rev-parse", "HEAD"])? == commit && build::built(&build).exists();
    if deployment.options.build || !is_built {
        git(&root, &["checkout", "--quiet", "--force", "--detach", &commit])?;
        console.say(&format!("sam build of {revision}"));
        build::build(workspace, guard, &deployment.cloud.tools, &root, &build).await?;
    }
    let older = Workspace { root, target: workspace.target.clone() };
    Version::new(&older, build::built(&build))
}

fn git(directory: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git").args(arguments).current_dir(directory).output();
    let output = output.context("cannot run git")?;
    let said = String::from_utf8_lossy(if output.status.success() { &output.stdout } else { &output.stderr });
    let said = said.trim().to_owned();
    ensure!(output.status.success(), "git {} failed: {said}", arguments.join(" "));
    Ok(said)
}

/// The physical ids of what has data, by logical id: tables and secrets.
fn with_data(template: &Template, stack: &Stack) -> Result<BTreeMap<String, String>> {
    let tables = template.tables().iter().map(|table| &table.logical_id);
    let secrets = template.secrets().iter().map(|secret| &secret.logical_id);
    tables.chain(secrets).map(|id| Ok((id.clone(), stack.physical(id)?.to_owned()))).collect()
}

/// CloudFormation replaces what cannot be changed, and all that was in it is gone; the function that makes keys could make others.
fn assert_kept(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Result<()> {
    let replaced = before.iter().filter(|(id, value)| now.get(*id) != Some(value));
    let replaced: Vec<_> = replaced.map(|(id, _)| id.as_str()).collect();
    ensure!(replaced.is_empty(), "the update replaced or removed {}", replaced.join(", "));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_and_a_removed_table_are_named() {
        let ids =
            |all: &[(&str, &str)]| all.iter().map(|(id, name)| ((*id).into(), (*name).into())).collect();
        let before = ids(&[("Carts", "a"), ("Orders", "b"), ("Users", "c")]);
        assert_kept(&before, &ids(&[("Carts", "a"), ("New", "d"), ("Orders", "b"), ("Users", "c")])).unwrap();
        let error = assert_kept(&before, &ids(&[("Carts", "a"), ("Orders", "x")])).unwrap_err();
        assert_eq!(error.to_string(), "the update replaced or removed Orders, Users");
    }
}

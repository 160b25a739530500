//! `cargo local new`: an eighth service, in the shape of the others.
//!
//! The new service is a copy of the one in `new/service/`, under another name, and a few insertions into the files that know
//! all services ([`edit`]). Everything is worked out before anything is written: a file that is not as expected stops it all.

mod edit;
mod name;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use template::Template;

use crate::workspace::cargo;
pub use name::Name;

/// The files of a service, where they go and what is in them; see [`Name::put_into`].
const FILES: [(&str, &str); 14] = [
    ("functions/sample/Cargo.toml", include_str!("new/service/manifest.toml")),
    ("functions/sample/README.md", include_str!("new/service/README.md")),
    ("functions/sample/src/lib.rs", include_str!("new/service/src/lib.rs")),
    ("functions/sample/src/main.rs", include_str!("new/service/src/main.rs")),
    ("functions/sample/src/model.rs", include_str!("new/service/src/model.rs")),
    ("functions/sample/src/openapi.rs", include_str!("new/service/src/openapi.rs")),
    ("functions/sample/src/routes.rs", include_str!("new/service/src/routes.rs")),
    ("functions/sample/src/routes/entry.rs", include_str!("new/service/src/routes/entry.rs")),
    ("functions/sample/src/routes/entry/tests.rs", include_str!("new/service/src/routes/entry/tests.rs")),
    ("functions/sample/src/routes/list.rs", include_str!("new/service/src/routes/list.rs")),
    ("functions/sample/src/routes/testing.rs", include_str!("new/service/src/routes/testing.rs")),
    ("functions/sample/src/store.rs", include_str!("new/service/src/store.rs")),
    ("tests/tests/running/sample.rs", include_str!("new/service/running.rs")),
    ("tests/fuzz/seeds/body/put-sample-id", include_str!("new/service/seed")),
];

/// What a new service takes: files, by their path from the root of the repository, and what will be in them.
#[derive(Debug)]
pub struct Plan {
    name: Name,
    port: u16,
    made: BTreeMap<String, String>,
    changed: BTreeMap<String, String>,
}

impl Plan {
    /// Works out what the service `name` takes in the repository at `root`; writes nothing.
    pub fn of(root: &Path, name: &str) -> Result<Self> {
        let name: Name = name.parse()?;
        let template = Template::load(root, &BTreeMap::new())?;
        name.check_free(root, &template)?;
        let ports = template.functions().iter().filter_map(|function| function.local_port);
        let port = ports.max().context("template.yaml has no function with a LocalPort")? + 1;
        let made = FILES.map(|(path, text)| (name.put_into(path), name.put_into(text)));
        if let Some((path, _)) = made.iter().find(|(path, _)| root.join(path).exists()) {
            bail!("there is a {path} already");
        }
        let mut changed = BTreeMap::new();
        for edit in &edit::EDITS {
            let text = match changed.remove(edit.file) {
                Some(text) => text,
                None => read(root, edit.file)?,
            };
            let new = name.put_into(edit.insert).replace("PORT", &port.to_string());
            changed.insert(edit.file.to_owned(), edit.apply(&text, &new)?);
        }
        Ok(Self { name, port, made: made.into(), changed })
    }

    /// Writes it all, and brings the lock files and the line breaks up to date; what to tell whoever asked.
    pub fn carry_out(&self, root: &Path) -> Result<String> {
        for (path, text) in self.made.iter().chain(&self.changed) {
            let path = root.join(path);
            let directory = path.parent().map(Path::to_owned).unwrap_or_default();
            fs::create_dir_all(&directory)
                .and_then(|()| fs::write(&path, text))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        // A longer or shorter name may take other line breaks.
        run(root, &["fmt", "--package", self.name.as_str(), "--package", "tests"])?;
        run(root, &["update", "--quiet", "--workspace"])?;
        run(root, &["update", "--quiet", "--workspace", "--manifest-path", "tests/fuzz/Cargo.toml"])?;
        Ok(self.summary())
    }

    fn summary(&self) -> String {
        let (name, port) = (self.name.as_str(), self.port);
        let list = |files: &BTreeMap<String, String>| -> String {
            files.keys().map(|file| format!("  {file}")).collect::<Vec<_>>().join("\n")
        };
        let (made, changed) = (list(&self.made), list(&self.changed));
        format!(
            "made\n{made}\nchanged\n{changed}\n  Cargo.lock\n  tests/fuzz/Cargo.lock\n\n\
             {name} keeps entries of each user: GET /{name} and GET, PUT, DELETE /{name}/{{id}}. Next:\n\n  \
             cargo test -p {name}\n  \
             RENEW_OPENAPI=1 cargo test -p openapi\n  \
             UPDATE_COSTS=1 cargo test -p template costs\n  \
             cargo test -p tests --test agreement\n  \
             cargo local\n\n\
             and, with the access_token of a login in place of <token>:\n\n  \
             curl -X PUT http://localhost:{port}/{name}/01a204a4-f0d2-737e-a0ed-82493bcbe842 \
             -H \"Authorization: Bearer <token>\" -H \"Content-Type: application/json\" -d '{{\"text\":\"a lamp\"}}'\n  \
             curl http://localhost:{port}/{name} -H \"Authorization: Bearer <token>\"\n\n\
             Then make it yours: functions/{name}/src/model.rs says what an entry is."
        )
    }
}

fn read(root: &Path, file: &str) -> Result<String> {
    let path: PathBuf = root.join(file);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let status =
        Command::new(cargo()).args(arguments).current_dir(root).status().context("cannot run cargo")?;
    if !status.success() {
        bail!("the service is written, but `cargo {}` failed", arguments.join(" "));
    }
    Ok(())
}

//! `cargo local new`, in a copy of the repository.

#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use local::workspace::{Workspace, cargo};

/// Whatever else somebody adds, this is free.
const NAME: &str = "unheardof";

/// A copy of the repository, as git sees it.
struct Copy {
    root: PathBuf,
    /// Where the repository itself is built.
    target: PathBuf,
}

impl Copy {
    fn of(workspace: Workspace) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
        let _absent = fs::remove_dir_all(&root);
        let files = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        for file in run(Command::new("git").args(files).current_dir(&workspace.root)).split_terminator('\0') {
            let (from, to) = (workspace.root.join(file), root.join(file));
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            // Git also lists files that were deleted, until it is told so.
            if from.exists() {
                fs::copy(from, to).unwrap();
            }
        }
        // What cargo compiled for one version of a crate of ours it would take for the crate of the same version and path
        // here, with the other directory's path in it.
        let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let other = manifest.replacen("\nversion = \"", "\nversion = \"1", 1);
        assert_ne!(manifest, other, "the workspace has a version");
        fs::write(root.join("Cargo.toml"), other).unwrap();
        let copy = Self { root, target: workspace.target };
        copy.git(&["init", "--quiet"]);
        copy.git(&["add", "--all"]);
        let author = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
        copy.git(&[author.as_slice(), &["commit", "--quiet", "--message", "A copy"]].concat());
        copy
    }

    fn git(&self, arguments: &[&str]) -> String {
        run(Command::new("git").args(arguments).current_dir(&self.root))
    }

    /// `cargo local new`, by the program itself.
    fn new_service(&self, name: &str) -> Output {
        let mut local = Command::new(env!("CARGO_BIN_EXE_local"));
        local.args(["new", name]).current_dir(&self.root).output().unwrap()
    }

    fn assert_untouched(&self) {
        assert_eq!(self.git(&["status", "--porcelain"]), "", "the copy is as it was");
    }

    /// What is computed of the code and the template, as the summary says to.
    fn renew(&self) {
        run(self.command(&["test", "--locked", "--test", "document"]).env("RENEW_OPENAPI", "1"));
        run(self.command(&["test", "--locked", "--package", "template", "costs"]).env("UPDATE_COSTS", "1"));
        self.cargo(&["test", "--locked", "--package", "template"]);
    }

    fn cargo(&self, arguments: &[&str]) -> String {
        run(&mut self.command(arguments))
    }

    /// cargo, on the libraries that were compiled for the repository itself.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.args(arguments).current_dir(&self.root);
        command.env("CARGO_BUILD_BUILD_DIR", &self.target);
        command.env("CARGO_TARGET_DIR", self.root.join("target"));
        command
    }
}

/// What a command wrote that must succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}\n{out}\n{error}", output.status);
    out.into_owned()
}

#[test]
#[ignore = "compiles all services once more; .ci/run has a stage for it"]
fn a_new_service_is_made_removed_and_made_again_tested_and_called_in_the_running_system() {
    let copy = Copy::of(Workspace::find().unwrap());
    for name in ["user", "type", "Wish-list"] {
        assert_eq!(copy.new_service(name).status.code(), Some(1), "{name}");
    }
    copy.assert_untouched();
    let made = copy.new_service(NAME);
    let said = String::from_utf8_lossy(&made.stdout);
    assert!(made.status.success() && said.contains(&format!("  cargo test -p {NAME}\n")), "{made:?}");
    let changes = copy.git(&["diff"]);
    let again = copy.new_service(NAME);
    assert!(String::from_utf8_lossy(&again.stderr).contains("already"), "{again:?}");
    assert_eq!(copy.git(&["diff"]), changes, "a second time changes nothing");
    // Before the system runs: the last of its processes outlive it by a moment, and cargo among them writes lock files.
    copy.git(&["clean", "--force", "-d", "--quiet"]);
    copy.git(&["restore", "."]);
    copy.assert_untouched();
    assert!(copy.new_service(NAME).status.success());

    copy.cargo(&["fmt", "--all", "--check"]);
    copy.cargo(&["fmt", "--manifest-path", "tests/fuzz/Cargo.toml", "--check"]);
    // Of the whole workspace where that is possible: the libraries then have the features that they are compiled with already.
    copy.cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    let own = copy.cargo(&["test", "--locked", "--package", NAME]);
    assert!(own.contains("nobody_reaches_the_entries_of_another ... ok"), "{own}");
    copy.renew();
    copy.cargo(&["test", "--locked", "--test", "agreement", "--test", "document"]);
    let of_it = [format!("{NAME}::"), "bad_tokens::no_bad_token".to_owned()];
    let called = copy.cargo(&["test", "--locked", "--test", "running", "--", &of_it[0], &of_it[1]]);
    for passed in [
        format!("{NAME}::entries_belong_to_who_made_them"),
        format!("{}_opens_any_protected_route", of_it[1]),
    ] {
        assert!(called.contains(&format!("{passed} ... ok")), "{called}");
    }

    // What cannot be deleted now, the next run deletes.
    let _not_now = fs::remove_dir_all(&copy.root);
}

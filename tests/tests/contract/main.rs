//! What the description of the API promises, against the running system as `cargo local` starts it: Schemathesis makes
//! requests of every kind that the description allows, and of those that it does not, and looks at each answer.

use std::path::{Path, PathBuf};
use std::process::Command;

use local::system::{Options, System};
use local::workspace::Workspace;
use shared::clock::Clock;
use shared::testing::Issuer;
use template::workspace_root;
use uuid::Uuid;

/// Of each function at most.
const INSTANCES: u16 = 4;

/// What must hold of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,\
    response_headers_conformance,negative_data_rejection,missing_required_header,unsupported_method,ignored_auth,\
    use_after_free";

/// What ends the session of the token that all requests of a run have: in a run of their own, with a token of their own.
const LAST: &str = "^/(logout|logout/all)$";

#[test]
#[ignore = "needs Schemathesis, and minutes: .ci/run contract"]
fn every_answer_is_one_that_the_description_promises() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("contract-system");
    // What the run before left.
    let _absent = std::fs::remove_dir_all(&directory);
    let options = Options::private(Workspace::find().unwrap(), &directory, INSTANCES).unwrap();
    let system = System::in_background(options).unwrap();
    let url = &system.addresses.services["auth"];

    let pem = std::fs::read_to_string(directory.join("keys/private.pem")).unwrap();
    let issuer = Issuer::from_pem(&pem).named(url);
    let now = Clock::system().now();
    let user = issuer.token(Uuid::from_u128(0xc0), now);
    let admin = issuer.admin_token(Uuid::from_u128(0xad), now);
    let leaving = issuer.token(Uuid::from_u128(0xc1), now);
    let runs = [
        ("nobody", None, ["--exclude-path-regex", LAST]),
        ("a customer", Some(&user), ["--exclude-path-regex", LAST]),
        ("an admin", Some(&admin), ["--exclude-path-regex", LAST]),
        ("who leaves", Some(&leaving), ["--include-path-regex", LAST]),
    ];
    let failed: Vec<&str> = runs
        .into_iter()
        .filter(|(who, token, paths)| {
            eprintln!("=== as {who}");
            !schemathesis(url, *token, paths, &directory)
        })
        .map(|(who, ..)| who)
        .collect();
    assert!(
        failed.is_empty(),
        "as {failed:?} there were answers that the description does not promise; see above"
    );
}

/// Whether nothing was found.
fn schemathesis(url: &str, token: Option<&String>, paths: &[&str], directory: &Path) -> bool {
    let mut command = Command::new(program());
    command
        .arg("--config-file")
        .arg(workspace_root().join("tests/tests/contract/schemathesis.toml"))
        .arg("run")
        .arg(workspace_root().join("infra/openapi/openapi.json"))
        .args(["--url", url, "--checks", CHECKS, "--generation-deterministic"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "5"])
        .args(paths)
        .current_dir(directory);
    // In capitals: Schemathesis takes it away by this name, to see that the API then refuses.
    if let Some(token) = token {
        command.args(["--header", &format!("Authorization:Bearer {token}")]);
    }
    command.status().unwrap_or_else(|error| panic!("{}: {error}", program().display())).success()
}

/// As `.ci/run` installs it, or another.
fn program() -> PathBuf {
    std::env::var_os("SCHEMATHESIS")
        .map_or_else(|| workspace_root().join("target/ci/bin/schemathesis"), PathBuf::from)
}

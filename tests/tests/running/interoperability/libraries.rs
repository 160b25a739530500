//! Installs the libraries under `target/`, once, and runs programs with them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const PYTHON: [&str; 3] = ["PyJWT[crypto]==2.15.1", "Authlib==1.9.9", "requests==2.34.2"];
const NODE: [&str; 2] = ["jose@6.2.17", "openid-client@6.8.9"];

/// What a Python program prints.
pub(crate) fn python(program: &str, arguments: &[&str]) -> Value {
    let directory = installed_python(&PYTHON, "python");
    printed(Command::new(directory.join("bin/python")).args(["-c", program]).args(arguments), "python3")
}

/// A Python of its own, called `name`, with these packages.
pub(crate) fn installed_python(packages: &[&str], name: &str) -> PathBuf {
    installed(name, packages, |directory| {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(directory), "python3 with venv");
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(directory.join("bin/python")).args(pip).args(packages), "pip");
    })
}

/// What a JavaScript program, a module, prints.
pub(crate) fn node(program: &str, arguments: &[&str]) -> Value {
    let directory = installed("node", &NODE, |directory| {
        let npm = ["install", "--silent", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts"];
        run(Command::new("npm").args(npm).arg("--prefix").arg(directory).args(NODE), "npm");
    });
    let module = ["--input-type=module", "--eval", program, "--"];
    // A program without a file finds its libraries from where it is started.
    printed(Command::new("node").current_dir(directory).args(module).args(arguments), "node")
}

/// The directory into which `install` put what is `wanted`. Several runs at once wait for the first; other versions are
/// installed anew.
fn installed(name: &str, wanted: &[&str], install: impl FnOnce(&Path)) -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libraries");
    fs::create_dir_all(&all).unwrap();
    let lock = File::create(all.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let directory = all.join(name);
    let done = directory.join("installed");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted.join(" ")) {
        return directory;
    }
    let _absent = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    install(&directory);
    fs::write(&done, wanted.join(" ")).unwrap();
    directory
}

fn printed(command: &mut Command, needs: &str) -> Value {
    // Whatever proxy there is, it does not lead to this machine.
    let text = run(command.env("NO_PROXY", "localhost").env("no_proxy", "localhost"), needs);
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("printed {text}"))
}

/// The standard output. These tests are not skipped where a tool is missing: they would pass without having tested anything.
fn run(command: &mut Command, needs: &str) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("this test needs {needs}: {error}"));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{needs} failed: {error}");
    String::from_utf8(output.stdout).unwrap()
}

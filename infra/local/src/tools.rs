//! The tools that the local run needs beyond Rust: cargo-lambda and the AWS emulator, both Python packages, in a virtual
//! environment under `target/`.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::sleep;

use crate::logs::Console;
use crate::process::{Child, Guard};
use crate::workspace::Workspace;

const CARGO_LAMBDA: &str = "cargo-lambda==1.9.2";
/// Provides the emulator, MiniStack (MIT).
const EMULATOR: &str = "ministack==1.5.33";

/// What to do when Python is missing or incomplete.
const ADVICE: &str = "Install Python 3.10 or newer with pip and venv (Debian, Ubuntu: `apt install python3-venv python3-pip`; \
                      Fedora: `dnf install python3-pip`; macOS: `brew install python`) and start again.";

/// The tools, installed.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The virtual environment's `bin`.
    pub bin: PathBuf,
}

impl Tools {
    /// Installs what is missing. Several runs at once wait for the first.
    pub async fn install(workspace: &Workspace, guard: &Guard, console: &Console) -> Result<Self> {
        let directory = workspace.local().join("tools");
        fs::create_dir_all(workspace.local()).context("cannot create target/local")?;
        let _held_until_done = lock(&workspace.local().join("tools.lock"), console).await?;
        let done = directory.join("installed");
        let wanted = format!("{CARGO_LAMBDA} {EMULATOR}");
        let tools = Self { bin: directory.join("bin") };
        if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) && tools.work() {
            return Ok(tools);
        }
        console.say(&format!("installing {CARGO_LAMBDA} and {EMULATOR} into target/local/tools"));
        check_python()?;
        let venv = [Path::new("-m"), Path::new("venv"), Path::new("--clear"), &directory];
        run(guard, "python3 -m venv", Path::new("python3"), &venv).await.context(ADVICE)?;
        let pip = tools.bin.join("pip");
        let install = |packages: &'static [&'static str]| {
            let arguments = ["install", "--disable-pip-version-check"];
            arguments.into_iter().chain(packages.iter().copied()).map(Path::new).collect::<Vec<_>>()
        };
        // Without its dependency, the Zig compiler: a large download that only cross-compilation needs.
        run(guard, "pip install", &pip, &install(&["--no-deps", CARGO_LAMBDA])).await?;
        run(guard, "pip install", &pip, &install(&[EMULATOR])).await?;
        fs::write(&done, wanted).context("cannot note the installation")?;
        Ok(tools)
    }

    /// `cargo-lambda`, the program.
    pub fn cargo_lambda(&self) -> PathBuf {
        self.bin.join("cargo-lambda")
    }

    /// The emulator's program.
    pub fn emulator(&self) -> PathBuf {
        self.bin.join("ministack")
    }

    /// Whether the environment still runs: its Python may have been upgraded away, or the repository moved.
    fn work(&self) -> bool {
        let quiet = |program: PathBuf, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let ours = fs::read_to_string(self.emulator())
            .is_ok_and(|script| script.contains(&*self.bin.to_string_lossy()));
        ours && self.cargo_lambda().is_file() && quiet(self.bin.join("python3"), &["-c", "import ministack"])
    }
}

/// Locks the file, after whoever holds it. By asking again and again: `File::lock` would block the whole program, and
/// Ctrl-C with it.
async fn lock(path: &Path, console: &Console) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if told => {}
            Err(TryLockError::WouldBlock) => {
                console.say("waiting for another run to install the tools");
                told = true;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", path.display()));
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn check_python() -> Result<()> {
    let check = "import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))";
    let status = Command::new("python3").args(["-c", check]).stderr(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => bail!("python3 is too old or lacks venv. {ADVICE}"),
        Err(_) => bail!("there is no python3. {ADVICE}"),
    }
}

async fn run(guard: &Guard, name: &'static str, program: &Path, arguments: &[&Path]) -> Result<()> {
    let mut command = guard.command(program);
    command.args(arguments);
    Child::spawn(name, command)?.succeed().await
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_another_run_can_be_stopped() {
        let directory = std::env::temp_dir().join(format!("local-tools-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("lock");
        let console = Console::file(&directory.join("log")).unwrap();
        let held = lock(&path, &console).await.unwrap();
        // Lets go in the end, so that a wait that blocks the program fails this test instead of hanging it.
        let (stopped, until_stopped) = mpsc::channel::<()>();
        let holder = thread::spawn(move || {
            let _stopped_or_too_late = until_stopped.recv_timeout(Duration::from_secs(5));
            drop(held);
        });
        tokio::select! {
            biased;
            _ = lock(&path, &console) => panic!("the wait could not be stopped"),
            () = tokio::task::yield_now() => drop(stopped),
        }
        holder.join().unwrap();
        lock(&path, &console).await.unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}

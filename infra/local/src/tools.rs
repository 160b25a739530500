//! The tools that are needed beyond Rust: cargo-lambda and the AWS emulator for the local run, and for the rehearsal of a
//! deployment also AWS's own command lines. All are Python packages, in virtual environments under `target/`.

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
/// The same with what its CloudFormation needs to expand SAM's transform.
const CLOUDFORMATION_EMULATOR: &str = "ministack[full]==1.5.33";
/// `sam`.
const SAM: &str = "aws-sam-cli==1.170.0";
/// `aws`, which the commands of the documentation call.
const AWS: &str = "awscli==1.46.3";

/// What to do when Python is missing or incomplete.
const ADVICE: &str = "Install Python 3.10 or newer with pip and venv (Debian, Ubuntu: `apt install python3-venv python3-pip`; \
                      Fedora: `dnf install python3-pip`; macOS: `brew install python`) and start again.";

/// The tools, installed.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The virtual environment's `bin`.
    pub bin: PathBuf,
}

/// The tools of the rehearsal.
#[derive(Debug, Clone)]
pub struct DeployTools {
    /// Where `sam`, `aws` and `cargo-lambda` are.
    pub bin: PathBuf,
    /// The emulator's program. Its virtual environment is its own: the packages that `sam` pins exclude those it wants.
    pub emulator: PathBuf,
}

impl DeployTools {
    /// Installs what is missing. Several runs at once wait for the first.
    pub async fn install(workspace: &Workspace, guard: &Guard, console: &Console) -> Result<Self> {
        let local = workspace.local();
        let _held_until_done = begin(workspace, console).await?;
        let cargo_lambda = ["--no-deps", CARGO_LAMBDA];
        let command_lines = Venv {
            directory: local.join("deploy-tools"),
            installs: &[&[SAM, AWS], &cargo_lambda],
            probe: "samcli",
        };
        let emulator = Venv {
            directory: local.join("deploy-emulator"),
            installs: &[&[CLOUDFORMATION_EMULATOR]],
            probe: "ministack",
        };
        command_lines.install(guard, console).await?;
        emulator.install(guard, console).await?;
        Ok(Self { bin: command_lines.bin(), emulator: emulator.bin().join("ministack") })
    }
}

impl Tools {
    /// Installs what is missing. Several runs at once wait for the first.
    pub async fn install(workspace: &Workspace, guard: &Guard, console: &Console) -> Result<Self> {
        let _held_until_done = begin(workspace, console).await?;
        // Without its dependency, the Zig compiler: a large download that only cross-compilation needs.
        let cargo_lambda = ["--no-deps", CARGO_LAMBDA];
        let venv = Venv {
            directory: workspace.local().join("tools"),
            installs: &[&cargo_lambda, &[EMULATOR]],
            probe: "ministack",
        };
        venv.install(guard, console).await?;
        Ok(Self { bin: venv.bin() })
    }

    /// `cargo-lambda`, the program.
    pub fn cargo_lambda(&self) -> PathBuf {
        self.bin.join("cargo-lambda")
    }

    /// The emulator's program.
    pub fn emulator(&self) -> PathBuf {
        self.bin.join("ministack")
    }
}

/// A virtual environment.
struct Venv<'a> {
    directory: PathBuf,
    /// What is installed: the arguments of each `pip install`.
    installs: &'a [&'a [&'a str]],
    /// A module that shows whether it works.
    probe: &'a str,
}

impl Venv<'_> {
    fn bin(&self) -> PathBuf {
        self.directory.join("bin")
    }

    async fn install(&self, guard: &Guard, console: &Console) -> Result<()> {
        let done = self.directory.join("installed");
        let wanted = self.installs.concat().into_iter().filter(|word| !word.starts_with('-'));
        let wanted = wanted.collect::<Vec<_>>().join(" ");
        if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) && self.works() {
            return Ok(());
        }
        let name = self.directory.file_name().unwrap_or_default().display();
        console.say(&format!("installing {wanted} into target/local/{name}"));
        check_python()?;
        let venv = [Path::new("-m"), Path::new("venv"), Path::new("--clear"), &self.directory];
        run(guard, "python3 -m venv", Path::new("python3"), &venv).await.context(ADVICE)?;
        let pip = self.bin().join("pip");
        for packages in self.installs {
            let arguments = ["install", "--quiet", "--disable-pip-version-check"];
            let arguments: Vec<_> = arguments.iter().chain(*packages).map(Path::new).collect();
            run(guard, "pip install", &pip, &arguments).await?;
        }
        fs::write(&done, wanted).context("cannot note the installation")
    }

    /// Whether it still runs: its Python may have been upgraded away, or the repository moved.
    fn works(&self) -> bool {
        let bin = self.bin();
        let ours =
            fs::read_to_string(bin.join("pip")).is_ok_and(|script| script.contains(&*bin.to_string_lossy()));
        let mut command = Command::new(bin.join("python3"));
        command.args(["-c", &format!("import {}", self.probe)]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        ours && command.status().is_ok_and(|status| status.success())
    }
}

/// Lets one run at a time install.
async fn begin(workspace: &Workspace, console: &Console) -> Result<File> {
    fs::create_dir_all(workspace.local()).context("cannot create target/local")?;
    lock(&workspace.local().join("tools.lock"), "waiting for another run to install the tools", console).await
}

/// Locks the file, after whoever holds it. By asking again and again: `File::lock` would block the whole program, and
/// Ctrl-C with it.
pub(crate) async fn lock(path: &Path, waiting: &str, console: &Console) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if told => {}
            Err(TryLockError::WouldBlock) => {
                console.say(waiting);
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
        let held = lock(&path, "waiting", &console).await.unwrap();
        // Lets go in the end, so that a wait that blocks the program fails this test instead of hanging it.
        let (stopped, until_stopped) = mpsc::channel::<()>();
        let holder = thread::spawn(move || {
            let _stopped_or_too_late = until_stopped.recv_timeout(Duration::from_secs(5));
            drop(held);
        });
        tokio::select! {
            biased;
            _ = lock(&path, "waiting", &console) => panic!("the wait could not be stopped"),
            () = tokio::task::yield_now() => drop(stopped),
        }
        holder.join().unwrap();
        lock(&path, "waiting", &console).await.unwrap();
        fs::remove_dir_all(&directory).unwrap();
    }
}

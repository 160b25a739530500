//! The command line of `cargo local`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use local::delivery::Redrive;
use local::deploy::{self, Before, Deployment};
use local::guard::Drain;
use local::logs::Console;
use local::new::Plan;
use local::process::Guard;
use local::system::{self, Options, Scope, System};
use local::workspace::Workspace;
use local::{docs, guard, operator, outbox, preview, rotate, simulate};
use notification::messages::LOCALES;
use tokio::signal::unix::{SignalKind, signal};

/// Runs the whole system on this machine until Ctrl-C: AWS emulator, tables, keys, demo data and all functions.
#[derive(Parser)]
#[command(name = "cargo local", bin_name = "cargo local")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Subcommands>,
    /// Start from fresh demo data; the keys in keys/ stay.
    #[arg(long, global = true)]
    reset: bool,
    /// Most instances of one function.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    concurrency: u16,
    /// Leave running functions alone when their source changes.
    #[arg(long)]
    no_reload: bool,
    /// A value for a parameter of template.yaml, such as RequireVerifiedEmail=enabled; may be repeated.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parameter, global = true)]
    parameters: Vec<(String, String)>,
}

/// The two halves of `Name=Value`.
fn parameter(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected Name=Value")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Subcommand)]
enum Subcommands {
    /// Only what is around the functions, for a `cargo lambda watch` of your own.
    Emulator,
    /// Makes a user of the running system an admin; it counts from the next login on.
    Admin {
        /// The user's name.
        username: String,
    },
    /// Rotates the signing keys of the running system, as Secrets Manager does on AWS every 30 days.
    Rotate,
    /// Carries out a command of the function `auth-operator` on the running system.
    Operator {
        /// Such as `{"command":"list_clients"}`, in single quotes; functions/auth/README.md lists them.
        command: String,
    },
    /// Brings the records of the running system's dead letters to their functions once more.
    Redrive {
        /// The queue, such as `NotificationDeadLetters`; all of them when none is given.
        queue: Option<String>,
    },
    /// Makes a new service, in the shape of the others; needs no running system.
    New {
        /// Its name, such as wishlist.
        name: String,
    },
    /// Writes what Notification's messages look like; needs no running system.
    Preview {
        /// The event, such as order-shipped; all of them where none is named.
        event: Option<String>,
        /// In which language.
        #[arg(long, default_value = LOCALES[0], conflicts_with = "all")]
        locale: String,
        /// In every language.
        #[arg(long)]
        all: bool,
    },
    /// Fills the running system with shoppers, by its public API alone, so that there are figures to look at.
    ///
    /// Visits are spread over the last days. Orders can only be placed now, so orders and revenue are of today. Hashing a password
    /// is made to be slow: about a third of the shoppers register, at most 60; the others are anonymous visitors. Running it again
    /// adds other shoppers.
    Simulate {
        /// How many shoppers come.
        #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=5000))]
        users: u16,
        /// Over how many days.
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u8).range(1..=30))]
        days: u8,
        /// Other shoppers for another number.
        #[arg(long, value_name = "N", default_value_t = simulate::SEED)]
        seed: u64,
    },
    /// Rehearses a deployment: `sam build`, `sam deploy` into an emulator that enforces IAM, the end-to-end suite, `sam delete`.
    Deploy {
        /// Stay up until Ctrl-C, without testing and deleting.
        #[arg(long)]
        keep: bool,
        /// Deploy what the last `sam build` made.
        #[arg(long)]
        no_build: bool,
        /// Deploy this older version first and update it: what it wrote must be there. Without it, and without `--keep`, what is first
        /// is the fixture in tests/fixtures/upgrade.
        #[arg(long, value_name = "REVISION")]
        from: Option<String>,
        /// Make what the older version wrote the fixture.
        #[arg(long, requires = "from")]
        record: bool,
    },
    /// Measures the functions beside what others would write, in Rust, Go, Node.js and Python, as release builds; takes the options that
    /// `cargo local bench -- --help` lists. Needs no running system.
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Stands between this program and one that it starts; see guard.rs.
    #[command(name = guard::SUBCOMMAND, hide = true)]
    Guard {
        #[arg(long, requires = "checkpoints")]
        emulator: Option<String>,
        #[arg(long, requires = "emulator")]
        checkpoints: Option<PathBuf>,
        program: OsString,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .and_then(|runtime| runtime.block_on(run(arguments)));
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

#[expect(clippy::print_stdout, reason = "the answer of a command that ends at once")]
async fn run(arguments: Arguments) -> Result<ExitCode> {
    match arguments.command {
        Some(Subcommands::Guard { emulator, checkpoints, program, arguments }) => {
            let drain =
                emulator.zip(checkpoints).map(|(emulator, checkpoints)| Drain { emulator, checkpoints });
            guard::run(&program, &arguments, drain).await.map(ExitCode::from)
        }
        Some(Subcommands::Admin { username }) => {
            let environment = system::documented_environment(&Workspace::find()?)?;
            operator::grant_admin(&environment, &username).await?;
            println!("{username} is an admin from the next login on");
            Ok(ExitCode::SUCCESS)
        }
        Some(Subcommands::Rotate) => {
            rotate::rotate(&Workspace::find()?).await?;
            println!(
                "the next key signs; running functions notice within five minutes, and new ones at once"
            );
            Ok(ExitCode::SUCCESS)
        }
        Some(Subcommands::Operator { command }) => {
            let command = serde_json::from_str(&command).context("this is no command")?;
            let environment = system::documented_environment(&Workspace::find()?)?;
            println!("{:#}", operator::operate(&environment, command).await?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Subcommands::Redrive { queue }) => redrive(queue).await,
        Some(Subcommands::New { name }) => {
            let root = Workspace::find()?.root;
            println!("{}", Plan::of(&root, &name)?.carry_out(&root)?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Subcommands::Preview { event, locale, all }) => {
            let directory = Workspace::find()?.local().join("preview");
            let locales = if all { &LOCALES[..] } else { &[locale.as_str()] };
            println!("{}", preview::preview(&directory, event.as_deref(), locales)?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Subcommands::Simulate { users, days, seed }) => {
            let urls = system::documented_urls(&Workspace::find()?)?;
            let options = simulate::Options { users, days, seed };
            let mut signals = Signals::new()?;
            let report = tokio::select! {
                report = simulate::simulate(&urls, &options, |line| println!("{line}")) => report?,
                () = signals.any() => {
                    println!("stopped; what was made so far stays");
                    return Ok(ExitCode::FAILURE);
                }
            };
            println!("{}", simulate::summary(&report, &urls));
            Ok(if report.unplanned.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some(Subcommands::Bench { arguments }) => {
            let bench = ["bench", "--profile", "dev", "--package", "bench", "--bench", "lambda", "--"];
            let mut cargo = Command::new(env!("CARGO"));
            let status = cargo.args(bench).args(arguments).current_dir(Workspace::find()?.root).status();
            let status = status.context("cannot start cargo")?;
            Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some(Subcommands::Deploy { keep, no_build, from, record }) => {
            let before = match from {
                Some(revision) => Before::Revision { revision, record },
                None if keep => Before::Nothing,
                None => Before::Fixture,
            };
            rehearse(keep, !no_build, before).await
        }
        command => {
            let mut options = Options::documented(Workspace::find()?)?;
            options.reset = arguments.reset;
            options.concurrency = arguments.concurrency;
            options.reload = !arguments.no_reload;
            for (name, value) in arguments.parameters {
                if options.parameters.insert(name.clone(), value).is_some() {
                    bail!("--parameter {name} is given twice");
                }
            }
            tracing::subscriber::set_global_default(options.console.subscriber())
                .context("logs are set up twice")?;
            options.scope = if command.is_none() { Scope::Everything } else { Scope::Emulator };
            until_stopped(options).await
        }
    }
}

/// Fails when a letter remains, as a script would want to know.
#[expect(clippy::print_stdout, reason = "the answer of a command that ends at once")]
async fn redrive(queue: Option<String>) -> Result<ExitCode> {
    let redrive = Redrive::documented(&Workspace::find()?)?;
    let queues = queue.map_or_else(|| redrive.queues(), |queue| vec![queue]);
    let mut remaining = false;
    for queue in queues {
        let redriven = redrive.queue(&queue).await.context("is `cargo local` running?")?;
        if redriven.is_empty() {
            println!("{queue}: no dead letters");
        }
        for letter in redriven {
            remaining |= !letter.is_delivered();
            println!("{letter}");
        }
    }
    Ok(if remaining { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Starts the system and keeps it until a signal comes or a part of it ends.
async fn until_stopped(options: Options) -> Result<ExitCode> {
    let console = options.console.clone();
    let mut signals = Signals::new()?;
    let (scope, reload) = (options.scope, options.reload);
    let mut system = tokio::select! {
        system = System::start(options) => system?,
        () = signals.any() => {
            console.say("stopped");
            return Ok(ExitCode::SUCCESS);
        }
    };
    console.plain(&if scope == Scope::Everything { ready(&system, reload) } else { emulator_ready(&system) });
    let failure = tokio::select! {
        () = signals.any() => None,
        error = system.failed() => Some(error),
    };
    console.say("stopping");
    system.stop().await;
    if let Some(failure) = failure {
        // An emulator that was killed had no time to write its data.
        console.say("stopped; what was written since the last clean stop may be lost");
        return Err(failure);
    }
    console.say("stopped; the data is kept (`cargo local --reset` starts afresh)");
    Ok(ExitCode::SUCCESS)
}

/// Deploys, checks and deletes; with `keep` it waits for a signal in between.
async fn rehearse(keep: bool, build: bool, before: Before) -> Result<ExitCode> {
    let console = Console::terminal();
    let options = deploy::Options {
        workspace: Workspace::find()?,
        guard: Guard::this_program()?,
        console: console.clone(),
        build,
        before,
    };
    let mut signals = Signals::new()?;
    let rehearsal = async {
        let deployment = Deployment::start(options).await?;
        deployment.check().await?;
        if !keep {
            deployment.test().await?;
        }
        anyhow::Ok(deployment)
    };
    let deployment = tokio::select! {
        deployment = rehearsal => deployment?,
        () = signals.any() => {
            console.say("stopped");
            return Ok(ExitCode::FAILURE);
        }
    };
    if keep {
        console.plain(&deployed(&deployment));
        signals.any().await;
        return Ok(ExitCode::SUCCESS);
    }
    tokio::select! {
        deleted = deployment.delete() => deleted?,
        () = signals.any() => return Ok(ExitCode::FAILURE),
    }
    Ok(ExitCode::SUCCESS)
}

fn deployed(deployment: &Deployment) -> String {
    let mut lines = vec![String::new(), "Deployed. What answers where:".to_owned(), String::new()];
    lines.extend(deployment.addresses.services.iter().map(|(name, url)| format!("  {name:14} {url}")));
    lines.push(format!("  {:14} {}", "the API itself", deployment.api_url));
    lines.push(format!("  {:14} {}", "AWS emulator", deployment.cloud.endpoint));
    lines.push(String::new());
    lines.push("Ctrl-C ends it.".to_owned());
    lines.join("\n")
}

struct Signals([tokio::signal::unix::Signal; 3]);

impl Signals {
    fn new() -> Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self([on(SignalKind::interrupt())?, on(SignalKind::terminate())?, on(SignalKind::hangup())?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hang_up] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

fn ready(system: &System, reload: bool) -> String {
    let mut lines = vec![String::new(), "Ready. What runs where:".to_owned(), String::new()];
    let addresses = &system.addresses;
    let mut rows: Vec<_> = addresses.services.iter().collect();
    rows.sort_by_key(|(name, _)| system.ports.services.get(*name));
    lines.extend(rows.iter().map(|(name, url)| format!("  {name:14} {url}")));
    lines.push(format!("  {:14} {}", "all of them", addresses.watch));
    lines.push(format!("  {:14} {}", "AWS emulator", addresses.emulator));
    lines.push(String::new());
    lines.push(
        "Try, in another terminal, with the access_token that the first command shows in place of <token>:"
            .to_owned(),
    );
    lines.push(String::new());
    lines.extend(local::SESSION.map(|command| format!("  {command}")));
    lines.push(String::new());
    if let Some(url) = addresses.services.get(outbox::SERVICE) {
        lines.push(format!("Mail and SMS that were sent: {url}/"));
    }
    if let Some(url) = addresses.services.get(docs::SERVICE) {
        lines.push(format!("The API, to browse and try: {url}/docs/"));
    }
    if let Some(url) = addresses.services.get("analytics") {
        lines.push(format!("Figures, for an admin: {url}/analytics/dashboard"));
        lines.push("Shoppers that make some: cargo local simulate".to_owned());
    }
    if reload {
        lines.push("An edit under functions/ rebuilds and restarts the functions.".to_owned());
    }
    lines.push("Ctrl-C stops everything.".to_owned());
    lines.push(String::new());
    lines.join("\n")
}

fn emulator_ready(system: &System) -> String {
    [
        String::new(),
        format!(
            "The AWS emulator is ready at {}, with tables, secrets and demo data.",
            system.addresses.emulator
        ),
        "Run the functions in another terminal, in the root of the repository:".to_owned(),
        String::new(),
        "  cargo build --bins".to_owned(),
        "  PATH=\"$PWD/target/local/tools/bin:$PATH\" cargo lambda watch".to_owned(),
        String::new(),
        "Ctrl-C stops the emulator.".to_owned(),
        String::new(),
    ]
    .join("\n")
}

//! The whole system, started and stopped: what `cargo local` shows and what the end-to-end tests test.

use std::collections::BTreeMap;
use std::fs;
use std::future::pending;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow, bail};
use axum::Router;
use serde::{Deserialize, Serialize};
use template::{Function, Template};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinSet;

use crate::delivery::{self, Delivery};
use crate::emulator::Emulator;
use crate::gateway::{self, Callee, Distribution, Table, Target};
use crate::keys::Keys;
use crate::logs::Console;
use crate::ports::Ports;
use crate::process::Guard;
use crate::provision::provision;
use crate::seed;
use crate::tools::Tools;
use crate::watch::{self, Environment, Settings, Watch};
use crate::workspace::Workspace;
use crate::{docs, outbox};

/// What to start, and where.
#[derive(Clone)]
pub struct Options {
    /// The repository.
    pub workspace: Workspace,
    /// What guards the processes; `None`: the workspace's `local` binary, once it is built.
    pub guard: Option<Guard>,
    /// Where messages and logs go.
    pub console: Console,
    /// Where to answer.
    pub ports: PortChoice,
    /// Where the emulator's data, its log and the next key are kept.
    pub state: PathBuf,
    /// Where the key pair is.
    pub keys: PathBuf,
    /// The file that the functions' environment is written to.
    pub environment_file: PathBuf,
    /// Most instances of one function.
    pub concurrency: u16,
    /// Whether edits rebuild and restart the functions.
    pub reload: bool,
    /// Whether to forget the state first.
    pub reset: bool,
    /// How much of the system to start.
    pub scope: Scope,
    /// Values for parameters of the template, by name; the others have their defaults, but for those of [`template`].
    pub parameters: BTreeMap<String, String>,
}

/// Where a system answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// On the documented ports.
    Documented,
    /// On ports that nobody uses.
    Free,
}

/// How much of the system to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    Everything,
    /// The emulator with its tables, secrets and data, without the functions.
    Emulator,
}

impl Options {
    /// What `cargo local` starts.
    pub fn documented(workspace: Workspace) -> Result<Self> {
        let local = workspace.local();
        Ok(Self {
            guard: Some(Guard::this_program()?),
            console: Console::terminal(),
            ports: PortChoice::Documented,
            state: local.join("state"),
            keys: workspace.root.join("keys"),
            environment_file: local.join("functions.env"),
            concurrency: 4,
            reload: true,
            reset: false,
            scope: Scope::Everything,
            parameters: BTreeMap::new(),
            workspace,
        })
    }

    /// A system of a test's own: free ports, and everything that it writes in `directory`. The log is `system.log` there.
    pub fn private(workspace: Workspace, directory: &Path, concurrency: u16) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        Ok(Self {
            workspace,
            guard: None,
            console: Console::file(&directory.join("system.log"))?,
            ports: PortChoice::Free,
            state: directory.join("state"),
            keys: directory.join("keys"),
            environment_file: directory.join("functions.env"),
            concurrency,
            reload: false,
            reset: false,
            scope: Scope::Everything,
            parameters: BTreeMap::new(),
        })
    }
}

/// Where a running system answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Addresses {
    /// Each service's own URL, by function name, without a trailing slash.
    pub services: BTreeMap<String, String>,
    /// `cargo lambda watch`: all paths, and `/2015-03-31/functions/{name}/invocations`.
    pub watch: String,
    /// The AWS emulator.
    pub emulator: String,
    /// The environment of the functions, with which a test reaches the same tables.
    pub environment: Environment,
}

/// A running system. Dropping it stops everything at once; [`System::stop`] is kinder.
pub struct System {
    /// Where it answers.
    pub addresses: Addresses,
    /// Its ports.
    pub ports: Ports,
    /// Its tools.
    pub tools: Tools,
    // Stopped in this order: who asks before who answers.
    gateways: JoinSet<Result<()>>,
    watch: Option<Watch>,
    functions: Vec<Function>,
    /// Whether all functions are alive.
    doubt: Arc<Notify>,
    delivery: JoinSet<Result<()>>,
    stop_delivery: Option<oneshot::Sender<()>>,
    emulator: Emulator,
}

impl System {
    /// Starts it; returns when every function has answered once.
    pub async fn start(options: Options) -> Result<Self> {
        let Options { workspace, console, state, .. } = &options;
        let template = template(workspace, &options.parameters)?;
        let ports = match options.ports {
            PortChoice::Documented => Ports::documented(&template),
            PortChoice::Free => Ports::free(&template)?,
        };
        match options.scope {
            Scope::Everything => ports.check()?,
            Scope::Emulator => ports.check_emulator()?,
        }
        if options.reset {
            forget(state)?;
        }
        let guard = if let Some(guard) = &options.guard {
            guard.clone()
        } else {
            watch::build(workspace, None).await?;
            Guard::at(workspace.binary("local"))
        };
        let tools = Tools::install(workspace, &guard, console).await?;
        let keys = Keys::load_or_make(&options.keys, state)?;
        if options.scope == Scope::Everything && options.guard.is_some() {
            console.say("building the functions (the first time takes a few minutes)");
            watch::build(workspace, Some(&guard)).await?;
        }
        console.say("starting the AWS emulator");
        let emulator = Emulator::start(&guard, &tools, ports.emulator, state).await?;
        console.say("creating tables, queues and secrets as template.yaml declares them");
        let services = urls(&ports);
        // Who issues tokens, and for whom: a client that knows this URL alone finds the rest.
        let issuer = services.get("auth").context("the template has no function auth with a port")?;
        provision(&template, &keys, issuer, &emulator.url, state).await?;
        let mut environment = watch::environment(template.functions(), &emulator.url)?;
        if options.ports == PortChoice::Documented {
            // Lines of metrics, one for each request, are for CloudWatch: people could not read their terminal.
            environment.remove("METRICS_NAMESPACE");
        }
        watch::write_environment(&options.environment_file, &environment)?;
        seed::seed(&environment).await.context("cannot write the demo data")?;

        let addresses = Addresses {
            services,
            watch: format!("http://127.0.0.1:{}", ports.watch),
            emulator: emulator.url.clone(),
            environment,
        };
        let mut system = Self {
            addresses,
            ports,
            tools,
            gateways: JoinSet::new(),
            watch: None,
            functions: Vec::new(),
            doubt: Arc::default(),
            delivery: JoinSet::new(),
            stop_delivery: None,
            emulator,
        };
        if options.scope == Scope::Everything {
            system.start_functions(&options, &guard, &template).await?;
        }
        Ok(system)
    }

    async fn start_functions(&mut self, options: &Options, guard: &Guard, template: &Template) -> Result<()> {
        let Options { workspace, console, state, .. } = options;
        console.say(&format!(
            "starting {} functions, up to {} instances of each",
            template.functions().len(),
            options.concurrency
        ));
        self.functions = template.functions().to_vec();
        let distribution = Distribution::of(&self.addresses.environment).await?;
        let settings = Settings {
            workspace: workspace.clone(),
            guard: guard.clone(),
            tools: self.tools.clone(),
            console: console.clone(),
            port: self.ports.watch,
            concurrency: options.concurrency,
            reload: options.reload,
            environment_file: options.environment_file.clone(),
            empty: workspace.local().join("empty"),
            distribution: distribution.clone(),
        };
        let watch = self.watch.insert(Watch::start(settings)?);
        watch.warm_up(&self.functions).await.context("a function cannot run")?;
        let routes = Arc::new(Table::new(template.functions()));
        let default = template.default_route().context("template.yaml has no $default route")?;
        let default = Callee { function: default.name.clone(), timeout: default.timeout };
        let cors = template.cors()?.map(|cors| gateway::cors::layer(&cors)).transpose()?;
        for (name, port) in &self.ports.services {
            let pages = match name.as_str() {
                outbox::SERVICE => outbox::pages(&self.emulator.url)?,
                docs::SERVICE => docs::pages(),
                _ => Router::new(),
            };
            let target = Target {
                default: default.clone(),
                routes: Arc::clone(&routes),
                watch_url: watch.url.clone(),
                doubt: Arc::clone(&self.doubt),
                cors: cors.clone(),
                distribution: distribution.clone(),
                pages,
            };
            let listeners = gateway::listen(*port).await;
            let listeners = listeners.with_context(|| format!("cannot answer on port {port} for {name}"))?;
            self.gateways.spawn(gateway::serve(listeners, target, pending()));
        }
        let remembered = remembered(state);
        fs::create_dir_all(&remembered).context("cannot create a directory")?;
        let delivery = Delivery::new(template, &self.emulator.url, &watch.url, &remembered)?;
        let (stop, stopped) = oneshot::channel();
        self.stop_delivery = Some(stop);
        self.delivery.spawn(delivery::run(delivery, async {
            let _told_or_dropped = stopped.await;
        }));
        Ok(())
    }

    /// Stops everything, and first writes down which stream records are not delivered yet: the emulator forgets them.
    pub async fn stop(mut self) {
        self.gateways.shutdown().await;
        drop(self.watch.take());
        drop(self.stop_delivery.take());
        while let Some(ended) = self.delivery.join_next().await {
            if let Err(error) = ended.map_err(Into::into).flatten() {
                tracing::warn!("some events may never be delivered: {error:#}");
            }
        }
    }

    /// Waits until something that must not end does, and says what. Functions that were killed are brought back meanwhile.
    pub async fn failed(&mut self) -> anyhow::Error {
        let watch = async {
            match &mut self.watch {
                Some(watch) => watch.keep_up(&self.functions, &self.doubt).await,
                None => pending().await,
            }
        };
        let task = async {
            let ended = tokio::select! {
                Some(ended) = self.gateways.join_next() => ended,
                Some(ended) = self.delivery.join_next() => ended,
                else => pending().await,
            };
            ended.map_err(Into::into).flatten()
        };
        let (what, status) = tokio::select! {
            ended = task => return match ended {
                Ok(()) => anyhow!("a part of the local run ended"),
                Err(error) => error,
            },
            status = watch => ("cargo lambda watch", status),
            status = self.emulator.child.wait() => ("the AWS emulator", status),
        };
        match status {
            Ok(status) => anyhow!("{what} ended unexpectedly ({status})"),
            Err(error) => error,
        }
    }

    /// Runs a system on a thread of its own, for tests, each of which has its own runtime.
    pub fn in_background(options: Options) -> Result<Background> {
        let (started, wait_for_start) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return started.send(Err(error.into())).unwrap_or_default(),
            };
            let console = options.console.clone();
            let _logs_here = tracing::subscriber::set_default(options.console.subscriber());
            runtime.block_on(async move {
                match Self::start(options).await {
                    Err(error) => started.send(Err(error)).unwrap_or_default(),
                    Ok(mut system) => {
                        started.send(Ok(system.addresses.clone())).unwrap_or_default();
                        let until_it_fails = async {
                            console.say(&format!("error: {:#}", system.failed().await));
                            pending::<()>().await;
                        };
                        tokio::select! {
                            _told_or_forgotten = stopped => {}
                            () = until_it_fails => {}
                        }
                        system.stop().await;
                    }
                }
            });
        });
        let addresses = wait_for_start.recv().context("the system's thread panicked")??;
        Ok(Background { addresses, stop: Some(stop), thread: Some(thread) })
    }
}

/// The environment of the functions of the system on the documented ports.
pub fn documented_environment(workspace: &Workspace) -> Result<Environment> {
    let template = template(workspace, &BTreeMap::new())?;
    let emulator = format!("http://127.0.0.1:{}", Ports::documented(&template).emulator);
    watch::environment(template.functions(), &emulator)
}

/// Each service's URL on the documented ports, by function name.
pub fn documented_urls(workspace: &Workspace) -> Result<BTreeMap<String, String>> {
    let template = template(workspace, &BTreeMap::new())?;
    Ok(urls(&Ports::documented(&template)))
}

/// Each service's URL on these ports.
pub(crate) fn urls(ports: &Ports) -> BTreeMap<String, String> {
    let services = ports.services.iter();
    services.map(|(name, port)| (name.clone(), format!("http://localhost:{port}"))).collect()
}

/// The template with the defaults of the local run (the demo login exists only here), unless `parameters` say otherwise.
pub(crate) fn template(workspace: &Workspace, parameters: &BTreeMap<String, String>) -> Result<Template> {
    let defaults = [("DemoLogin", "enabled"), ("DeletionProtection", "false")];
    let mut all = BTreeMap::from(defaults.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all.extend(parameters.clone());
    Template::load(&workspace.root, &all)
}

/// A system that runs on its own thread until this is dropped.
#[derive(Debug)]
pub struct Background {
    /// Where it answers.
    pub addresses: Addresses,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// A system that somebody else runs, and described in this file as JSON: dropping this leaves it alone.
    pub fn attached(file: &Path) -> Result<Self> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let addresses =
            serde_json::from_slice(&text).with_context(|| format!("{} is no description", file.display()))?;
        Ok(Self { addresses, stop: None, thread: None })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Where the delivery remembers what it delivered.
pub(crate) fn remembered(state: &Path) -> PathBuf {
    state.join("delivery")
}

fn forget(state: &Path) -> Result<()> {
    match fs::remove_dir_all(state) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            bail!("cannot delete {}: {error}", state.display())
        }
        _ => Ok(()),
    }
}

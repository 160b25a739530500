//! The rehearsal of a deployment, `cargo local deploy`: `template.yaml` is built with `sam build` and deployed with
//! `sam deploy`, as on AWS, but into an emulator that enforces IAM, with the real release binaries behind the emulated HTTP
//! API. What the emulator cannot do is listed in infra/local/README.md and closed from outside: [`alter`], [`routes`].

mod alter;
mod build;
mod calls;
mod cloud;
mod fixture;
mod front;
mod least_privilege;
mod logs;
mod routes;
mod runbooks;
mod stack;
mod step;
pub mod suite;
mod upgrade;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::Client;
use template::Template;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::delivery::{self, Delivery};
use crate::deploy::calls::Recorder;
use crate::deploy::cloud::Cloud;
use crate::deploy::front::Api;
use crate::deploy::stack::Stack;
use crate::logs::Console;
use crate::ports::Ports;
use crate::process::Guard;
use crate::provision::{Wire, senders};
use crate::seed;
use crate::system::{self, Addresses};
use crate::tools::{DeployTools, lock};
use crate::workspace::Workspace;

/// The stack's name.
pub const STACK: &str = "rehearsal";
/// Values of the template's parameters that differ from their defaults.
const PARAMETERS: [(&str, &str); 4] = [
    ("Stage", "dev"),
    ("DemoLogin", "enabled"),
    ("DeletionProtection", "false"),
    ("Architecture", ARCHITECTURE),
];
/// This machine's processor, which is what the functions run on here.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };

/// What the functions log, in the rehearsal's directory.
const LOG: &str = "system.log";

/// What to deploy, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The repository.
    pub workspace: Workspace,
    /// What guards the processes.
    pub guard: Guard,
    /// Where messages go.
    pub console: Console,
    /// Whether to build first; otherwise the last build is deployed.
    pub build: bool,
    /// What the stack is before this version is deployed.
    pub before: Before,
}

/// What is deployed first, and then updated to this version.
#[derive(Debug, Clone)]
pub enum Before {
    /// Nothing: the stack is made anew.
    Nothing,
    /// The template of an older version, with the data that it wrote, from tests/fixtures/upgrade.
    Fixture,
    /// An older version.
    Revision {
        /// As git knows it.
        revision: String,
        /// Whether what it wrote becomes the fixture.
        record: bool,
    },
}

/// A deployed stack in a running emulator. Dropping it stops the emulator, and with it all that was deployed.
#[derive(Debug)]
pub struct Deployment {
    /// What was asked for.
    pub options: Options,
    /// The emulator.
    pub cloud: Cloud,
    /// What CloudFormation says of the stack.
    pub stack: Stack,
    /// The public URL, as CloudFormation tells it.
    pub api_url: String,
    /// Where it answers on this machine, as a local run would: the services' ports lead to the API, and the one of all
    /// functions to Lambda.
    pub addresses: Addresses,
    ports: Ports,
    recorder: Arc<Mutex<Recorder>>,
    background: JoinSet<Result<()>>,
    /// Two would share the directory.
    _lock: File,
}

/// A version of the system, built.
struct Version {
    /// Where `template.yaml` is.
    root: PathBuf,
    template: Template,
    /// The template that `sam build` wrote.
    built: PathBuf,
}

impl Version {
    fn new(workspace: &Workspace, built: PathBuf) -> Result<Self> {
        let template = system::template(workspace, &BTreeMap::new())?;
        Ok(Self { root: workspace.root.clone(), template, built })
    }
}

impl Deployment {
    /// Builds, deploys and seeds.
    pub async fn start(options: Options) -> Result<Self> {
        let Options { workspace, guard, console, .. } = &options;
        let directory = directory(workspace);
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let lock = lock(&directory.join("lock"), "waiting for another rehearsal to end", console).await?;
        let tools = DeployTools::install(workspace, guard, console).await?;
        if options.build {
            console.say("sam build (the first time takes some minutes)");
            build::build(workspace, guard, &tools, &workspace.root, &build::directory(workspace)).await?;
        }
        let version = Version::new(workspace, build::built(&build::directory(workspace)))?;
        let ports = Ports::free(&version.template)?;
        console.say("starting the AWS emulator, which enforces IAM");
        let cloud = Cloud::start(&options, tools, &directory).await?;
        let addresses = Addresses {
            services: system::urls(&ports),
            watch: format!("http://127.0.0.1:{}", ports.watch),
            emulator: cloud.endpoint.clone(),
            environment: BTreeMap::new(),
        };
        let recorder = Arc::new(Mutex::new(Recorder::new(&cloud)?));
        let mut deployment = Self {
            options,
            cloud,
            stack: Stack::default(),
            api_url: String::new(),
            addresses,
            ports,
            recorder,
            background: JoinSet::new(),
            _lock: lock,
        };
        upgrade::run(&mut deployment, &version).await?;
        seed::seed(&deployment.addresses.environment).await.context("cannot write the demo data")?;
        suite::describe(&deployment).await?;
        Ok(deployment)
    }

    /// Deploys this version, over the one that is deployed if there is one.
    async fn update(&mut self, Version { template, built, .. }: &Version) -> Result<()> {
        self.background.shutdown().await;
        let issuer = self.addresses.services.get("auth");
        let issuer = issuer.context("the template has no function auth with a port")?;
        let deployable = alter::for_the_emulator(built, issuer)?;
        self.options.console.say("sam deploy");
        self.cloud.deploy(&deployable, STACK, &PARAMETERS).await?;
        self.stack = self.cloud.describe(STACK).await?;
        routes::import(&self.cloud, &self.stack, template).await?;
        self.addresses.environment = self.cloud.environment(&self.stack).await?;
        let wire = Wire::new(&self.cloud.endpoint)?;
        for sender in senders(template) {
            // What somebody does by hand before the first deployment: SES sends from verified identities only.
            wire.put_email_identity(sender).await?;
        }
        self.stack.output("ApiUrl")?.clone_into(&mut self.api_url);
        let directory = directory(&self.options.workspace);
        self.recorder
            .lock()
            .await
            .follow(&self.cloud, &self.stack, &functions(&self.stack, template)?)
            .await?;
        self.record_calls();
        self.open_ports(template).await?;
        self.report_on_mails(template, &directory);
        self.collect_logs(template, &directory)
    }

    /// Asks every deployed service whether it is ready.
    pub async fn check(&self) -> Result<()> {
        let client = Client::builder().no_proxy().build()?;
        for (service, url) in &self.addresses.services {
            let url = format!("{url}/{service}/ready");
            let answer = client.get(&url).send().await.with_context(|| format!("{url}: no answer"))?;
            let (status, text) = (answer.status(), answer.text().await?);
            if !status.is_success() {
                bail!("{service} is not ready: {status} {text}");
            }
        }
        Ok(())
    }

    /// Runs the end-to-end suite against it, follows the runbooks, and compares what the functions did with what they may do.
    pub async fn test(&self) -> Result<()> {
        suite::run(self).await?;
        runbooks::follow(self).await?;
        if let Before::Revision { revision, .. } = &self.options.before {
            let console = &self.options.console;
            console.say(&format!("policies are not compared with calls, of which some are of {revision}"));
            return Ok(());
        }
        let template = system::template(&self.options.workspace, &BTreeMap::new())?;
        let mut recorder = self.recorder.lock().await;
        let calls = recorder.look().await?;
        let log = fs::read_to_string(directory(&self.options.workspace).join(LOG))
            .context("cannot read the log")?;
        least_privilege::check(&template, calls, &log)?;
        let compared = format!("{} kinds of calls are what the policies allow, and all of it", calls.len());
        self.options.console.say(&compared);
        Ok(())
    }

    /// Deletes the stack, and fails when something is left that should not be.
    pub async fn delete(&self) -> Result<()> {
        self.options.console.say("sam delete");
        self.cloud.delete(STACK).await?;
        let retained = self.cloud.retained(&self.stack).await?;
        self.options.console.say(&format!(
            "the stack is deleted; its tables stay by their policy (DeletionPolicy: Retain): {}",
            retained.join(", ")
        ));
        Ok(())
    }

    /// The emulator takes mails, and never says what became of them.
    fn report_on_mails(&mut self, template: &Template, directory: &Path) {
        let Addresses { environment, emulator, watch, .. } = &self.addresses;
        let state = directory.join("state");
        let reports = Delivery::of_reports(template, environment, emulator, watch, &state);
        self.background.spawn(delivery::run(reports, std::future::pending()));
    }

    /// In between, because the emulator remembers a limited number.
    fn record_calls(&mut self) {
        let recorder = Arc::clone(&self.recorder);
        self.background.spawn(async move {
            loop {
                recorder.lock().await.look().await?;
                sleep(Duration::from_secs(1)).await;
            }
        });
    }

    /// Collects what the functions log into `system.log`.
    fn collect_logs(&mut self, template: &Template, directory: &Path) -> Result<()> {
        let endpoint = self.cloud.endpoint.clone();
        let group = self.stack.physical("FunctionLogs")?.to_owned();
        let functions = functions(&self.stack, template)?;
        let functions = functions.into_iter().map(|(here, there)| (there, here)).collect();
        let file = directory.join(LOG);
        self.background
            .spawn(async move { match logs::follow(&endpoint, &group, functions, &file).await? {} });
        Ok(())
    }

    async fn open_ports(&mut self, template: &Template) -> Result<()> {
        let api_id = self.stack.physical("Api")?;
        let functions = template.functions().iter();
        let functions = functions
            .map(|function| Ok((function.name.clone(), self.stack.invoked(&function.logical_id)?)))
            .collect::<Result<_>>()?;
        let api = Api::new(&self.cloud.endpoint, api_id, functions)?;
        for port in self.ports.services.values().chain([&self.ports.watch]) {
            let front = api.clone().listen(*port).await;
            self.background.spawn(front.with_context(|| format!("cannot answer on port {port}"))?);
        }
        Ok(())
    }
}

/// Where the rehearsal keeps its build, logs and state.
pub fn directory(workspace: &Workspace) -> PathBuf {
    workspace.local().join("deploy")
}

/// What each function is called in the stack, by its name here.
fn functions(stack: &Stack, template: &Template) -> Result<BTreeMap<String, String>> {
    let functions = template.functions().iter();
    let functions = functions
        .map(|function| Ok((function.name.clone(), stack.physical(&function.logical_id)?.to_owned())));
    functions.collect()
}

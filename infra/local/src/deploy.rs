//! The rehearsal of a deployment, `cargo local deploy`: `template.yaml` is built with `sam build` and deployed with
//! `sam deploy`, as on AWS, but into an emulator that enforces IAM, with the real release binaries behind the emulated HTTP
//! API. What the emulator cannot do is listed in infra/local/README.md and closed from outside: [`alter`], [`routes`].

mod alter;
mod build;
mod cloud;
mod front;
mod routes;
mod stack;
mod step;
pub mod suite;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use reqwest::Client;
use template::Template;
use tokio::task::JoinSet;

use crate::deploy::cloud::Cloud;
use crate::deploy::stack::Stack;
use crate::logs::Console;
use crate::ports::Ports;
use crate::process::Guard;
use crate::provision::{Wire, senders};
use crate::seed;
use crate::system::{self, Addresses};
use crate::tools::DeployTools;
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
    /// Where the functions find AWS; `None`: at the emulator itself. A recorder of their calls stands in between.
    pub functions_endpoint: Option<String>,
    /// Where the emulator answers; `None`: on a free port.
    pub emulator_port: Option<u16>,
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
    fronts: JoinSet<Result<()>>,
}

impl Deployment {
    /// Builds, deploys and seeds.
    pub async fn start(options: Options) -> Result<Self> {
        let Options { workspace, guard, console, .. } = &options;
        let directory = directory(workspace);
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let tools = DeployTools::install(workspace, guard, console).await?;
        if options.build {
            console.say("sam build (the first time takes some minutes)");
            build::build(workspace, guard, &tools, ARCHITECTURE).await?;
        }
        let template = system::template(workspace, &BTreeMap::new())?;
        let ports = Ports::free(&template)?;
        let services = system::urls(&ports);
        let issuer = services.get("auth").context("the template has no function auth with a port")?;
        let deployable = alter::for_the_emulator(&build::built(workspace), issuer)?;
        console.say("starting the AWS emulator, which enforces IAM");
        let cloud = Cloud::start(&options, tools, &directory).await?;
        console.say("sam deploy");
        cloud.deploy(&deployable, STACK, &PARAMETERS).await?;
        let stack = cloud.describe(STACK).await?;
        routes::import(&cloud, &stack, &template).await?;
        let addresses = Addresses {
            services,
            watch: format!("http://127.0.0.1:{}", ports.watch),
            emulator: cloud.endpoint.clone(),
            environment: cloud.environment(&stack).await?,
        };
        let wire = Wire::new(&cloud.endpoint)?;
        for sender in senders(&template) {
            // What somebody does by hand before the first deployment: SES sends from verified identities only.
            wire.put_email_identity(sender).await?;
        }
        let api_url = stack.output("ApiUrl")?.to_owned();
        let mut deployment = Self { options, cloud, stack, api_url, addresses, fronts: JoinSet::new() };
        deployment.open_ports(&template, &ports).await?;
        seed::seed(&deployment.addresses.environment).await.context("cannot write the demo data")?;
        Ok(deployment)
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

    /// Runs the end-to-end suite against it.
    pub async fn test(&self) -> Result<()> {
        suite::run(self).await
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

    async fn open_ports(&mut self, template: &Template, ports: &Ports) -> Result<()> {
        let api_id = self.stack.physical("Api")?;
        let functions = template.functions().iter();
        let functions = functions.map(|function| {
            Ok((function.name.clone(), self.stack.physical(&function.logical_id)?.to_owned()))
        });
        let functions = Arc::new(functions.collect::<Result<BTreeMap<_, _>>>()?);
        for port in ports.services.values().chain([&ports.watch]) {
            let front = front::listen(*port, &self.cloud.endpoint, api_id, Arc::clone(&functions)).await;
            self.fronts.spawn(front.with_context(|| format!("cannot answer on port {port}"))?);
        }
        Ok(())
    }
}

/// Where the rehearsal keeps its build, logs and state.
pub fn directory(workspace: &Workspace) -> PathBuf {
    workspace.local().join("deploy")
}

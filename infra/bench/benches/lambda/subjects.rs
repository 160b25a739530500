//! Which functions are measured with which events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bench::sandbox::{Program, Sandbox};
use serde_json::{Value, json};
use shared::testing::{ISSUER, Issuer, issuer};
use template::Template;

use crate::build::Built;
use crate::cloud::{Cloud, Tape};
use crate::event::{Body, event};
use crate::others::Other;
use crate::story::{NO_ID, Step, Story};

/// What is compared: functions that do the same, of which the first is the reference.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// What DynamoDB answers to all of them.
    pub(crate) tape: Tape,
    pub(crate) subjects: Vec<Subject>,
}

/// A function and the event that it gets, again and again.
#[derive(Debug)]
pub(crate) struct Subject {
    /// How the report calls it.
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) event: Vec<u8>,
    /// What it answers.
    pub(crate) status: u64,
}

/// All of them, and the AWS that they find.
#[derive(Debug)]
pub(crate) struct Subjects {
    pub(crate) cases: Vec<Case>,
    /// What is started again and again, of which the first is the reference.
    pub(crate) starts: Vec<Subject>,
    /// Every route.
    pub(crate) steps: Vec<Step>,
    /// What answers them, by service.
    pub(crate) programs: HashMap<String, Program>,
    /// Of binaries and of their zips, in bytes.
    pub(crate) sizes: BTreeMap<String, (u64, u64)>,
    pub(crate) cloud: Cloud,
}

impl Subjects {
    pub(crate) async fn new(
        root: &Path,
        built: &Built,
        others: &BTreeMap<&'static str, Other>,
    ) -> Result<Self> {
        let template = Template::load(root, &BTreeMap::new())?;
        let cloud = Cloud::start(&template, secrets(issuer())).await?;
        let make = Maker { template: &template, built, cloud: &cloud };
        let steps = Story::tell(&make).await?;
        let step = |route: &str| steps.iter().find(|step| step.route == route).context(route.to_owned());
        let profile = step("GET /profile")?;
        let no_id = step(NO_ID)?.event.clone();

        let yardstick = |name: &str, handler: &str| -> Result<Subject> {
            let program = make.yardstick(name, others.get(name), handler)?;
            Ok(Subject { name: name.to_owned(), program, event: profile.event.clone(), status: 200 })
        };
        let ours = |name: &str, event: &[u8], status| -> Result<Subject> {
            let (program, event) = (make.ours(name)?, event.to_vec());
            Ok(Subject { name: format!("**{name}**"), program, event, status })
        };
        let mut verify = vec![yardstick("floor", "")?, yardstick("bare", "")?, ours("user", &no_id, 400)?];
        let mut read = vec![yardstick("one_item", "")?, ours("user", &profile.event, 200)?];
        let mut starts = vec![yardstick("bare", "")?, yardstick("floor", "")?, yardstick("one_item", "")?];
        for (name, other) in others {
            verify.push(yardstick(name, "index.verify")?);
            starts.push(yardstick(name, "index.verify")?);
            if other.reads {
                read.push(yardstick(name, "index.item")?);
            }
        }
        for function in template.functions().iter().filter(|function| !function.routes.is_empty()) {
            if built.functions.contains_key(&function.name) {
                let ready = format!("/{}/ready", function.name);
                starts.push(ours(&function.name, &event("GET", &ready, None, &Body::None), 200)?);
            }
        }
        let cases = vec![
            Case {
                name: "A token is verified, and no database asked",
                tape: Tape::default(),
                subjects: verify,
            },
            Case { name: "One item is read", tape: profile.tape.clone(), subjects: read },
        ];
        let services: BTreeSet<_> = steps.iter().map(|step| step.service.clone()).collect();
        let program = |service: String| Ok((service.clone(), make.ours(&service)?));
        let programs = services.into_iter().map(program).collect::<Result<_>>()?;
        Ok(Self { cases, starts, steps, programs, sizes: built.sizes()?, cloud })
    }
}

/// Makes programs.
pub(crate) struct Maker<'a> {
    template: &'a Template,
    built: &'a Built,
    pub(crate) cloud: &'a Cloud,
}

impl Maker<'_> {
    /// Whether this function was built.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.built.functions.contains_key(name)
    }

    /// A function of the template, with the environment that it has there.
    pub(crate) fn ours(&self, name: &str) -> Result<Program> {
        let function = self.template.function(name).with_context(|| format!("no function {name}"))?;
        let executable = self.built.functions.get(name).with_context(|| format!("{name} was not built"))?;
        let mut environment: Vec<_> = function.environment.clone().into_iter().collect();
        environment.push(("AWS_ENDPOINT_URL".to_owned(), self.cloud.url.clone()));
        // As on AWS; beside an emulator it would be text.
        environment.push(("LOG_FORMAT".to_owned(), "json".to_owned()));
        Ok(Program {
            name: name.to_owned(),
            executable: executable.clone(),
            arguments: Vec::new(),
            environment,
        })
    }

    fn yardstick(&self, name: &str, other: Option<&Other>, handler: &str) -> Result<Program> {
        let (executable, mut arguments, task_root) = match other {
            Some(other) => (&other.executable, other.arguments.clone(), other.task_root.as_path()),
            None => (self.built.yardsticks.get(name).context(name.to_owned())?, Vec::new(), Path::new("/")),
        };
        if !arguments.is_empty() {
            arguments.push(handler.to_owned());
        }
        let environment = [
            ("PUBLIC_KEY", issuer().public_pem()),
            ("ISSUER", ISSUER.to_owned()),
            ("AWS_ENDPOINT_URL", self.cloud.url.clone()),
            ("USER_TABLE", "UserTable".to_owned()),
            // Whoever it is: DynamoDB answers from the tape.
            ("USER_ID", "01a204a4-f0d2-737e-a0ed-82493bcbe842".to_owned()),
            ("_HANDLER", handler.to_owned()),
            ("LAMBDA_TASK_ROOT", task_root.display().to_string()),
            // Where Python looks for a handler.
            ("PYTHONPATH", task_root.display().to_string()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).into();
        Ok(Program { name: name.to_owned(), executable: executable.clone(), arguments, environment })
    }
}

/// What the function answers to a request, which must have that status.
pub(crate) async fn ask(sandbox: &mut Sandbox, event: &[u8], status: u64) -> Result<Value> {
    let answer = sandbox.invoke(event).await?.response;
    let answer: Value = serde_json::from_slice(&answer)?;
    // One that refuses does little, and would look good.
    ensure!(answer["statusCode"] == status, "answered {answer} instead of {status}");
    Ok(serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default())
}

/// The secrets that the template declares, by their logical ids, as the bootstrap function would have made them.
fn secrets(issuer: &Issuer) -> HashMap<String, String> {
    let published = issuer.public();
    let key = json!({"kid": published.kid, "alg": published.alg, "private_key": issuer.private_pem()});
    [
        ("VerificationKeysSecret", json!(issuer.verification_keys())),
        ("SigningKeySecret", json!({"current": key, "next": key})),
        ("UnsubscribeSecret", json!({"current": "k".repeat(64)})),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .into()
}

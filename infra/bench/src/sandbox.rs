//! A function in the place where Lambda would run it: a process, and the Runtime API that it asks for events.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::{Connection, Request};

/// How long anything may take before it is taken for dead.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often to see whether it is.
const LOOK: Duration = Duration::from_millis(500);

/// How long an invocation may take, as the function is told.
const DEADLINE: Duration = Duration::from_secs(30);

const PREFIX: &str = "/2018-06-01/runtime/";
const ACCEPTED: &str = "202 Accepted";
const ARN: &str = "arn:aws:lambda:eu-central-1:000000000000:function:bench";
const TRACE: &str = "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Sampled=0";

/// What is started as a function.
#[derive(Debug, Clone)]
pub struct Program {
    /// What it is called.
    pub name: String,
    /// The executable.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment besides what Lambda sets.
    pub environment: Vec<(String, String)>,
}

/// A running function, which waits for an event.
#[derive(Debug)]
pub struct Sandbox {
    process: Process,
    clock: ClockId,
    calls: mpsc::UnboundedReceiver<Call>,
    /// Where the function waits for its next event.
    next: oneshot::Sender<Event>,
    invocations: u64,
    _api: JoinSet<()>,
}

/// Ends with its owner.
#[derive(Debug)]
struct Process(Child);

/// What starting took.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Until the function asked for its first event.
    pub wall: Duration,
    /// Of the processor, by the whole process.
    pub cpu: Duration,
}

/// An event that was handled.
#[derive(Debug)]
pub struct Invocation {
    /// From the event's first byte to the response's last.
    pub latency: Duration,
    /// What the function answered.
    pub response: Vec<u8>,
}

#[derive(Debug)]
struct Event {
    id: String,
    body: Vec<u8>,
}

/// What the function asks of the Runtime API.
#[derive(Debug)]
enum Call {
    Next(oneshot::Sender<Event>),
    Response { id: String, body: Vec<u8>, at: Instant },
    Error(String),
}

impl Sandbox {
    /// Starts a function and waits until it asks for its first event.
    pub async fn start(program: &Program) -> Result<(Self, Start)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
        let address = listener.local_addr()?;
        let (sender, mut calls) = mpsc::unbounded_channel();
        let mut api = JoinSet::new();
        api.spawn(serve(listener, sender));
        let mut command = Command::new(&program.executable);
        command
            .args(&program.arguments)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &program.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", program.name))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_DEFAULT_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_SESSION_TOKEN", "test")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("TZ", ":UTC")
            .env("LANG", "en_US.UTF-8")
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        let begun = Instant::now();
        let mut process = Process(
            command.spawn().with_context(|| format!("cannot start {}", program.executable.display()))?,
        );
        let clock = clock_getcpuclockid(process.id()?).context("the process has no clock")?;
        let next = match process.call(&mut calls).await? {
            Call::Next(next) => next,
            other => bail!("{} cannot start: {other:?}", program.name),
        };
        let wall = begun.elapsed();
        let sandbox = Self { process, clock, calls, next, invocations: 0, _api: api };
        let cpu = sandbox.settled_cpu().await?;
        Ok((sandbox, Start { wall, cpu }))
    }

    /// Has an event handled; the function asks for the next one afterwards.
    pub async fn invoke(&mut self, event: &[u8]) -> Result<Invocation> {
        self.invocations += 1;
        let id = format!("00000000-0000-4000-8000-{:012x}", self.invocations);
        let (gone, _) = oneshot::channel();
        let next = std::mem::replace(&mut self.next, gone);
        let begun = Instant::now();
        if next.send(Event { id: id.clone(), body: event.to_vec() }).is_err() {
            bail!("the function waits for no event");
        }
        let mut invocation = None;
        loop {
            match self.process.call(&mut self.calls).await? {
                Call::Response { id: answered, body, at } if answered == id => {
                    invocation = Some(Invocation { latency: at - begun, response: body });
                }
                Call::Next(next) => {
                    self.next = next;
                    return invocation
                        .context("the function asks for an event and has not answered the one before");
                }
                Call::Error(error) => bail!("the function failed: {error}"),
                Call::Response { id, .. } => bail!("the function answers {id}, which was not asked"),
            }
        }
    }

    /// Asks the function to end (SIGTERM) and waits until it has.
    pub async fn terminate(mut self) -> Result<()> {
        kill(self.process.id()?, Signal::SIGTERM).context("the process is gone")?;
        while self.process.0.try_wait()?.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// What the whole process took of the processor so far.
    pub fn cpu(&self) -> Result<Duration> {
        Ok(self.clock.now().context("the process is gone")?.into())
    }

    /// The same, once it does nothing any more.
    async fn settled_cpu(&self) -> Result<Duration> {
        let mut cpu = self.cpu()?;
        for _ in 0..20 {
            sleep(Duration::from_millis(1)).await;
            let now = self.cpu()?;
            if now == cpu {
                break;
            }
            cpu = now;
        }
        Ok(cpu)
    }

    /// The most memory that it ever had, in bytes: `VmHWM` of proc(5).
    pub fn peak_memory(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    /// The memory that it has, in bytes: `VmRSS` of proc(5).
    pub fn memory_now(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    fn memory(&self, what: &str) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(what)).context("no such line")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }
}

impl Process {
    fn id(&self) -> Result<Pid> {
        Ok(Pid::from_raw(i32::try_from(self.0.id())?))
    }

    /// What the function asks next; an error where it ended instead.
    async fn call(&mut self, calls: &mut mpsc::UnboundedReceiver<Call>) -> Result<Call> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Ok(call) = timeout(LOOK, calls.recv()).await {
                return call.context("the Runtime API is gone");
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("the function ended: {status}");
            }
        }
        bail!("the function asks and answers nothing")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail where it was waited for already, which nobody does.
        let _killed = self.0.kill();
        let _status = self.0.wait();
    }
}

async fn serve(listener: TcpListener, calls: mpsc::UnboundedSender<Call>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let calls = calls.clone();
        connections.spawn(async move {
            if let Err(error) = converse(stream, &calls).await {
                // Nobody listens once the sandbox is gone.
                let _heard = calls.send(Call::Error(format!("{error:#}")));
            }
        });
    }
}

/// Answers what the function asks over one connection.
async fn converse(stream: TcpStream, calls: &mpsc::UnboundedSender<Call>) -> Result<()> {
    let mut connection = Connection::new(stream)?;
    while let Some(Request { method, target, body, .. }) = connection.read().await? {
        let path =
            target.strip_prefix(PREFIX).with_context(|| format!("{target} is not of the Runtime API"))?;
        let segments: Vec<_> = path.split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["invocation", "next"]) => {
                let (sender, receiver) = oneshot::channel();
                calls.send(Call::Next(sender))?;
                let event: Event = receiver.await?;
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the function compares it with the system's clock"
                )]
                let deadline = SystemTime::now().duration_since(UNIX_EPOCH)? + DEADLINE;
                let headers = [
                    ("Content-Type", "application/json"),
                    ("Lambda-Runtime-Aws-Request-Id", event.id.as_str()),
                    ("Lambda-Runtime-Deadline-Ms", &deadline.as_millis().to_string()),
                    ("Lambda-Runtime-Invoked-Function-Arn", ARN),
                    ("Lambda-Runtime-Trace-Id", TRACE),
                ];
                connection.write("200 OK", &headers, &event.body).await?;
            }
            ("POST", ["invocation", id, "response"]) => {
                let at = Instant::now();
                calls.send(Call::Response { id: (*id).to_owned(), body, at })?;
                connection.write(ACCEPTED, &[], br#"{"status":"OK"}"#).await?;
            }
            ("POST", ["invocation", _, "error"] | ["init", "error"]) => {
                calls.send(Call::Error(String::from_utf8_lossy(&body).into_owned()))?;
                connection.write(ACCEPTED, &[], br#"{"status":"OK"}"#).await?;
            }
            _ => bail!("{method} {target} is not of the Runtime API"),
        }
    }
    Ok(())
}

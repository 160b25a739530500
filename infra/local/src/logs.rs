//! What is shown while the system runs: our own messages and the functions' logs, one prefix per function, one colour per
//! service.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write, stdout};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::sync::mpsc::UnboundedSender;

/// Prefix of our own messages.
const OURS: &str = "local";
/// Prefix of what cargo and `cargo lambda watch` say.
pub(crate) const WATCH: &str = "watch";
/// As wide as the longest function's name.
const WIDTH: usize = 19;
/// ANSI colours of the services, in order of appearance; red is left for trouble.
const COLOURS: [u8; 10] = [36, 32, 33, 35, 34, 96, 92, 93, 95, 94];
/// What the functions log when they give up at start (`shared::run`).
const CANNOT_RUN: &str = "the function cannot run";
/// What `cargo lambda watch` logs when somebody killed an instance.
const KILLED: &str = "command killed";

/// What the output of `cargo lambda watch` tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A function cannot run, and why.
    CannotRun(String),
    /// The process of an instance was killed; whose is not said.
    Killed,
}

/// Where lines go. Clones share it.
#[derive(Clone)]
pub struct Console(Arc<Inner>);

struct Inner {
    colour: bool,
    services: Mutex<Vec<String>>,
    sink: Mutex<Box<dyn Write + Send>>,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Console")
    }
}

impl Console {
    /// Standard output, coloured if it is a terminal and `NO_COLOR` (<https://no-color.org>) is unset or empty.
    pub fn terminal() -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self::new(stdout().is_terminal() && !no_colour, Box::new(stdout()))
    }

    /// A file, for tests.
    pub fn file(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self::new(false, Box::new(file)))
    }

    fn new(colour: bool, sink: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Inner { colour, services: Mutex::default(), sink: Mutex::new(sink) }))
    }

    /// A message of ours.
    pub fn say(&self, message: &str) {
        for line in message.lines() {
            self.line(OURS, line);
        }
    }

    /// A line of `whose`, a function's name or the like.
    pub fn line(&self, whose: &str, text: &str) {
        let line = if self.0.colour {
            format!("\x1b[{}m{whose:WIDTH$} |\x1b[0m {text}\n", self.colour_of(whose))
        } else {
            format!("{whose:WIDTH$} | {text}\n")
        };
        self.write(&line);
    }

    /// Text without a prefix, to copy from.
    pub fn plain(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    fn write(&self, text: &str) {
        let mut sink = self.0.sink.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody reads any more (`cargo local | head`): no reason to stop.
        let _closed = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
    }

    /// A service's functions (`payment`, `payment-reconciler`) share its colour.
    fn colour_of(&self, whose: &str) -> u8 {
        if whose == OURS {
            return 1;
        }
        let service = whose.split('-').next().unwrap_or(whose);
        let mut services = self.0.services.lock().unwrap_or_else(PoisonError::into_inner);
        let known = services.iter().position(|known| known == service);
        let index = known.unwrap_or_else(|| {
            services.push(service.to_owned());
            services.len() - 1
        });
        COLOURS[index % COLOURS.len()]
    }

    /// Shows what the gateway and the delivery log.
    pub fn subscriber(&self) -> impl tracing::Subscriber + Send + Sync + 'static {
        let console = self.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::INFO)
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .with_writer(move || Lines(console.clone()))
            .finish()
    }

    /// Shows what `cargo lambda watch` writes, until it ends: the functions' lines under their names. What it tells of dead
    /// functions goes to `news` too.
    pub async fn follow(self, output: impl AsyncRead + Unpin, news: UnboundedSender<News>) {
        let mut lines = BufReader::new(output).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let (whose, text) = attribute(line);
            if is_noise(whose, text) {
                continue;
            }
            self.line(whose, text);
            let told = if whose != WATCH && text.contains(CANNOT_RUN) {
                Some(News::CannotRun(format!("{whose}: {text}")))
            } else {
                (whose == WATCH && text.contains(KILLED)).then_some(News::Killed)
            };
            if let Some(told) = told {
                let _nobody_listens = news.send(told);
            }
        }
    }
}

/// Writes each event, which `tracing_subscriber` writes at once, as a message of ours.
struct Lines(Console);

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.say(String::from_utf8_lossy(text).trim_end());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `[auth] INFO …`: the functions put their names first, because `cargo lambda watch` mixes all their output.
fn attribute(line: &str) -> (&str, &str) {
    let named = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    match named {
        Some((name, text)) if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') => {
            (name, text)
        }
        _ => (WATCH, line),
    }
}

/// What `cargo lambda watch` and the Lambda runtime say about each instance that they start, and one complaint that is wrong:
/// watch looks for `env_file` of `Cargo.toml` where it runs, which is not the root, and keeps the file that we gave it.
fn is_noise(whose: &str, text: &str) -> bool {
    const OF_WATCH: [&str; 5] = [
        "INFO starting Runtime server",
        "INFO spawning function instance",
        "INFO starting lambda function instance",
        "INFO terminating",
        "ERROR failed to reload environment: invalid environment file",
    ];
    // An instance takes one request at a time, here as on AWS; the runtime would rather not.
    const OF_FUNCTIONS: &str = "WARN AWS_LAMBDA_MAX_CONCURRENCY is set to '1'";
    let text = text.trim_start();
    text.is_empty()
        || text.starts_with(OF_FUNCTIONS)
        || (whose == WATCH && OF_WATCH.iter().any(|noise| text.starts_with(noise)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_under_the_function_that_wrote_it() {
        assert_eq!(
            attribute("[payment-reconciler]  INFO paid id=1"),
            ("payment-reconciler", " INFO paid id=1")
        );
        assert_eq!(attribute("[[1, 2]] a list"), (WATCH, "[[1, 2]] a list"));
        assert_eq!(attribute("error: could not compile"), (WATCH, "error: could not compile"));
        assert!(is_noise(WATCH, " INFO spawning function instance function=\"auth\""));
        assert!(!is_noise("auth", "  INFO spawning function instance"));
    }

    #[test]
    fn functions_of_one_service_share_a_colour_and_services_differ() {
        let console = Console::new(true, Box::new(io::sink()));
        assert_eq!(console.colour_of("payment"), console.colour_of("payment-reconciler"));
        let services = ["auth", "user", "cart", "order", "payment", "notification", "analytics"];
        let mut colours: Vec<_> = services.iter().map(|service| console.colour_of(service)).collect();
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), services.len());
    }
}

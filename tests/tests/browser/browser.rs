//! Drives a headless Chromium over `WebDriver`, which is JSON over HTTP. Nothing of it outlives the test run.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use local::process::{Child, Guard};
use local::workspace::Workspace;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::{Instant, sleep};

/// How long a condition may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the specification says that an element's id is.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How somebody looks at a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    /// The width in CSS pixels.
    pub(crate) width: u32,
    /// Whether they prefer dark colours.
    pub(crate) dark: bool,
    /// The IANA name of where they are.
    pub(crate) time_zone: &'static str,
}

/// A page in a browser of its own.
#[derive(Debug)]
pub(crate) struct Page {
    http: reqwest::Client,
    session: String,
    name: &'static str,
    // Dropped last, and with it the browser.
    _driver: Child,
}

impl Page {
    /// Opens a page. `name` is that of its screenshots.
    pub(crate) async fn open(url: &str, view: View, name: &'static str) -> Self {
        let (driver, port) = start_driver().await;
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let driver_url = format!("http://127.0.0.1:{port}/session");
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "goog:chromeOptions": { "args": [
                "--headless=new",
                "--no-sandbox",
                "--disable-dev-shm-usage",
                "--disable-gpu",
                "--lang=en-US",
                // What a page wants from elsewhere it does not get, and the log tells.
                "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost",
            ] },
        } } });
        let answer = call(&http, Method::POST, &driver_url, &capabilities).await.expect("Chromium starts");
        let session = format!("{driver_url}/{}", answer["sessionId"].as_str().expect("a session"));
        let page = Self { http, session, name, _driver: driver };
        page.look(view).await;
        page.command(Method::POST, "/url", &json!({ "url": url })).await;
        page
    }

    /// Looks at it in another way.
    pub(crate) async fn look(&self, View { width, dark, time_zone }: View) {
        self.resize(width, 900).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        self.devtools("Emulation.setTimezoneOverride", json!({ "timezoneId": time_zone })).await;
    }

    async fn resize(&self, width: u32, height: u64) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What a script returns; it finds the arguments in `arguments`.
    pub(crate) async fn run(&self, script: &str, arguments: &[&str]) -> Value {
        self.command(Method::POST, "/execute/sync", &json!({ "script": script, "args": arguments })).await
    }

    /// Types into a field, in place of what is there.
    pub(crate) async fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        self.command(Method::POST, &format!("{element}/clear"), &json!({})).await;
        if !text.is_empty() {
            self.press(selector, text).await;
        }
    }

    /// Presses keys where the selected element has the focus: text, or `WebDriver`'s code points for others.
    pub(crate) async fn press(&self, selector: &str, keys: &str) {
        let element = self.find(selector).await;
        self.command(Method::POST, &format!("{element}/value"), &json!({ "text": keys })).await;
    }

    /// Clicks where an element is visible and nothing covers it.
    pub(crate) async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.command(Method::POST, &format!("{element}/click"), &json!({})).await;
    }

    /// The text of an element as it is shown: empty where it is hidden.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = "const element = document.querySelector(arguments[0]);
            return element.checkVisibility() ? element.innerText.trim() : ''";
        self.run(script, &[selector]).await.as_str().expect("text").to_owned()
    }

    /// Waits until an expression is true; fails when that takes too long.
    pub(crate) async fn until(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(&format!("return Boolean({expression})"), &[]).await != true {
            if Instant::now() > deadline {
                let (text, console) = (self.text("body").await, self.console().await);
                panic!("{expression} did not come true in {PATIENCE:?}: {text} {console:?}");
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fails when the page is wider than its window, wrote an error to the console, or wanted something from another host.
    pub(crate) async fn assert_sound(&self) {
        let widths = "return [document.documentElement.scrollWidth, innerWidth]";
        let widths = self.run(widths, &[]).await;
        assert!(widths[0].as_u64() <= widths[1].as_u64(), "the page is wider than its window: {widths}");
        assert_eq!(self.console().await, Vec::<String>::new(), "the console of {}", self.name);
        assert_eq!(self.elsewhere().await, Vec::<String>::new(), "what {} wanted from elsewhere", self.name);
    }

    /// The errors and warnings in the console since this was asked last.
    pub(crate) async fn console(&self) -> Vec<String> {
        let log = self.log("browser").await;
        let bad = log.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        bad.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The URLs outside of this machine that were asked for since this was asked last.
    async fn elsewhere(&self) -> Vec<String> {
        let log = self.log("performance").await;
        let messages = log.iter().filter_map(|entry| serde_json::from_str(entry["message"].as_str()?).ok());
        let urls = messages.filter_map(|message: Value| {
            let message = &message["message"];
            let is_request = ["Network.requestWillBeSent", "Network.webSocketCreated"]
                .contains(&message["method"].as_str()?);
            let url = message["params"]["request"]["url"].as_str().or(message["params"]["url"].as_str())?;
            let here = ["http://localhost:", "data:", "blob:"].iter().any(|start| url.starts_with(start));
            (is_request && !here).then(|| url.to_owned())
        });
        urls.collect()
    }

    async fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.command(Method::POST, "/se/log", &json!({ "type": kind })).await;
        log.as_array().expect("a log").clone()
    }

    /// Keeps a picture of the whole page under `target/`, for people to look at; returns where.
    pub(crate) async fn screenshot(&self, what: &str, view: View) -> PathBuf {
        let height = self.run("return document.documentElement.scrollHeight", &[]).await;
        self.resize(view.width, height.as_u64().unwrap_or(900).clamp(900, 12_000)).await;
        // Two frames later everything is drawn at the new size.
        let drawn = "const done = arguments[arguments.length - 1]; \
            requestAnimationFrame(() => requestAnimationFrame(() => done(true)))";
        self.command(Method::POST, "/execute/async", &json!({ "script": drawn, "args": [] })).await;
        let picture = self.command(Method::GET, "/screenshot", &Value::Null).await;
        let picture = STANDARD.decode(picture.as_str().expect("a picture")).expect("base64");
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser");
        std::fs::create_dir_all(&directory).unwrap();
        let scheme = if view.dark { "dark" } else { "light" };
        let file = directory.join(format!("{}-{what}-{}-{scheme}.png", self.name, view.width));
        std::fs::write(&file, picture).unwrap();
        self.resize(view.width, 900).await;
        file
    }

    /// Puts what is downloaded into an empty directory; returns which.
    pub(crate) async fn downloads(&self) -> PathBuf {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser/downloads").join(self.name);
        let _absent = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let behaviour = json!({ "behavior": "allow", "downloadPath": directory });
        self.devtools("Browser.setDownloadBehavior", behaviour).await;
        directory
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.command(Method::POST, "/goog/cdp/execute", &body).await
    }

    /// The path of an element.
    async fn find(&self, selector: &str) -> String {
        let body = json!({ "using": "css selector", "value": selector });
        let found = self.command(Method::POST, "/element", &body).await;
        format!("/element/{}", found[ELEMENT].as_str().expect("an element"))
    }

    async fn command(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.session);
        let answer = call(&self.http, method, &url, body).await;
        answer.unwrap_or_else(|error| panic!("{}: {path} {body}: {error}", self.name))
    }
}

async fn call(http: &reqwest::Client, method: Method, url: &str, body: &Value) -> Result<Value, Value> {
    let request = http.request(method, url);
    let request = if body.is_null() { request } else { request.json(body) };
    let response = request.send().await.expect("chromedriver answers");
    let good = response.status().is_success();
    let mut answer: Value = response.json().await.expect("JSON");
    let value = answer["value"].take();
    if good { Ok(value) } else { Err(value) }
}

/// On a port that nobody uses.
async fn start_driver() -> (Child, u16) {
    let guard = Guard::at(Workspace::find().unwrap().binary("local"));
    let mut command = guard.command("chromedriver");
    command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut driver = Child::spawn("chromedriver", command).unwrap();
    let output = driver.output().0.expect("a pipe");
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            let port = port.trim_end_matches('.').parse().expect("a port");
            // It goes on writing: somebody has to read.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (driver, port);
        }
    }
    panic!("this test needs chromedriver; on Debian: apt-get install chromium chromium-driver")
}

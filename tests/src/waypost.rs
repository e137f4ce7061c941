//! One running gateway: the real binary on free ports in a folder of its own, killed when dropped.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::binary::{self, free_address};
use crate::client::{Api, Reply, http};
use crate::mock_upstream::MockUpstream;
use crate::sandbox::Sandbox;
use crate::wait::eventually;

/// The app secret of gateways that speak to a mock.
pub const APP_SECRET: &str = "mock-app-secret-5d2c";
/// The upstream token of gateways that speak to a mock.
pub const UPSTREAM_TOKEN: &str = "mock-upstream-token-e83b";
/// Where standard output and standard error go, beside the data folder.
const OUTPUT: &str = "stdout.log";
const ERRORS: &str = "stderr.log";
/// How long one question whether it is ready may take.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// Starts whose ports were taken by somebody else in the meantime.
const STARTS_MAX: usize = 5;

/// How a gateway is started.
#[derive(Clone, Default)]
pub struct Options {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    folder: Option<Arc<TempDir>>,
    own_ports: bool,
    through: Vec<String>,
    in_own_mounts: bool,
}

impl Options {
    /// No configuration: sandbox and demo.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Uses a folder that exists; the data folder is `data` in it.
    #[must_use]
    pub fn folder(mut self, folder: &Arc<TempDir>) -> Self {
        self.folder = Some(Arc::clone(folder));
        self
    }

    /// The caller sets the listeners.
    #[must_use]
    pub fn own_ports(mut self) -> Self {
        self.own_ports = true;
        self
    }

    /// Is started by this program, which must become the gateway or keep its process id.
    #[must_use]
    pub fn through(mut self, words: &[&str]) -> Self {
        self.through = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Sees other mounts than we do: its data folder is looked at through its process.
    #[must_use]
    pub fn in_own_mounts(mut self) -> Self {
        self.in_own_mounts = true;
        self
    }

    /// Speaks to a real upstream at this address, with the demo organisation.
    #[must_use]
    pub fn upstream(self, url: &str) -> Self {
        self.env("WAYPOST_UPSTREAM__BASE_URL", url)
            .env("WAYPOST_UPSTREAM__ACCESS_TOKEN", UPSTREAM_TOKEN)
            .env("WAYPOST_PUBLIC_URL", "https://gateway.example.com")
            .env("WAYPOST_WEBHOOK__APP_SECRET", APP_SECRET)
            .env("WAYPOST_DEMO", "true")
    }

    /// The folder around the data folder.
    ///
    /// # Panics
    /// Where none was given yet.
    #[must_use]
    pub fn folder_path(&self) -> PathBuf {
        let folder = self.folder.as_ref().expect("it has a folder once it was started");
        folder.path().to_owned()
    }

    /// The data folder.
    ///
    /// # Panics
    /// Where none was given yet.
    #[must_use]
    pub fn data_path(&self) -> PathBuf {
        self.folder_path().join("data")
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// Where it does not become ready.
    pub async fn start(self) -> Waypost {
        let mut options = self;
        let folder = options.folder.clone().unwrap_or_else(new_folder);
        options.folder = Some(Arc::clone(&folder));
        for _ in 1..STARTS_MAX {
            match options.clone().try_start().await {
                Ok(waypost) => return waypost,
                Err(ended) if ended.errors.contains("in use") && !options.own_ports => {}
                Err(ended) => panic!("the gateway ended ({}): {}", ended.status, ended.errors),
            }
        }
        panic!("no free ports");
    }

    /// Starts it and waits until it is ready or has ended.
    ///
    /// # Errors
    /// With what it said, where it ended.
    ///
    /// # Panics
    /// Where it does neither.
    pub async fn try_start(self) -> Result<Waypost, Ended> {
        let mut waypost = self.spawn();
        let written_before = waypost.written_before;
        let ended = waypost.until_ready().await;
        match ended {
            None => Ok(waypost),
            Some(status) => {
                let errors = waypost.errors().split_off(written_before);
                Err(Ended { status, errors })
            }
        }
    }

    /// Starts it and waits for nothing.
    #[must_use]
    pub fn spawn(self) -> Waypost {
        let folder = self.folder.clone().unwrap_or_else(new_folder);
        let listen = self.env.get("WAYPOST_LISTEN").cloned();
        let listen = listen.unwrap_or_else(|| free_address().to_string());
        let sandbox = self.env.get("WAYPOST_SANDBOX__LISTEN").cloned();
        let sandbox = sandbox.unwrap_or_else(|| free_address().to_string());
        let written_before = read_lossy(&folder.path().join(ERRORS)).len();
        let child = self.command(folder.path(), &listen, &sandbox);
        let options = Self { folder: Some(Arc::clone(&folder)), ..self };
        Waypost {
            child,
            folder,
            url: format!("http://{listen}"),
            sandbox_url: format!("http://{sandbox}"),
            client: http(),
            written_before,
            options: options
                .env("WAYPOST_LISTEN", &listen)
                .env("WAYPOST_SANDBOX__LISTEN", &sandbox),
        }
    }

    fn command(&self, folder: &Path, listen: &str, sandbox: &str) -> Child {
        let binary = binary::path();
        let mut command = match self.through.split_first() {
            Some((program, words)) => {
                let mut command = Command::new(program);
                command.args(words).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WAYPOST_") {
                command.env_remove(name);
            }
        }
        let output = |name: &str| {
            let file = File::options().append(true).create(true).open(folder.join(name));
            Stdio::from(file.expect("the temporary folder can be written to"))
        };
        command
            .args(&self.args)
            .current_dir(folder)
            .env("WAYPOST_LISTEN", listen)
            .env("WAYPOST_SANDBOX__LISTEN", sandbox)
            .env("WAYPOST_DATA_DIR", folder.join("data"))
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(output(OUTPUT))
            .stderr(output(ERRORS));
        command.spawn().expect("the binary can be started")
    }
}

/// A folder that is removed when nobody holds it any more.
///
/// # Panics
/// Where there is no space for it.
#[must_use]
pub fn new_folder() -> Arc<TempDir> {
    let folder = tempfile::Builder::new().prefix("waypost-test-").tempdir();
    Arc::new(folder.expect("a temporary folder can be made"))
}

/// A process that ended instead of becoming ready.
#[derive(Debug)]
pub struct Ended {
    /// How it ended.
    pub status: ExitStatus,
    /// What it said on standard error since this start.
    pub errors: String,
}

/// A running gateway.
pub struct Waypost {
    child: Child,
    folder: Arc<TempDir>,
    url: String,
    sandbox_url: String,
    client: reqwest::Client,
    /// How long the log was before this start, in bytes.
    written_before: usize,
    options: Options,
}

impl Waypost {
    /// Starts one without any configuration.
    pub async fn start() -> Self {
        Options::new().start().await
    }

    async fn until_ready(&mut self) -> Option<ExitStatus> {
        // Whoever else listens there may never answer.
        let probe = self.client.get(format!("{}/readyz", self.url)).timeout(PROBE_LIMIT);
        let child = std::cell::RefCell::new(&mut self.child);
        eventually("a gateway that is ready or has ended", async || {
            let status = child.borrow_mut().try_wait().expect("a child can be waited for");
            if status.is_some() {
                return Some(status);
            }
            let probe = probe.try_clone().expect("the probe has no body");
            let reply = Reply::attempt(probe).await.ok()?;
            (reply.status == 200).then_some(None)
        })
        .await
    }

    /// The gateway's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The sandbox.
    #[must_use]
    pub fn sandbox(&self) -> Sandbox {
        Sandbox::new(&self.sandbox_url)
    }

    /// The folder around the data folder: the working directory of the process.
    #[must_use]
    pub fn folder(&self) -> &Arc<TempDir> {
        &self.folder
    }

    /// The data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        let data = self.folder.path().join("data");
        if !self.options.in_own_mounts {
            return data;
        }
        let root = PathBuf::from(format!("/proc/{}/root", self.child.id()));
        root.join(data.strip_prefix("/").unwrap_or(&data))
    }

    /// How it was started, to start it again at the same addresses.
    #[must_use]
    pub fn options(&self) -> Options {
        self.options.clone()
    }

    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A variable of `demo.env`, else of `admin.env`.
    ///
    /// # Panics
    /// Where neither has it.
    #[must_use]
    pub fn variable(&self, name: &str) -> String {
        let found = ["demo.env", "admin.env"].into_iter().find_map(|file| {
            let text = std::fs::read_to_string(self.data_dir().join(file)).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")))?;
            Some(line.trim_matches('\'').to_owned())
        });
        found.unwrap_or_else(|| panic!("neither demo.env nor admin.env has {name}"))
    }

    /// The management API with the admin key.
    #[must_use]
    pub fn admin(&self) -> Api {
        Api::new(&self.url, &self.variable("WAYPOST_ADMIN_KEY"))
    }

    /// A request to the gateway, to be completed by the caller.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// GET without a key.
    pub async fn get(&self, path: &str) -> Reply {
        Reply::to(self.request(reqwest::Method::GET, path)).await
    }

    /// A ReplyHero call with the demo's key.
    pub async fn replyhero(&self, path: &str, body: &Value) -> Reply {
        let request = self.request(reqwest::Method::POST, path);
        Reply::to(request.header("X-API-KEY", self.variable("WAYPOST_API_KEY")).json(body)).await
    }

    /// A ReplyHero message to the demo's first customer.
    #[must_use]
    pub fn demo_message(&self, message: &Value) -> Value {
        json!({
            "message": message,
            "sessionId": "session-1",
            "customerId": self.variable("WAYPOST_CUSTOMER_ID"),
            "userId": self.variable("WAYPOST_USER_ID"),
            "orgId": self.variable("WAYPOST_ORG_ID"),
        })
    }

    /// Sends a text to the demo's first customer.
    pub async fn send_text(&self, text: &str) -> Reply {
        let message = self.demo_message(&json!({"type": "text", "text": {"body": text}}));
        self.replyhero("/whatsapp/messages/send", &message).await
    }

    /// The messages of the demo organisation, as its log has them.
    pub async fn log(&self) -> Vec<Value> {
        let org = self.variable("WAYPOST_ORG_ID");
        self.admin().all(&format!("/orgs/{org}/messages")).await
    }

    /// What it wrote to standard output so far.
    #[must_use]
    pub fn output(&self) -> String {
        read_lossy(&self.folder.path().join(OUTPUT))
    }

    /// What it wrote to standard error so far: the log.
    #[must_use]
    pub fn errors(&self) -> String {
        read_lossy(&self.folder.path().join(ERRORS))
    }

    /// Kills it as a power cut would.
    ///
    /// # Panics
    /// Where there is no process to kill.
    pub fn kill(mut self) -> Options {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process can be waited for");
        self.options.clone()
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// Where it does not end.
    pub async fn stop(mut self) -> (Options, ExitStatus) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.expect("a child has an id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)
            .expect("the process can be told to end");
        let child = std::cell::RefCell::new(&mut self.child);
        let status = eventually("the end of the process", async || {
            child.borrow_mut().try_wait().expect("a child can be waited for")
        })
        .await;
        (self.options.clone(), status)
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// Where it cannot be asked.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// What it wrote to standard error since this start.
    #[must_use]
    pub fn fresh_errors(&self) -> String {
        let mut errors = self.errors();
        errors.split_off(self.written_before.min(errors.len()))
    }

    /// Starts a gateway in front of a mock, with the demo organisation.
    pub async fn before(mock: &MockUpstream) -> Self {
        Options::new().upstream(&mock.url()).start().await
    }
}

impl Drop for Waypost {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let errors = self.errors();
            let start = errors.len().saturating_sub(6_000);
            let tail = errors.get(start..).unwrap_or(&errors);
            eprintln!("--- the end of the gateway's log ---\n{tail}");
        }
    }
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

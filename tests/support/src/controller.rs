//! The controller's binary, started as a user would: with KUBECONFIG and AWS variables only.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::Error;
use crate::get::http_get;
use crate::process::Process;
use crate::stack::{Stack, set_aws_environment};
use crate::wait::eventually;

static STARTED: AtomicU32 = AtomicU32::new(0);

/// The options of a controller.
#[derive(Clone, Debug)]
pub struct ControllerOptions {
    /// Path of the binary.
    pub binary: PathBuf,
    /// The IAM endpoint.
    pub iam_url: String,
    /// The watched namespaces; all when empty.
    pub namespaces: Vec<String>,
    /// Resync period, as on the command line.
    pub resync: String,
    /// The number of concurrent reconciles.
    pub concurrency: u16,
    /// Namespace of the Lease; no leader election when absent.
    pub lease_namespace: Option<String>,
    /// Additional variables of its environment; `None` removes one.
    pub environment: Vec<(&'static str, Option<String>)>,
}

impl ControllerOptions {
    /// The same with every duration that the controller waits for multiplied by `scale`.
    #[must_use]
    pub fn hurried(mut self, scale: f64) -> Self {
        self.environment.push(("STREAMROLE_TIME_SCALE", Some(scale.to_string())));
        self
    }

    /// The default options.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, iam_url: &str) -> Self {
        Self {
            binary: binary.into(),
            iam_url: iam_url.into(),
            namespaces: Vec::new(),
            resync: "10m".into(),
            concurrency: 10,
            lease_namespace: None,
            environment: Vec::new(),
        }
    }
}

/// A running controller. Dropping it kills it with SIGKILL; a test of the shutdown calls [`Controller::stop`].
#[derive(Debug)]
pub struct Controller {
    process: Process,
}

impl Controller {
    /// Starts the controller under its own service account.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(stack: &Stack, options: &ControllerOptions) -> Result<Self, Error> {
        Self::start_with_kubeconfig(stack, options, &stack.controller_kubeconfig())
    }

    /// Starts the controller as the user of another kubeconfig.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with_kubeconfig(
        stack: &Stack,
        options: &ControllerOptions,
        kubeconfig: &Path,
    ) -> Result<Self, Error> {
        let name = format!("controller-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        let dir = stack.process_dir(&name);
        let log = stack.scratch(&format!("{name}.log"));
        let process = Process::start(&name, &dir, &log, &options.binary, |streamrole| {
            streamrole.args(["run", "--listen", "127.0.0.1:0", "--resync", &options.resync]);
            streamrole.args(["--concurrency", &options.concurrency.to_string()]);
            if let Some(namespace) = &options.lease_namespace {
                streamrole.args(["--leader-election", "--lease-namespace", namespace]);
            }
            for namespace in &options.namespaces {
                streamrole.args(["--watch-namespace", namespace]);
            }
            streamrole.env("KUBECONFIG", kubeconfig);
            set_aws_environment(streamrole, &options.iam_url);
            for (variable, value) in &options.environment {
                match value {
                    Some(value) => streamrole.env(variable, value),
                    None => streamrole.env_remove(variable),
                };
            }
        })?;
        Ok(Self { process })
    }

    /// The process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Base URL of health and metrics, once the log shows it.
    ///
    /// # Panics
    /// When the log does not show it in time.
    pub async fn listen_url(&self) -> String {
        eventually("the controller to log its address", || async {
            let log = self.log();
            let url = log.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:"));
            url.map(str::to_owned).ok_or_else(|| self.process.last_words())
        })
        .await
    }

    /// The value of a metric.
    ///
    /// # Panics
    /// When there is no such metric.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.metrics().await;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {metrics}"))
    }

    /// Returns when it has compared all roles once, and so has made all calls of its startup.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn compared(&self) {
        eventually("a resync to end", || async {
            let last = self.metric("streamrole_last_resync_timestamp_seconds").await;
            if last > 0.5 { Ok(()) } else { Err(self.process.last_words()) }
        })
        .await;
    }

    /// All metrics.
    ///
    /// # Panics
    /// When they cannot be read.
    #[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub async fn metrics(&self) -> String {
        let url = self.listen_url().await;
        http_get(&format!("{url}/metrics")).await.unwrap().1
    }

    /// Kills it immediately, as the kernel does when memory runs out.
    ///
    /// # Errors
    /// When its guard was killed too.
    pub fn kill(self) -> Result<(), Error> {
        self.process.signal("KILL");
        self.process.wait().map(drop)
    }

    /// Waits until it ends on its own and returns its exit status.
    ///
    /// # Errors
    /// When its guard was killed.
    pub fn wait(self) -> Result<i32, Error> {
        self.process.wait()
    }

    /// Asks it to stop and returns its exit status.
    ///
    /// # Errors
    /// When its guard was killed.
    pub fn stop(self) -> Result<i32, Error> {
        self.process.signal("TERM");
        self.process.wait()
    }
}

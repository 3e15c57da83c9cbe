//! `streamrole run`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::controller::{self, Options};
use crate::iam::{self, Attempt, Iam};
use crate::telemetry::{self, Health, LogFormat, Metrics};

use super::Error;

/// Flags of `streamrole run`. The cluster is that of KUBECONFIG, or the one the process runs in; AWS
/// credentials, region and endpoint are found as by every AWS SDK (AWS_REGION, AWS_PROFILE,
/// AWS_ENDPOINT_URL and the others).
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    /// Watch this namespace only; can be repeated. Without it, all namespaces are watched.
    #[arg(
        long,
        env = "STREAMROLE_WATCH_NAMESPACE",
        value_delimiter = ',',
        value_name = "NAMESPACE"
    )]
    watch_namespace: Vec<String>,

    /// How often all roles are compared with their declaration, as in 10m or 1h.
    #[arg(long, env = "STREAMROLE_RESYNC", default_value = "10m", value_parser = duration, value_name = "DURATION")]
    resync: Duration,

    /// How many roles are worked on in IAM at once.
    #[arg(long, env = "STREAMROLE_CONCURRENCY", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    concurrency: u16,

    /// How log lines are written.
    #[arg(long, env = "STREAMROLE_LOG_FORMAT", default_value = "text")]
    log_format: Format,

    /// Address of /healthz, /readyz and /metrics. Port 0 takes any free one and logs it.
    #[arg(
        long,
        env = "STREAMROLE_LISTEN",
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Json,
    Text,
}

/// Runs the controller until it is told to stop.
pub(super) fn run(args: Args) -> Result<(), Error> {
    telemetry::init_logs(match args.log_format {
        Format::Json => LogFormat::Json,
        Format::Text => LogFormat::Text,
    });
    // An error means that one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // One thread: the loop waits for the network, and each thread more would hold memory of its own.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(start(args))
}

async fn start(args: Args) -> Result<(), Error> {
    let stop = stop_signal()?;
    let metrics = Arc::new(Metrics::default());
    let health = Health::default();
    let listen = telemetry::serve(args.listen, Arc::clone(&metrics), health.clone())
        .await
        .map_err(|source| Error::Listen { address: args.listen, source })?;
    info!("version {}, health and metrics on http://{listen}", env!("CARGO_PKG_VERSION"));

    let mut stopping = stop.clone();
    tokio::select! {
        ready = prepare(&args.watch_namespace, Arc::clone(&metrics)) => {
            let (client, cluster, iam) = ready?;
            let options = Options {
                namespaces: args.watch_namespace,
                resync: args.resync,
                concurrency: args.concurrency,
            };
            controller::run(options, client, cluster, iam, metrics, health, stop.clone()).await;
        }
        _ = stopping.wait_for(|stopping| *stopping) => info!("stopped before the controller could start"),
    }
    Ok(())
}

async fn prepare(
    namespaces: &[String],
    metrics: Arc<Metrics>,
) -> Result<(kube::Client, controller::ClusterId, Iam), Error> {
    let config =
        kube::Config::infer().await.map_err(|error| Error::NoCluster(error.to_string()))?;
    let server = config.cluster_url.to_string();
    let client =
        kube::Client::try_from(config).map_err(|error| Error::NoCluster(error.to_string()))?;

    let aws = aws_config::load_from_env().await;
    if aws.region().is_none() {
        return Err(Error::NoRegion);
    }
    let on_attempt = Arc::new(move |attempt: Attempt| {
        metrics.iam_request(attempt.action, attempt.status, attempt.throttled);
    });
    let iam = Iam::new(&aws, on_attempt);

    let (cluster, credentials) = futures::join!(
        controller::wait_for_cluster(&client, &server, namespaces),
        iam::wait_for_credentials(&aws),
    );
    let (cluster, ()) = (cluster?, credentials?);
    Ok((client, cluster, iam))
}

/// Turns true at the first SIGTERM or SIGINT. A second one ends the process at once.
fn stop_signal() -> Result<watch::Receiver<bool>, Error> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        info!("stopping: running reconciles are let finish; a second signal ends them");
        let _ = sender.send(true);
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        warn!("stopped at once; the next start takes up what was unfinished");
        std::process::exit(1);
    });
    Ok(receiver)
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) {
        return Err("must be at least 1s".into());
    }
    Ok(duration)
}

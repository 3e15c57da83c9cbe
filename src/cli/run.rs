//! `streamrole run`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::api::CONTROLLER_NAME;
use crate::controller::{self, Election, Leadership, Options, Servers};
use crate::iam::{Attempt, Aws, Iam, MayCall};
use crate::role::{ClusterId, DefaultTags, Defaults, RoleNamePrefix};
use crate::telemetry::{self, Health, LogFormat, Metrics, Telemetry};
use crate::timing::Timing;

use super::Error;
use super::connect::{self, Cluster, Where};

/// Flags of `streamrole run`. The cluster is that of KUBECONFIG, or the one that the process runs in. AWS credentials,
/// region and endpoint come from the variables and files of every AWS SDK (AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL
/// and others). `RUST_LOG` sets log levels. Traces go by OTLP over HTTP to `OTEL_EXPORTER_OTLP_ENDPOINT` if it is set.
#[derive(ClapArgs, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    place: Where,

    /// Interval between comparisons of all roles with their specs, as in 10m or 1h.
    #[arg(long, env = "STREAMROLE_RESYNC", default_value = "10m", value_parser = duration, value_name = "DURATION")]
    resync: Duration,

    /// Maximum number of roles that are reconciled in IAM concurrently.
    #[arg(long, env = "STREAMROLE_CONCURRENCY", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000), value_name = "N")]
    concurrency: u16,

    /// Tag on every role whose resource does not declare the same key, as in team=marketing; can be repeated.
    #[arg(
        long,
        env = "STREAMROLE_DEFAULT_TAG",
        value_delimiter = ',',
        value_parser = tag,
        value_name = "KEY=VALUE"
    )]
    default_tag: Vec<(String, String)>,

    /// Prefix of the names of roles whose resource declares no name. An existing role keeps its name.
    #[arg(
        long,
        env = "STREAMROLE_ROLE_NAME_PREFIX",
        default_value = "",
        hide_default_value = true,
        value_parser = RoleNamePrefix::parse,
        value_name = "PREFIX"
    )]
    role_name_prefix: RoleNamePrefix,

    /// Multiplies every duration that the controller waits for; for tests.
    #[arg(long, env = "STREAMROLE_TIME_SCALE", default_value_t = 1.0, value_parser = scale, hide = true)]
    time_scale: f64,

    /// Format of log lines.
    #[arg(long, env = "STREAMROLE_LOG_FORMAT", default_value = "text")]
    log_format: Format,

    /// Address of /healthz, /readyz and /metrics; [::] also accepts IPv4. Port 0 picks any free port and logs it.
    #[arg(
        long,
        env = "STREAMROLE_LISTEN",
        default_value = "[::]:8080",
        value_name = "ADDRESS:PORT"
    )]
    listen: SocketAddr,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Json,
    Text,
}

/// Runs the controller until a signal stops it.
pub(super) fn run(args: Args) -> Result<(), Error> {
    let _telemetry = Telemetry::start(match args.log_format {
        Format::Json => LogFormat::Json,
        Format::Text => LogFormat::Text,
    })?;
    connect::on_one_thread(start(args))
}

async fn start(args: Args) -> Result<(), Error> {
    let defaults = Defaults {
        role_name_prefix: args.role_name_prefix.clone(),
        tags: DefaultTags::new(args.default_tag.clone())
            .map_err(|error| Error::Flags(format!("--default-tag: {error}")))?,
    };
    let stop = stop_signal()?;
    let metrics = Arc::new(Metrics::default());
    let health = Health::default();
    let listen = telemetry::serve(args.listen, Arc::clone(&metrics), health.clone())
        .map_err(|source| Error::Listen { address: args.listen, source })?;
    info!("version {}, health and metrics on http://{listen}", env!("CARGO_PKG_VERSION"));

    let mut stopping = stop.clone();
    let (servers, election) = tokio::select! {
        ready = prepare(&args, Arc::clone(&metrics)) => ready?,
        _ = stopping.wait_for(|stopping| *stopping) => {
            info!("stopped before the controller could start");
            return Ok(());
        }
    };
    let timing = Timing::default().scaled(args.time_scale);
    let options = Options {
        namespaces: args.place.watch_namespace,
        resync: args.resync,
        concurrency: args.concurrency,
        defaults,
        timing,
    };
    let ended = match election {
        None => {
            let elected = std::future::ready(());
            controller::run(options, servers, metrics, health, elected, stop).await
        }
        Some((mut election, leadership)) => {
            let elected = async move { leadership.won().await };
            let work = controller::run(options, servers, metrics, health, elected, stop);
            let ended = election.lead(work).await?;
            // Running calls can continue until the Lease expires.
            if ended.in_order {
                election.release().await;
            }
            ended
        }
    };
    ended.flush_events().await;
    Ok(())
}

async fn prepare(
    args: &Args,
    metrics: Arc<Metrics>,
) -> Result<(Servers, Option<(Election, Leadership)>), Error> {
    let timing = Timing::default().scaled(args.time_scale);
    let Cluster { server, lease } = connect::cluster(&args.place, &timing).await?;
    let no_cluster = |error: kube::Error| Error::NoCluster(error.to_string());
    let client = server.client().map_err(no_cluster)?;
    let watching = server.watching_client().map_err(no_cluster)?;
    // The Lease has a separate client: a dead connection must cost it at most one attempt.
    let leasing = server.client().map_err(no_cluster)?;
    let aws = Aws::from_environment().await?;
    let (cluster, ()) = futures::join!(
        controller::wait_for_cluster(
            &client,
            server.url(),
            &args.place.watch_namespace,
            lease.as_ref(),
            args.place.cluster_id.as_ref()
        ),
        aws.wait_for_credentials(),
    );
    let cluster: ClusterId = cluster?;

    let election = lease.map(|lease| {
        let leadership = Leadership::none();
        let host = std::env::var("HOSTNAME").unwrap_or_else(|_| CONTROLLER_NAME.into());
        (Election::new(leasing, lease, &host, leadership.clone(), timing), leadership)
    });
    let may_call: MayCall = match &election {
        None => Arc::new(|| true),
        Some((_, leadership)) => {
            let leadership = leadership.clone();
            Arc::new(move || leadership.is_valid())
        }
    };
    let on_attempt = Arc::new(move |attempt: Attempt| {
        metrics.iam_request(attempt.action, attempt.status, attempt.code, attempt.throttled);
    });
    let roles = Arc::new(Iam::new(&aws, on_attempt, may_call, &timing));
    Ok((Servers { client, watching, cluster, roles }, election))
}

/// Turns true at the first SIGTERM or SIGINT. A second signal ends the process immediately.
fn stop_signal() -> Result<watch::Receiver<bool>, Error> {
    let (sender, receiver) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        info!("stopping: waiting for running reconciles; a second signal aborts them");
        let _ = sender.send(true);
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        warn!("aborted; unfinished work resumes at the next start");
        std::process::exit(1);
    });
    Ok(receiver)
}

pub(super) fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE, as in team=marketing")?;
    Ok((key.into(), value.into()))
}

fn scale(text: &str) -> Result<f64, String> {
    let scale = text.parse().map_err(|_| "must be a number")?;
    if (0.01..=1.0).contains(&scale) { Ok(scale) } else { Err("must be 0.01 to 1".into()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration < Duration::from_secs(1) {
        return Err("must be at least 1s".into());
    }
    Ok(duration)
}

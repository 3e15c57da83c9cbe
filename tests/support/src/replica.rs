//! One of several controllers for the same resources, which elect a leader through a Lease.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::path::Path;

use crate::controller::{Controller, ControllerOptions};
use crate::get::http_get;
use crate::process::Process;
use crate::proxy::Proxy;
use crate::wait::eventually;
use crate::world::{World, stack};

/// A controller that takes part in the election in the namespace of its world, with its own proxy in front of IAM.
#[derive(Debug)]
pub struct Replica {
    /// The controller.
    pub controller: Controller,
    /// The proxy between it and IAM.
    pub proxy: Proxy,
}

impl Replica {
    /// Starts a replica.
    pub async fn start(world: &World) -> Self {
        Self::by_way_of(world, &stack().await.controller_kubeconfig()).await
    }

    /// Starts a replica that reaches the API server through this kubeconfig.
    pub async fn by_way_of(world: &World, kubeconfig: &Path) -> Self {
        let proxy = Proxy::start(world.upstream(), None).await.unwrap();
        let options = ControllerOptions {
            iam_url: proxy.url().into(),
            lease_namespace: Some(world.namespace.clone()),
            ..world.options()
        };
        let controller =
            Controller::start_with_kubeconfig(stack().await, &options, kubeconfig).unwrap();
        Self { controller, proxy }
    }

    /// Returns when it leads.
    pub async fn leads(&self) {
        eventually("the replica to lead", || async {
            let leads = self.controller.metric("streamrole_leader").await > 0.5;
            if leads { Ok(()) } else { Err(self.controller.log()) }
        })
        .await;
    }

    /// Returns when it is ready, as leader or on standby.
    pub async fn is_ready(&self) {
        let url = self.controller.listen_url().await;
        eventually("the replica to be ready", || async {
            let (status, said) = http_get(&format!("{url}/readyz")).await.unwrap();
            if status == 200 { Ok(()) } else { Err(said) }
        })
        .await;
    }

    /// Returns when it is ready on standby, and has made no calls yet.
    pub async fn stands_by(&self) {
        self.is_ready().await;
        for metric in ["streamrole_leader", "streamrole_last_resync_timestamp_seconds"] {
            let value = self.controller.metric(metric).await;
            assert!(value.abs() < 0.5, "{metric} {value}: {}", self.controller.log());
        }
        assert_eq!(self.proxy.actions(), Vec::<String>::new(), "it leaves IAM alone");
    }

    /// Waits until it has ended on its own, and returns its exit status, its log and its proxy.
    pub async fn ends(self) -> (i32, String, Proxy) {
        let Self { controller, proxy } = self;
        eventually("the replica to end", || async {
            if controller.process().is_running() { Err(controller.log()) } else { Ok(()) }
        })
        .await;
        let log = controller.log();
        (controller.wait().unwrap(), log, proxy)
    }

    /// Its process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        self.controller.process()
    }
}

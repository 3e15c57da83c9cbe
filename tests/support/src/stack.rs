//! Starts etcd, kube-apiserver and moto together, and waits until all are ready.

use std::fmt::Debug;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_sdk_iam::config::{BehaviorVersion, Credentials as AwsCredentials, Region};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures::TryFutureExt as _;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, Role, RoleBinding, RoleRef, Subject,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{conditions, wait::await_condition};
use kube::{Client, Config};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::assets::Assets;
use crate::credentials::{ADMIN_TOKEN, Credentials, kubeconfig};
use crate::process::Process;
use crate::wait::eventually;

/// The account that moto serves.
pub const ACCOUNT_ID: &str = "111122223333";

/// The shipped CRD of the first kind.
pub const CRD: &str = include_str!("../../../crds/streamrole.dev_pinpointeventstreamroles.yaml");

/// The shipped CRD of the second kind.
const EVENT_STREAM_ROLE_CRD: &str =
    include_str!("../../../crds/streamrole.dev_eventstreamroles.yaml");

/// The shipped `ClusterRole`.
pub const CLUSTER_ROLE: &str = include_str!("../../../deploy/rbac/clusterrole.yaml");

/// The shipped `Role` for leader election.
pub const LEASE_ROLE: &str = include_str!("../../../deploy/rbac/role.yaml");

/// The namespace and name of the controller's service account.
const CONTROLLER: (&str, &str) = ("streamrole-system", "streamrole");

/// Below the stack's folder: one folder per process, removed when the process ends.
const RUN: &str = "run";
/// Below the stack's folder: shared files. Removed when the last process ends.
const FILES: &str = "files";

/// A running local stack.
#[derive(Debug)]
pub struct Stack {
    assets: Assets,
    dir: PathBuf,
    etcd_port: u16,
    kube_port: u16,
    apiservers: u32,
    iam_url: String,
    credentials: Credentials,
    // Fields are dropped in this order: the API server before its store.
    moto: Process,
    apiserver: Process,
    #[expect(dead_code, reason = "held so that it ends with the stack")]
    etcd: Process,
}

impl Stack {
    /// Starts etcd, kube-apiserver and moto and waits until they answer.
    ///
    /// # Errors
    /// When a binary can neither be found nor built, or does not start.
    pub async fn start() -> Result<Self, Error> {
        // Another process can take a free port before it is used.
        for _ in 0..2 {
            if let Ok(stack) = Self::try_start().await {
                return Ok(stack);
            }
        }
        Self::try_start().await
    }

    async fn try_start() -> Result<Self, Error> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let assets = Assets::ensure()?;
        let dir = tempfile::Builder::new().prefix("streamrole-").tempdir()?.keep();
        let files = dir.join(FILES);
        std::fs::create_dir_all(&files)?;
        let credentials = Credentials::create(&files)?;
        let [etcd_port, peer_port, kube_port, iam_port] = free_ports()?;

        let etcd = start_etcd(&assets, &dir, etcd_port, peer_port)?;
        let apiserver = start_apiserver(&assets, &dir, &credentials, etcd_port, kube_port, 1)?;
        let moto = start_moto(&assets, &dir, iam_port)?;
        let stack = Self {
            assets,
            dir,
            etcd_port,
            kube_port,
            apiservers: 1,
            iam_url: format!("http://127.0.0.1:{iam_port}"),
            credentials,
            moto,
            apiserver,
            etcd,
        };
        stack.write_kubeconfig("admin", ADMIN_TOKEN)?;
        stack.wait_until_ready().await?;
        Ok(stack)
    }

    /// Starts a stack on which the shipped CRD and `ClusterRole` are [installed](Self::install).
    ///
    /// # Errors
    /// When it does not start, or does not accept them.
    pub async fn installed() -> Result<Self, Error> {
        let stack = Self::start().await?;
        stack.install(CRD, CLUSTER_ROLE).await?;
        Ok(stack)
    }

    async fn wait_until_ready(&self) -> Result<(), Error> {
        let client = self.admin().await?;
        eventually("kube-apiserver to be ready", || async {
            // Readiness does not include kube-system, and the controller needs its uid.
            let namespaces: Api<Namespace> = Api::all(client.clone());
            let ready = client.request_text(http_get("/readyz")?);
            let answer = ready.and_then(|_| namespaces.get("kube-system")).await;
            answer.map(|_| Ok(())).or_else(|error| gave_up(&self.apiserver, &error))
        })
        .await?;
        let iam = iam_at(&self.iam_url);
        eventually("moto to answer", || async {
            let answer = iam.list_roles().send().await;
            answer.map(|_| Ok(())).or_else(|error| gave_up(&self.moto, &error))
        })
        .await
    }

    /// Kills the API server and starts another one with the same address and store.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart_apiserver(&mut self) -> Result<(), Error> {
        self.apiserver.signal("KILL");
        eventually("kube-apiserver to be gone", || async {
            if self.apiserver.is_running() { Err("it runs") } else { Ok(()) }
        })
        .await;
        self.apiservers += 1;
        let Self { assets, dir, credentials, etcd_port, kube_port, apiservers, .. } = self;
        self.apiserver =
            start_apiserver(assets, dir, credentials, *etcd_port, *kube_port, *apiservers)?;
        self.wait_until_ready().await
    }

    /// Deletes a resource from the store, past the API server. Watches report it as any deletion, but finalizers do not
    /// hold it. The same happens when a deletion checks for finalizers just before one is added.
    ///
    /// # Errors
    /// When the store does not have it.
    pub async fn lose(&self, namespace: &str, name: &str) -> Result<(), Error> {
        let key = format!("/registry/streamrole.dev/pinpointeventstreamroles/{namespace}/{name}");
        let range = serde_json::json!({"key": BASE64_STANDARD.encode(key)});
        let url = format!("http://127.0.0.1:{}/v3/kv/deleterange", self.etcd_port);
        let (_, said) = crate::get::http_post(&url, range.to_string()).await?;
        if said.contains(r#""deleted":"1""#) { Ok(()) } else { Err(said.into()) }
    }

    /// `host:port` of the API server.
    #[must_use]
    pub fn kube_address(&self) -> String {
        format!("127.0.0.1:{}", self.kube_port)
    }

    /// Writes a kubeconfig with the permissions of the controller's service account that reaches the API server through
    /// `address`, and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn controller_kubeconfig_by_way_of(&self, address: &str) -> Result<PathBuf, Error> {
        let direct = std::fs::read_to_string(self.controller_kubeconfig())?;
        let path = self.kubeconfig_path(&address.replace(':', "."));
        std::fs::write(&path, direct.replace(&self.kube_address(), address))?;
        Ok(path)
    }

    /// URL of the IAM endpoint.
    #[must_use]
    pub fn iam_url(&self) -> &str {
        &self.iam_url
    }

    /// A client with all permissions. A client belongs to the runtime that creates it: create one in each test.
    ///
    /// # Errors
    /// When the kubeconfig is unusable.
    pub async fn admin(&self) -> Result<Client, Error> {
        client_of(&self.kubeconfig_path("admin")).await
    }

    /// Path of a kubeconfig with all permissions.
    #[must_use]
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.kubeconfig_path("admin")
    }

    /// `kubectl` with all permissions.
    #[must_use]
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(self.assets.kubernetes("kubectl"));
        command.env("KUBECONFIG", self.admin_kubeconfig());
        command
    }

    /// The AWS CLI for this stack's IAM.
    #[must_use]
    pub fn aws(&self) -> Command {
        let mut command = Command::new(self.assets.python("aws"));
        set_aws_environment(&mut command, &self.iam_url);
        command.env("AWS_PAGER", "").env("AWS_DEFAULT_OUTPUT", "json");
        command
    }

    /// Path of a file that is removed with this stack.
    #[must_use]
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.dir.join(FILES).join(name)
    }

    /// Folder of the process of this name.
    pub(crate) fn process_dir(&self, name: &str) -> PathBuf {
        self.dir.join(RUN).join(name)
    }

    /// Installs this CRD of the first kind, the shipped CRD of the second, and the controller's `ClusterRole`, and binds
    /// only that role to the controller's service account.
    ///
    /// # Errors
    /// When the API server rejects any of it.
    pub async fn install(&self, crd: &str, cluster_role: &str) -> Result<(), Error> {
        let client = self.admin().await?;
        let crds: [CustomResourceDefinition; 2] =
            [serde_saphyr::from_str(crd)?, serde_saphyr::from_str(EVENT_STREAM_ROLE_CRD)?];
        let cluster_role: ClusterRole = serde_saphyr::from_str(cluster_role)?;
        let role_name = cluster_role.metadata.name.clone().unwrap_or_default();
        let (namespace, account) = CONTROLLER;
        let named = |name: &str| ObjectMeta { name: Some(name.into()), ..ObjectMeta::default() };

        for crd in &crds {
            apply(Api::all(client.clone()), crd).await?;
        }
        apply(Api::all(client.clone()), &cluster_role).await?;
        let new_namespace = Namespace { metadata: named(namespace), ..Namespace::default() };
        apply(Api::all(client.clone()), &new_namespace).await?;
        let new_account = ServiceAccount { metadata: named(account), ..ServiceAccount::default() };
        apply(Api::namespaced(client.clone(), namespace), &new_account).await?;
        let binding = ClusterRoleBinding {
            metadata: named(account),
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".into(),
                kind: "ClusterRole".into(),
                name: role_name,
            },
            subjects: Some(vec![controller_subject()]),
        };
        apply(Api::all(client.clone()), &binding).await?;
        for name in crds.iter().filter_map(|crd| crd.metadata.name.as_deref()) {
            let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
            await_condition(crds, name, conditions::is_crd_established()).await?;
        }
        self.service_account_kubeconfig(namespace, account).await.map(drop)
    }

    /// Grants the controller the shipped permissions for leader election in this namespace.
    ///
    /// # Errors
    /// When the API server rejects them.
    pub async fn allow_election_in(&self, namespace: &str) -> Result<(), Error> {
        let client = self.admin().await?;
        let mut role: Role = serde_saphyr::from_str(LEASE_ROLE)?;
        role.metadata.namespace = Some(namespace.into());
        let binding = RoleBinding {
            metadata: role.metadata.clone(),
            role_ref: RoleRef {
                api_group: "rbac.authorization.k8s.io".into(),
                kind: "Role".into(),
                name: role.metadata.name.clone().unwrap_or_default(),
            },
            subjects: Some(vec![controller_subject()]),
        };
        apply(Api::namespaced(client.clone(), namespace), &role).await?;
        apply(Api::namespaced(client, namespace), &binding).await
    }

    /// Writes a kubeconfig with the permissions of this service account and returns its path.
    ///
    /// # Errors
    /// When there is no such account.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        account: &str,
    ) -> Result<PathBuf, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(86_400),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let params = PostParams::default();
        let answer = accounts.create_token_request(account, &params, &request).await?;
        let token = answer.status.ok_or("the token request was answered without a token")?.token;
        let user = format!("{namespace}.{account}");
        self.write_kubeconfig(&user, &token)?;
        Ok(self.kubeconfig_path(&user))
    }

    /// Path of a kubeconfig with the permissions of the controller's service account; it exists after
    /// [`Stack::install`].
    #[must_use]
    pub fn controller_kubeconfig(&self) -> PathBuf {
        let (namespace, account) = CONTROLLER;
        self.kubeconfig_path(&format!("{namespace}.{account}"))
    }

    fn write_kubeconfig(&self, user: &str, token: &str) -> Result<(), Error> {
        let url = format!("https://{}", self.kube_address());
        let config = kubeconfig(&url, &self.credentials.authority, token);
        std::fs::write(self.kubeconfig_path(user), config)?;
        Ok(())
    }

    fn kubeconfig_path(&self, user: &str) -> PathBuf {
        self.scratch(&format!("{user}.kubeconfig"))
    }
}

fn controller_subject() -> Subject {
    let (namespace, account) = CONTROLLER;
    Subject {
        kind: "ServiceAccount".into(),
        name: account.into(),
        namespace: Some(namespace.into()),
        ..Subject::default()
    }
}

/// Continues to wait while the process lives; its death is the error.
fn gave_up(process: &Process, error: &dyn Debug) -> Result<Result<(), Error>, String> {
    if process.is_running() {
        Err(format!("{error:?}"))
    } else {
        Ok(Err(process.last_words().into()))
    }
}

/// A client for the IAM endpoint at `url`.
#[must_use]
pub fn iam_at(url: &str) -> aws_sdk_iam::Client {
    let config = aws_sdk_iam::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(url)
        .credentials_provider(AwsCredentials::new("local", "local", None, None, "local stack"))
        .build();
    aws_sdk_iam::Client::from_conf(config)
}

/// The AWS variables of a process that must only use the IAM endpoint at `url`.
pub fn set_aws_environment(command: &mut Command, url: &str) {
    command
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_CA_BUNDLE")
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("NO_PROXY", "127.0.0.1");
}

fn start_etcd(assets: &Assets, dir: &Path, port: u16, peer_port: u16) -> Result<Process, Error> {
    let own = dir.join(RUN).join("etcd");
    let client_url = format!("http://127.0.0.1:{port}");
    let peer_url = format!("http://127.0.0.1:{peer_port}");
    let log = dir.join(FILES).join("etcd.log");
    Process::start("etcd", &own, &log, &assets.kubernetes("etcd"), |etcd| {
        etcd.arg("--data-dir").arg(own.join("data"));
        etcd.args(["--listen-client-urls", &client_url, "--advertise-client-urls", &client_url]);
        etcd.args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url]);
        etcd.args(["--initial-cluster", &format!("default={peer_url}")]);
        // The data need not survive the machine.
        etcd.args(["--unsafe-no-fsync", "--log-level", "error"]);
        // etcd elects itself; with the defaults that takes up to a second.
        etcd.args(["--heartbeat-interval=10", "--election-timeout=100"]);
    })
}

fn start_apiserver(
    assets: &Assets,
    dir: &Path,
    credentials: &Credentials,
    etcd_port: u16,
    port: u16,
    number: u32,
) -> Result<Process, Error> {
    // Each API server has its own folder: the previous one's is removed while the next starts.
    let own = dir.join(RUN).join(format!("apiserver-{number}"));
    let log = dir.join(FILES).join("apiserver.log");
    Process::start("kube-apiserver", &own, &log, &assets.kubernetes("kube-apiserver"), |api| {
        api.arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"));
        api.arg(format!("--secure-port={port}")).arg("--bind-address=127.0.0.1");
        // Without these it looks for an address of the machine, and fails where there is only loopback.
        api.args(["--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"]);
        let file = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        api.arg(file("cert-dir", &own));
        api.arg(file("tls-cert-file", &credentials.server_certificate));
        api.arg(file("tls-private-key-file", &credentials.server_key));
        api.arg("--service-account-issuer=https://kubernetes.default.svc");
        api.arg(file("service-account-key-file", &credentials.service_account_public_key));
        api.arg(file("service-account-signing-key-file", &credentials.service_account_key));
        api.arg(file("token-auth-file", &credentials.tokens));
        api.arg("--authorization-mode=RBAC").arg("--disable-admission-plugins=ServiceAccount");
    })
}

fn start_moto(assets: &Assets, dir: &Path, port: u16) -> Result<Process, Error> {
    let own = dir.join(RUN).join("moto");
    let log = dir.join(FILES).join("moto.log");
    Process::start("moto", &own, &log, &assets.python("moto_server"), |moto| {
        moto.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        moto.env("MOTO_ACCOUNT_ID", ACCOUNT_ID);
    })
}

fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    // All are held until all are picked, so that they differ.
    let listeners: Vec<_> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let ports: Vec<_> = listeners
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<_, _>>()?;
    ports.try_into().map_err(|_| "the system gave too few ports".into())
}

pub(crate) async fn client_of(kubeconfig: &Path) -> Result<Client, Error> {
    let config = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

async fn apply<K>(api: Api<K>, object: &K) -> Result<(), Error>
where
    K: kube::Resource + Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let name = object.meta().name.clone().unwrap_or_default();
    api.patch(&name, &PatchParams::apply("local-stack").force(), &Patch::Apply(object)).await?;
    Ok(())
}

fn http_get(path: &str) -> Result<http::Request<Vec<u8>>, String> {
    http::Request::get(path).body(Vec::new()).map_err(|error| error.to_string())
}

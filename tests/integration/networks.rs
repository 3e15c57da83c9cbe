//! Networks as users have them: proxies, private certificates, and answers from devices on the way.

use futures::future::join_all;
use support::{Canned, Controller, Fault, ForwardProxy, TlsFront, eventually};

use crate::credentials::checked;
use support::world::{World, condition, ready, stack};

const HOST: &str = "iam.aws.example";

#[tokio::test]
async fn aws_is_called_through_the_proxy_with_the_given_certificates() {
    let world = World::without_controller("tls").await;
    let target = world.proxy.url().strip_prefix("http://").unwrap();
    let front = TlsFront::open(HOST, target).await.unwrap();
    let proxy = ForwardProxy::start(&[(&format!("{HOST}:443"), front.address())]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    // Unreadable certificates beside it are skipped.
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&bundle, format!("{odd}{}", front.authority())).unwrap();
    let bundle = bundle.to_str().unwrap();
    let url = format!("https://{HOST}");
    let check = |name: &'static str, value: &str| {
        let (url, value, proxy) = (url.clone(), value.to_owned(), proxy.url().to_owned());
        async move { checked(&url, &[("HTTPS_PROXY", Some(&proxy)), (name, Some(&value))]).await }
    };

    let (is_well, said) = check("AWS_CA_BUNDLE", bundle).await;
    assert!(is_well && said.contains("credentials accepted"), "{said}");
    assert_eq!(proxy.asked_for(), [format!("{HOST}:443")], "and the cluster on this machine not");
    let (is_well, said) = check("SSL_CERT_FILE", bundle).await;
    assert!(is_well && said.contains("credentials accepted"), "{said}");
    let (is_well, said) = check("NOTHING", "").await;
    assert!(!is_well && said.contains("UnknownIssuer"), "{said}");
    let (is_well, said) = check("AWS_CA_BUNDLE", "/nonexistent").await;
    assert!(!is_well && said.contains("AWS_CA_BUNDLE is /nonexistent, but it cannot be"), "{said}");
    let asked = proxy.asked_for().len();
    let (is_well, said) = check("NO_PROXY", &format!("127.0.0.1,{HOST}")).await;
    assert!(!is_well && proxy.asked_for().len() == asked, "{said}");
}

#[tokio::test]
async fn the_node_agent_is_called_without_the_proxy() {
    let world = World::without_controller("agent").await;
    let credentials = serde_json::json!({
        "AccessKeyId": "agent", "SecretAccessKey": "s", "Token": "t",
        "Expiration": "2100-01-01T00:00:00Z",
    });
    let agent = Canned::start(credentials.to_string()).await.unwrap();
    let proxy = ForwardProxy::start(&[]).await.unwrap();
    let variables = [
        ("AWS_ACCESS_KEY_ID", None),
        ("AWS_SECRET_ACCESS_KEY", None),
        ("NO_PROXY", None),
        ("HTTP_PROXY", Some(proxy.url())),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", Some(agent.url())),
    ];
    let (is_well, said) = checked(world.proxy.url(), &variables).await;
    assert!(is_well && said.contains("credentials accepted"), "{said}");
    assert_eq!((agent.requests().len(), proxy.asked_for()), (1, Vec::new()));
}

#[tokio::test]
async fn the_cluster_is_called_through_the_proxy_of_the_kubeconfig_or_environment() {
    let mut world = World::without_controller("cluster-proxy").await;
    let stack = stack().await;
    let direct = std::fs::read_to_string(stack.controller_kubeconfig()).unwrap();
    let direct: serde_json::Value = serde_json::from_str(&direct).unwrap();
    let at = stack.kube_address();
    let kubeconfig = |name: &str, field: &str, value: &str| {
        let mut config = direct.clone();
        config["clusters"][0]["cluster"][field] = value.into();
        if field == "server" {
            config["clusters"][0]["cluster"]["tls-server-name"] = "localhost".into();
        }
        let path = stack.scratch(name);
        std::fs::write(&path, config.to_string()).unwrap();
        path
    };
    let watches = |world: &World| {
        let log = world.log();
        if log.contains("watching; ready") { Ok(()) } else { Err(log) }
    };

    let proxy = ForwardProxy::start(&[("cluster.example:6443", &at)]).await.unwrap();
    let named = kubeconfig("proxy-url.kubeconfig", "proxy-url", proxy.url());
    let options = world.options();
    world.controller = Some(Controller::start_with_kubeconfig(stack, &options, &named).unwrap());
    eventually("the controller to watch", || async { watches(&world) }).await;
    assert!(proxy.asked_for().contains(&at), "{:?}", proxy.asked_for());

    let elsewhere = kubeconfig("elsewhere.kubeconfig", "server", "https://cluster.example:6443");
    let mut options = world.options();
    options.environment = vec![("HTTPS_PROXY", Some(proxy.url().into()))];
    world.controller =
        Some(Controller::start_with_kubeconfig(stack, &options, &elsewhere).unwrap());
    eventually("the controller to watch", || async { watches(&world) }).await;
    let asked = proxy.asked_for();
    assert!(asked.contains(&"cluster.example:6443".into()), "{asked:?}");

    world.controller = None;
    let asked = proxy.asked_for().len();
    options.environment.push(("NO_PROXY", Some("127.0.0.1,.example".into())));
    world.controller =
        Some(Controller::start_with_kubeconfig(stack, &options, &elsewhere).unwrap());
    eventually("the controller to look for the cluster itself", || async {
        let log = world.log();
        if log.contains("cannot reach the Kubernetes API server") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(proxy.asked_for().len(), asked);
}

#[tokio::test]
async fn answers_of_middleboxes_are_not_iams() {
    let mut world = World::without_controller("middlebox").await;
    let faults = [401, 403, 404, 407, 413].map(|status| (status, Fault::Page { status }));
    let coded = (403, Fault::answer(403, "WebRequestBlocked", "by the firewall"));
    let cases: Vec<_> = faults.into_iter().chain([coded]).enumerate().collect();
    for (number, (_, fault)) in &cases {
        let role = world.role(&format!("events-{number}"));
        world.proxy.inject("CreateRole", Some(&role), fault.clone());
    }
    world.start_controller().await;
    let world = &world;
    join_all(cases.iter().map(|(number, (status, _))| async move {
        let name = format!("events-{number}");
        world.apply(&name, &world.kinesis_spec(&name)).await;
        let resource = world.sees(&name, "False", "IamUnavailable").await;
        let message = ready(&resource).message;
        assert!(message.contains(&format!("HTTP status {status}")), "{message}");
        assert!(message.contains("proxy or firewall"), "{message}");
        assert!(condition(&resource, "Reconciling").is_some(), "{:?}", resource.status);
        assert!(condition(&resource, "Stalled").is_none(), "{:?}", resource.status);
    }))
    .await;
    world.proxy.heal();
    join_all(cases.iter().map(|(number, _)| async move {
        world.ready(&format!("events-{number}")).await;
    }))
    .await;

    for status in [401, 403, 404, 407, 413] {
        world.proxy.heal();
        world.proxy.inject("ListRoles", None, Fault::Page { status });
        let (is_well, said) = checked(world.proxy.url(), &[]).await;
        assert!(!is_well && said.contains(&format!("HTTP status {status}")), "{said}");
        assert!(!said.contains("IAM knows") && !said.contains("credentials accepted"), "{said}");
    }
}

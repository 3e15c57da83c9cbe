//! Networks as people have them: proxies, certificates of their own, and answers of what is on the way.

use futures::future::join_all;
use support::{Canned, Fault, ForwardProxy, TlsFront};

use crate::credentials::checked;
use crate::world::{World, condition, ready};

const HOST: &str = "iam.aws.example";

#[tokio::test]
async fn aws_is_asked_by_way_of_the_proxy_under_the_certificates_that_are_named() {
    let world = World::without_controller("tls").await;
    let target = world.proxy.url().strip_prefix("http://").unwrap();
    let front = TlsFront::open(HOST, target).await.unwrap();
    let proxy = ForwardProxy::start(&[(&format!("{HOST}:443"), front.address())]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("ca.pem");
    // What cannot be read beside it is passed over.
    let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&bundle, format!("{odd}{}", front.authority())).unwrap();
    let bundle = bundle.to_str().unwrap();
    let url = format!("https://{HOST}");
    let check = |name: &'static str, value: &str| {
        let (url, value, proxy) = (url.clone(), value.to_owned(), proxy.url().to_owned());
        async move { checked(&url, &[("HTTPS_PROXY", Some(&proxy)), (name, Some(&value))]).await }
    };

    let (is_well, said) = check("AWS_CA_BUNDLE", bundle).await;
    assert!(is_well && said.contains("IAM accepts"), "{said}");
    assert_eq!(proxy.asked_for(), [format!("{HOST}:443")], "and the cluster on this machine not");
    let (is_well, said) = check("SSL_CERT_FILE", bundle).await;
    assert!(is_well && said.contains("IAM accepts"), "{said}");
    let (is_well, said) = check("NOTHING", "").await;
    assert!(!is_well && said.contains("UnknownIssuer"), "{said}");
    let (is_well, said) = check("AWS_CA_BUNDLE", "/nonexistent").await;
    assert!(!is_well && said.contains("AWS_CA_BUNDLE is /nonexistent, but it cannot be"), "{said}");
    let asked = proxy.asked_for().len();
    let (is_well, said) = check("NO_PROXY", &format!("127.0.0.1,{HOST}")).await;
    assert!(!is_well && proxy.asked_for().len() == asked, "{said}");
}

#[tokio::test]
async fn the_agent_on_the_node_is_asked_for_credentials_directly() {
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
    assert!(is_well && said.contains("IAM accepts"), "{said}");
    assert_eq!((agent.requests().len(), proxy.asked_for()), (1, Vec::new()));
}

#[tokio::test]
async fn what_something_on_the_way_answers_is_no_word_of_iams() {
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
        assert!(!said.contains("IAM knows") && !said.contains("IAM accepts"), "{said}");
    }
}

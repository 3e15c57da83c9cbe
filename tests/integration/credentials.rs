//! Credentials as users have them: profiles of every kind, keys that are rotated, an STS that is unavailable.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use support::{Canned, Controller, ControllerOptions, Fault, eventually, set_aws_environment};

use support::world::{World, binary, condition, ready, stack};

/// The output of `streamrole check` with these variables, and whether it succeeded.
pub(crate) async fn checked(iam_url: &str, variables: &[(&str, Option<&str>)]) -> (bool, String) {
    let mut check = Command::new(binary());
    check.arg("check").env("KUBECONFIG", stack().await.controller_kubeconfig());
    set_aws_environment(&mut check, iam_url);
    for (name, value) in variables {
        match value {
            Some(value) => check.env(name, value),
            None => check.env_remove(name),
        };
    }
    let run = tokio::task::spawn_blocking(move || check.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    (run.status.success(), said.into_owned())
}

const NO_KEYS: [(&str, Option<&str>); 2] =
    [("AWS_ACCESS_KEY_ID", None), ("AWS_SECRET_ACCESS_KEY", None)];

/// As [`checked`], with a profile instead of keys. STS and IAM are at `iam_url`, and no other AWS service exists.
async fn checked_with_profile(
    iam_url: &str,
    home: &Path,
    profile: &str,
    variables: &[(&str, &str)],
) -> (bool, String) {
    let config = home.join("config");
    std::fs::write(&config, profile).unwrap();
    let (config, home) = (config.to_str().unwrap(), home.to_str().unwrap());
    let mut all = NO_KEYS.to_vec();
    all.extend([
        ("AWS_CONFIG_FILE", Some(config)),
        ("HOME", Some(home)),
        ("AWS_ENDPOINT_URL", None),
        ("AWS_ENDPOINT_URL_IAM", Some(iam_url)),
        ("AWS_ENDPOINT_URL_STS", Some(iam_url)),
    ]);
    all.extend(variables.iter().map(|(name, value)| (*name, Some(*value))));
    checked(iam_url, &all).await
}

fn folder(name: &str) -> tempfile::TempDir {
    tempfile::Builder::new().prefix(name).tempdir().unwrap()
}

#[tokio::test]
async fn a_profile_of_iam_identity_center_works() {
    let world = World::without_controller("sso").await;
    let credentials = json!({"roleCredentials": {
        "accessKeyId": "sso", "secretAccessKey": "s", "sessionToken": "t",
        "expiration": 4_102_444_800_000_u64,
    }});
    let portal = Canned::start(credentials.to_string()).await.unwrap();
    let home = folder("sso");
    let cache = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let token = json!({"accessToken": "a", "expiresAt": "2100-01-01T00:00:00Z"});
    // Named after the SHA-1 of the session's name.
    std::fs::write(cache.join(format!("{SESSION_SHA1}.json")), token.to_string()).unwrap();
    let profile = "[default]\nsso_session = company\nsso_account_id = 111122223333\n\
                   sso_role_name = admin\n[sso-session company]\nsso_region = us-east-1\n\
                   sso_start_url = https://company.example/start\n";
    let at = [("AWS_ENDPOINT_URL_SSO", portal.url())];
    let (is_well, said) = checked_with_profile(world.proxy.url(), home.path(), profile, &at).await;
    assert!(is_well && said.contains("credentials accepted"), "{said}");
    let asked = portal.requests().join(" ");
    assert!(asked.contains("role_name=admin") && asked.contains("111122223333"), "{asked}");
}

/// SHA-1 of `company`.
const SESSION_SHA1: &str = "71b21161ffa1e6516bcc072aaf5ef38cbe85b511";

#[tokio::test]
async fn a_login_profile_and_an_external_process_work() {
    let world = World::without_controller("profiles").await;
    let home = folder("profiles");
    let login = json!({
        "accessToken": {
            "accessKeyId": "login", "secretAccessKey": "s", "sessionToken": "t",
            "accountId": "111122223333", "expiresAt": "2100-01-01T00:00:00Z",
        },
        "tokenType": "aws_sigv4", "refreshToken": "r", "idToken": "i",
        "clientId": "arn:aws:signin:::devtools/same-device", "dpopKey": "none",
    });
    // Named after the SHA-256 of the session.
    std::fs::write(home.path().join(format!("{LOGIN_SHA256}.json")), login.to_string()).unwrap();
    let profile = "[default]\nlogin_session = arn:aws:iam::111122223333:user/admin\n";
    let at = [("AWS_LOGIN_CACHE_DIRECTORY", home.path().to_str().unwrap())];
    let (is_well, said) = checked_with_profile(world.proxy.url(), home.path(), profile, &at).await;
    assert!(is_well && said.contains("credentials accepted"), "{said}");

    let keys = home.path().join("keys");
    std::fs::write(&keys, r#"{"Version":1,"AccessKeyId":"process","SecretAccessKey":"s"}"#)
        .unwrap();
    let profile = format!("[default]\ncredential_process = cat {}\n", keys.display());
    let (is_well, said) = checked_with_profile(world.proxy.url(), home.path(), &profile, &[]).await;
    assert!(is_well && said.contains("credentials accepted"), "{said}");
}

/// SHA-256 of `arn:aws:iam::111122223333:user/admin`.
const LOGIN_SHA256: &str = "70c1a7686b6d0363ae5c34a6cf67ec63a41ac761448d908284af63a70d5f5cb7";

#[tokio::test]
async fn rotated_keys_in_a_file_cost_each_role_at_most_one_rejected_call() {
    let mut world = World::without_controller("key-rotation").await;
    let folder = folder("key-rotation");
    let file = folder.path().join("credentials");
    let write = |key: &str| {
        let keys = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n");
        // As the kubelet does it: readers see the old file or the new one.
        std::fs::write(folder.path().join("next"), keys).unwrap();
        std::fs::rename(folder.path().join("next"), &file).unwrap();
    };
    write("first");
    let mut options = world.options();
    options.environment = vec![
        ("AWS_ACCESS_KEY_ID", None),
        ("AWS_SECRET_ACCESS_KEY", None),
        ("AWS_SHARED_CREDENTIALS_FILE", Some(file.to_str().unwrap().to_owned())),
    ];
    world.controller = Some(Controller::start(stack().await, &options).unwrap());
    let names: Vec<_> = (0..8).map(|number| format!("events-{number}")).collect();
    for name in &names {
        world.apply(name, &world.kinesis_spec(name)).await;
    }
    join_all(names.iter().map(|name| world.ready(name))).await;

    write("second");
    world.proxy.forget_key("first");
    for name in &names {
        let mut spec = world.kinesis_spec(name);
        spec["tags"] = json!({"rotated": "yes"});
        world.apply(name, &spec).await;
    }
    join_all(names.iter().map(|name| world.ready(name))).await;
    let refused = world.proxy.refused_calls();
    // Four reads of one role are sent concurrently.
    assert!((1..=names.len()).contains(&refused), "{refused} calls were refused");
    assert!(!world.log().contains("CredentialsUnavailable"), "{}", world.log());
    for name in &names {
        assert_eq!(world.tags(&world.role(name)).await["rotated"], "yes");
    }

    // Rejected keys without a replacement are reported.
    world.proxy.forget_key("second");
    let mut spec = world.kinesis_spec(&names[0]);
    spec["tags"] = json!({"rotated": "no"});
    world.apply(&names[0], &spec).await;
    let resource = world.sees(&names[0], "False", "CredentialsUnavailable").await;
    assert!(condition(&resource, "Stalled").is_some(), "{:?}", resource.status);
    assert!(world.proxy.refused_calls() <= refused + 2, "{}", world.proxy.refused_calls());
}

/// The answer of STS to a web identity, with credentials for this time.
fn assumed_role(seconds: i64) -> Fault {
    let expiration = Timestamp::now() + seconds.seconds();
    Fault::Body {
        body: format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>web</AccessKeyId>\
             <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>{expiration:.0}</Expiration></Credentials><AssumedRoleUser>\
             <Arn>arn:aws:sts::111122223333:assumed-role/controller/s</Arn>\
             <AssumedRoleId>AROA:s</AssumedRoleId></AssumedRoleUser>\
             </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
        ),
    }
}

fn web_identity(world: &World, token: &Path) -> ControllerOptions {
    let mut options = world.options();
    options.environment = vec![
        ("AWS_ACCESS_KEY_ID", None),
        ("AWS_SECRET_ACCESS_KEY", None),
        ("AWS_ROLE_ARN", Some("arn:aws:iam::111122223333:role/controller".into())),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", Some(token.to_str().unwrap().to_owned())),
    ];
    options
}

#[tokio::test]
async fn an_sts_outage_is_waited_out_without_a_storm() {
    let mut world = World::resyncing_later("sts-away").await;
    let folder = folder("token");
    let token = folder.path().join("token");
    std::fs::write(&token, "token").unwrap();
    // The SDK loads new credentials 10 s before the end.
    world.proxy.inject("AssumeRoleWithWebIdentity", None, assumed_role(16));
    let options = web_identity(&world, &token);
    world.controller = Some(Controller::start(stack().await, &options).unwrap());
    let names: Vec<_> = (0..10).map(|number| format!("events-{number}")).collect();
    for name in &names {
        world.apply(name, &world.kinesis_spec(name)).await;
    }
    join_all(names.iter().map(|name| world.ready(name))).await;

    world.proxy.heal();
    world.proxy.without_sts();
    let before = world.proxy.sts_calls();
    eventually("the credentials to end", || async {
        if world.proxy.sts_calls() > before { Ok(()) } else { Err(world.log()) }
    })
    .await;
    let since = std::time::Instant::now();
    for name in &names {
        let mut spec = world.kinesis_spec(name);
        spec["tags"] = json!({"edited": "yes"});
        world.apply(name, &spec).await;
    }
    for name in &names {
        let resource = world.sees(name, "False", "CredentialsUnavailable").await;
        let message = ready(&resource).message;
        assert!(message.contains("STS answers ServiceUnavailable"), "{message}");
        assert!(condition(&resource, "Reconciling").is_some(), "{:?}", resource.status);
        assert!(condition(&resource, "Stalled").is_none(), "{:?}", resource.status);
    }
    // Three attempts immediately, and then with exponential backoff.
    let asked = world.proxy.sts_calls() - before;
    let bound = 3 * (2 + usize::try_from(since.elapsed().as_secs()).unwrap());
    assert!(asked <= bound, "{asked} calls to STS in {:?}", since.elapsed());

    world.proxy.inject("AssumeRoleWithWebIdentity", None, assumed_role(3600));
    world.proxy.with_sts();
    join_all(names.iter().map(|name| world.ready(name))).await;
}

#[tokio::test]
async fn the_wait_at_startup_logs_its_cause_once_in_one_line() {
    let mut world = World::without_controller("sts-start").await;
    let folder = folder("token");
    let token = folder.path().join("token");
    world.proxy.without_sts();
    let options = web_identity(&world, &token);
    world.controller = Some(Controller::start(stack().await, &options).unwrap());
    let says = |words: &'static str| {
        let world = &world;
        async move {
            eventually(&format!("the log to say {words}"), || async {
                if world.log().contains(words) { Ok(()) } else { Err(world.log()) }
            })
            .await;
        }
    };
    says("a file is missing").await;
    std::fs::write(&token, "token").unwrap();
    says("there are no AWS credentials yet: STS answers ServiceUnavailable: STS is unavailable")
        .await;
    let before = world.proxy.sts_calls();
    support::eventually_within(Duration::from_mins(1), "STS to be asked again", || async {
        if world.proxy.sts_calls() > before + 6 { Ok(()) } else { Err(world.log()) }
    })
    .await;
    let log = world.log();
    let about: Vec<_> = log.lines().filter(|line| line.contains("AWS credentials")).collect();
    assert_eq!(about.len(), 2, "each cause once: {log}");
    assert!(about.iter().all(|line| line.chars().count() < 300), "{about:?}");

    world.proxy.inject("AssumeRoleWithWebIdentity", None, assumed_role(3600));
    world.proxy.with_sts();
    says("watching; ready").await;
}

#[tokio::test]
async fn an_empty_region_is_reported_and_the_next_variable_is_used() {
    let world = World::without_controller("region").await;
    let empty = [("AWS_REGION", Some("")), ("AWS_DEFAULT_REGION", Some(""))];
    let (is_well, said) = checked(world.proxy.url(), &empty).await;
    assert!(!is_well && said.contains("no AWS region is configured: it is empty"), "{said}");
    let (is_well, said) = checked(world.proxy.url(), &[("AWS_REGION", Some(""))]).await;
    assert!(is_well, "{said}");
    let (is_well, said) = checked(world.proxy.url(), &[("AWS_REGION", Some("us east"))]).await;
    assert!(!is_well && said.contains("\"us east\""), "{said}");
}

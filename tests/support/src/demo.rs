//! `make demo`: shows the main job. It prints every command that a user would type, and then runs it.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use support::{Controller, ControllerOptions, Error, Stack, repository};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

const ROLE: &str = "PinpointEventStreamRole";
const POLICY: &str = "PinpointEventStreamPermissionsPolicy";
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let ended = tokio::select! {
        result = demo() => result,
        () = stop() => Err("stopped; everything that was started is gone".into()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_error(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn demo() -> Result<(), Error> {
    let started = Instant::now();
    heading("A local control plane (etcd, kube-apiserver with RBAC) and a local IAM (moto)");
    let stack = Stack::installed().await?;
    let root = repository();
    let read = |path: &Path| std::fs::read_to_string(path);
    kubectl(&stack, &["get", "crd"]).await?;

    heading(
        "The controller, as a service account that may do what deploy/rbac says and nothing else",
    );
    let options = ControllerOptions {
        resync: "3s".into(),
        ..ControllerOptions::new(streamrole()?, stack.iam_url())
    };
    say("$ streamrole run --resync 3s &");
    let controller = Controller::start(&stack, &options)?;

    heading("One resource for each role: of Pinpoint, and of the services that follow it");
    let samples = root.join("deploy/samples");
    let kinesis = read(&samples.join("kinesis.yaml"))?;
    say(kinesis.trim_end());
    kubectl(&stack, &["apply", "-f", "deploy/samples"]).await?;
    kubectl(&stack, &["wait", "--for=condition=Ready", "esr,pesr", "--all", "--timeout=30s"])
        .await?;
    kubectl(&stack, &["get", "esr,pesr"]).await?;

    heading("The live role in IAM: the documents of AWS's own page");
    let trust_policy =
        ["iam", "get-role", "--role-name", ROLE, "--query", "Role.AssumeRolePolicyDocument"];
    aws(&stack, &trust_policy).await?;
    let permissions_policy =
        ["iam", "get-role-policy", "--role-name", ROLE, "--policy-name", POLICY];
    let declared = aws(&stack, &permissions_policy).await?;

    heading("Someone widens the permissions policy");
    let wide =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let put = [
        "iam",
        "put-role-policy",
        "--role-name",
        ROLE,
        "--policy-name",
        POLICY,
        "--policy-document",
        wide,
    ];
    aws(&stack, &put).await?;
    await_repair(&stack, &permissions_policy, &declared).await?;
    kubectl(
        &stack,
        &[
            "get",
            "events",
            "--field-selector",
            "reason=DriftRepaired",
            "-o",
            "custom-columns=REASON:.reason,MESSAGE:.message",
        ],
    )
    .await?;
    aws(&stack, &permissions_policy).await?;

    heading("Deleting the resources deletes the roles");
    kubectl(&stack, &["delete", "-f", "deploy/samples", "--timeout=30s"]).await?;
    await_absence(&stack).await?;

    drop(controller);
    drop(stack);
    heading(&format!("Done in {} s; nothing is left running", started.elapsed().as_secs()));
    Ok(())
}

async fn await_repair(stack: &Stack, get: &[&str], declared: &str) -> Result<(), Error> {
    say("# … and the next resync, 3 s at most, finds and repairs it:");
    let deadline = Instant::now() + PATIENCE;
    while run(stack.aws().into(), get).await?.stdout != declared {
        if Instant::now() > deadline {
            return Err("the drift was not repaired".into());
        }
    }
    Ok(())
}

async fn await_absence(stack: &Stack) -> Result<(), Error> {
    let get = ["iam", "get-role", "--role-name", ROLE, "--output", "text"];
    say(&format!("$ aws {}", get.join(" ")));
    let answer = run(stack.aws().into(), &get).await?;
    say(answer.stderr.trim());
    if answer.ok || !answer.stderr.contains("NoSuchEntity") {
        return Err("the role is still there".into());
    }
    Ok(())
}

struct Answer {
    ok: bool,
    stdout: String,
    stderr: String,
}

async fn kubectl(stack: &Stack, arguments: &[&str]) -> Result<String, Error> {
    show("kubectl", stack.kubectl(), arguments).await
}

async fn aws(stack: &Stack, arguments: &[&str]) -> Result<String, Error> {
    show("aws", stack.aws(), arguments).await
}

async fn show(
    name: &str,
    command: std::process::Command,
    arguments: &[&str],
) -> Result<String, Error> {
    let quoted: Vec<_> = arguments.iter().map(|argument| quoted(argument)).collect();
    say(&format!("$ {name} {}", quoted.join(" ")));
    let answer = run(command.into(), arguments).await?;
    say(answer.stdout.trim_end());
    if answer.ok {
        return Ok(answer.stdout);
    }
    Err(format!("{name} failed: {}", answer.stderr).into())
}

async fn run(mut command: Command, arguments: &[&str]) -> Result<Answer, Error> {
    let output = command
        .args(arguments)
        .current_dir(repository())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    Ok(Answer {
        ok: output.status.success(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

fn quoted(argument: &str) -> String {
    if argument.contains(['{', '*', ' ', '"']) {
        format!("'{argument}'")
    } else {
        argument.to_owned()
    }
}

/// The root of the repository is two folders above this crate. Cargo puts the controller's binary beside this one.
fn streamrole() -> Result<PathBuf, Error> {
    let here = std::env::current_exe()?;
    let binary = here.with_file_name("streamrole");
    if binary.exists() { Ok(binary) } else { Err("build it first: cargo build --workspace".into()) }
}

async fn stop() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} }
}

#[expect(clippy::print_stdout, reason = "what a demo is for")]
fn say(text: &str) {
    println!("{text}");
}

fn heading(text: &str) {
    say(&format!("\n== {text}"));
}

#[expect(clippy::print_stderr, reason = "it has no other way to report it")]
fn say_error(error: &dyn std::error::Error) {
    eprintln!("demo: {error}");
}

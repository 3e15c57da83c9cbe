//! All generated files. `make generate` writes them, and `tests/generated_files.rs` compares the repository with them.
//! Both use this one list, so they always cover the same files.

use std::path::{Path, PathBuf};

use serde::Serialize;
use streamrole::api::{KINDS, Kind};
use streamrole::{api, cli, controller, iam, service};

use crate::Error;

/// A generated text.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The arguments with which `streamrole` prints the same text; `None` for the copy of a handwritten file.
    pub printed_by: Option<String>,
    /// The text.
    pub text: String,
    /// The files with this text, from the root of the repository.
    pub files: Vec<&'static str>,
}

impl Generated {
    /// All generated texts.
    ///
    /// # Errors
    /// When a value cannot be serialized.
    pub fn all() -> Result<Vec<Self>, Error> {
        let by = |arguments: &str, text: String, files: &[&'static str]| Self {
            printed_by: Some(arguments.into()),
            text,
            files: files.to_vec(),
        };
        let mut all = Vec::new();
        for (kind, crd, schema) in [
            (
                "PinpointEventStreamRole",
                &[
                    "crds/streamrole.dev_pinpointeventstreamroles.yaml",
                    "deploy/helm/streamrole/files/crds/streamrole.dev_pinpointeventstreamroles.yaml",
                    "deploy/kustomize/base/crds/streamrole.dev_pinpointeventstreamroles.yaml",
                ],
                "crds/streamrole.dev/pinpointeventstreamrole_v1alpha1.json",
            ),
            (
                "EventStreamRole",
                &[
                    "crds/streamrole.dev_eventstreamroles.yaml",
                    "deploy/helm/streamrole/files/crds/streamrole.dev_eventstreamroles.yaml",
                    "deploy/kustomize/base/crds/streamrole.dev_eventstreamroles.yaml",
                ],
                "crds/streamrole.dev/eventstreamrole_v1alpha1.json",
            ),
        ] {
            let name = format!("crd --kind {kind}");
            let kind = Kind::named(kind).ok_or("no such kind")?;
            all.push(by(&name, yaml(&(kind.crd)())?, crd));
            let text = format!("{:#}\n", api::json_schema(kind));
            all.push(by(&format!("{name} --schema"), text, &[schema]));
        }
        all.extend([
            by("reference", api::reference(), &["docs/reference.md"]),
            by("reference commands", cli::commands(), &["docs/cli.md"]),
            by("reference services", service::guide(), &["docs/services.md"]),
            by(
                "rbac",
                yaml(&controller::cluster_role(&KINDS))?,
                &[
                    "deploy/rbac/clusterrole.yaml",
                    "deploy/helm/streamrole/files/clusterrole.yaml",
                    "deploy/kustomize/base/clusterrole.yaml",
                ],
            ),
            by(
                "rbac lease-role",
                yaml(&controller::lease_role())?,
                &[
                    "deploy/rbac/role.yaml",
                    "deploy/helm/streamrole/files/role.yaml",
                    "deploy/kustomize/base/role.yaml",
                ],
            ),
        ]);
        for policy in <iam::PermissionsPolicy as clap::ValueEnum>::value_variants() {
            let (name, file) = shipped_as(*policy);
            let limits = iam::PolicyLimits {
                role_actions: service::actions(),
                ..iam::PolicyLimits::default()
            };
            let document = policy.document(&limits);
            let text = serde_json::to_string_pretty(&document)? + "\n";
            all.push(by(&format!("iam-policy {name}"), text, &[file]));
        }
        all.push(Self {
            printed_by: None,
            text: std::fs::read_to_string(
                repository().join("deploy/policies/source-warning.yaml"),
            )?,
            files: vec![
                "deploy/helm/streamrole/files/source-warning.yaml",
                "deploy/kustomize/base/source-warning.yaml",
            ],
        });
        Ok(all)
    }

    /// The paths of the files.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(|file| repository().join(file))
    }
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

const fn shipped_as(policy: iam::PermissionsPolicy) -> (&'static str, &'static str) {
    match policy {
        iam::PermissionsPolicy::Controller => ("controller", "deploy/iam/policy.json"),
        iam::PermissionsPolicy::WithoutTags => {
            ("without-tags", "deploy/iam/policy-without-tags.json")
        }
        iam::PermissionsPolicy::Adoption => ("adoption", "deploy/iam/policy-adoption.json"),
        iam::PermissionsPolicy::TakeOver => ("take-over", "deploy/iam/policy-take-over.json"),
        iam::PermissionsPolicy::Boundary => ("boundary", "deploy/iam/policy-boundary.json"),
        iam::PermissionsPolicy::OwnRole => ("own-role", "deploy/iam/policy-own-role.json"),
        iam::PermissionsPolicy::RoleBoundary => ("role-boundary", "deploy/iam/role-boundary.json"),
    }
}

fn yaml(object: &impl Serialize) -> Result<String, Error> {
    Ok(serde_saphyr::to_string(object)?)
}

//! The locations of the binaries. `assets/ensure` finds, downloads or builds them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;

#[derive(Clone, Debug)]
pub(crate) struct Assets {
    kubernetes: PathBuf,
    python: PathBuf,
}

impl Assets {
    /// Makes sure that all binaries exist; reports slow steps on standard error.
    pub(crate) fn ensure() -> Result<Self, Error> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/ensure");
        let output = Command::new(&script)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| format!("cannot run {}: {error}", script.display()))?;
        if !output.status.success() {
            return Err(format!("{} failed; it said why above", script.display()).into());
        }
        let lines = String::from_utf8(output.stdout)?;
        let value = |key: &str| {
            let line = lines.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(PathBuf::from).ok_or_else(|| format!("{} printed no {key}", script.display()))
        };
        Ok(Self {
            kubernetes: value("KUBEBUILDER_ASSETS")?,
            python: value("STREAMROLE_TEST_PYTHON_BIN")?,
        })
    }

    pub(crate) fn kubernetes(&self, name: &str) -> PathBuf {
        self.kubernetes.join(name)
    }

    pub(crate) fn python(&self, name: &str) -> PathBuf {
        self.python.join(name)
    }
}

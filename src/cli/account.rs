//! The roles of an account, for commands that only read.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::iam::{Aws, Iam};
use crate::role::{ObservedRole, Roles};
use crate::timing::Timing;

use super::Error;

/// A client with the credentials, region and endpoint of the environment.
///
/// # Errors
/// When the configuration is unusable, or there are no credentials.
pub(super) async fn connect() -> Result<Iam, Error> {
    let aws = Aws::from_environment().await?;
    aws.look_for_credentials().await?;
    Ok(Iam::new(&aws, Arc::new(|_| {}), Arc::new(|| true), &Timing::default()))
}

/// All roles of the account by name: two calls for each 1,000 roles.
///
/// # Errors
/// When IAM denies a list or fails.
pub(super) async fn snapshot(roles: &dyn Roles) -> Result<BTreeMap<String, ObservedRole>, Error> {
    let progress = progress("roles read");
    let mut all = BTreeMap::new();
    let mut next = None;
    loop {
        let page = roles.details_page(next).await?;
        all.extend(page.roles);
        progress.set_position(all.len() as u64);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    loop {
        let page = roles.settings_page(next).await?;
        for (name, settings) in page.roles {
            if let Some(role) = all.get_mut(&name) {
                role.description = settings.description;
                role.max_session_duration_seconds = settings.max_session_duration_seconds;
            }
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    progress.finish_and_clear();
    Ok(all)
}

/// A count on standard error, if that is a terminal and the work takes longer than a second.
pub(super) fn progress(what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(what);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}

//! A child process that cannot outlive this one. A small shell holds the other end of a pipe; when the pipe breaks for
//! any reason, the shell ends the child and removes its folder. The child has its own process group, so Ctrl-C reaches
//! only us, and we decide the order of shutdown.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::Error;

/// $1: folder to remove at the end. $2: log file. Then the command. The last of all guards finds the folder above empty
/// and removes the shared files.
const GUARD: &str = r#"
dir=$1 log=$2; shift 2
exec 3<&0
"$@" >>"$log" 2>&1 </dev/null 3<&- &
child=$!
{ cat <&3 >/dev/null; kill -s KILL "$child" 2>/dev/null; } >/dev/null &
watcher=$!
echo "$child"
wait "$child"
status=$?
kill "$watcher" 2>/dev/null
rm -rf "$dir"
run=$(dirname "$dir")
rmdir "$run" 2>/dev/null && rm -rf "$(dirname "$run")"
echo "$status"
"#;

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    guard: Child,
    guard_says: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Process {
    /// Starts `program` with a new folder `dir`, which is removed when the process ends. Its output goes to `log`.
    pub(crate) fn start(
        name: &str,
        dir: &Path,
        log: &Path,
        program: &Path,
        configure: impl FnOnce(&mut Command),
    ) -> Result<Self, Error> {
        std::fs::create_dir_all(dir)?;
        let mut inner = Command::new(program);
        configure(&mut inner);
        let mut guard = Command::new("sh");
        guard.args([
            OsStr::new("-c"),
            GUARD.as_ref(),
            "guard".as_ref(),
            dir.as_ref(),
            log.as_ref(),
        ]);
        guard.arg(inner.get_program()).args(inner.get_args());
        for (key, value) in inner.get_envs() {
            match value {
                Some(value) => guard.env(key, value),
                None => guard.env_remove(key),
            };
        }
        guard.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut guard = guard.spawn()?;
        let stdout = guard.stdout.take().ok_or("the guard has no standard output")?;
        let mut guard_says = BufReader::new(stdout);
        let mut line = String::new();
        guard_says.read_line(&mut line)?;
        let pid = line.trim().parse().map_err(|_| format!("{name} could not be started"))?;
        Ok(Self { name: name.into(), pid, guard, guard_says, log: log.into() })
    }

    /// Process id of the child.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it is still running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        signal(self.pid, "0")
    }

    /// Sends a signal, by its name for `kill`.
    pub fn signal(&self, name: &str) {
        signal(self.pid, name);
    }

    /// Waits until it ends and returns its exit status as in a shell (128 and more: a signal).
    ///
    /// # Errors
    /// When the guard itself was killed.
    pub fn wait(mut self) -> Result<i32, Error> {
        let mut line = String::new();
        self.guard_says.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }

    /// The peak memory of the process in megabytes, from the kernel.
    ///
    /// # Errors
    /// When it does not run, or not on Linux.
    pub fn peak_memory_mb(&self) -> Result<f64, Error> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.split_whitespace().next()).ok_or("no VmHWM")?;
        Ok(kilobytes.parse::<f64>()? / 1024.0)
    }

    /// Its output so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of its output, for an error message.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
        format!("the last lines of {}:\n{}", self.name, tail.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Closing the pipe makes the guard end the child. When the guard has ended, everything is cleaned up.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn signal(pid: u32, name: &str) -> bool {
    let sent =
        Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status();
    sent.is_ok_and(|status| status.success())
}

//! Background programs that stop when they are no longer needed.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{interrupted, say, stop};

/// A background program with its output in a log file. Dropping the value stops it.
pub struct Daemon {
    name: &'static str,
    /// `None` if it is left running.
    child: Option<Child>,
    log: PathBuf,
}

impl Daemon {
    /// Starts the program in a separate process group, so that Ctrl-C does not end it before its users.
    pub fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Daemon> {
        say(format_args!("starting {name} (its log: {})", log.display()));
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Daemon { name, child: Some(child), log: log.into() })
    }

    /// Waits until the program is ready. If that fails, the error contains its log.
    pub fn wait_until(&mut self, ready: impl Fn() -> bool, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while !ready() {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                bail!(
                    "{} did not start ({status}); {} ends with\n{}",
                    self.name,
                    self.log.display(),
                    self.last_words()
                );
            }
            if start.elapsed() > limit {
                bail!(
                    "{} is not ready after {} s; {} ends with\n{}",
                    self.name,
                    limit.as_secs(),
                    self.log.display(),
                    self.last_words()
                );
            }
            if interrupted() {
                bail!("interrupted");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Leaves the program running after xtask ends.
    pub fn leave_running(mut self) {
        self.child = None;
    }

    fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.trim_end().lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            say(format_args!("stopping {}", self.name));
            stop(child, &["TERM"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::command_line;

    #[test]
    fn it_ends_with_the_value_and_its_log_explains_a_failure() {
        let log = std::env::temp_dir().join(format!("xtask-daemon-{}.log", std::process::id()));
        let daemon = Daemon::start("sleep", Command::new("sleep").arg("30"), &log).unwrap();
        let pid = daemon.child.as_ref().unwrap().id();
        drop(daemon);
        assert_eq!(command_line(pid), None);

        let mut broken =
            Daemon::start("broken", Command::new("sh").args(["-c", "echo port in use; exit 1"]), &log)
                .unwrap();
        let error = broken.wait_until(|| false, Duration::from_secs(5)).unwrap_err().to_string();
        assert!(error.contains("did not start") && error.ends_with("port in use"), "{error}");
        fs::remove_file(&log).unwrap();
    }
}

//! A Docker engine for as long as a chore needs one.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{interrupted, say, stop, succeeds, text};
use crate::workspace::cache;

const READY_WITHIN: Duration = Duration::from_secs(60);

/// The engine answers as long as this lives; one that we started stops with it.
pub struct Engine(Option<Child>);

impl Engine {
    /// Takes the engine that runs. Where none does, root on Linux starts one, on the engine's usual socket and data
    /// folder, so that images stay for the next time, with its log in the cache folder.
    pub fn ensure() -> Result<Engine> {
        if answers() {
            return Ok(Engine(None));
        }
        if !cfg!(target_os = "linux") || !is_root() || !has_dockerd() {
            bail!("{}", advice());
        }
        let log = cache()?.join("dockerd.log");
        fs::create_dir_all(cache()?)?;
        let output = File::create(&log)?;
        say(format_args!("starting dockerd (its log: {})", log.display()));
        // Of its own process group: Ctrl-C must not end it before those who use it.
        let mut dockerd = Command::new("dockerd");
        dockerd.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut engine = Engine(Some(dockerd.spawn().context("cannot start dockerd")?));
        engine
            .wait_until_ready()
            .with_context(|| format!("dockerd did not start; its log is {}", log.display()))?;
        Ok(engine)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        while !answers() {
            if let Some(status) = self.0.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                bail!("{status}");
            }
            if interrupted() || start.elapsed() > READY_WITHIN {
                bail!("no answer after {} s", start.elapsed().as_secs());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            say("stopping dockerd");
            stop(child);
        }
    }
}

/// A docker command.
pub fn docker(arguments: &[&str]) -> Command {
    let mut docker = Command::new("docker");
    docker.args(arguments);
    docker
}

fn answers() -> bool {
    succeeds(&mut docker(&["info"]), Duration::from_secs(10))
}

fn is_root() -> bool {
    text(Command::new("id").arg("-u")).is_ok_and(|id| id == "0")
}

fn has_dockerd() -> bool {
    succeeds(Command::new("dockerd").arg("--version"), Duration::from_secs(10))
}

fn advice() -> String {
    let how = if cfg!(target_os = "macos") {
        "start Docker Desktop, Colima or another engine"
    } else if has_dockerd() {
        "start it (`sudo systemctl start docker`) and let your user use it (the group `docker`)"
    } else {
        "install it (Debian and Ubuntu: `sudo apt-get install docker.io`) and start it"
    };
    format!("no Docker engine answers to `docker info`: {how}")
}

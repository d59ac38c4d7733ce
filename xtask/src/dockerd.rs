//! A Docker engine for as long as a command needs one.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::daemon::Daemon;
use crate::process::{succeeds, text};
use crate::workspace::cache;

/// A running engine. If xtask started it, dropping the value stops it.
pub struct Engine {
    _ours: Option<Daemon>,
}

impl Engine {
    /// Uses the running engine. If there is none, root on Linux starts one, with the usual socket, where all clients look
    /// for it, and the usual data folder, so that images are kept.
    pub fn ensure() -> Result<Engine> {
        if answers() {
            return Ok(Engine { _ours: None });
        }
        ensure!(cfg!(target_os = "linux") && is_root() && has_dockerd(), "{}", advice());
        fs::create_dir_all(cache()?)?;
        let mut dockerd =
            Daemon::start("dockerd", &mut Command::new("dockerd"), &cache()?.join("dockerd.log"))?;
        dockerd.wait_until(answers, Duration::from_secs(60))?;
        Ok(Engine { _ours: Some(dockerd) })
    }

    /// Requires a running engine, for work that continues after xtask has ended.
    pub fn must_run() -> Result<()> {
        ensure!(answers(), "{}", advice());
        Ok(())
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
        || Path::new("/usr/sbin/dockerd").exists()
}

fn advice() -> String {
    let how = if cfg!(target_os = "macos") {
        "start Docker Desktop, Colima or another engine"
    } else if has_dockerd() {
        "start it (`sudo systemctl start docker`, or `sudo dockerd`) and let your user use it (the group `docker`)"
    } else {
        "install it (Debian and Ubuntu: `sudo apt-get install docker.io`) and start it"
    };
    format!("no Docker engine answers `docker info`: {how}")
}

//! Relays to the engine's socket.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use crate::workspace;

/// A running `relay.py`, which ends when this is dropped.
pub struct Relay {
    child: Child,
    address: String,
}

impl Relay {
    /// Starts it. The docstring of `relay.py` describes the arguments.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .arg(Self::program())
            .arg(engine_socket())
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut address = String::new();
        let stdout = child.stdout.take().expect("its output is piped");
        BufReader::new(stdout).read_line(&mut address).expect("its output can be read");
        assert!(address.contains("://"), "the relay listens");
        Self { child, address: address.trim().to_owned() }
    }

    /// The value for `DOCKER_HOST`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The script.
    pub fn program() -> PathBuf {
        workspace().join("tests/support/relay.py")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may already have ended because of its fault.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The engine's socket on this machine.
pub fn engine_socket() -> String {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock").to_owned()
}

//! S3 servers that are fast enough not to dominate the measurement.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::place::Place;
use crate::daemon::Daemon;
use crate::install::Crate;

/// Stores objects as files, and verifies signatures.
const S3S_FS: Crate = Crate { name: "s3s-fs", version: "0.14.1", features: &["binary"] };
/// A caveat: it uses Nagle's algorithm.
const WAITS: &str = "s3s-fs sends the body of a small object only after its header is acknowledged, 40 ms later: what counts is \
                     the number of parallel requests";
const HOST: &str = "127.0.0.1";

/// A running server. Dropping the value stops it.
pub struct S3 {
    pub name: &'static str,
    /// A caveat for its figures of small objects.
    pub caveat: Option<&'static str>,
    endpoint: String,
    _daemon: Daemon,
}

impl S3 {
    /// Starts ministack, which is in Python and keeps objects in memory.
    pub fn ministack(place: &Place) -> Result<Self> {
        let port = free_port()?;
        let mut ministack = place.installed("ministack", &[]);
        ministack.env("BIND_HOST", HOST).env("SERVICES", "s3").env("GATEWAY_PORT", port.to_string());
        Self::start("ministack", &mut ministack, port, place)
    }

    /// Starts s3s-fs, which accepts only the contenders' credentials.
    pub fn s3s_fs(place: &Place) -> Result<Self> {
        let port = free_port()?;
        let root = place.home.join("s3s-fs");
        fs::create_dir(&root)?;
        let mut s3s_fs = Command::new(S3S_FS.ensure()?);
        s3s_fs.args(["--host", HOST, "--port", &port.to_string()]);
        s3s_fs.args(["--access-key", place.variable("AWS_ACCESS_KEY_ID")?]);
        s3s_fs.args(["--secret-key", place.variable("AWS_SECRET_ACCESS_KEY")?]);
        let s3s_fs = Self::start("s3s-fs", s3s_fs.arg(root), port, place)?;
        Ok(Self { caveat: Some(WAITS), ..s3s_fs })
    }

    fn start(name: &'static str, command: &mut Command, port: u16, place: &Place) -> Result<Self> {
        let mut daemon = Daemon::start(name, command, &place.home.join(format!("{name}.log")))?;
        daemon.wait_until(|| TcpStream::connect((HOST, port)).is_ok(), Duration::from_secs(60))?;
        Ok(Self { name, caveat: None, endpoint: format!("http://{HOST}:{port}"), _daemon: daemon })
    }

    /// Makes a command use this server for S3; other services are the rig's.
    pub fn serve(&self, mut command: Command) -> Command {
        command.env("AWS_ENDPOINT_URL_S3", &self.endpoint);
        command
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((HOST, 0))?.local_addr()?.port())
}

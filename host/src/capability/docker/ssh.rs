//! Connects to an engine over ssh as Docker's own command line does: each connection is an `ssh` that runs
//! `docker system dial-stdio` on the other machine. The user's ssh provides keys, agents, jump hosts and known hosts.

use std::{
    io,
    pin::Pin,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bollard::{BollardRequest, ClientVersion, Docker};
use hyper::Uri;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    process::{Child, ChildStdin, ChildStdout, Command},
};
use tower_service::Service;

use crate::error::{Error, Result};

/// Maximum number of bytes kept of ssh's stderr.
const LAST_WORDS: usize = 4 << 10;
/// Half a second in total.
const WORDS_TRIES: usize = 25;
const WORDS_PAUSE: Duration = Duration::from_millis(20);

/// ssh's stderr, which says why it could not connect.
pub(super) type Words = Arc<Mutex<String>>;

/// A client that reuses its connections, because a new one needs a handshake.
pub(super) fn connect(url: &str, timeout: u64, version: &ClientVersion) -> Result<(Docker, Words)> {
    let words = Words::default();
    let connector = Connector { arguments: Arc::new(arguments(url)?), words: words.clone() };
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let transport = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { answer.await.map_err(bollard::errors::Error::from) }
    };
    let docker = Docker::connect_with_custom_transport(transport, Some("http://docker"), timeout, version)
        .map_err(|error| Error::failed(format!("cannot connect to {url}")).source(error))?;
    Ok((docker, words))
}

/// ssh's stderr after a failure. Waits a moment, because ssh's end is often seen before its output is read.
pub(super) async fn said(words: &Words) -> String {
    let all = || words.lock().unwrap_or_else(PoisonError::into_inner).trim().to_owned();
    for _ in 0..WORDS_TRIES {
        if !all().is_empty() {
            break;
        }
        tokio::time::sleep(WORDS_PAUSE).await;
    }
    all()
}

/// Opens one raw connection.
pub(super) fn open(url: &str) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>> {
    Pipe::open(&arguments(url)?, &Words::default())
        .map_err(|error| Error::failed(format!("cannot connect to {url}")).source(error))
}

/// The arguments of ssh for `ssh://[USER@]HOST[:PORT][/SOCKET]`.
fn arguments(url: &str) -> Result<Vec<String>> {
    let invalid = || {
        Error::invalid(format!("{url} is not an engine's address")).hint("write it as ssh://USER@HOST:PORT")
    };
    let uri: Uri = url.parse().map_err(|_| invalid())?;
    let authority = uri.authority().ok_or_else(invalid)?;
    let user = authority.as_str().rsplit_once('@').map(|(user, _)| user);
    let host = authority.host().trim_matches(['[', ']']);
    if host.is_empty() || user.is_some_and(|user| user.contains(':')) {
        return Err(invalid());
    }
    let mut arguments: Vec<String> = ["-T", "-o", "ConnectTimeout=30"].map(String::from).into();
    if let Some(user) = user {
        arguments.extend(["-l".into(), user.into()]);
    }
    if let Some(port) = authority.port_u16() {
        arguments.extend(["-p".into(), port.to_string()]);
    }
    arguments.extend(["--".into(), host.into(), "docker".into()]);
    if uri.path().len() > 1 {
        arguments.push(format!("--host=unix://{}", uri.path()));
    }
    arguments.extend(["system".into(), "dial-stdio".into()]);
    Ok(arguments)
}

#[derive(Clone)]
struct Connector {
    arguments: Arc<Vec<String>>,
    words: Words,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Pipe>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<TokioIo<Pipe>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(Pipe::open(&self.arguments, &self.words).map(TokioIo::new))
    }
}

/// An `ssh` process, which is killed when this is dropped.
struct Pipe {
    _ssh: Child,
    /// `None` once sending has ended.
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Pipe {
    fn open(arguments: &[String], words: &Words) -> io::Result<Self> {
        let mut command = Command::new("ssh");
        command.args(arguments).kill_on_drop(true);
        let mut ssh = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (Some(input), Some(output), Some(mut errors)) =
            (ssh.stdin.take(), ssh.stdout.take(), ssh.stderr.take())
        else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let words = words.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok(length @ 1..) = errors.read(&mut buffer).await {
                let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
                if words.len() < LAST_WORDS {
                    words.push_str(&String::from_utf8_lossy(&buffer[..length]));
                }
            }
        });
        Ok(Self { _ssh: ssh, input: Some(input), output })
    }

    fn input(&mut self) -> io::Result<Pin<&mut ChildStdin>> {
        self.input.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl Connection for Pipe {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.input()?.poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_flush(context),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.input = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_dockers() {
        let all = |url: &str| arguments(url).map(|all| all[3..].join(" "));
        assert_eq!(all("ssh://far").unwrap(), "-- far docker system dial-stdio");
        assert_eq!(
            all("ssh://me@far:2222/run/user/1/docker.sock").unwrap(),
            "-l me -p 2222 -- far docker --host=unix:///run/user/1/docker.sock system dial-stdio"
        );
        for url in ["ssh://", "ssh://a b", "ssh://me:secret@far"] {
            assert!(all(url).is_err(), "{url}");
        }
    }
}

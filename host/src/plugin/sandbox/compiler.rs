//! Compiles untrusted components. Their authors control how much time and memory that takes, so it happens in a child
//! process: this program, started again with limits. It is killed with its parent and, if the kernel has seccomp, can
//! open neither files nor connections. Its standard input is a socket, which takes the component and returns the
//! compiled form or an error.

use std::{
    io::{Read, Write},
    os::{fd::AsFd, fd::OwnedFd, unix::net::UnixStream, unix::process::ExitStatusExt},
    process::{Output, Stdio},
};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::{
    confined::confine,
    engine::engine,
    limits::{
        MAX_COMPILED, MAX_COMPILING, MAX_COMPILING_MEMORY as MAX_MEMORY, MAX_COMPILING_SECONDS as MAX_SECONDS,
    },
};
use crate::{
    environment::Environment,
    error::{Context, Error, Kind, Result},
    plugin::package::source::MAX_BYTES,
};

/// The only argument of this program when it runs as the compiler.
pub const COMPILE: &str = "compile-component";

/// The first byte of a response.
const COMPILED: u8 = 0;
const REFUSED: u8 = 1;

/// Compiles a component.
///
/// # Errors
/// If it is not a valid component, or compiling it exceeds the limits.
pub(crate) async fn compile(name: &str, wasm: &[u8]) -> Result<Vec<u8>> {
    let failed = || format!("cannot start the compiler of {name}");
    let (ours, theirs) = UnixStream::pair().context(failed)?;
    ours.set_nonblocking(true).context(failed)?;
    let ours = tokio::net::UnixStream::from_std(ours).context(failed)?;
    // In its own process group: Ctrl-C reaches this process, which then ends the compiler.
    let compiler = Command::new(Environment::program()?)
        .arg(COMPILE)
        .env_clear()
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .context(failed)?;
    let both = async { tokio::join!(asked(ours, wasm), compiler.wait_with_output()) };
    let Ok((answer, ended)) = tokio::time::timeout(MAX_COMPILING, both).await else {
        return Err(too_much(name, &format!("{} minutes", MAX_COMPILING.as_secs() / 60)));
    };
    let ended = ended.context(failed)?;
    match answer.split_first() {
        Some((&COMPILED, code)) if ended.status.success() && code.len() <= MAX_COMPILED => Ok(code.to_vec()),
        Some((&COMPILED, _)) if ended.status.success() => {
            Err(too_much(name, &format!("{} MiB of compiled code", MAX_COMPILED >> 20)))
        }
        Some((&REFUSED, reason)) if ended.status.success() => {
            Err(Error::new(Kind::Plugin, format!("{name} is not a valid WebAssembly component"))
                .hint("download the plugin again, or report this to its author")
                .source(String::from_utf8_lossy(reason).into_owned()))
        }
        _ => Err(died(name, &ended)),
    }
}

/// Sends the component and reads the response. Errors are ignored, because the compiler's exit status explains them.
async fn asked(mut compiler: tokio::net::UnixStream, wasm: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let exchange = async {
        compiler.write_all(&(wasm.len() as u64).to_le_bytes()).await?;
        compiler.write_all(wasm).await?;
        let most = MAX_COMPILED as u64 + 2;
        (&mut compiler).take(most).read_to_end(&mut answer).await
    };
    let _ = exchange.await;
    answer
}

fn too_much(name: &str, what: &str) -> Error {
    Error::new(Kind::Plugin, format!("cannot compile {name}: it needs more than {what}"))
        .hint("report this to the plugin's author: the limit is the same for all plugins")
}

fn died(name: &str, ended: &Output) -> Error {
    let words = String::from_utf8_lossy(&ended.stderr);
    let words = words.trim();
    let signal = ended.status.signal();
    if signal == Some(Signal::XCPU.as_raw()) {
        return too_much(name, &format!("{} seconds of CPU time", most(Resource::Cpu, MAX_SECONDS)));
    }
    // The messages of Rust's standard library and of the system.
    if ["memory allocation of", "memory allocation failed", "Cannot allocate memory"]
        .iter()
        .any(|said| words.contains(said))
    {
        return too_much(name, &format!("{} MiB of memory", most(Resource::Data, MAX_MEMORY) >> 20));
    }
    // Only the system's out-of-memory killer ends it like this while this process waits for it.
    if signal == Some(Signal::KILL.as_raw()) {
        let most = most(Resource::Data, MAX_MEMORY) >> 20;
        return Error::failed(format!(
            "the compiler was killed while compiling {name}: this machine probably ran out of memory"
        ))
        .hint(format!("free up to {most} MiB of memory and run the command again"));
    }
    let broken = Error::new(Kind::Plugin, format!("the compiler crashed on {name}: {}", ended.status))
        .hint("report this to the plugin's author");
    if words.is_empty() { broken } else { broken.details(words.to_owned()) }
}

/// Runs this program as the compiler.
///
/// # Errors
/// If standard input is not a socket, or the parent process is gone.
pub fn serve() -> Result<()> {
    let alone = || format!("`{COMPILE}` is for internal use only");
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().context(alone)?;
    let mut parent = UnixStream::from(stdin);
    let listener = parent.try_clone().context(alone)?;
    limit().context(|| "cannot limit the compiler".into())?;
    let engine = engine()?;
    confine();
    let mut length = [0; 8];
    parent.read_exact(&mut length).context(alone)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    let mut wasm = vec![0; length.min(MAX_BYTES)];
    parent.read_exact(&mut wasm).context(alone)?;
    std::thread::spawn(move || end_with(listener));
    let (what, content) = match engine.precompile_component(&wasm) {
        Ok(code) => (COMPILED, code),
        Err(error) => (REFUSED, format!("{error:#}").into_bytes()),
    };
    parent.write_all(&[what]).and_then(|()| parent.write_all(&content)).context(alone)
}

/// Ends this process when the parent exits or stops waiting: it sends nothing after the component, so the socket
/// closes.
fn end_with(mut parent: UnixStream) {
    let _ = parent.read(&mut [0]);
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
}

/// Sets the limits before the component is read. RLIMIT_DATA does not count memory that threads reserve but do not use,
/// unlike RLIMIT_AS: with many cores that is gigabytes. macOS enforces only the time.
fn limit() -> rustix::io::Result<()> {
    for (what, limit) in [(Resource::Data, MAX_MEMORY), (Resource::Cpu, MAX_SECONDS), (Resource::Core, 0)] {
        let current = Some(most(what, limit));
        setrlimit(what, Rlimit { current, maximum: getrlimit(what).maximum })?;
    }
    Ok(())
}

/// The limit, or the current one if it is lower.
fn most(what: Resource, limit: u64) -> u64 {
    getrlimit(what).current.map_or(limit, |already| already.min(limit))
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn the_exit_status_decides_whether_the_plugin_is_at_fault() {
        let ended = |status, words: &str| {
            let ended =
                Output { status: ExitStatus::from_raw(status), stdout: Vec::new(), stderr: words.into() };
            let error = died("mine", &ended);
            (error.kind(), error.message().to_owned())
        };
        let (kind, message) = ended(Signal::KILL.as_raw(), "");
        assert!(
            kind == Kind::Failed && message.ends_with("this machine probably ran out of memory"),
            "{message}"
        );
        let (kind, message) = ended(Signal::ABORT.as_raw(), "memory allocation of 99 bytes failed");
        assert!(kind == Kind::Plugin && message.contains("needs more than"), "{message}");
        let (kind, message) = ended(Signal::SEGV.as_raw(), "");
        assert!(kind == Kind::Plugin && message.contains("the compiler crashed on"), "{message}");
    }
}

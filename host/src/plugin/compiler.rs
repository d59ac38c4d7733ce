//! Compiling a stranger's component: what that costs, the component's author decides. So it is done by this program once
//! more, as a process of its own, that has limits, is killed with its parent, and, where the kernel has seccomp, can open
//! neither file nor network: by a socket, its standard input, it gets the component and gives the compiled form or what
//! is wrong.

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
    limits::{
        LONGEST_COMPILING, MOST_COMPILED, MOST_COMPILING_MEMORY as MOST_MEMORY,
        MOST_COMPILING_SECONDS as MOST_SECONDS,
    },
    runtime,
    source::MOST_BYTES,
};
use crate::{
    environment::Environment,
    error::{Context, Error, Kind, Result},
};

/// This program's only argument where it is to compile a component.
pub const COMPILE: &str = "compile-component";

/// How an answer begins.
const COMPILED: u8 = 0;
const REFUSED: u8 = 1;

/// The compiled form of a component.
///
/// # Errors
/// It is no component that can be run, or it takes more to be compiled than it may.
pub(super) async fn compile(name: &str, wasm: &[u8]) -> Result<Vec<u8>> {
    let failed = || format!("cannot start the compiler of {name}");
    let (ours, theirs) = UnixStream::pair().context(failed)?;
    ours.set_nonblocking(true).context(failed)?;
    let ours = tokio::net::UnixStream::from_std(ours).context(failed)?;
    // In a group of its own: of Ctrl-C this process hears, and ends it.
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
    let Ok((answer, ended)) = tokio::time::timeout(LONGEST_COMPILING, both).await else {
        return Err(too_much(name, &format!("{} minutes", LONGEST_COMPILING.as_secs() / 60)));
    };
    let ended = ended.context(failed)?;
    match answer.split_first() {
        Some((&COMPILED, code)) if ended.status.success() && code.len() <= MOST_COMPILED => Ok(code.to_vec()),
        Some((&COMPILED, _)) if ended.status.success() => {
            Err(too_much(name, &format!("{} MiB of compiled code", MOST_COMPILED >> 20)))
        }
        Some((&REFUSED, reason)) if ended.status.success() => {
            Err(Error::new(Kind::Plugin, format!("{name} is no WebAssembly component that can be run"))
                .hint("get the plugin again; its author finds how to build one in the SDK's documentation")
                .source(String::from_utf8_lossy(reason).into_owned()))
        }
        _ => Err(died(name, &ended)),
    }
}

/// Whatever is wrong with the exchange, the compiler's end tells.
async fn asked(mut compiler: tokio::net::UnixStream, wasm: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let exchange = async {
        compiler.write_all(&(wasm.len() as u64).to_le_bytes()).await?;
        compiler.write_all(wasm).await?;
        let most = MOST_COMPILED as u64 + 2;
        (&mut compiler).take(most).read_to_end(&mut answer).await
    };
    let _ = exchange.await;
    answer
}

fn too_much(name: &str, what: &str) -> Error {
    Error::new(Kind::Plugin, format!("{name} needs more than {what} to be compiled"))
        .hint("no plugin gets more: tell its author, who can make its functions smaller or leave code out")
}

fn died(name: &str, ended: &Output) -> Error {
    let words = String::from_utf8_lossy(&ended.stderr);
    let words = words.trim();
    let signal = ended.status.signal();
    if signal == Some(Signal::XCPU.as_raw()) {
        return too_much(name, &format!("{} seconds of computing", most(Resource::Cpu, MOST_SECONDS)));
    }
    // As Rust's library says it, and the system.
    if ["memory allocation of", "memory allocation failed", "Cannot allocate memory"]
        .iter()
        .any(|said| words.contains(said))
    {
        return too_much(name, &format!("{} MiB of memory", most(Resource::Data, MOST_MEMORY) >> 20));
    }
    // Nobody else ends it like this while its answer is waited for.
    if signal == Some(Signal::KILL.as_raw()) {
        let most = most(Resource::Data, MOST_MEMORY) >> 20;
        return Error::failed(format!(
            "the compiler of {name} was killed: most likely this machine ran out of memory"
        ))
        .hint(format!("run the same command again where {most} MiB of memory are free; it is done once"));
    }
    let broken = Error::new(Kind::Plugin, format!("{name} breaks the compiler: {}", ended.status))
        .hint("this is a fault of the plugin, or of wasmtime: tell its author what is said here");
    if words.is_empty() { broken } else { broken.details(words.to_owned()) }
}

/// What this program does where it is the compiler.
///
/// # Errors
/// Nobody asks it anything, or nobody listens.
pub fn serve() -> Result<()> {
    let alone = || format!("`{COMPILE}` is what this program calls itself with");
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().context(alone)?;
    let mut parent = UnixStream::from(stdin);
    let listener = parent.try_clone().context(alone)?;
    limit().context(|| "cannot limit the compiler".into())?;
    let engine = runtime::engine()?;
    confine();
    let mut length = [0; 8];
    parent.read_exact(&mut length).context(alone)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    let mut wasm = vec![0; length.min(MOST_BYTES)];
    parent.read_exact(&mut wasm).context(alone)?;
    std::thread::spawn(move || end_with(listener));
    let (what, content) = match engine.precompile_component(&wasm) {
        Ok(code) => (COMPILED, code),
        Err(error) => (REFUSED, format!("{error:#}").into_bytes()),
    };
    parent.write_all(&[what]).and_then(|()| parent.write_all(&content)).context(alone)
}

/// The parent says nothing more: the end of what it says is its own, or that it does not wait any longer.
fn end_with(mut parent: UnixStream) {
    let _ = parent.read(&mut [0]);
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
}

/// Before a byte of the component is seen. What threads reserve and do not use counts for nothing here, as it would for
/// RLIMIT_AS: with many cores that is gigabytes. macOS limits neither, only the time.
fn limit() -> rustix::io::Result<()> {
    for (what, limit) in [(Resource::Data, MOST_MEMORY), (Resource::Cpu, MOST_SECONDS), (Resource::Core, 0)] {
        let current = Some(most(what, limit));
        setrlimit(what, Rlimit { current, maximum: getrlimit(what).maximum })?;
    }
    Ok(())
}

/// Whoever started the program may have set less.
fn most(what: Resource, limit: u64) -> u64 {
    getrlimit(what).current.map_or(limit, |already| already.min(limit))
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn the_compilers_end_tells_whose_fault_it_is() {
        let ended = |status, words: &str| {
            let ended =
                Output { status: ExitStatus::from_raw(status), stdout: Vec::new(), stderr: words.into() };
            let error = died("mine", &ended);
            (error.kind(), error.message().to_owned())
        };
        let (kind, message) = ended(Signal::KILL.as_raw(), "");
        assert!(kind == Kind::Failed && message.ends_with("this machine ran out of memory"), "{message}");
        let (kind, message) = ended(Signal::ABORT.as_raw(), "memory allocation of 99 bytes failed");
        assert!(kind == Kind::Plugin && message.contains("needs more than"), "{message}");
        let (kind, message) = ended(Signal::SEGV.as_raw(), "");
        assert!(kind == Kind::Plugin && message.contains("breaks the compiler"), "{message}");
    }
}

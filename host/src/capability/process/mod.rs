//! Jobs as processes of this machine, without containers. A process outlives this program: its output is a file in the
//! job's folder, and it holds a lock there as long as it lives.

mod log;

use std::{
    fs::{File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::sleep;

pub use log::chunk;

use crate::{
    disk::{Folder, PRIVATE},
    environment::Environment,
    error::{Error, Kind, Result},
};

/// Its lock is held by the process, as its standard input.
const LOCK: &str = "process.lock";
/// The number of the process.
const PID: &str = "process.pid";
const LOG: &str = "process.log";
const TICK: Duration = Duration::from_millis(50);
/// How long the lock may be held by another program that only looks at it.
const LOOK: Duration = Duration::from_secs(1);
/// A PID has at most ten digits.
const MAX_PID_LENGTH: u64 = 32;

/// Starts a Python program in a job's folder. Does nothing if the job has a process already.
///
/// # Errors
/// There is no Python, or it cannot be started.
pub async fn start(job: &Folder, program: &Path, variables: &[(String, String)]) -> Result<()> {
    let failed = |error| cannot_start(job, error);
    let python = python()?;
    let lock = job.update(Path::new(LOCK), PRIVATE).map_err(failed)?;
    if job.holds(Path::new(LOG)) || !take(&lock).await.map_err(failed)? {
        return Ok(());
    }
    let log = job.create(Path::new(LOG), PRIVATE).map_err(failed)?;
    let process = Command::new(&python)
        .args(["-I", "-u"])
        .arg(job.path().join(program))
        .arg(job.path())
        .current_dir(job.path())
        .env_clear()
        .envs(Environment::of_processes())
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(lock))
        .stdout(log.try_clone().map_err(failed)?)
        .stderr(log)
        .spawn()
        .map_err(failed)?;
    job.write(Path::new(PID), PRIVATE, |file| write!(file, "{}", process.id())).map_err(failed)
}

/// Whether a job's process is running.
///
/// # Errors
/// The job's folder cannot be read.
pub fn is_running(job: &Folder) -> io::Result<bool> {
    let lock = match job.open_file(Path::new(LOCK)) {
        Ok(lock) => lock,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Sends SIGTERM to a job's process, and SIGKILL to it and its children after the grace period.
///
/// # Errors
/// The process cannot be found or signalled.
pub async fn stop(job: &Folder, grace: Duration) -> Result<()> {
    let failed = |error: io::Error| {
        Error::failed(format!("cannot stop the process of {}", job.path().display())).source(error)
    };
    if !is_running(job).map_err(failed)? {
        return Ok(());
    }
    let text = job.read(Path::new(PID), MAX_PID_LENGTH).map_err(failed)?;
    let number = String::from_utf8_lossy(&text).trim().parse().ok().and_then(Pid::from_raw);
    let pid = number.ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))?;
    // The process holds the lock, so its number is still its own.
    kill_process(pid, Signal::TERM).map_err(|error| failed(error.into()))?;
    let end = Instant::now() + grace;
    while is_running(job).map_err(failed)? {
        if Instant::now() > end {
            // It leads a session of its own, unless it has not come so far.
            let killed = kill_process_group(pid, Signal::KILL).or_else(|_| kill_process(pid, Signal::KILL));
            return killed.map_err(|error| failed(error.into()));
        }
        sleep(TICK).await;
    }
    Ok(())
}

/// Takes the lock of a new process. Returns false if a process has it.
async fn take(lock: &File) -> io::Result<bool> {
    let end = Instant::now() + LOOK;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() > end => return Ok(false),
            Err(TryLockError::WouldBlock) => sleep(TICK).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn python() -> Result<PathBuf> {
    ["python3", "python"].iter().find_map(|name| Environment::program_on_path(name)).ok_or_else(|| {
        Error::new(Kind::Unavailable, "there is no Python on this machine's PATH")
            .hint("install Python 3.8 or newer, or train in a container: --train-driver local")
    })
}

fn cannot_start(job: &Folder, error: io::Error) -> Error {
    Error::failed(format!("cannot start a process in {}", job.path().display()))
        .hint("check that the disk is not full, and that `python3` works")
        .source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn until(condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < end, "it takes too long");
            sleep(TICK).await;
        }
    }

    fn job(program: &str) -> (tempfile::TempDir, Folder) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("program.py"), program).unwrap();
        let job = Folder::open(folder.path()).unwrap();
        (folder, job)
    }

    #[tokio::test]
    async fn a_process_is_started_once_and_its_output_is_kept() {
        let (folder, job) = job(
            "import os, sys\nprint(os.environ['WORD'], 'HOME_OF_TESTS' in os.environ, sys.argv[1] == os.getcwd())\n",
        );
        assert!(!is_running(&job).unwrap());
        let variables = [("WORD".to_owned(), "one".to_owned())];
        for _ in 0..2 {
            start(&job, Path::new("program.py"), &variables).await.unwrap();
        }
        until(|| !is_running(&job).unwrap()).await;
        let text = std::fs::read_to_string(folder.path().join(LOG)).unwrap();
        assert_eq!(text, "one False True\n");
    }

    #[tokio::test]
    async fn a_process_that_does_not_stop_is_killed_with_its_children() {
        let (folder, job) = job(
            "import os, signal, subprocess, sys, time\nos.setsid()\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
             child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], stdin=subprocess.DEVNULL)\n\
             open('child', 'w').write(str(child.pid))\nprint('ready')\ntime.sleep(60)\n",
        );
        start(&job, Path::new("program.py"), &[]).await.unwrap();
        until(|| std::fs::read_to_string(folder.path().join(LOG)).is_ok_and(|text| text == "ready\n")).await;
        assert!(is_running(&job).unwrap());
        stop(&job, Duration::from_millis(200)).await.unwrap();
        until(|| !is_running(&job).unwrap()).await;
        let child = std::fs::read_to_string(folder.path().join("child")).unwrap();
        let child = Pid::from_raw(child.parse().unwrap()).unwrap();
        until(|| rustix::process::test_kill_process(child).is_err()).await;
    }
}

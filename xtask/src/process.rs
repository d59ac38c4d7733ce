//! Runs other programs. Ctrl-C, a time limit and a failure all end in one clear error.

use std::fs::File;
use std::io::{self, BufRead};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// How long a program may take to end after each signal.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How often a child is looked at.
const TICK: Duration = Duration::from_millis(10);

/// From now on, Ctrl-C and SIGTERM do not end xtask but make `run` fail, so that everything that was started is stopped.
pub fn watch_for_interrupts() {
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::flag::register(signal, INTERRUPTED.clone()).expect("these signals may be caught");
    }
}

/// Whether the user pressed Ctrl-C.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Prints progress on stderr; stdout is for a command's result.
pub fn say(line: impl std::fmt::Display) {
    eprintln!("xtask: {line}");
}

/// Runs a program to its end, with its output on stderr.
pub fn run(command: &mut Command) -> Result<()> {
    check(command.stdout(io::stderr()), None)
}

/// Runs a program to its end, with all its output in a file.
pub fn run_into(command: &mut Command, file: File) -> Result<()> {
    check(command.stderr(file.try_clone()?).stdout(file), None)
}

/// Runs a program with a time limit, with its output on stderr.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    check(command.stdout(io::stderr()), Some(limit))
}

/// Runs a program whose stdout is the command's result, and returns its status.
pub fn run_in_front(command: &mut Command) -> Result<ExitStatus> {
    status(command, None)
}

/// Runs a program whose stdout is the command's result, and returns its status and some of the lines of its stdout.
pub fn run_and_keep(command: &mut Command, keep: fn(&str) -> bool) -> Result<(ExitStatus, Vec<String>)> {
    ensure!(!interrupted(), "interrupted");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn().with_context(|| cannot_start(command))?;
    let stdout = child.stdout.take().expect("it is piped");
    let (send, lines) = mpsc::channel();
    thread::spawn(move || {
        // The receiver goes with the program, though a child of it may keep its stdout open.
        io::BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    let mut kept = Vec::new();
    let mut show = |patience: Duration| {
        loop {
            match lines.recv_timeout(patience) {
                Ok(line) => {
                    println!("{line}");
                    if keep(&line) {
                        kept.push(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => break thread::sleep(TICK),
            }
        }
    };
    let status = wait_and(&mut child, None, || show(TICK)).with_context(|| shown(command))?;
    show(Duration::from_secs(1));
    Ok((status, kept))
}

/// Whether a program succeeds in time; without output.
pub fn succeeds(command: &mut Command, limit: Duration) -> bool {
    check(command.stdout(Stdio::null()).stderr(Stdio::null()), Some(limit)).is_ok()
}

/// Runs a clean-up, even after Ctrl-C; without output. Returns whether it succeeded, which seldom matters.
pub fn tidy(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The stdout of a program.
pub fn text(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    ensure!(!interrupted(), "interrupted");
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {}\n{}", shown(command), output.status, complaint.trim_end());
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}

fn check(command: &mut Command, limit: Option<Duration>) -> Result<()> {
    let status = status(command, limit)?;
    ensure!(status.success(), "{}: {status}", shown(command));
    Ok(())
}

fn status(command: &mut Command, limit: Option<Duration>) -> Result<ExitStatus> {
    ensure!(!interrupted(), "interrupted");
    // In its own process group, so that its children can be stopped with it.
    command.stdin(Stdio::null()).process_group(0);
    let mut child = command.spawn().with_context(|| cannot_start(command))?;
    wait(&mut child, limit).with_context(|| shown(command))
}

/// Waits for a child; Ctrl-C or the time limit ends it.
fn wait(child: &mut Child, limit: Option<Duration>) -> Result<ExitStatus> {
    wait_and(child, limit, || thread::sleep(TICK))
}

/// Waits in the same way, and does something meanwhile that takes a moment.
fn wait_and(child: &mut Child, limit: Option<Duration>, mut meanwhile: impl FnMut()) -> Result<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            ensure!(!interrupted(), "interrupted");
            return Ok(status);
        }
        if interrupted() {
            stop(child, &["INT", "TERM"]);
            bail!("interrupted");
        }
        if limit.is_some_and(|limit| start.elapsed() > limit) {
            stop(child, &["INT", "TERM"]);
            bail!("not done within {} s", limit.unwrap_or_default().as_secs());
        }
        meanwhile();
    }
}

/// Sends a child and its process group one signal after the other, and kills what is left.
pub fn stop(child: &mut Child, signals: &[&str]) {
    let group = format!("-{}", child.id());
    for signal in signals.iter().chain(&["KILL"]) {
        kill(&["-s", signal, "--", &group]);
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let _ = child.try_wait();
            if !kill(&["-s", "0", "--", &group]) {
                return;
            }
            thread::sleep(Duration::from_millis(30));
        }
    }
}

/// Sends SIGTERM to one process.
pub fn terminate(pid: u32) {
    kill(&[&pid.to_string()]);
}

/// Calls the shell's built-in kill, because small systems have no such program. Returns whether a process was signalled.
fn kill(arguments: &[&str]) -> bool {
    tidy(Command::new("sh").args(["-c", r#"kill "$@""#, "kill"]).args(arguments))
}

/// The command line of a running process, its arguments separated by spaces.
pub fn command_line(pid: u32) -> Option<String> {
    let line = match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => String::from_utf8_lossy(&line).replace('\0', " "),
        Err(_) if Path::new("/proc/self").exists() => return None,
        Err(_) => text(Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()])).ok()?,
    };
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// A command for an error message, without multi-line arguments.
fn shown(command: &Command) -> String {
    let words =
        std::iter::once(command.get_program()).chain(command.get_args()).map(|word| word.to_string_lossy());
    words.map(|word| if word.contains('\n') { "…".into() } else { word }).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`: is it installed?", command.get_program().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_command_and_how_it_ended() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.starts_with("sh -c exit 3: "), "{error}");
        assert!(error.contains('3'), "{error}");
    }

    #[test]
    fn some_lines_of_a_program_are_kept() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two; echo three; exit 4"]);
        let (status, kept) = run_and_keep(&mut command, |line| line.contains('o')).unwrap();
        assert_eq!((status.code(), kept), (Some(4), vec!["one".to_owned(), "two".to_owned()]));
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let start = Instant::now();
        let error = run_within(Command::new("sleep").arg("30"), Duration::from_millis(50)).unwrap_err();
        assert!(format!("{error:#}").contains("not done within"), "{error:#}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_a_program_started_ends_with_it() {
        let script = "sleep 30 & echo $!; wait";
        let mut child =
            Command::new("sh").args(["-c", script]).process_group(0).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        stop(&mut child, &["TERM"]);
        assert_eq!(command_line(line.trim().parse().unwrap()), None);
    }

    #[test]
    fn a_running_process_shows_its_command_line() {
        let mut child = Command::new("sleep").arg("30").process_group(0).spawn().unwrap();
        // Between exec and its first instruction a process has no arguments yet.
        let start = Instant::now();
        while command_line(child.id()).is_none() && start.elapsed() < Duration::from_secs(5) {}
        let line = command_line(child.id());
        stop(&mut child, &["TERM"]);
        assert_eq!(line.as_deref(), Some("sleep 30"));
        assert_eq!(command_line(child.id()), None);
    }
}

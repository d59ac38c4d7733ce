//! Times programs side by side. Machines are noisy, so contenders take turns, and the report shows the median with the
//! minimum and the maximum.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::process::interrupted;

/// One of several ways to do the same thing. Its preparation is not timed.
pub struct Contender<'a> {
    pub name: String,
    pub command: Box<dyn Fn() -> Result<Command> + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: impl Into<String>, command: impl Fn() -> Result<Command> + 'a) -> Self {
        Self { name: name.into(), command: Box::new(command) }
    }
}

/// The time and memory that a contender took.
pub struct Figures {
    pub name: String,
    /// Sorted, the shortest first.
    times: Vec<Duration>,
    /// The largest resident set of any of its runs, in bytes.
    pub memory: u64,
}

impl Figures {
    pub fn min(&self) -> Duration {
        self.times[0]
    }

    pub fn median(&self) -> Duration {
        self.times[self.times.len() / 2]
    }

    pub fn max(&self) -> Duration {
        self.times[self.times.len() - 1]
    }

    /// The ratio of the medians.
    pub fn times_of(&self, other: &Figures) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64()
    }

    /// The difference of the medians, in milliseconds.
    pub fn over(&self, other: &Figures) -> f64 {
        (self.median().as_secs_f64() - other.median().as_secs_f64()) * 1e3
    }
}

/// Runs the contenders in turn, after one warm-up round.
pub fn side_by_side<const N: usize>(
    rounds: usize,
    scratch: &Path,
    contenders: [Contender<'_>; N],
) -> Result<[Figures; N]> {
    let mut figures = [const { (Vec::new(), 0) }; N];
    for round in 0..=rounds {
        for (contender, (times, memory)) in contenders.iter().zip(&mut figures) {
            let (time, peak) = once(&mut (contender.command)()?, scratch)
                .with_context(|| format!("cannot time `{}`", contender.name))?;
            if round > 0 {
                times.push(time);
                *memory = peak.max(*memory);
            }
        }
    }
    let mut names = contenders.into_iter().map(|contender| contender.name);
    Ok(figures.map(|(mut times, memory)| {
        times.sort();
        Figures { name: names.next().expect("there are as many"), times, memory }
    }))
}

/// The time of one run, and its peak memory.
fn once(command: &mut Command, scratch: &Path) -> Result<(Duration, u64)> {
    ensure!(!interrupted(), "interrupted");
    let complaints = scratch.join("stderr");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&complaints)?);
    let start = Instant::now();
    let child =
        command.spawn().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let (status, memory) = wait(child.id())?;
    let took = start.elapsed();
    ensure!(!interrupted(), "interrupted");
    if !status.success() {
        let text = fs::read_to_string(&complaints).unwrap_or_default();
        let end: Vec<&str> = text.lines().rev().take(20).collect();
        bail!("{status}\n{}", end.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    Ok((took, memory))
}

/// The standard library's wait does not report memory.
fn wait(pid: u32) -> Result<(ExitStatus, u64)> {
    let mut status = 0;
    // SAFETY: it is plain old data, for which zeros are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = libc::pid_t::try_from(pid)?;
    // SAFETY: both pointers are to values of ours that live on, and the process is a child that nobody else waits for.
    while unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } != pid {
        let error = std::io::Error::last_os_error();
        ensure!(error.kind() == std::io::ErrorKind::Interrupted, "cannot wait: {error}");
    }
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok((ExitStatus::from_raw(status), u64::try_from(usage.ru_maxrss)? * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let times = [1, 5, 90].map(Duration::from_millis).to_vec();
        let figures = Figures { name: "a".into(), times, memory: 0 };
        assert_eq!(figures.median(), Duration::from_millis(5));
        assert_eq!((figures.min(), figures.max()), (Duration::from_millis(1), Duration::from_millis(90)));
    }

    #[test]
    fn time_memory_and_complaints_are_the_childs() {
        let scratch = std::env::temp_dir();
        let mut sleep = Command::new("sh");
        let (time, memory) = once(sleep.args(["-c", "sleep 0.05"]), &scratch).unwrap();
        assert!(time >= Duration::from_millis(50) && memory > 100_000, "{time:?} {memory}");
        let error = once(Command::new("sh").args(["-c", "echo why >&2; exit 3"]), &scratch).unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}

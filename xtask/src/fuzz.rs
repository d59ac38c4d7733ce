//! `fuzz`: coverage-guided fuzzing (libFuzzer) of all code that reads untrusted bytes.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::plugins;
use crate::process::{run, run_into, say, text};
use crate::workspace::{cache, cargo, lock, root, target};

/// The default time per target: enough to find shallow bugs on every commit.
const SECONDS: u32 = 15;
/// The limits of time and memory for one input, generous for a busy machine.
const LIMITS: [&str; 2] = ["-timeout=60", "-rss_limit_mb=2048"];

/// Runs the command: all targets or one of them, `--seconds N` each; or one input file once.
pub fn run_chore(arguments: &[&str]) -> Result<()> {
    let (names, course) = match arguments {
        [names @ .., "--seconds", seconds] => {
            let seconds = seconds.parse().context("--seconds takes a number")?;
            (names, Course { seconds, fixed: false })
        }
        names => (names, Course { seconds: SECONDS, fixed: true }),
    };
    let _lock = lock("fuzz")?;
    let fuzzer = Fuzzer::build()?;
    let all = fuzzer.targets()?;
    if let [name, ..] = names {
        ensure!(
            all.iter().any(|known| known == name),
            "unknown target: {name}; the targets are {}",
            all.join(", ")
        );
    }
    match names {
        [] => fuzzer.fuzz(all, course),
        [name] => fuzzer.fuzz(vec![(*name).to_owned()], course),
        [name, file] => run(fuzzer.command(name).args(LIMITS).arg(file)),
        _ => bail!("too many arguments: [TARGET [FILE]] [--seconds N]"),
    }
}

/// How long each target is fuzzed. A fixed course has the same seed and number of runs on every machine, so that CI fails
/// because of a change and not by chance. Any other course is random.
#[derive(Clone, Copy)]
struct Course {
    seconds: u32,
    fixed: bool,
}

struct Fuzzer {
    program: PathBuf,
    /// Folder of interesting inputs, for the next run to start with.
    corpora: PathBuf,
    /// Folder of failing inputs and libFuzzer's output.
    found: PathBuf,
}

impl Fuzzer {
    fn build() -> Result<Self> {
        plugins::build()?;
        // The whole workspace, so that its dependencies have the same features as in every other build.
        let mut build = cargo(&["build", "--workspace", "--bin", "fuzz", "--features", "fuzz/libfuzzer"])?;
        run(build.env("RUSTC_WORKSPACE_WRAPPER", root().join("tests/fuzz/rustc")))?;
        let found = root().join("target/fuzz");
        fs::create_dir_all(&found)?;
        Ok(Self { program: target()?.join("debug/fuzz"), corpora: cache()?.join("fuzz"), found })
    }

    fn targets(&self) -> Result<Vec<String>> {
        let list = text(Command::new(&self.program).env_remove("ALEKSEYLEARN_FUZZ"))?;
        Ok(list.lines().map(str::to_owned).collect())
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.env("ALEKSEYLEARN_FUZZ", name);
        // Some targets write to folders, thousands of times a second.
        if Path::new("/dev/shm").is_dir() {
            command.env("TMPDIR", "/dev/shm");
        }
        command
    }

    /// Fuzzes several targets in parallel, one per processor.
    fn fuzz(&self, names: Vec<String>, course: Course) -> Result<()> {
        let queue = Mutex::new(VecDeque::from(names));
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let work = || {
            let mut failed = Vec::new();
            while let Some(name) = next() {
                match self.fuzz_one(&name, course) {
                    Ok(runs) => say(format_args!("{name}: {runs} inputs, no failure")),
                    Err(error) => failed.push(format!("{name}: {error:#}")),
                }
            }
            failed
        };
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let failed: Vec<String> = thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("no worker panics")).collect()
        });
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        Ok(())
    }

    /// Fuzzes one target, and returns the number of inputs that were run.
    fn fuzz_one(&self, name: &str, course: Course) -> Result<String> {
        let corpus = self.corpora.join(name);
        fs::create_dir_all(&corpus)?;
        let log = self.found.join(format!("{name}.log"));
        let mut command = self.command(name);
        command.env("ALEKSEYLEARN_FUZZ_SEEDS", &corpus).args(LIMITS).arg(&corpus);
        command.arg(format!("-max_total_time={}", course.seconds));
        if course.fixed {
            command.args(["-seed=1", "-runs=5000"]);
        }
        command.arg(format!("-artifact_prefix={}/{name}-", self.found.display()));
        let outcome = run_into(&mut command, File::create(&log)?);
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        match outcome {
            Ok(()) => Ok(runs(&said).unwrap_or("no").to_owned()),
            Err(error) => {
                bail!("{}", broken(name, &said).unwrap_or_else(|| format!("{error:#}: {}", log.display())))
            }
        }
    }
}

fn runs(said: &str) -> Option<&str> {
    said.lines().find_map(|line| line.strip_prefix("Done ")?.split(' ').next())
}

/// The failure, its input, and the command that reproduces it.
fn broken(name: &str, said: &str) -> Option<String> {
    let input =
        said.lines().find_map(|line| line.split_once("Test unit written to ").map(|(_, path)| path))?;
    let mut lines =
        said.lines().skip_while(|line| !line.contains("panicked at") && !line.contains("ERROR: libFuzzer"));
    let what: Vec<&str> = lines.by_ref().take(2).collect();
    Some(format!("{}\n  to reproduce: `cargo xtask fuzz {name} {input}`", what.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_told_in_short() {
        assert_eq!(runs("#9\tDONE\nDone 1234 runs in 15 second(s)\n"), Some("1234"));
        let said = "INFO: x\nthread 'main' panicked at host/src/a.rs:1:2:\nit leads out\nstack backtrace:\n\
                    Test unit written to /x/archive-crash-00\n";
        let told = broken("archive", said).unwrap();
        assert!(
            told.contains("it leads out\n")
                && told.contains("`cargo xtask fuzz archive /x/archive-crash-00`")
        );
        assert!(!told.contains("backtrace"), "{told}");
        assert_eq!(broken("archive", "Killed"), None);
    }
}

//! `test`: runs every test of the workspace, with a separate rig.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::dockerd::Engine;
use crate::process::{interrupted, run, run_and_keep, run_in_front, say};
use crate::rig::Rig;
use crate::tools::{LocalMode, Tools};
use crate::workspace::{cache, cargo, lock, root, target};
use crate::{base_image, guests, plugins, tools};

/// Folders of Python tests, if they exist.
const PYTHON_TESTS: [&str; 3] = ["tests/rig", "tests/runner", "tests/python"];

/// As many failed tests are run once more. More of them have a common cause.
const MAX_REPEATED: usize = 5;

/// The exit code of pytest if a filter matches no test.
const NOTHING_COLLECTED: i32 = 5;

/// Runs the command: the tests whose names contain one of the filters, or all.
pub fn run_chore(filters: &[&str]) -> Result<()> {
    // One run at a time: the rig has one folder, which is kept until the next run to analyse failures.
    let _lock = lock("test")?;
    let mut parts = Parts::default();
    let skipped = cache()?.join("test-skipped.txt");
    fs::write(&skipped, "")?;
    let outcome = everything(filters, &skipped, &mut parts);
    eprint!("{}", parts.summary());
    eprint!("{}", fs::read_to_string(&skipped).unwrap_or_default());
    outcome
}

/// Builds and runs everything. At the end, in any case, the rig stops first, then the engine.
fn everything(filters: &[&str], skipped: &Path, parts: &mut Parts) -> Result<()> {
    parts.time("drivers", plugins::build)?;
    let guests = parts.time("guests", guests::build)?;
    // The same packages, targets and features as `cargo test`, so that it compiles nothing again.
    parts.time("compile", || run(&mut cargo(&["build", "--workspace", "--bins", "--tests"])?))?;
    let tools = parts.time("tools", tools::ensure)?;
    let _engine = parts.time("engine", Engine::ensure)?;
    let image = parts.time("base image", base_image::ensure)?;
    let wanted = |test: &str| filters.is_empty() || filters.iter().any(|filter| filter.contains(test));
    let torch =
        if wanted("distributed") { Some(parts.time("torch image", base_image::ensure_torch)?) } else { None };
    let podman = if wanted("podman") { parts.time("podman", tools::podman)? } else { None };
    let browser = if wanted("browser") { parts.time("browser", tools::browser)? } else { None };
    let local_mode =
        if wanted("local_mode") { parts.time("SageMaker's SDK", tools::local_mode)? } else { None };
    let state = cache()?.join("test-rig");
    let _rig = parts.time("rig", || Rig::start(&state, &tools))?;

    let surroundings = |command: &mut Command| -> Result<()> {
        command.env("ALEKSEYLEARN_RIG", state.join("rig.json"));
        command.env("ALEKSEYLEARN_SKIPPED", skipped);
        command.env("ALEKSEYLEARN_BASE_IMAGE", image);
        if let Some(torch) = torch {
            command.env("ALEKSEYLEARN_TORCH_IMAGE", torch);
        }
        if let Some(podman) = &podman {
            command.env("ALEKSEYLEARN_PODMAN", podman);
        }
        if let Some(browser) = &browser {
            command.env("ALEKSEYLEARN_CHROMIUM", browser);
        }
        if let Some(LocalMode { python, path }) = &local_mode {
            command.env("ALEKSEYLEARN_SDK_PYTHON", python).env("ALEKSEYLEARN_SDK_PATH", path);
        }
        command.env("ALEKSEYLEARN_GUESTS", &guests);
        command.env("ALEKSEYLEARN_PYTHON", &tools.python);
        command.env("ALEKSEYLEARN_REGISTRY_PROGRAM", &tools.registry);
        if let Some(shells) = &tools.shells {
            command.env("ALEKSEYLEARN_SHELLS", shells);
        }
        command.env("ALEKSEYLEARN_PROGRAM", target()?.join("debug/alekseylearn"));
        Ok(())
    };
    let mut failed = Vec::new();
    let mut judge = |name: &'static str, outcome: Result<()>| {
        if let Err(error) = outcome {
            failed.push(format!("{name} ({error:#})"));
        }
        ensure!(!interrupted(), "interrupted");
        Ok(())
    };
    let rust = |arguments: &[&str]| {
        let mut rust = cargo(&["test", "--workspace", "--no-fail-fast", "--"])?;
        surroundings(rust.args(arguments))?;
        Ok(rust)
    };
    judge("cargo test", parts.time("cargo test", || rust_tests(rust, filters)))?;
    for folder in PYTHON_TESTS.into_iter().filter(|folder| root().join(folder).exists()) {
        let mut python = pytest(&tools, folder, filters);
        surroundings(&mut python)?;
        let also_fine: &[i32] = if filters.is_empty() { &[] } else { &[NOTHING_COLLECTED] };
        judge(folder, parts.time(folder, || ended_well(&mut python, also_fine)))?;
    }
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

/// Runs the tests in Rust. A few that fail are run once more, one after the other: on a busy machine, a test may wait too
/// long for what another one keeps it from. Those that pass then are reported as flaky, and fail nothing.
fn rust_tests(command: impl Fn(&[&str]) -> Result<Command>, filters: &[&str]) -> Result<()> {
    let (status, lines) = run_and_keep(&mut command(filters)?, |line| failed_test(line).is_some())?;
    let failed: Vec<&str> = lines.iter().filter_map(|line| failed_test(line)).collect();
    if status.success() || failed.is_empty() || failed.len() > MAX_REPEATED {
        ensure!(status.success(), "{status}");
        return Ok(());
    }
    say(format_args!("running once more, alone: {}", failed.join(", ")));
    let alone = [["--exact", "--test-threads=1"].as_slice(), &failed].concat();
    ended_well(&mut command(&alone)?, &[])?;
    for test in failed {
        say(format_args!("flaky: {test} failed among the others, and passes alone"));
    }
    Ok(())
}

/// The name of the test that a line of its runner reports as failed.
fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

fn pytest(tools: &Tools, folder: &str, filters: &[&str]) -> Command {
    let mut pytest = Command::new(&tools.python);
    pytest.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", folder]).current_dir(root());
    if !filters.is_empty() {
        pytest.args(["-k", &filters.join(" or ")]);
    }
    pytest.env("PYTHONPATH", root().join("tests")).env("PYTHONDONTWRITEBYTECODE", "1");
    pytest
}

fn ended_well(command: &mut Command, also_fine: &[i32]) -> Result<()> {
    let status = run_in_front(command)?;
    if !status.success() && !status.code().is_some_and(|code| also_fine.contains(&code)) {
        bail!("{status}");
    }
    Ok(())
}

/// The time of each part.
#[derive(Default)]
struct Parts(Vec<(&'static str, Duration, bool)>);

impl Parts {
    fn time<T>(&mut self, name: &'static str, part: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let outcome = part();
        self.0.push((name, start.elapsed(), outcome.is_ok()));
        outcome
    }

    fn summary(&self) -> String {
        let row = |(name, took, well): &(&str, Duration, bool)| {
            let ending = if *well { "" } else { "  FAILED" };
            format!("xtask: {name:<16}{:>8.1} s{ending}\n", took.as_secs_f64())
        };
        self.0.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_what_failed() {
        let mut parts = Parts::default();
        parts.time("good", || Ok(())).unwrap();
        parts.time("bad", || -> Result<()> { bail!("no") }).unwrap_err();
        let summary = parts.summary();
        let rows: Vec<&str> = summary.lines().collect();
        assert_eq!(rows.len(), 2);
        assert!(rows[0].contains("good") && !rows[0].contains("FAILED"), "{summary}");
        assert!(rows[1].contains("bad") && rows[1].ends_with("FAILED"), "{summary}");
    }

    /// A command that reports a failed test, and ends with this code when it is run alone.
    fn runner(folder: &Path, alone: u8) -> impl Fn(&[&str]) -> Result<Command> {
        let script = format!(
            "echo $@ >> {}/runs; case $1 in --exact) exit {alone};; esac; echo 'test a::b ... FAILED'; exit 101",
            folder.display()
        );
        move |arguments| {
            let mut command = Command::new("sh");
            command.args(["-c", &script, "sh"]).args(arguments);
            Ok(command)
        }
    }

    #[test]
    fn a_failed_test_is_run_once_more_alone() {
        let folder = std::env::temp_dir().join(format!("xtask-flaky-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        rust_tests(runner(&folder, 0), &["x"]).unwrap();
        rust_tests(runner(&folder, 1), &["y"]).unwrap_err();
        let runs = fs::read_to_string(folder.join("runs")).unwrap();
        let alone = "--exact --test-threads=1 a::b";
        assert_eq!(runs, format!("x\n{alone}\ny\n{alone}\n"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn pytest_may_find_nothing_only_where_it_is_told_to_look_for_less() {
        assert!(ended_well(Command::new("sh").args(["-c", "exit 5"]), &[]).is_err());
        assert!(ended_well(Command::new("sh").args(["-c", "exit 5"]), &[NOTHING_COLLECTED]).is_ok());
    }
}

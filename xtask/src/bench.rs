//! `bench`: what the program costs, beside what its users know, in one run: the machines are noisy, so each pair is
//! timed in turn, and medians and their ratio are told. It judges nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::dockerd::Engine;
use crate::workspace::{cache, remove, root};
use crate::{base_image, dist};

const ROUNDS: usize = 15;
const SLOW_ROUNDS: usize = 5;

/// The chore.
pub fn run_chore() -> Result<()> {
    let program = root().join("target/dist/alekseylearn");
    if !program.is_file() {
        dist::run_chore()?;
    }
    let _engine = Engine::ensure()?;
    let bench = Bench::new(&program, base_image::ensure()?)?;
    println!("{:<52} {:>10} {:>10} {:>8}", "median of each, in turn", "A", "B", "A - B");
    let help = || bench.program(&["--help"]);
    pair("A: --help   B: docker --version", ROUNDS, help, || command("docker", &["--version"]))?;
    let show = || bench.program(&["driver", "show", "sagemaker"]);
    pair("A: a driver's first answer   B: --help", ROUNDS, show, help)?;
    pair("A: the same, compiled anew   B: --help", SLOW_ROUNDS, || bench.uncompiled(), help)?;
    let image = bench.image()?;
    let local = || bench.program(&["fit", "trivial/train.py", &bench.base]);
    let plain = || command("docker", &["run", "--rm", &image, "train"]);
    pair("A: fit of a trivial script, local   B: docker run", SLOW_ROUNDS, local, plain)?;
    let submit = || bench.program(&["fit", "trivial/train.py", &bench.base, "--detach"]);
    pair("A: fit --detach, nothing changed   B: --help", SLOW_ROUNDS, submit, help)?;
    // Detached jobs are collected by whoever looks, a few seconds' worth at a time: nothing of them stays in the engine.
    for _ in 0..3 {
        ensure!(
            bench.program(&["jobs", "--most", "100"])?.status()?.success(),
            "the jobs cannot be collected"
        );
    }
    let size = fs::metadata(&program)?.len();
    println!("the program: {:.1} MiB", size as f64 / f64::from(1 << 20));
    Ok(())
}

/// A home of its own, so that nobody's jobs are touched.
struct Bench {
    program: PathBuf,
    home: PathBuf,
    base: String,
}

impl Bench {
    fn new(program: &Path, base_image: &str) -> Result<Self> {
        let home = cache()?.join("bench");
        remove(&home)?;
        fs::create_dir_all(home.join("trivial"))?;
        fs::write(home.join("trivial/train.py"), "open('/opt/ml/model/m', 'w').write('x')\n")?;
        Ok(Self { program: program.to_owned(), home, base: format!("--config.base_image={base_image}") })
    }

    fn program(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = command(&self.program.to_string_lossy(), arguments)?;
        command
            .current_dir(&self.home)
            .env("HOME", &self.home)
            .env_remove("XDG_CACHE_HOME")
            .env_remove("XDG_DATA_HOME");
        Ok(command)
    }

    /// With the compiled drivers gone.
    fn uncompiled(&self) -> Result<Command> {
        remove(&self.home.join(".cache"))?;
        self.program(&["driver", "show", "sagemaker"])
    }

    /// The image of the trivial script.
    fn image(&self) -> Result<String> {
        ensure!(self.program(&["fit", "trivial/train.py", &self.base])?.status()?.success(), "fit failed");
        let jobs = self.program(&["jobs", "--json"])?.stdout(Stdio::piped()).output()?;
        let jobs: serde_json::Value = serde_json::from_slice(&jobs.stdout)?;
        let image = jobs["data"]["jobs"][0]["image"].as_str().context("the job has an image")?;
        Ok(image.to_owned())
    }
}

fn command(program: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// Times two commands in turn, after one round that does not count.
fn pair(
    name: &str,
    rounds: usize,
    a: impl Fn() -> Result<Command>,
    b: impl Fn() -> Result<Command>,
) -> Result<()> {
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=rounds {
        for (times, mut command) in times.iter_mut().zip([a()?, b()?]) {
            let start = Instant::now();
            let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
            let took = start.elapsed();
            ensure!(status.success(), "{command:?}: {status}");
            if round > 0 {
                times.push(took);
            }
        }
    }
    let [a, b] = times.map(|times| milliseconds(median(times)));
    println!("{name:<52} {a:>7.1} ms {b:>7.1} ms {:>+5.1} ms  ({:.2} times)", a - b, a / b);
    Ok(())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let times = [5, 1, 9].map(Duration::from_millis).to_vec();
        assert_eq!(median(times), Duration::from_millis(5));
    }
}

//! `rig up` and `rig down`: a rig of real parts (a registry, S3, SageMaker's API and an executor for its jobs), to try the
//! program by hand. `test` starts a separate rig in the same way.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::dockerd::Engine;
use crate::process::{PATIENCE, command_line, say, terminate};
use crate::tools::{self, Tools};
use crate::workspace::{cache, remove, root};

const READY_WITHIN: Duration = Duration::from_secs(60);

/// Runs `rig up`. Its stdout is for the shell's `eval`.
pub fn up() -> Result<()> {
    let state = by_hand()?;
    if running(&state).is_some() {
        say("the rig is already running");
    } else {
        Engine::must_run()?;
        Rig::start(&state, &tools::ensure()?)?.daemon.leave_running();
    }
    print!("{}", exports(&describe(&state)?, &state.join("rig.json")));
    Ok(())
}

/// Runs `rig down`: stops what `rig up` started.
pub fn down() -> Result<()> {
    let state = by_hand()?;
    let Some(pid) = running(&state) else {
        say("no rig is running");
        return Ok(());
    };
    say(format_args!("stopping the rig (process {pid})"));
    terminate(pid);
    let start = Instant::now();
    // Waits for the process itself: it removes rig.json before it stops what it started.
    while is_rig(pid, &state) {
        if start.elapsed() > PATIENCE {
            bail!(
                "the rig does not stop: end the process {pid}; its log is {}",
                state.join("rig.log").display()
            );
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A running rig. Dropping the value stops it.
pub struct Rig {
    daemon: Daemon,
}

impl Rig {
    /// Starts a rig in a new folder, and waits until it writes its addresses to `rig.json`.
    pub fn start(state: &Path, tools: &Tools) -> Result<Rig> {
        remove(state)?;
        fs::create_dir_all(state)?;
        let mut python = Command::new(&tools.python);
        python.args(["-m", "rig", "--state"]).arg(state).arg("--registry-program").arg(&tools.registry);
        python
            .env("PYTHONPATH", root().join("tests"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(root());
        let mut daemon = Daemon::start("the rig", &mut python, &state.join("rig.log"))?;
        daemon.wait_until(|| describe(state).is_ok(), READY_WITHIN)?;
        Ok(Rig { daemon })
    }
}

/// The folder of the rig of `rig up`.
fn by_hand() -> Result<PathBuf> {
    Ok(cache()?.join("rig"))
}

/// Reads the description of a running rig.
pub fn describe(state: &Path) -> Result<Value> {
    let file = state.join("rig.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

/// The process in rig.json, if it is the rig.
fn running(state: &Path) -> Option<u32> {
    let pid = u32::try_from(describe(state).ok()?["pid"].as_u64()?).ok()?;
    is_rig(pid, state).then_some(pid)
}

/// Checks the command line, because process ids are reused.
fn is_rig(pid: u32, state: &Path) -> bool {
    let ours = |line: String| line.contains("-m rig ") && line.contains(&*state.to_string_lossy());
    command_line(pid).is_some_and(ours)
}

fn exports(rig: &Value, description: &Path) -> String {
    let mut lines = format!("export ALEKSEYLEARN_RIG={}\n", quoted(&description.to_string_lossy()));
    for (name, value) in rig["env"].as_object().into_iter().flatten() {
        lines += &format!("export {name}={}\n", quoted(value.as_str().unwrap_or(&value.to_string())));
    }
    let word = |name: &str| rig[name].as_str().unwrap_or("?").to_owned();
    lines += &format!(
        "# alekseylearn fit train.py --train-driver sagemaker --config.role_name={} --config.output_path=s3://{}/jobs\n",
        word("role"),
        word("bucket")
    );
    lines
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_shell_can_take_what_up_prints() {
        let rig = json!({"role": "trainer", "bucket": "b", "env": {"A": "it's", "B": "$HOME"}});
        let script = exports(&rig, Path::new("/s/rig.json")) + "printf %s \"$A,$B,$ALEKSEYLEARN_RIG\"";
        let said = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "it's,$HOME,/s/rig.json");
        assert!(
            script.contains(
                "\n# alekseylearn fit train.py --train-driver sagemaker --config.role_name=trainer "
            )
        );
    }

    #[test]
    fn another_process_with_the_rigs_old_id_is_not_the_rig() {
        let state = std::env::temp_dir().join(format!("xtask-rig-{}", std::process::id()));
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join("rig.json"), json!({"pid": std::process::id()}).to_string()).unwrap();
        assert_eq!(running(&state), None);
        fs::remove_dir_all(&state).unwrap();
    }
}

//! `tools`: the rig's parts that no crate brings: an image registry, and Python packages in an environment of theirs.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::apt::Apt;
use crate::process::{run, say, succeeds};
use crate::workspace::{Scratch, cache, lock, remove, root};

const REGISTRY: &str = "docker-registry";

/// With what Debian puts beside them and has not always.
const SHELLS: [&str; 5] = ["zsh", "zsh-common", "fish", "fish-common", "libpcre2-32-0"];

const PODMAN: [&str; 7] =
    ["podman", "conmon", "crun", "containernetworking-plugins", "libyajl2", "libgpgme11", "libsubid4"];

/// What the Python parts import; the second is there when the runner's tests are.
const REQUIREMENTS: [&str; 2] = ["tests/rig/requirements.txt", "tests/runner/requirements.txt"];

const IS_RECENT: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))";

pub struct Tools {
    pub python: PathBuf,
    pub registry: PathBuf,
    /// A folder with zsh and fish; none where they cannot be had.
    pub shells: Option<PathBuf>,
}

pub fn ensure() -> Result<Tools> {
    let _lock = lock("tools")?;
    Ok(Tools { registry: registry()?, python: python(&REQUIREMENTS)?, shells: shells() })
}

/// Debian's build of the registry. It is unpacked and not installed: installing it would start it as a service.
fn registry() -> Result<PathBuf> {
    let folder = cache()?.join("tools").join(REGISTRY);
    let program = folder.join("usr/bin").join(REGISTRY);
    if program.exists() {
        say(format_args!("{} is there", program.display()));
        return Ok(program);
    }
    if succeeds(Command::new(REGISTRY).arg("--version"), Duration::from_secs(5)) {
        say(format_args!("{REGISTRY} is installed"));
        return Ok(REGISTRY.into());
    }
    say(format_args!("fetching {REGISTRY}"));
    let scratch = Scratch::new(REGISTRY)?;
    let unpacked = scratch.path().join("unpacked");
    Apt::of_this_machine().and_then(|apt| apt.unpack(&[REGISTRY], &unpacked)).with_context(|| {
        format!("the rig needs {REGISTRY} (CNCF Distribution): install it so that it is on the PATH")
    })?;
    fs::create_dir_all(cache()?.join("tools"))?;
    fs::rename(unpacked, &folder)?;
    Ok(program)
}

/// Shells that complete command lines, beside bash, which is everywhere. Only tests of completions miss them.
fn shells() -> Option<PathBuf> {
    let fetched = || -> Result<PathBuf> {
        let folder = cache()?.join("tools/shells");
        if folder.exists() {
            say(format_args!("{} is there", folder.display()));
            return Ok(folder);
        }
        say(format_args!("fetching {}", SHELLS.join(" ")));
        let scratch = Scratch::new("shells")?;
        let unpacked = scratch.path().join("unpacked");
        Apt::of_this_machine()?.unpack(&SHELLS, &unpacked)?;
        fs::create_dir_all(cache()?.join("tools"))?;
        fs::rename(unpacked, &folder)?;
        Ok(folder)
    };
    fetched().inspect_err(|error| say(format_args!("no zsh and no fish: {error:#}"))).ok()
}

/// Podman, unpacked and not installed, with what Debian's build of it needs beside the system's libraries. None where it
/// cannot be had: its test says so.
pub fn podman() -> Option<PathBuf> {
    let unpack = || -> Result<PathBuf> {
        let _lock = lock("tools")?;
        let folder = cache()?.join("tools").join("podman");
        if folder.join("usr/bin/podman").exists() {
            say(format_args!("{} is there", folder.display()));
            return Ok(folder);
        }
        say("fetching podman");
        let scratch = Scratch::new("podman")?;
        let unpacked = scratch.path().join("unpacked");
        Apt::of_this_machine()?.unpack(&PODMAN, &unpacked)?;
        fs::create_dir_all(cache()?.join("tools"))?;
        fs::rename(unpacked, &folder)?;
        Ok(folder)
    };
    unpack().inspect_err(|error| say(format_args!("no podman: {error:#}"))).ok()
}

/// The Python of an environment with exactly what these files of the clone require: other requirements get another one.
pub fn python(requirements: &[&str]) -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    let files: Vec<PathBuf> =
        requirements.iter().map(|file| root().join(file)).filter(|file| file.exists()).collect();
    ensure!(!files.is_empty(), "{} is missing", requirements[0]);
    for file in &files {
        fs::read(file)?.hash(&mut hasher);
    }
    let environment = cache()?.join("tools").join(format!("python-{:016x}", hasher.finish()));
    let (python, complete) = (environment.join("bin/python"), environment.join("complete"));
    if complete.exists() && succeeds(Command::new(&python).arg("--version"), Duration::from_secs(10)) {
        say(format_args!("{} is there", environment.display()));
        return Ok(python);
    }
    say(format_args!("making {} (a minute or two)", environment.display()));
    remove(&environment)?;
    run(Command::new(recent_python()?).args(["-m", "venv"]).arg(&environment))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for file in files {
        pip.arg("--requirement").arg(file);
    }
    run(&mut pip)
        .with_context(|| format!("pip could not install what {} lists", requirements.join(" and ")))?;
    fs::write(complete, "")?;
    Ok(python)
}

fn recent_python() -> Result<&'static str> {
    let recent =
        |python: &&str| succeeds(Command::new(python).args(["-c", IS_RECENT]), Duration::from_secs(10));
    let found = ["python3.11", "python3", "python"].into_iter().find(recent);
    found.context("Python 3.11 or later is needed: install it so that `python3` is one")
}

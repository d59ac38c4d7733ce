//! `wheel`: the Python package with the program inside, in one file for pip, to `target/wheels`. It is installed into
//! an empty environment and trains an example there before it counts as built.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::dockerd::Engine;
use crate::process::{run, say};
use crate::workspace::{Scratch, free_of_cargo, lock, root, target};
use crate::{base_image, plugins, tools};

const REQUIREMENTS: &str = "xtask/wheel.txt";

/// Where the wheel goes, below the clone.
const PLACE: &str = "target/wheels";

/// The oldest C library that it runs with: those of RHEL 8 and Ubuntu 20.04 are no older.
const PLATFORM: &str = "manylinux_2_28";

/// In bytes: what a person waits for on a slow line.
const MAX_SIZE: u64 = 25_000_000;

const EXAMPLE: &str = "examples/digits/train.py";

/// What the environment's Python runs: the example, an image to build upon, and a folder for the model.
const TRY: &str = r#"
import sys
import alekseylearn

example, image, folder = sys.argv[1:]
assert alekseylearn.program().startswith(sys.prefix), alekseylearn.program()
job = alekseylearn.fit(example, config={"base_image": image}, show=True).wait(show=True)
files = job.fetch(folder)
assert any(file.stem == "model" and file.stat().st_size for file in files), files
"#;

pub fn run_chore() -> Result<()> {
    println!("{}", make()?.display());
    Ok(())
}

/// Builds the wheel and tries it, and returns its path.
pub fn make() -> Result<PathBuf> {
    let _lock = lock("wheel")?;
    plugins::build()?;
    let python = tools::python(&[REQUIREMENTS], None)?;
    let scratch = Scratch::new("wheel")?;
    let built = build(&python, &scratch.path().join("wheels"))?;
    let size = built.metadata()?.len();
    say(format_args!("{:.1} MB", size as f64 / 1e6));
    ensure!(size <= MAX_SIZE, "{} is larger than {} MB", built.display(), MAX_SIZE / 1_000_000);
    try_out(&python, &built, scratch.path())?;

    let folder = root().join(PLACE);
    fs::create_dir_all(&folder)?;
    let place = folder.join(built.file_name().unwrap_or_default());
    fs::copy(&built, &place)?;
    Ok(place)
}

/// By pyproject.toml, into an empty folder.
fn build(python: &Path, folder: &Path) -> Result<PathBuf> {
    say("building the wheel (the first time takes half an hour)");
    let mut maturin = Command::new(python);
    maturin.args(["-m", "maturin", "build", "--out"]).arg(folder).current_dir(root());
    if cfg!(target_os = "linux") {
        maturin.args(["--zig", "--compatibility", PLATFORM]);
    }
    // It looks for zig in the Python of the PATH.
    maturin.env("PATH", path_with(python)?).env("CARGO_TARGET_DIR", target()?);
    free_of_cargo(&mut maturin);
    run(&mut maturin)?;
    only_wheel(folder)
}

/// As a person does who has Python and Docker alone: with pip, in an empty home.
fn try_out(python: &Path, wheel: &Path, scratch: &Path) -> Result<()> {
    let _engine = Engine::ensure()?;
    let image = base_image::ensure()?;
    let (environment, home) = (scratch.join("environment"), scratch.join("home"));
    let folder = scratch.join("work");
    for folder in [&home, &folder] {
        fs::create_dir(folder)?;
    }
    say("installing it into an empty environment");
    run(Command::new(python).args(["-m", "venv"]).arg(&environment))?;
    let python = environment.join("bin/python");
    let mut pip = Command::new(&python);
    run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).arg(wheel))?;
    let program = environment.join("bin/alekseylearn");
    run(Command::new(&program).arg("--version"))?;

    say(format_args!("training {EXAMPLE} by it"));
    let mut train = Command::new(&python);
    train.args(["-I", "-c", TRY]).arg(root().join(EXAMPLE)).arg(image).arg(folder.join("model"));
    for name in ["ALEKSEYLEARN_PROGRAM", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        train.env_remove(name);
    }
    run(train.env("HOME", home).current_dir(folder))
}

/// The PATH, led by the folder of a program.
fn path_with(program: &Path) -> Result<OsString> {
    let folder = program.parent().context("a program lies in a folder")?;
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths([folder.to_owned()].into_iter().chain(env::split_paths(&path)))?)
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let mut wheels = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("whl")) {
            wheels.push(path);
        }
    }
    ensure!(wheels.len() == 1, "maturin left {} wheels in {}", wheels.len(), folder.display());
    Ok(wheels.remove(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_program_leads_the_path() {
        let path = path_with(Path::new("/tools/bin/python")).unwrap();
        assert_eq!(env::split_paths(&path).next(), Some("/tools/bin".into()));
    }

    #[test]
    fn two_wheels_are_an_error() {
        let folder = env::temp_dir().join(format!("xtask-wheel-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        assert!(only_wheel(&folder).is_err());
        let wheel = folder.join("a-0.1.0-py3-none-any.whl");
        for file in [&wheel, &folder.join("a.tar.gz")] {
            fs::write(file, "").unwrap();
        }
        assert_eq!(only_wheel(&folder).unwrap(), wheel);
        fs::write(folder.join("b-0.1.0-py3-none-any.whl"), "").unwrap();
        assert!(only_wheel(&folder).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }
}

//! The crates that are published, made and tried as their users get them: from the package alone, outside of the clone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::process::{run, say, text};
use crate::wasm_target::{self, TARGET};
use crate::workspace::{Scratch, cache, cargo, root, target};

/// The largest crate that crates.io takes, in bytes.
const MAX_SIZE: u64 = 10 << 20;

/// What must travel with each crate.
const FILES: [(&str, &[&str]); 2] = [
    ("alekseylearn-sdk", &["wit/drivers.wit", "README.md", "LICENSE-MIT", "LICENSE-APACHE"]),
    (
        "alekseylearn",
        &[
            "wit/drivers.wit",
            "drivers/shipped/local.wasm",
            "drivers/shipped/sagemaker.wasm",
            "drivers/installable/kaggle.wasm",
            "demo/train.py",
            "README.md",
            "LICENSE-MIT",
            "LICENSE-APACHE",
        ],
    ),
];

/// Runs `crates`.
pub fn run_chore() -> Result<()> {
    crate::plugins::build()?;
    let folder = root().join("target/crates");
    fs::create_dir_all(&folder)?;
    package(&folder)
}

/// Packages the crates into a folder, and compiles each from its package.
pub fn package(folder: &Path) -> Result<()> {
    wasm_target::ensure()?;
    let scratch = Scratch::new("crates")?;
    for (name, files) in FILES {
        let made = make(name)?;
        let size = made.metadata()?.len();
        say(format_args!("{name}: {:.1} MiB", size as f64 / (1024.0 * 1024.0)));
        ensure!(size <= MAX_SIZE, "{} is larger than crates.io allows", made.display());
        run(Command::new("tar").arg("-xzf").arg(&made).arg("-C").arg(scratch.path()))?;
        let stem = made.file_stem().context("a crate has a name")?;
        let unpacked = scratch.path().join(stem);
        for file in files {
            ensure!(unpacked.join(file).is_file(), "{} has no {file}", made.display());
        }
        fs::copy(&made, folder.join(made.file_name().unwrap_or_default()))?;
        match name {
            "alekseylearn-sdk" => try_sdk(&unpacked, scratch.path())?,
            _ => try_program(&unpacked)?,
        }
    }
    Ok(())
}

/// The package, not compiled yet. Cargo would compile it inside of the clone, where its surroundings help.
fn make(name: &str) -> Result<PathBuf> {
    // The drivers are no part of the repository.
    let package = ["package", "--locked", "--no-verify", "--allow-dirty", "--package", name];
    run(&mut cargo(&package)?)?;
    let version = text(&mut cargo(&["pkgid", "--package", name])?)?;
    let version = version.trim().rsplit(['#', '@']).next().unwrap_or_default().to_owned();
    Ok(target()?.join("package").join(format!("{name}-{version}.crate")))
}

/// A driver of an author who has the SDK's package and no clone.
fn try_sdk(sdk: &Path, scratch: &Path) -> Result<()> {
    let driver = scratch.join("driver");
    fs::create_dir_all(driver.join("src"))?;
    let example = root().join("examples/rust-driver");
    fs::copy(example.join("src/lib.rs"), driver.join("src/lib.rs"))?;
    let manifest = fs::read_to_string(example.join("Cargo.toml"))?;
    let manifest = manifest.replace("../../sdk", &sdk.display().to_string());
    fs::write(driver.join("Cargo.toml"), manifest + "\n[workspace]\n")?;
    say("compiling a driver with the packaged SDK");
    run(outside(&["build", "--quiet", "--target", TARGET], &driver)?
        .env("CARGO_TARGET_DIR", scratch.join("target")))?;
    let component = scratch.join("target").join(TARGET).join("debug/local_rust.wasm");
    ensure!(component.is_file(), "the packaged SDK built no component");
    Ok(())
}

/// `cargo install` compiles in the same way.
fn try_program(program: &Path) -> Result<()> {
    say("checking the packaged program (five minutes the first time)");
    run(outside(&["check", "--quiet", "--locked"], program)?.env("CARGO_TARGET_DIR", cache()?.join("crates")))
}

/// A cargo command outside of the clone, without its settings.
fn outside(arguments: &[&str], folder: &Path) -> Result<Command> {
    let mut cargo = cargo(arguments)?;
    cargo.current_dir(folder);
    for variable in ["ALEKSEYLEARN_SHIPPED_PLUGINS", "ALEKSEYLEARN_INSTALLABLE_PLUGINS"] {
        cargo.env_remove(variable);
    }
    Ok(cargo)
}

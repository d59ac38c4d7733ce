//! `deny`: licences, duplicate versions and sources of all dependencies, by the rules of deny.toml.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{run, say};
use crate::workspace::{cache, cargo, lock, root};

/// Pinned, because another version may judge otherwise.
const VERSION: &str = "0.20.2";

pub fn run_chore() -> Result<()> {
    let mut deny = Command::new(cargo_deny()?);
    // Advisories are left out: they need a network, and change under an unchanged tree.
    deny.args(["--workspace", "--all-features", "check", "licenses", "bans", "sources"]).current_dir(root());
    run(&mut deny)
        .context("what deny.toml does not allow is named above; allow it there with a reason, or drop it")
}

/// cargo-deny in the cache folder, compiled once (three minutes on two cores).
fn cargo_deny() -> Result<PathBuf> {
    let _lock = lock("cargo-deny")?;
    let folder = cache()?.join("tools").join(format!("cargo-deny-{VERSION}"));
    let program = folder.join("bin/cargo-deny");
    if program.exists() {
        return Ok(program);
    }
    say(format_args!("compiling cargo-deny {VERSION} (three minutes)"));
    let build = folder.join("build");
    let mut install = cargo(&["install", "--quiet", "--locked", "cargo-deny", "--version", VERSION])?;
    run(install.arg("--root").arg(&folder).env("CARGO_TARGET_DIR", &build).current_dir(cache()?))?;
    fs::remove_dir_all(build)?;
    Ok(program)
}

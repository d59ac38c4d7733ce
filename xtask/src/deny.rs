//! `deny`: checks licences, duplicate versions and sources of all dependencies by the rules of deny.toml. `advisories`
//! checks for known vulnerabilities.

use std::process::Command;

use anyhow::{Context, Result};

use crate::install::Crate;
use crate::process::run;
use crate::workspace::root;

const CARGO_DENY: Crate = Crate { name: "cargo-deny", version: "0.20.2", features: &[] };

pub fn run_chore() -> Result<()> {
    let mut deny = Command::new(CARGO_DENY.ensure()?);
    // Without advisories: they need a network, and change while the tree does not.
    deny.args(["--workspace", "--all-features", "check", "licenses", "bans", "sources"]).current_dir(root());
    run(&mut deny)
        .context("a dependency breaks the rules of deny.toml; allow it there with a reason, or remove it")
}

/// Runs `advisories`.
pub fn advisories() -> Result<()> {
    let mut deny = Command::new(CARGO_DENY.ensure()?);
    run(deny.args(["--workspace", "--all-features", "check", "advisories"]).current_dir(root()))
        .context("a dependency has a known vulnerability; update it, or ignore it in deny.toml with a reason")
}

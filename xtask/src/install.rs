//! Programs published as crates, compiled once into the cache folder.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::process::{run, say};
use crate::workspace::{cache, cargo, lock};

/// A crate with a program of the same name.
pub struct Crate {
    pub name: &'static str,
    /// The version; pinned, because another one may behave differently.
    pub version: &'static str,
    /// The features that its program needs.
    pub features: &'static [&'static str],
}

impl Crate {
    /// Compiles the program if needed, and returns its path.
    pub fn ensure(&self) -> Result<PathBuf> {
        let Self { name, version, features } = *self;
        let _lock = lock(name)?;
        let folder = cache()?.join("tools").join(format!("{name}-{version}"));
        let program = folder.join("bin").join(name);
        if program.exists() {
            return Ok(program);
        }
        say(format_args!("compiling {name} {version} (three minutes on two cores)"));
        let build = folder.join("build");
        let mut install = cargo(&["install", "--quiet", "--locked", name, "--version", version])?;
        for feature in features {
            install.args(["--features", feature]);
        }
        run(install.arg("--root").arg(&folder).env("CARGO_TARGET_DIR", &build).current_dir(cache()?))?;
        fs::remove_dir_all(build)?;
        Ok(program)
    }
}

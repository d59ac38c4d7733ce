//! `dist`: builds the program to distribute, one file with all drivers inside.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use crate::plugins;
use crate::process::{run, say};
use crate::workspace::{cargo, root, target};

pub fn run_chore() -> Result<()> {
    println!("{}", make()?.display());
    Ok(())
}

/// Builds the program, and returns its path.
pub fn make() -> Result<PathBuf> {
    plugins::build()?;
    run(&mut cargo(&["build", "--profile", "dist", "--package", "alekseylearn"])?)?;
    let (built, place) = (target()?.join("dist/alekseylearn"), root().join("target/dist/alekseylearn"));
    if built != place {
        fs::create_dir_all(root().join("target/dist"))?;
        let unfinished = place.with_extension("new");
        fs::copy(&built, &unfinished)?;
        fs::rename(unfinished, &place)?;
    }
    say(format_args!("{:.1} MiB", place.metadata()?.len() as f64 / (1024.0 * 1024.0)));
    Ok(place)
}

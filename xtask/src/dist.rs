//! `dist`: builds the program to distribute, with the shipped drivers inside, and the installable plugins beside it.

use std::ffi::OsString;
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
    let beside = root().join("target/dist/plugins");
    fs::create_dir_all(&beside)?;
    let mut components: Vec<OsString> = Vec::new();
    for plugin in fs::read_dir(root().join(plugins::INSTALLABLE))? {
        let name = plugin?.file_name();
        plugins::install(&root().join(plugins::INSTALLABLE).join(&name), &beside.join(&name))?;
        components.push(name);
    }
    plugins::remove_others(&beside, &components)?;
    say(format_args!("{:.1} MiB", place.metadata()?.len() as f64 / (1024.0 * 1024.0)));
    Ok(place)
}

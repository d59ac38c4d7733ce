use std::path::Path;

use super::Check;
use crate::{
    capability::transfer,
    config::Defaults,
    environment::Environment,
    error::{Context as _, Result},
    job::{Context, Record},
    ui::bytes,
};

const GIB: u64 = 1 << 30;
const ENOUGH: u64 = 5 * GIB;

/// Checks the files of alekseylearn on this machine.
pub(super) async fn look(context: &Context) -> Vec<Check> {
    let environment = &context.environment;
    let mut checks = vec![
        told("record", record(environment)),
        told("cache", cache(&environment.cache)),
        told("config", config(environment)),
        told("plugins", plugins(context).await),
    ];
    checks.extend(disk_space("disk", &environment.data));
    checks
}

fn told(name: &'static str, found: Result<String>) -> Check {
    match found {
        Ok(what) => Check::ok(name, what),
        Err(error) => Check::of(name, &error),
    }
}

fn record(environment: &Environment) -> Result<String> {
    let jobs = Record::open(environment)?.count()?;
    Ok(format!("{jobs} jobs in {}", environment.data.display()))
}

fn cache(folder: &Path) -> Result<String> {
    let written = Environment::private_folder(folder).and_then(|()| {
        tempfile::tempfile_in(folder).context(|| format!("cannot write to {}", folder.display()))
    });
    let failed = |error: crate::error::Error| {
        error.hint(
            "make it writable, or set XDG_CACHE_HOME to a writable folder; without a cache, drivers start slowly",
        )
    };
    written.map(|_| format!("{} is writable", folder.display())).map_err(failed)
}

fn config(environment: &Environment) -> Result<String> {
    let defaults = Defaults::read(environment)?;
    let paths: Vec<String> = defaults.paths().map(|path| path.display().to_string()).collect();
    Ok(if paths.is_empty() { "no alekseylearn.toml".into() } else { format!("valid: {}", paths.join(", ")) })
}

async fn plugins(context: &Context) -> Result<String> {
    let installed = context.plugins.store().list()?;
    for plugin in &installed {
        context.plugins.installed(&plugin.name)?;
    }
    let drivers = context.plugins.list().await?.len();
    Ok(format!("{drivers} drivers; installed plugins verified: {}", installed.len()))
}

/// Checks the free disk space; `None` if the file system does not report it.
pub(super) fn disk_space(name: &'static str, folder: &Path) -> Option<Check> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let free = transfer::free_space(there)?;
    let what = format!("{} free for {}", bytes(free), folder.display());
    let fix = "free some disk space: `alekseylearn clean` lists what can be removed";
    Some(match free {
        ..GIB => Check::problem(name, what, fix),
        GIB..ENOUGH => Check::warning(name, what, fix),
        ENOUGH.. => Check::ok(name, what),
    })
}

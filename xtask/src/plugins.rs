//! `plugins`: builds the shipped drivers to `target/plugins/NAME.wasm`, and the installable ones to
//! `target/installable/NAME.wasm`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::process::{run, say};
use crate::wasm_target::{self, TARGET};
use crate::workspace::{Plugin, cargo, plugins, root, target};

/// The folder of the plugins that are not shipped.
pub const INSTALLABLE: &str = "target/installable";

pub fn build() -> Result<()> {
    wasm_target::ensure()?;
    let plugins = plugins()?;
    if !plugins.is_empty() {
        compile(&plugins)?;
    }
    for (folder, shipped) in [("target/plugins", true), (INSTALLABLE, false)] {
        let place = root().join(folder);
        fs::create_dir_all(&place)?;
        let mut components: Vec<OsString> = Vec::new();
        for plugin in plugins.iter().filter(|plugin| plugin.shipped == shipped) {
            let component = target()?.join(TARGET).join("release").join(&plugin.artifact);
            let name = format!("{}.wasm", plugin.name);
            install(&component, &place.join(&name))?;
            components.push(name.into());
        }
        remove_others(&place, &components)?;
        say(format_args!("{} drivers in {folder}", components.len()));
    }
    Ok(())
}

fn compile(plugins: &[Plugin]) -> Result<()> {
    let mut build = cargo(&["build", "--release", "--target", TARGET])?;
    for plugin in plugins {
        build.args(["--package", &plugin.name]);
    }
    run(&mut build)
}

/// Keeps a component that has not changed: the program embeds it, and would otherwise be built again.
pub fn install(component: &Path, place: &Path) -> Result<()> {
    let bytes =
        fs::read(component).with_context(|| format!("cargo did not build {}", component.display()))?;
    if fs::read(place).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    say(format_args!("updated {} ({} KiB)", place.display(), bytes.len() / 1024));
    let unfinished = place.with_extension("wasm.new");
    fs::write(&unfinished, bytes)?;
    Ok(fs::rename(unfinished, place)?)
}

/// Removes components without a source: they must be neither shipped nor tested.
pub fn remove_others(folder: &Path, components: &[OsString]) -> Result<()> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        if !components.iter().any(|name| path.ends_with(name)) {
            say(format_args!("removing {}", path.display()));
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_component_stays_and_a_stale_one_goes() {
        let folder = std::env::temp_dir().join(format!("xtask-plugins-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (built, place) = (folder.with_extension("built"), folder.join("local.wasm"));
        fs::write(&built, "one").unwrap();
        install(&built, &place).unwrap();
        let first = place.metadata().unwrap().modified().unwrap();
        install(&built, &place).unwrap();
        assert_eq!(place.metadata().unwrap().modified().unwrap(), first);

        fs::write(folder.join("gone.wasm"), "").unwrap();
        remove_others(&folder, &["local.wasm".into()]).unwrap();
        assert!(place.exists() && !folder.join("gone.wasm").exists());
        fs::remove_dir_all(&folder).unwrap();
        fs::remove_file(&built).unwrap();
    }
}

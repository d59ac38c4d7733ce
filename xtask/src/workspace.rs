//! The folders of the clone and the caches, and the cargo commands that build them.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// The folder of the clone. Asks the running cargo first, because clones with a shared target folder share this program.
pub fn root() -> PathBuf {
    let xtask = env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&xtask).parent().expect("xtask is a folder of the workspace").into()
}

/// The cache folder, shared by all clones: `$XDG_CACHE_HOME/alekseylearn`.
pub fn cache() -> Result<PathBuf> {
    let caches = match env::var_os("XDG_CACHE_HOME").filter(|folder| Path::new(folder).is_absolute()) {
        Some(folder) => folder.into(),
        None => env::home_dir().context("no home folder: set XDG_CACHE_HOME")?.join(".cache"),
    };
    Ok(caches.join("alekseylearn"))
}

/// Waits for every other xtask of this user that makes the same thing, and locks them out until the file is dropped.
pub fn lock(what: &str) -> Result<File> {
    let locks = cache()?.join("locks");
    fs::create_dir_all(&locks)?;
    let file = File::create(locks.join(what))?;
    if file.try_lock().is_err() {
        process::say(format_args!("waiting for another xtask: {what}"));
        file.lock()?;
    }
    Ok(file)
}

/// Removes a folder if it exists.
pub fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// An empty temporary folder, removed with this value. Its name contains the process id, because programs that a killed
/// xtask left running may still write to its folder.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates the folder. The caller holds the lock, so other folders of this name are leftovers of killed runs.
    pub fn new(what: &str) -> Result<Scratch> {
        let all = cache()?.join("scratch");
        fs::create_dir_all(&all)?;
        for old in fs::read_dir(&all)?.flatten() {
            if old.file_name().to_string_lossy().starts_with(&format!("{what}.")) {
                let _ = fs::remove_dir_all(old.path());
            }
        }
        let folder = all.join(format!("{what}.{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Scratch(folder))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Cargo's target folder: the caller's, or one shared by all clones.
pub fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => Ok(root().join(folder)),
        None => Ok(cache()?.join("target")),
    }
}

/// A cargo command in the clone with the right target folder.
pub fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.args(arguments).current_dir(root()).env("CARGO_TARGET_DIR", target()?);
    free_of_cargo(&mut cargo);
    Ok(cargo)
}

/// Takes away what the cargo that started xtask set for xtask alone.
pub fn free_of_cargo(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name == "CARGO_PRIMARY_PACKAGE"
        {
            command.env_remove(name);
        }
    }
}

/// A plugin: a package below `plugins/`.
#[derive(Debug, PartialEq)]
pub struct Plugin {
    /// The name of the package and of the driver.
    pub name: String,
    /// Cargo's file name of the component.
    pub artifact: String,
    /// Whether it is shipped in the program; otherwise the user installs it.
    pub shipped: bool,
}

/// All members of the workspace in `plugins/` that are built as a component.
pub fn plugins() -> Result<Vec<Plugin>> {
    let metadata = process::text(&mut cargo(&["metadata", "--no-deps", "--format-version", "1"])?)?;
    Ok(plugins_of(&serde_json::from_str(&metadata)?, &root().join("plugins")))
}

fn plugins_of(metadata: &Value, folder: &Path) -> Vec<Plugin> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut plugins = Vec::new();
    for package in list(&metadata["packages"]) {
        let inside =
            package["manifest_path"].as_str().is_some_and(|path| Path::new(path).starts_with(folder));
        let component = list(&package["targets"])
            .into_iter()
            .find(|target| list(&target["kind"]).contains(&"cdylib".into()));
        if let (true, Some(name), Some(component)) = (inside, package["name"].as_str(), component) {
            let file = component["name"].as_str().unwrap_or(name).replace('-', "_");
            let shipped = package["metadata"]["alekseylearn"]["shipped"] != false;
            plugins.push(Plugin { name: name.into(), artifact: format!("{file}.wasm"), shipped });
        }
    }
    plugins
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plugin_is_a_package_below_plugins_that_becomes_a_component() {
        let package = |name: &str, path: &str, kinds: &[&str]| json!({"name": name, "manifest_path": path, "targets": [{"name": name, "kind": kinds}]});
        let mut shipped = package("local-gpu", "/w/plugins/local-gpu/Cargo.toml", &["cdylib"]);
        shipped["metadata"] = Value::Null;
        let mut other = package("ml-engine", "/w/plugins/ml-engine/Cargo.toml", &["cdylib", "rlib"]);
        other["metadata"] = json!({"alekseylearn": {"shipped": false}});
        let metadata = json!({"packages": [
            shipped,
            other,
            package("shared", "/w/plugins/shared/Cargo.toml", &["lib"]),
            package("sdk", "/w/sdk/Cargo.toml", &["cdylib"]),
        ]});
        let expected = [("local-gpu", "local_gpu.wasm", true), ("ml-engine", "ml_engine.wasm", false)].map(
            |(name, artifact, shipped)| Plugin { name: name.into(), artifact: artifact.into(), shipped },
        );
        assert_eq!(plugins_of(&metadata, Path::new("/w/plugins")), expected);
    }
}

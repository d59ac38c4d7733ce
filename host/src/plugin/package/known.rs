//! Lists the known plugins from their files alone, without compiling them or starting an engine.

use std::collections::BTreeMap;

use super::{
    manifest::Manifest,
    shipped::SHIPPED,
    store::{Installed, Store},
};
use crate::{environment::Environment, error::Result};

/// The plugins that the user installed.
///
/// # Errors
/// If the list of plugins cannot be read.
pub fn installed(environment: &Environment) -> Result<Vec<Installed>> {
    Store::new(environment).list()
}

/// All plugins whose files can be read, by name. An installed plugin replaces a shipped one of the same name.
///
/// # Errors
/// If the list of installed plugins cannot be read.
pub fn known_drivers(environment: &Environment) -> Result<BTreeMap<String, Manifest>> {
    let store = Store::new(environment);
    let shipped =
        SHIPPED.iter().map(|plugin| (plugin.name.to_owned(), Manifest::read(plugin.name, plugin.wasm)));
    let installed = store.list()?.into_iter().map(|plugin| {
        let manifest = store.wasm(&plugin).and_then(|wasm| Manifest::read(&plugin.name, &wasm));
        (plugin.name, manifest)
    });
    Ok(shipped.chain(installed).filter_map(|(name, manifest)| Some((name, manifest.ok()?))).collect())
}

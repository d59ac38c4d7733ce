//! What plugins there are, by their files alone: nothing is compiled, and no engine starts.

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
/// The list of them cannot be read.
pub fn installed(environment: &Environment) -> Result<Vec<Installed>> {
    Store::new(environment).list()
}

/// All plugins whose files can be read, by name. An installed one stands in the place of a shipped one of its name.
///
/// # Errors
/// The list of installed plugins cannot be read.
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

//! All plugins that this program can call.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::Mutex;

use super::{
    authority::Capability,
    driver::{BuildDriver, Driver, TrainDriver},
    runtime::{DriverKind, Loaded, Runtime},
    services::Services,
    shipped::SHIPPED,
};
use crate::{
    environment::Environment,
    error::{Error, Kind, Result},
    ui::Ui,
};

/// All plugins, and what their drivers need of the host.
pub struct Plugins {
    pub(super) runtime: Runtime,
    pub(super) services: Arc<Services>,
    pub(super) ui: Arc<Ui>,
    loaded: Mutex<BTreeMap<String, Arc<Plugin>>>,
}

/// A plugin that is ready to be called.
pub(super) struct Plugin {
    pub(super) name: String,
    pub(super) granted: BTreeSet<Capability>,
    pub(super) loaded: Loaded,
}

/// One driver, for a person to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As in `--train-driver NAME`.
    pub name: String,
    /// Build or train.
    pub kind: DriverKind,
    /// The parts of the contract that it was granted.
    pub granted: Vec<&'static str>,
}

impl Plugins {
    /// Starts the engine; no plugin is loaded yet.
    ///
    /// # Errors
    /// The engine cannot start on this machine.
    pub fn new(environment: &Environment, services: Arc<Services>, ui: Arc<Ui>) -> Result<Self> {
        Ok(Self { runtime: Runtime::new(&environment.cache)?, services, ui, loaded: Mutex::default() })
    }

    /// Every driver of every plugin.
    ///
    /// # Errors
    /// A plugin cannot be loaded.
    pub async fn list(&self) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        for (name, _) in SHIPPED {
            let plugin = self.load(name).await?;
            all.extend(plugin.loaded.kinds.iter().map(|kind| Listed {
                name: plugin.name.clone(),
                kind: *kind,
                granted: plugin.granted.iter().map(|capability| capability.interface()).collect(),
            }));
        }
        all.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Ok(all)
    }

    /// A build driver by name.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn build_driver(&self, name: &str) -> Result<BuildDriver<'_>> {
        self.driver(name, DriverKind::Build).await.map(BuildDriver)
    }

    /// A train driver by name.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn train_driver(&self, name: &str) -> Result<TrainDriver<'_>> {
        self.driver(name, DriverKind::Train).await.map(TrainDriver)
    }

    async fn driver(&self, name: &str, kind: DriverKind) -> Result<Driver<'_>> {
        if SHIPPED.iter().any(|(known, _)| *known == name) {
            let plugin = self.load(name).await?;
            if plugin.loaded.kinds.contains(&kind) {
                return Ok(Driver { plugins: self, plugin });
            }
        }
        let others = self.list().await?.into_iter().filter(|driver| driver.kind == kind);
        let others: Vec<String> = others.map(|driver| driver.name).collect();
        let hint = match others.is_empty() {
            true => "this program was built without its drivers: build it with `cargo xtask dist`".to_owned(),
            false => format!("there is {}; `alekseylearn driver list` tells more", others.join(", ")),
        };
        Err(Error::new(Kind::NotFound, format!("there is no {} driver `{name}`", kind.name())).hint(hint))
    }

    async fn load(&self, name: &str) -> Result<Arc<Plugin>> {
        let mut loaded = self.loaded.lock().await;
        if let Some(ready) = loaded.get(name) {
            return Ok(ready.clone());
        }
        let wasm =
            SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, wasm)| *wasm).unwrap_or_default();
        let ready = self.runtime.load(name, wasm)?;
        // What a shipped plugin imports it was granted: it came with the program.
        let plugin = Arc::new(Plugin { name: name.to_owned(), granted: ready.wants.clone(), loaded: ready });
        loaded.insert(name.to_owned(), plugin.clone());
        Ok(plugin)
    }
}

//! All plugins that this program can call: the installed and the shipped ones. An installed plugin replaces a shipped
//! one of the same name.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{
    driver::{
        BuildDriver, CallContext, Driver, TrainDriver,
        plugin::{Origin, Plugin},
    },
    package::{
        bundle,
        candidate::Candidate,
        identity::Identity,
        manifest::DriverKind,
        shipped::{SHIPPED, bundled, shipped},
        signature::{Signed, Trust},
        store::{Chosen, Installed, Store},
    },
    policy::{
        audit::Audit,
        grant::{Grant, Grants},
        never::NeverGranted,
    },
    sandbox::runtime::Runtime,
    services::Services,
};
use crate::{
    environment::Environment,
    error::{Error, Kind, Result},
    ui::Ui,
};

/// All plugins, and the services that their drivers need.
pub struct Plugins {
    calls: CallContext,
    environment: Environment,
    store: Store,
    loaded: Mutex<BTreeMap<String, Arc<Plugin>>>,
}

/// A component, and the grants that the user gave it.
pub struct Consented {
    /// The component.
    pub candidate: Candidate,
    /// Its grants.
    pub granted: Grants,
    /// The grants of the same plugin when the user chose.
    pub before: Grants,
    /// The plugin that it replaces, for display; `None` if there is none.
    pub replaces: Option<String>,
}

/// One driver in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name, as in `--train-driver NAME`.
    pub name: String,
    /// Build or train.
    pub kind: DriverKind,
    /// Which component is used.
    pub origin: Origin,
    /// Its grants.
    pub granted: Grants,
}

impl Plugins {
    /// Starts the engine. Loads no plugin yet.
    ///
    /// # Errors
    /// If the engine cannot start on this machine.
    pub fn new(environment: &Environment, services: Arc<Services>, ui: Arc<Ui>) -> Result<Self> {
        let runtime = Runtime::new(&environment.cache)?;
        let (environment, store) = (environment.clone(), Store::new(environment));
        let audit = Arc::new(Audit::new(&environment));
        let calls = CallContext { runtime, services, ui, audit };
        Ok(Self { calls, environment, store, loaded: Mutex::default() })
    }

    /// The audit log.
    pub fn audit(&self) -> &Audit {
        &self.calls.audit
    }

    /// The installed plugins.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Every driver of every plugin. Plugins that cannot be loaded are skipped with a warning.
    ///
    /// # Errors
    /// The list of installed plugins cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        for name in self.names().await? {
            let plugin = match self.load(&name).await {
                Ok(plugin) => plugin,
                Err(error) => {
                    self.calls.ui.warning(&error.chain());
                    continue;
                }
            };
            all.extend(plugin.loaded.kinds.iter().map(|kind| Listed {
                name: plugin.name.clone(),
                kind: *kind,
                origin: plugin.origin.clone(),
                granted: plugin.granted.clone(),
            }));
        }
        all.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Ok(all)
    }

    /// The kinds of driver that a plugin has; empty if there is no such plugin.
    ///
    /// # Errors
    /// If it cannot be loaded.
    pub async fn kinds(&self, name: &str) -> Result<BTreeSet<DriverKind>> {
        if !self.names().await?.contains(name) {
            return Ok(BTreeSet::new());
        }
        Ok(self.load(name).await?.loaded.kinds.clone())
    }

    /// A build driver by name.
    ///
    /// # Errors
    /// If there is no such driver.
    pub async fn build_driver(&self, name: &str) -> Result<BuildDriver<'_>> {
        self.driver(name, DriverKind::Build).await.map(BuildDriver)
    }

    /// A train driver by name.
    ///
    /// # Errors
    /// If there is no such driver.
    pub async fn train_driver(&self, name: &str) -> Result<TrainDriver<'_>> {
        self.driver(name, DriverKind::Train).await.map(TrainDriver)
    }

    /// Who signed a component.
    ///
    /// # Errors
    /// If its signature does not verify.
    pub fn signed(&self, candidate: &Candidate) -> Result<Signed> {
        Trust::read(&self.environment)?.judge(candidate.claim())
    }

    /// Who signed an installed plugin.
    ///
    /// # Errors
    /// If its signature does not verify, or its file changed after it was installed.
    pub fn signed_installed(&self, plugin: &Installed) -> Result<Signed> {
        let trust = Trust::read(&self.environment)?;
        if plugin.signature.is_none() {
            return trust.judge(plugin.claim(&[]));
        }
        let judged =
            self.store.with(&plugin.name, |plugin| trust.judge(plugin.claim(&self.store.wasm(plugin)?)))?;
        Ok(judged.unwrap_or(Signed::Not))
    }

    /// Refuses a component whose signature does not verify, or is required but missing. Returns whether a trusted key
    /// signed it.
    ///
    /// # Errors
    /// If the component is refused.
    pub fn admit(&self, candidate: &Candidate) -> Result<bool> {
        let signed = Trust::read(&self.environment)?.admit(candidate.claim())?;
        Ok(matches!(signed, Signed::By(_)))
    }

    /// The `never-grant` rules of the user's own file.
    ///
    /// # Errors
    /// If the file is not valid.
    pub fn never_granted(&self) -> Result<NeverGranted> {
        NeverGranted::read(&self.environment)
    }

    /// Compiles and installs components with their grants, either all or none.
    ///
    /// # Errors
    /// If one is refused or cannot be compiled, or the disk is full. Then nothing changes.
    pub async fn install(&self, consented: &[Consented]) -> Result<Vec<Installed>> {
        let mut plugins = Vec::new();
        for Consented { candidate, granted, .. } in consented {
            self.admit(candidate)?;
            let digest = candidate.digest();
            let ready = self.ready(&candidate.name, &digest);
            self.calls.runtime.load(&candidate.name, &digest, ready, &candidate.wasm).await?;
            plugins.push(Installed {
                name: candidate.name.clone(),
                version: candidate.manifest.version.as_ref().map(ToString::to_string),
                digest,
                source: candidate.source.clone(),
                contract: candidate.manifest.contract.to_string(),
                granted: granted.clone(),
                installed: Timestamp::now().to_string(),
                signature: candidate.signature.clone(),
                own_name: candidate.own_name(),
                wants: candidate.manifest.wants.clone(),
            });
        }
        let chosen = consented.iter().zip(&plugins).map(|(consented, plugin)| Chosen {
            wasm: &consented.candidate.wasm,
            plugin,
            before: &consented.before,
        });
        let before = self.store.list()?;
        let installed = self.store.install(&chosen.collect::<Vec<_>>())?;
        let now = self.store.list()?;
        for gone in before.iter().filter(|before| now.iter().all(|now| now.digest != before.digest)) {
            self.calls.runtime.forget(&gone.digest);
        }
        Ok(installed)
    }

    /// Removes an installed plugin and its compiled form.
    ///
    /// # Errors
    /// If there is no such plugin, or the disk cannot be written.
    pub fn uninstall(&self, name: &str) -> Result<()> {
        let plugin = self.store.expect(name)?;
        self.store.uninstall(name)?;
        self.calls.runtime.forget(&plugin.digest);
        Ok(())
    }

    /// An installed plugin as its file describes it; `None` if there is no such plugin.
    ///
    /// # Errors
    /// If the file is missing, or changed after it was installed.
    pub fn installed(&self, name: &str) -> Result<Option<Candidate>> {
        self.store.with(name, |plugin| Candidate::of(plugin, self.store.wasm(plugin)?))
    }

    /// Writes all installed plugins to one file. Returns their number.
    ///
    /// # Errors
    /// If a component changed after it was installed, or the file cannot be written.
    pub fn export(&self, path: &Path) -> Result<usize> {
        let mut plugins = Vec::new();
        for plugin in self.store.list()? {
            let read = |plugin: &Installed| Ok((plugin.clone(), self.store.wasm(plugin)?));
            plugins.extend(self.store.with(&plugin.name, read)?);
        }
        bundle::write(path, &plugins)?;
        Ok(plugins.len())
    }

    /// Reads a file from [`Plugins::export`]. Compiles and runs nothing.
    ///
    /// # Errors
    /// If the file is not a valid bundle.
    pub fn import(&self, path: &Path) -> Result<Vec<(Candidate, Installed)>> {
        bundle::read(path)
    }

    /// Uses a component until this process ends, in place of any other of the same name.
    ///
    /// # Errors
    /// If it is refused or cannot be compiled.
    pub async fn lend(&self, candidate: &Candidate, granted: Grants) -> Result<()> {
        self.admit(candidate)?;
        let digest = candidate.digest();
        let ready = self.ready(&candidate.name, &digest);
        let loaded = self.calls.runtime.load(&candidate.name, &digest, ready, &candidate.wasm).await?;
        let name = candidate.name.clone();
        let plugin = Plugin {
            name: name.clone(),
            granted,
            origin: Origin::Lent(digest),
            identity: candidate.identity(),
            wants: candidate.manifest.wants.clone(),
            never: self.never_granted()?,
            loaded,
            written: Arc::default(),
        };
        self.loaded.lock().await.insert(name, Arc::new(plugin));
        Ok(())
    }

    /// The compiled form of a component; `None` if it must be compiled, which takes time and is announced.
    fn ready(&self, name: &str, digest: &str) -> Option<wasmtime::component::Component> {
        let ready = self.calls.runtime.ready(digest);
        if ready.is_none() {
            self.calls.ui.stage(&format!("Compiling the plugin {name}"));
        }
        ready
    }

    /// Checks the signature again: the settings may have become stricter since the plugin was installed.
    fn admit_installed(&self, plugin: &Installed) -> Result<()> {
        let trust = Trust::read(&self.environment)?;
        if !trust.is_required() {
            return Ok(());
        }
        trust.admit(plugin.claim(&self.store.wasm(plugin)?)).map(drop)
    }

    async fn names(&self) -> Result<BTreeSet<String>> {
        let mut names: BTreeSet<String> = self.loaded.lock().await.keys().cloned().collect();
        names.extend(self.store.list()?.into_iter().map(|plugin| plugin.name));
        names.extend(SHIPPED.iter().map(|plugin| plugin.name.to_owned()));
        Ok(names)
    }

    async fn driver(&self, name: &str, kind: DriverKind) -> Result<Driver<'_>> {
        if self.names().await?.contains(name) {
            let plugin = self.load(name).await?;
            if plugin.loaded.kinds.contains(&kind) {
                return Ok(Driver { calls: &self.calls, plugin });
            }
        }
        if bundled(name).is_some() && !self.names().await?.contains(name) {
            return Err(Error::new(Kind::NotFound, format!("the driver {name} is not installed"))
                .hint(format!("it comes with alekseylearn: `alekseylearn plugin install {name}`")));
        }
        let others = self.list().await?.into_iter().filter(|driver| driver.kind == kind);
        let others: Vec<String> = others.map(|driver| driver.name).collect();
        let hint = if others.is_empty() {
            "this build contains no drivers: rebuild it with `cargo xtask dist`".to_owned()
        } else {
            format!("available: {}; see `alekseylearn driver list`", others.join(", "))
        };
        Err(Error::new(Kind::NotFound, format!("there is no {} driver `{name}`", kind.name())).hint(hint))
    }

    async fn load(&self, name: &str) -> Result<Arc<Plugin>> {
        let mut loaded = self.loaded.lock().await;
        if let Some(ready) = loaded.get(name) {
            return Ok(ready.clone());
        }
        let installed = self.store.with(name, |installed| {
            self.admit_installed(installed)?;
            let ready = self.ready(name, &installed.digest);
            let wasm = if ready.is_none() { self.store.wasm(installed)? } else { Vec::new() };
            Ok((installed.clone(), ready, wasm))
        });
        let plugin = match installed? {
            Some((installed, ready, wasm)) => {
                let loaded = self.calls.runtime.load(name, &installed.digest, ready, &wasm).await?;
                Plugin {
                    never: self.never_granted()?,
                    name: name.to_owned(),
                    identity: installed.identity(),
                    granted: installed.granted,
                    wants: installed.wants,
                    origin: Origin::Installed(installed.digest),
                    loaded,
                    written: Arc::default(),
                }
            }
            None => {
                let shipped = shipped(name)
                    .ok_or_else(|| Error::new(Kind::NotFound, format!("there is no plugin `{name}`")))?;
                let ready = self.calls.runtime.load_shipped(name, shipped.digest, shipped.wasm)?;
                // A shipped plugin has a grant for everything that it imports.
                let granted: Grants = ready.wants.iter().copied().map(Grant::Capability).collect();
                Plugin {
                    name: name.to_owned(),
                    identity: Identity::of_shipped(name),
                    wants: granted.clone(),
                    never: NeverGranted::default(),
                    granted,
                    origin: Origin::Shipped,
                    loaded: ready,
                    written: Arc::default(),
                }
            }
        };
        let plugin = Arc::new(plugin);
        loaded.insert(name.to_owned(), plugin.clone());
        Ok(plugin)
    }
}

//! All plugins that this program can call: those that the user installed, and those that it ships with. An installed
//! one answers in the place of a shipped one of its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use jiff::Timestamp;
use tokio::sync::Mutex;

use super::{
    audit::Audit,
    bundle,
    candidate::Candidate,
    driver::{BuildDriver, Driver, TrainDriver},
    grant::{Grant, Grants},
    identity::Identity,
    job_folder::Written,
    manifest::DriverKind,
    never::NeverGranted,
    runtime::{Loaded, Runtime},
    services::Services,
    shipped::{SHIPPED, shipped},
    signature::{Signed, Trust},
    store::{Chosen, Installed, Store},
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
    environment: Environment,
    store: Store,
    pub(super) audit: Arc<Audit>,
    loaded: Mutex<BTreeMap<String, Arc<Plugin>>>,
}

/// A plugin that is ready to be called.
pub(super) struct Plugin {
    pub(super) name: String,
    pub(super) granted: Grants,
    pub(super) origin: Origin,
    pub(super) identity: Identity,
    /// What it wants, so that a denial can name the whole grant.
    pub(super) wants: Grants,
    /// What its user never grants; nothing of a shipped one.
    pub(super) never: NeverGranted,
    pub(super) loaded: Loaded,
    pub(super) written: Arc<Written>,
}

impl Plugin {
    /// Of its component, `sha256:…`.
    pub(super) fn digest(&self) -> String {
        match &self.origin {
            Origin::Installed(digest) | Origin::Lent(digest) => digest.clone(),
            Origin::Shipped => {
                shipped(&self.name).map(|shipped| shipped.digest.to_owned()).unwrap_or_default()
            }
        }
    }
}

/// Which file answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The one inside the program.
    Shipped,
    /// The one that the user installed, by its digest.
    Installed(String),
    /// A file that is tried out, by its digest.
    Lent(String),
}

/// A component, and what the user granted it.
pub struct Consented {
    /// The component.
    pub candidate: Candidate,
    /// What it is granted.
    pub granted: Grants,
    /// What the same plugin was granted when that was chosen.
    pub before: Grants,
    /// The plugin whose place it takes, for a person.
    pub replaces: Option<String>,
}

/// One driver, for a person to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// As in `--train-driver NAME`.
    pub name: String,
    /// Build or train.
    pub kind: DriverKind,
    /// Which file answers.
    pub origin: Origin,
    /// What it was granted.
    pub granted: Grants,
}

impl Plugins {
    /// Starts the engine; no plugin is loaded yet.
    ///
    /// # Errors
    /// The engine cannot start on this machine.
    pub fn new(environment: &Environment, services: Arc<Services>, ui: Arc<Ui>) -> Result<Self> {
        let runtime = Runtime::new(&environment.cache)?;
        let (environment, store) = (environment.clone(), Store::new(environment));
        let audit = Arc::new(Audit::new(&environment));
        Ok(Self { runtime, services, ui, environment, store, audit, loaded: Mutex::default() })
    }

    /// What plugins asked for.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The installed ones.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Every driver of every plugin. One that cannot be loaded is left out, and said.
    ///
    /// # Errors
    /// The list of installed plugins cannot be read.
    pub async fn list(&self) -> Result<Vec<Listed>> {
        let mut all = Vec::new();
        for name in self.names().await? {
            let plugin = match self.load(&name).await {
                Ok(plugin) => plugin,
                Err(error) => {
                    self.ui.warning(&error.chain());
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

    /// What the plugin of that name drives; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be loaded.
    pub async fn kinds(&self, name: &str) -> Result<BTreeSet<DriverKind>> {
        if !self.names().await?.contains(name) {
            return Ok(BTreeSet::new());
        }
        Ok(self.load(name).await?.loaded.kinds.clone())
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

    /// Who signed a component.
    ///
    /// # Errors
    /// Its signature does not verify.
    pub fn signed(&self, candidate: &Candidate) -> Result<Signed> {
        Trust::read(&self.environment)?.judge(candidate.claim())
    }

    /// Who signed an installed plugin.
    ///
    /// # Errors
    /// Its signature does not verify, or its file is not what was installed.
    pub fn signed_installed(&self, plugin: &Installed) -> Result<Signed> {
        let trust = Trust::read(&self.environment)?;
        if plugin.signature.is_none() {
            return trust.judge(plugin.claim(&[]));
        }
        let judged =
            self.store.with(&plugin.name, |plugin| trust.judge(plugin.claim(&self.store.wasm(plugin)?)))?;
        Ok(judged.unwrap_or(Signed::Not))
    }

    /// Refuses a component whose signature does not verify, or is missing where one is required. True if a key that the
    /// user trusts signed it.
    ///
    /// # Errors
    /// It is such a one.
    pub fn admit(&self, candidate: &Candidate) -> Result<bool> {
        let signed = Trust::read(&self.environment)?.admit(candidate.claim())?;
        Ok(matches!(signed, Signed::By(_)))
    }

    /// What the user's own file never grants.
    ///
    /// # Errors
    /// The file is wrong.
    pub fn never_granted(&self) -> Result<NeverGranted> {
        NeverGranted::read(&self.environment)
    }

    /// Compiles components, and installs them with what the user granted them: all of them, or none.
    ///
    /// # Errors
    /// One is not admitted, or cannot be compiled, or the disk is full. What was installed before stays.
    pub async fn install(&self, consented: &[Consented]) -> Result<Vec<Installed>> {
        let mut plugins = Vec::new();
        for Consented { candidate, granted, .. } in consented {
            self.admit(candidate)?;
            let digest = candidate.digest();
            let ready = self.ready(&candidate.name, &digest);
            self.runtime.load(&candidate.name, &digest, ready, &candidate.wasm).await?;
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
            self.runtime.forget(&gone.digest);
        }
        Ok(installed)
    }

    /// Takes an installed plugin away, and its compiled form.
    ///
    /// # Errors
    /// There is none of that name, or the disk cannot be written to.
    pub fn uninstall(&self, name: &str) -> Result<()> {
        let plugin = self.store.expect(name)?;
        self.store.uninstall(name)?;
        self.runtime.forget(&plugin.digest);
        Ok(())
    }

    /// An installed plugin as its file describes it; nothing where there is none of that name.
    ///
    /// # Errors
    /// The file is missing, or is not what was installed.
    pub fn installed(&self, name: &str) -> Result<Option<Candidate>> {
        self.store.with(name, |plugin| Candidate::of(plugin, self.store.wasm(plugin)?))
    }

    /// Writes all installed plugins to one file, and tells how many they are.
    ///
    /// # Errors
    /// One is not what was installed, or the file cannot be written.
    pub fn export(&self, path: &Path) -> Result<usize> {
        let mut plugins = Vec::new();
        for plugin in self.store.list()? {
            let read = |plugin: &Installed| Ok((plugin.clone(), self.store.wasm(plugin)?));
            plugins.extend(self.store.with(&plugin.name, read)?);
        }
        bundle::write(path, &plugins)?;
        Ok(plugins.len())
    }

    /// Reads what [`Plugins::export`] wrote. Nothing of it is compiled or run.
    ///
    /// # Errors
    /// It is no such file, or is damaged.
    pub fn import(&self, path: &Path) -> Result<Vec<(Candidate, Installed)>> {
        bundle::read(path)
    }

    /// Uses a component for as long as this process runs, in the place of any other of its name.
    ///
    /// # Errors
    /// It is not admitted, or cannot be compiled.
    pub async fn lend(&self, candidate: &Candidate, granted: Grants) -> Result<()> {
        self.admit(candidate)?;
        let digest = candidate.digest();
        let ready = self.ready(&candidate.name, &digest);
        let loaded = self.runtime.load(&candidate.name, &digest, ready, &candidate.wasm).await?;
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

    /// The compiled form of a component; where there is none, it is about to be made, which takes its time.
    fn ready(&self, name: &str, digest: &str) -> Option<wasmtime::component::Component> {
        let ready = self.runtime.ready(digest);
        if ready.is_none() {
            self.ui.stage(&format!("Compiling the plugin {name}"));
        }
        ready
    }

    /// The settings may have become stricter since it was installed.
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
        let installed = self.store.with(name, |installed| {
            self.admit_installed(installed)?;
            let ready = self.ready(name, &installed.digest);
            let wasm = if ready.is_none() { self.store.wasm(installed)? } else { Vec::new() };
            Ok((installed.clone(), ready, wasm))
        });
        let plugin = match installed? {
            Some((installed, ready, wasm)) => {
                let loaded = self.runtime.load(name, &installed.digest, ready, &wasm).await?;
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
                let ready = self.runtime.load_shipped(name, shipped.digest, shipped.wasm)?;
                // What a shipped plugin imports it was granted: it came with the program.
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

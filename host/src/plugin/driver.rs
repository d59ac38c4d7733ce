//! Drivers, as the rest of the program calls them.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tokio::sync::Mutex;
use wasmtime::{Store, component::Resource};

use super::{
    authority::{Authority, Scope, Verb},
    bindings::{
        alekseylearn::driver::types,
        build_plugin::BuildPluginPre,
        train_plugin::{TrainPlugin, TrainPluginPre},
    },
    report::{Artifact, Destination, Finding, JobStatus, Place},
    run::{Job, SharedJob, SharedTraining, Training},
    runtime::{DriverKind, Loaded, Runtime},
    services::Services,
    shipped::SHIPPED,
    state::State,
    verbs::from_driver,
};
use crate::{
    capability::aws::Repository,
    config::{OptionSpec, S3Location},
    environment::Environment,
    error::{Error, Kind, Result},
    ui::Ui,
};

pub use super::bindings::alekseylearn::driver::types::LogPage;
pub use crate::capability::docker::Image;

/// All plugins that this program can call.
pub struct Plugins {
    runtime: Runtime,
    services: Arc<Services>,
    ui: Arc<Ui>,
    loaded: Mutex<BTreeMap<&'static str, Arc<Loaded>>>,
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
            let loaded = self.load(name).await?;
            all.extend(loaded.kinds.iter().map(|kind| Listed {
                name: (*name).to_owned(),
                kind: *kind,
                granted: loaded.wants.iter().map(|capability| capability.interface()).collect(),
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
        let mut of_kind = Vec::new();
        for (known, _) in SHIPPED {
            let loaded = self.load(known).await?;
            if loaded.kinds.contains(&kind) {
                if *known == name {
                    return Ok(Driver { plugins: self, name: known, loaded });
                }
                of_kind.push(*known);
            }
        }
        let hint = match of_kind.is_empty() {
            true => "this program was built without its drivers: build it with `cargo xtask dist`".to_owned(),
            false => format!("there is {}; `alekseylearn driver list` tells more", of_kind.join(", ")),
        };
        Err(Error::new(Kind::NotFound, format!("there is no {} driver `{name}`", kind.name())).hint(hint))
    }

    async fn load(&self, name: &'static str) -> Result<Arc<Loaded>> {
        let mut loaded = self.loaded.lock().await;
        if let Some(ready) = loaded.get(name) {
            return Ok(ready.clone());
        }
        let wasm =
            SHIPPED.iter().find(|(known, _)| *known == name).map(|(_, wasm)| *wasm).unwrap_or_default();
        let ready = Arc::new(self.runtime.load(name, wasm)?);
        loaded.insert(name, ready.clone());
        Ok(ready)
    }
}

/// A plugin and one of its drivers.
struct Driver<'a> {
    plugins: &'a Plugins,
    name: &'static str,
    loaded: Arc<Loaded>,
}

impl Driver<'_> {
    /// A store for one call. What a shipped plugin imports it was granted: it came with the program.
    fn store(&self, scope: Scope, job: Option<&Path>) -> Result<Store<State>> {
        let authority = Authority { plugin: self.name.to_owned(), granted: self.loaded.wants.clone(), scope };
        let state = State::new(authority, self.plugins.services.clone(), self.plugins.ui.clone(), job)?;
        Ok(self.plugins.runtime.store(state))
    }

    /// What became of a call: the driver's own error, or the end of the driver.
    fn ended<T>(
        &self,
        store: &Store<State>,
        outcome: wasmtime::Result<std::result::Result<T, types::Error>>,
    ) -> Result<T> {
        match outcome {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(from_driver(error)),
            Err(error) => Err(self.broken(store, error)),
        }
    }

    fn broken(&self, store: &Store<State>, error: wasmtime::Error) -> Error {
        // A host function may have ended the call with an error of ours.
        let error = match error.downcast::<Error>() {
            Ok(own) => return own,
            Err(error) => error,
        };
        let words = store.data().last_words();
        let broken =
            Error::new(Kind::Plugin, format!("the driver {} broke: {}", self.name, error.root_cause()))
                .hint("this is a fault of the plugin: tell its author, with the lines above");
        if words.is_empty() { broken } else { broken.details(words) }
    }
}

/// A driver that makes images.
pub struct BuildDriver<'a>(Driver<'a>);

impl BuildDriver<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.0.name
    }

    /// The options it declares.
    ///
    /// # Errors
    /// The plugin is broken.
    pub async fn options(&self) -> Result<Vec<OptionSpec>> {
        let mut store = self.0.store(Scope::default(), None)?;
        let outcome = async {
            let plugin =
                BuildPluginPre::new(self.0.loaded.pre.clone())?.instantiate_async(&mut store).await?;
            plugin.alekseylearn_driver_build().call_options(&mut store).await
        };
        let specs = outcome.await;
        let specs = self.0.ended(&store, specs.map(Ok))?;
        take_all(&mut store, specs)
    }

    /// An image of the training folder.
    ///
    /// # Errors
    /// The build fails.
    pub async fn build(&self, training: Training) -> Result<Image> {
        let scope = Scope::of(&training.options, &training.project.tag, &training.job_name);
        let mut store = self.0.store(scope, None)?;
        let training: Resource<SharedTraining> = store.data_mut().push(Arc::new(training))?;
        let outcome = async {
            let plugin =
                BuildPluginPre::new(self.0.loaded.pre.clone())?.instantiate_async(&mut store).await?;
            plugin.alekseylearn_driver_build().call_build(&mut store, training).await
        };
        let image = outcome.await;
        let image = self.0.ended(&store, image)?;
        store.data_mut().take(image)
    }
}

/// A driver that trains images.
pub struct TrainDriver<'a>(Driver<'a>);

impl TrainDriver<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        self.0.name
    }

    /// The options it declares.
    ///
    /// # Errors
    /// The plugin is broken.
    pub async fn options(&self) -> Result<Vec<OptionSpec>> {
        let mut store = self.0.store(Scope::default(), None)?;
        let specs = match self.instantiate(&mut store).await {
            Ok(plugin) => plugin.alekseylearn_driver_train().call_options(&mut store).await,
            Err(error) => Err(error),
        };
        let specs = self.0.ended(&store, specs.map(Ok))?;
        take_all(&mut store, specs)
    }

    /// Looks before anything is built or spent.
    ///
    /// # Errors
    /// The driver cannot look.
    pub async fn check(&self, training: Training) -> Result<Vec<Finding>> {
        let (mut store, training) = self.store_for(training, None)?;
        let findings = match self.instantiate(&mut store).await {
            Ok(plugin) => plugin.alekseylearn_driver_train().call_check(&mut store, training).await,
            Err(error) => Err(error),
        };
        let findings = self.0.ended(&store, findings)?;
        take_all(&mut store, findings)
    }

    /// Where the image must go, and, where that is a repository of ours, the repository.
    ///
    /// # Errors
    /// The destination cannot be made ready, or is not this run's to push to.
    pub async fn prepare(&self, training: Training) -> Result<(Destination, Option<Repository>)> {
        let (mut store, training) = self.store_for(training, None)?;
        let destination = match self.instantiate(&mut store).await {
            Ok(plugin) => plugin.alekseylearn_driver_train().call_prepare(&mut store, training).await,
            Err(error) => Err(error),
        };
        let destination = self.0.ended(&store, destination)?;
        let destination = store.data_mut().take(destination)?;
        let Destination::Repository(address) = &destination else { return Ok((destination, None)) };
        let ready =
            store.data().repositories.iter().find(|repository| repository.address == *address).cloned();
        if ready.is_none() {
            return Err(Error::new(
                Kind::Denied,
                format!(
                    "the driver {} sends the image to {address}, which this run may not push to",
                    self.0.name
                ),
            )
            .hint("a driver may send an image only to a repository that the host made ready for it"));
        }
        Ok((destination, ready))
    }

    /// Starts the job, with `folder` as the job's.
    ///
    /// # Errors
    /// The service refuses.
    pub async fn submit(&self, training: Training, folder: &Path) -> Result<String> {
        let (mut store, training) = self.store_for(training, Some(folder))?;
        let reference = match self.instantiate(&mut store).await {
            Ok(plugin) => plugin.alekseylearn_driver_train().call_submit(&mut store, training).await,
            Err(error) => Err(error),
        };
        self.0.ended(&store, reference)
    }

    /// The job as it is now.
    ///
    /// # Errors
    /// The service does not answer.
    pub async fn status(&self, job: &Job) -> Result<JobStatus> {
        let (mut store, job) = self.store_of(job)?;
        let status = match self.instantiate(&mut store).await {
            Ok(plugin) => plugin.alekseylearn_driver_train().call_status(&mut store, job).await,
            Err(error) => Err(error),
        };
        let status = self.0.ended(&store, status)?;
        store.data_mut().take(status)
    }

    /// What the training wrote after the cursor.
    ///
    /// # Errors
    /// The service does not answer.
    pub async fn logs(&self, job: &Job, cursor: Option<&str>) -> Result<LogPage> {
        let (mut store, job) = self.store_of(job)?;
        let page = match self.instantiate(&mut store).await {
            Ok(plugin) => plugin.alekseylearn_driver_train().call_logs(&mut store, job, cursor).await,
            Err(error) => Err(error),
        };
        self.0.ended(&store, page)
    }

    /// Asks the job to stop.
    ///
    /// # Errors
    /// The service refuses.
    pub async fn stop(&self, job: &Job) -> Result<()> {
        let (mut store, job) = self.store_of(job)?;
        let outcome = match self.instantiate(&mut store).await {
            Ok(plugin) => plugin.alekseylearn_driver_train().call_stop(&mut store, job).await,
            Err(error) => Err(error),
        };
        self.0.ended(&store, outcome)
    }

    /// Where the job's results lie: only what the host may bring.
    ///
    /// # Errors
    /// The service does not answer, or the driver points to what this run may not touch.
    pub async fn artifacts(&self, job: &Job) -> Result<Vec<Artifact>> {
        let (mut store, job) = self.store_of(job)?;
        let artifacts = match self.instantiate(&mut store).await {
            Ok(plugin) => plugin.alekseylearn_driver_train().call_artifacts(&mut store, job).await,
            Err(error) => Err(error),
        };
        let artifacts = self.0.ended(&store, artifacts)?;
        let artifacts: Vec<Artifact> = take_all(&mut store, artifacts)?;
        for artifact in &artifacts {
            match &artifact.place {
                Place::S3(place) => store.data().allow(Verb::Location(place))?,
                Place::JobFile(file) => in_folder(file)?,
            }
        }
        Ok(artifacts)
    }

    /// Names of jobs that left a model under a location and begin with a prefix.
    ///
    /// # Errors
    /// The service does not answer, or has no such thing.
    pub async fn find(&self, location: &S3Location, prefix: &str) -> Result<Vec<String>> {
        let scope = Scope { locations: vec![location.clone()], ..Scope::default() };
        let mut store = self.0.store(scope, None)?;
        let found = match self.instantiate(&mut store).await {
            Ok(plugin) => {
                let train = plugin.alekseylearn_driver_train();
                train.call_find(&mut store, &location.to_string(), prefix).await
            }
            Err(error) => Err(error),
        };
        self.0.ended(&store, found)
    }

    async fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<TrainPlugin> {
        TrainPluginPre::new(self.0.loaded.pre.clone())?.instantiate_async(store).await
    }

    fn store_for(
        &self,
        training: Training,
        folder: Option<&Path>,
    ) -> Result<(Store<State>, Resource<SharedTraining>)> {
        let scope = Scope::of(&training.options, &training.project.tag, &training.job_name);
        let mut store = self.0.store(scope, folder)?;
        let training = store.data_mut().push(Arc::new(training))?;
        Ok((store, training))
    }

    fn store_of(&self, job: &Job) -> Result<(Store<State>, Resource<SharedJob>)> {
        let mut store = self.0.store(Scope::of(&job.options, &job.tag, &job.name), Some(&job.folder))?;
        let job = store.data_mut().push(Arc::new(job.clone()))?;
        Ok((store, job))
    }
}

fn in_folder(file: &str) -> Result<()> {
    let inside = Path::new(file).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if inside && !file.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Denied, format!("the driver points to `{file}`, outside of the job's folder")))
}

fn take_all<T: Send + 'static>(store: &mut Store<State>, handles: Vec<Resource<T>>) -> Result<Vec<T>> {
    handles.into_iter().map(|handle| store.data_mut().take(handle)).collect()
}

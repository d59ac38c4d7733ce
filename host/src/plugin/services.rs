//! Connections to the services that drivers use. Each is made when a verb first needs it, and shared by all calls.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OnceCell;

use crate::{
    capability::{
        aws::{Aws, Surroundings},
        docker::{Engine, known_hashes},
        http::Sender,
        oci,
    },
    config::AwsSettings,
    environment::{DockerEnvironment, Environment},
    error::Result,
    ui::Ui,
};

/// The connections to services.
pub struct Services {
    docker_environment: DockerEnvironment,
    ui: Arc<Ui>,
    cache: PathBuf,
    docker: OnceCell<Engine>,
    surroundings: Surroundings,
    aws: Mutex<HashMap<AwsSettings, Arc<Aws>>>,
    /// Sends the requests of drivers.
    pub http: Arc<Sender>,
}

impl Services {
    /// Creates the connections lazily: connects to nothing yet.
    pub fn new(environment: &Environment, ui: Arc<Ui>) -> Self {
        let terminal = ui.clone();
        let surroundings = Surroundings {
            certificates: environment.certificates.clone(),
            profile: environment.aws_profile.clone(),
            terminal: ui.can_ask(),
            ask: Arc::new(move |question: &str| terminal.ask_for(question)),
        };
        Self {
            docker_environment: environment.docker.clone(),
            ui,
            surroundings,
            cache: environment.cache.clone(),
            docker: OnceCell::new(),
            aws: Mutex::default(),
            http: Arc::new(Sender::new(environment.certificates.clone())),
        }
    }

    /// Shows a message to the user.
    pub fn say(&self, text: &str) {
        self.ui.stage(text);
    }

    /// Shows a message to the user with `--verbose`.
    pub fn tell(&self, text: &str) {
        self.ui.detail(text);
    }

    /// The AWS client for these settings.
    pub fn aws(&self, settings: &AwsSettings) -> Arc<Aws> {
        let mut known = self.aws.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Aws::new(settings.clone(), self.surroundings.clone()));
        known.entry(settings.clone()).or_insert_with(new).clone()
    }

    /// What the assembly of an image may use of this machine. `logins` are those for registries and package indexes.
    pub fn for_assembly(&self, logins: bool) -> oci::Environment {
        oci::Environment { cache: self.cache.clone(), logins }
    }

    /// The file that caches the hashes of a folder's files; `None` if the cache folder cannot be created.
    pub fn known_hashes(&self, folder: &Path) -> Option<PathBuf> {
        let cache = self.cache.join("hashes");
        Environment::private_folder(&cache).is_ok().then(|| known_hashes(&cache, folder))
    }

    /// The folder of the virtual environments that trainings without a container share.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn environments(&self) -> Result<PathBuf> {
        let folder = self.cache.join("environments");
        Environment::private_folder(&folder)?;
        Ok(folder)
    }

    /// The Docker engine.
    ///
    /// # Errors
    /// If no engine responds.
    pub async fn docker(&self) -> Result<&Engine> {
        let connect = async || {
            let engine = Engine::connect(&self.docker_environment).await?;
            self.ui.detail(&engine.to_string());
            Ok(engine)
        };
        self.docker.get_or_try_init(connect).await
    }
}

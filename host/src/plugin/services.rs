//! The services that drivers ask for, connected to when a first verb needs them and shared by all calls.

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
    },
    config::AwsSettings,
    environment::{DockerEnvironment, Environment},
    error::Result,
    ui::Ui,
};

/// One connection to each service.
pub struct Services {
    docker_environment: DockerEnvironment,
    ui: Arc<Ui>,
    cache: PathBuf,
    docker: OnceCell<Engine>,
    surroundings: Surroundings,
    aws: Mutex<HashMap<AwsSettings, Arc<Aws>>>,
    /// Sends what drivers request.
    pub http: Arc<Sender>,
}

impl Services {
    /// Connects to nothing yet.
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

    /// Tells the user what a service keeps everybody waiting for.
    pub fn say(&self, text: &str) {
        self.ui.stage(text);
    }

    /// The same for who wants to know more.
    pub fn tell(&self, text: &str) {
        self.ui.detail(text);
    }

    /// The user's AWS account, by these settings.
    pub fn aws(&self, settings: &AwsSettings) -> Arc<Aws> {
        let mut known = self.aws.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Aws::new(settings.clone(), self.surroundings.clone()));
        known.entry(settings.clone()).or_insert_with(new).clone()
    }

    /// Where the hashes of a training folder's files are kept; nowhere, where the cache cannot be written.
    pub fn known_hashes(&self, folder: &Path) -> Option<PathBuf> {
        let cache = self.cache.join("hashes");
        Environment::private_folder(&cache).is_ok().then(|| known_hashes(&cache, folder))
    }

    /// The Docker engine.
    ///
    /// # Errors
    /// None answers.
    pub async fn docker(&self) -> Result<&Engine> {
        let connect = async || {
            let engine = Engine::connect(&self.docker_environment).await?;
            self.ui.detail(&engine.to_string());
            Ok(engine)
        };
        self.docker.get_or_try_init(connect).await
    }
}

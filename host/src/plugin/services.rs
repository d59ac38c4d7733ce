//! The services that drivers ask for, connected to when a first verb needs them and shared by all calls.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::sync::OnceCell;

use crate::{
    capability::{
        aws::Aws,
        docker::{Engine, known_hashes},
        http::Sender,
    },
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
    /// The user's AWS account.
    pub aws: Aws,
    /// Sends what drivers request.
    pub http: Arc<Sender>,
}

impl Services {
    /// Connects to nothing yet.
    pub fn new(environment: &Environment, ui: Arc<Ui>) -> Self {
        Self {
            docker_environment: environment.docker.clone(),
            ui,
            cache: environment.cache.clone(),
            docker: OnceCell::new(),
            aws: Aws::default(),
            http: Arc::new(Sender::new(environment.certificates.clone())),
        }
    }

    /// Tells the user what a service keeps everybody waiting for.
    pub fn say(&self, text: &str) {
        self.ui.stage(text);
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

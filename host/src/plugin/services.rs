//! The services that drivers ask for, connected to when a first verb needs them and shared by all calls.

use tokio::sync::OnceCell;

use crate::{
    capability::{aws::Aws, docker::Engine},
    environment::Environment,
    error::Result,
};

/// One connection to each service.
pub struct Services {
    docker_host: Option<String>,
    docker: OnceCell<Engine>,
    /// The user's AWS account.
    pub aws: Aws,
}

impl Services {
    /// Connects to nothing yet.
    pub fn new(environment: &Environment) -> Self {
        Self { docker_host: environment.docker_host.clone(), docker: OnceCell::new(), aws: Aws::default() }
    }

    /// The Docker engine.
    ///
    /// # Errors
    /// None answers.
    pub async fn docker(&self) -> Result<&Engine> {
        self.docker.get_or_try_init(|| Engine::connect(self.docker_host.as_deref())).await
    }
}

//! Docker's stored credentials. Its own variables and files are read as its documentation has it (`DOCKER_CONFIG`,
//! `credHelpers`, `credsStore`), so that `docker login` is all that a user needs.

use docker_credential::{CredentialRetrievalError as Problem, DockerCredential};
use oci_client::secrets::RegistryAuth;

use crate::capability::docker;

/// Who asks a registry.
pub(super) struct Login {
    pub(super) auth: RegistryAuth,
    /// Why stored credentials could not be used. Not an error yet: what is public needs none.
    pub(super) problem: Option<String>,
}

impl Login {
    pub(super) async fn stored_for(registry: &str) -> Self {
        // Docker stores those of its own registry under the address of its first version.
        let key = match registry {
            "index.docker.io" => "https://index.docker.io/v1/".to_owned(),
            other => other.to_owned(),
        };
        // A helper is a program, and may wait for its user.
        let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&key)).await;
        match found {
            Ok(Ok(DockerCredential::UsernamePassword(user, password))) => {
                Self { auth: RegistryAuth::Basic(user, password), problem: None }
            }
            Ok(Ok(DockerCredential::IdentityToken(_))) => {
                Self::anonymous("Docker stored an identity token, where a user and a password are needed")
            }
            Ok(Err(Problem::NoCredentialConfigured | Problem::ConfigNotFound)) => {
                Self { auth: RegistryAuth::Anonymous, problem: None }
            }
            Ok(Err(Problem::HelperFailure { stdout, .. })) if stdout.contains("credentials not found") => {
                Self { auth: RegistryAuth::Anonymous, problem: None }
            }
            // What a helper printed may be what it keeps.
            Ok(Err(Problem::HelperFailure { helper, .. })) => Self::anonymous(format!("{helper} fails")),
            Ok(Err(problem)) => Self::anonymous(problem.to_string()),
            Err(_) => Self::anonymous("they cannot be read"),
        }
    }

    pub(super) fn given(login: docker::Login) -> Self {
        Self { auth: RegistryAuth::Basic(login.user, login.password), problem: None }
    }

    fn anonymous(problem: impl Into<String>) -> Self {
        Self { auth: RegistryAuth::Anonymous, problem: Some(problem.into()) }
    }
}

//! Reads the credentials for image registries that `docker login` stored, by Docker's documentation (`DOCKER_CONFIG`,
//! `credHelpers`, `credsStore`).

use docker_credential::{CredentialRetrievalError as Problem, DockerCredential};

/// The stored credentials of a registry.
pub(super) enum Stored {
    Password {
        user: String,
        password: String,
    },
    /// A token to exchange for credentials.
    IdentityToken(String),
    Nothing,
    /// Why the credentials cannot be used. Not an error yet, because public images need none.
    Unusable(String),
}

/// Docker stores the credentials of Docker Hub under the address of its first version.
pub(super) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Looks up the credentials by the registry's host, and port if it has one.
pub(super) async fn stored(registry: &str) -> Stored {
    let key = match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        other => other.to_owned(),
    };
    // A helper is a program that may wait for the user.
    let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&key)).await;
    match found {
        Ok(Ok(DockerCredential::UsernamePassword(user, password))) => Stored::Password { user, password },
        Ok(Ok(DockerCredential::IdentityToken(token))) => Stored::IdentityToken(token),
        Ok(Err(Problem::NoCredentialConfigured | Problem::ConfigNotFound)) => Stored::Nothing,
        Ok(Err(Problem::HelperFailure { stdout, .. })) if stdout.contains("credentials not found") => {
            Stored::Nothing
        }
        // A helper's output may hold the secret.
        Ok(Err(Problem::HelperFailure { helper, .. })) => Stored::Unusable(format!("{helper} failed")),
        Ok(Err(problem)) => Stored::Unusable(problem.to_string()),
        Err(_) => Stored::Unusable("they cannot be read".to_owned()),
    }
}

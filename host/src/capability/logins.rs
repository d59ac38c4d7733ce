//! Who the user is to an image registry: what `docker login` stored. Docker's own variables and files are read as its
//! documentation has it (`DOCKER_CONFIG`, `credHelpers`, `credsStore`).

use docker_credential::{CredentialRetrievalError as Problem, DockerCredential};

/// What is stored for one registry.
pub(super) enum Stored {
    Password {
        user: String,
        password: String,
    },
    /// To be exchanged for others.
    IdentityToken(String),
    Nothing,
    /// Why it cannot be used. Not an error yet: what is public needs none.
    Unusable(String),
}

/// Docker stores those of its own registry under the address of its first version.
pub(super) const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Looks it up by the registry's host, and port if it has one.
pub(super) async fn stored(registry: &str) -> Stored {
    let key = match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        other => other.to_owned(),
    };
    // A helper is a program, and may wait for its user.
    let found = tokio::task::spawn_blocking(move || docker_credential::get_credential(&key)).await;
    match found {
        Ok(Ok(DockerCredential::UsernamePassword(user, password))) => Stored::Password { user, password },
        Ok(Ok(DockerCredential::IdentityToken(token))) => Stored::IdentityToken(token),
        Ok(Err(Problem::NoCredentialConfigured | Problem::ConfigNotFound)) => Stored::Nothing,
        Ok(Err(Problem::HelperFailure { stdout, .. })) if stdout.contains("credentials not found") => {
            Stored::Nothing
        }
        // What a helper printed may be what it keeps.
        Ok(Err(Problem::HelperFailure { helper, .. })) => Stored::Unusable(format!("{helper} fails")),
        Ok(Err(problem)) => Stored::Unusable(problem.to_string()),
        Err(_) => Stored::Unusable("they cannot be read".to_owned()),
    }
}

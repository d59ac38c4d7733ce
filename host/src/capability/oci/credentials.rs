//! The credentials for a registry. Docker's stored ones are used, so that a user only needs `docker login`.

use oci_client::secrets::RegistryAuth;

use crate::capability::{
    docker,
    logins::{Stored, stored},
};

/// The credentials for a registry.
pub(super) struct Login {
    pub(super) auth: RegistryAuth,
    /// Why stored credentials could not be used. Not an error yet, because public artifacts need none.
    pub(super) problem: Option<String>,
}

impl Login {
    pub(super) async fn stored_for(registry: &str) -> Self {
        let (auth, problem) = match stored(registry).await {
            Stored::Password { user, password } => (RegistryAuth::Basic(user, password), None),
            Stored::IdentityToken(_) => {
                let problem = "Docker stored an identity token, but a user and a password are needed";
                (RegistryAuth::Anonymous, Some(problem.to_owned()))
            }
            Stored::Nothing => (RegistryAuth::Anonymous, None),
            Stored::Unusable(problem) => (RegistryAuth::Anonymous, Some(problem)),
        };
        Self { auth, problem }
    }

    pub(super) fn none() -> Self {
        Self { auth: RegistryAuth::Anonymous, problem: None }
    }

    pub(super) fn given(login: docker::Login) -> Self {
        Self { auth: RegistryAuth::Basic(login.user, login.password), problem: None }
    }
}

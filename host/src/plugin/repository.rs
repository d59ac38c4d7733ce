//! The repository that an image goes to: who logs in there, and what it has already.

use super::{origin::Origin, services::Services};
use crate::{
    capability::{aws, docker::Login, http::CredentialSource, oci},
    config::AwsSettings,
    error::Result,
};

/// A repository that a run may push to.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Without a tag.
    pub address: String,
    keeper: Keeper,
}

#[derive(Clone, Debug)]
enum Keeper {
    /// Made ready by the host, in the account of these settings.
    Ecr(aws::Repository, AwsSettings),
    /// A registry that was granted, with this login.
    Granted(CredentialSource),
}

impl Repository {
    pub(super) fn made_ready(repository: aws::Repository, settings: AwsSettings) -> Self {
        Self { address: repository.address.clone(), keeper: Keeper::Ecr(repository, settings) }
    }

    pub(super) fn granted(address: &str, login: CredentialSource) -> Self {
        Self { address: address.to_owned(), keeper: Keeper::Granted(login) }
    }

    /// Who pushes there.
    ///
    /// # Errors
    /// There is no login.
    pub async fn login(&self, services: &Services) -> Result<Login> {
        match &self.keeper {
            Keeper::Ecr(_, settings) => services.aws(settings).login().await,
            Keeper::Granted(source) => services.http.login(source).await,
        }
    }

    /// The digest that a tag has there; none where there is no such tag.
    ///
    /// # Errors
    /// The user may not look.
    pub async fn digest(&self, services: &Services, tag: &str) -> Result<Option<String>> {
        match &self.keeper {
            Keeper::Ecr(repository, settings) => services.aws(settings).digest(repository, tag).await,
            // Whatever stands in the way, the push says it better.
            Keeper::Granted(_) => {
                let login = self.login(services).await?;
                let reference = oci::Reference::parse(&format!("{}:{tag}", self.address))?;
                Ok(oci::digest(&reference, login).await.ok())
            }
        }
    }
}

/// The origin of the registry that an image's address names, as Docker reads it: without TLS on this machine only.
pub(super) fn registry_of(address: &str) -> Option<Origin> {
    let (registry, _) = address.split_once('/')?;
    let host = registry.split(':').next().unwrap_or_default();
    let is_registry = registry.contains(['.', ':']) || host == "localhost";
    let scheme = if matches!(host, "127.0.0.1" | "localhost") { "http" } else { "https" };
    let text = format!("{scheme}://{registry}");
    let origin: Origin = text.parse().ok().filter(|_| is_registry)?;
    // Docker and this program must not read another spelling in two ways.
    (origin.to_string() == text).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_its_registry() {
        let of = |address: &str| registry_of(address).map(|origin| origin.to_string());
        assert_eq!(of("us-docker.pkg.dev/p/r/a").as_deref(), Some("https://us-docker.pkg.dev"));
        assert_eq!(of("127.0.0.1:5000/a/b").as_deref(), Some("http://127.0.0.1:5000"));
        assert_eq!(of("localhost/a").as_deref(), Some("http://localhost"));
        for address in [
            "models/train",
            "train",
            "https://a.example/x",
            "user@a.example/x",
            "a.example?x/y",
            "A.example/x",
        ] {
            assert_eq!(of(address), None, "{address}");
        }
    }
}

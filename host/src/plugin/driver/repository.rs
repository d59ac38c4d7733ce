//! The repository that an image is pushed to: its login, and the images that it already has.

use crate::{
    capability::{aws, docker::Login, http::CredentialSource, oci},
    config::AwsSettings,
    error::Result,
    plugin::{policy::origin::Origin, services::Services},
};

/// A repository that a run may push to.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The address, without a tag.
    pub address: String,
    keeper: Keeper,
}

#[derive(Clone, Debug)]
enum Keeper {
    /// Prepared by the host, in the AWS account of these settings.
    Ecr(aws::Repository, AwsSettings),
    /// In a granted registry, with this credential.
    Granted(CredentialSource),
}

impl Repository {
    pub(crate) fn made_ready(repository: aws::Repository, settings: AwsSettings) -> Self {
        Self { address: repository.address.clone(), keeper: Keeper::Ecr(repository, settings) }
    }

    pub(crate) fn granted(address: &str, login: CredentialSource) -> Self {
        Self { address: address.to_owned(), keeper: Keeper::Granted(login) }
    }

    /// The login to push with.
    ///
    /// # Errors
    /// If there is no login.
    pub async fn login(&self, services: &Services) -> Result<Login> {
        match &self.keeper {
            Keeper::Ecr(_, settings) => services.aws(settings).login().await,
            Keeper::Granted(source) => services.http.login(source).await,
        }
    }

    /// The digest of a tag; `None` if there is no such tag.
    ///
    /// # Errors
    /// If the user may not look it up.
    pub async fn digest(&self, services: &Services, tag: &str) -> Result<Option<String>> {
        match &self.keeper {
            Keeper::Ecr(repository, settings) => services.aws(settings).digest(repository, tag).await,
            // Errors are ignored: the push reports them better.
            Keeper::Granted(_) => {
                let login = self.login(services).await?;
                let reference = oci::Reference::parse(&format!("{}:{tag}", self.address))?;
                Ok(oci::digest(&reference, login).await.ok())
            }
        }
    }
}

/// The origin of the registry in an image's address, as Docker reads it; `None` if the address has no registry. Without
/// TLS only on this machine.
pub(crate) fn registry_of(address: &str) -> Option<Origin> {
    let (registry, _) = address.split_once('/')?;
    let host = registry.split(':').next().unwrap_or_default();
    let is_registry = registry.contains(['.', ':']) || host == "localhost";
    let scheme = if matches!(host, "127.0.0.1" | "localhost") { "http" } else { "https" };
    let text = format!("{scheme}://{registry}");
    let origin: Origin = text.parse().ok().filter(|_| is_registry)?;
    // Docker and this program may read other spellings in different ways.
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

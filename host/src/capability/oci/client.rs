//! A client for one repository of a registry.

use std::time::Duration;

use oci_client::{
    Client, Reference, RegistryOperation,
    client::{Certificate, CertificateEncoding, ClientConfig, ClientProtocol},
    errors::OciDistributionError as Problem,
};

use super::{credentials::Login, failure::explain};
use crate::{
    capability::certificates,
    environment::CertificateBundle,
    error::{Error, Kind, Result},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Maximum pause between two pieces of a response.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Download,
    Push,
}

impl Deed {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Push => "push",
        }
    }

    const fn operation(self) -> RegistryOperation {
        match self {
            Self::Download => RegistryOperation::Pull,
            Self::Push => RegistryOperation::Push,
        }
    }
}

/// A client for one repository of a registry.
pub(super) struct Registry {
    pub(super) image: Reference,
    pub(super) client: Client,
    pub(super) login: Login,
    pub(super) deed: Deed,
    /// The name of the image or component, for messages.
    pub(super) name: String,
}

impl Registry {
    /// A client that downloads, with the credentials that Docker stored.
    pub(super) async fn open(image: &Reference, name: String) -> Result<Self> {
        Self::open_as(image, name, Login::stored_for(image.resolve_registry()).await, Deed::Download).await
    }

    pub(super) async fn open_as(image: &Reference, name: String, login: Login, deed: Deed) -> Result<Self> {
        let address = image.resolve_registry();
        let protocol = if is_this_machine(address) { ClientProtocol::Http } else { ClientProtocol::Https };
        let config = ClientConfig {
            protocol,
            user_agent: concat!("alekseylearn/", env!("CARGO_PKG_VERSION")),
            connect_timeout: Some(CONNECT_WITHIN),
            // A registry answers a push only after the last byte, so the push itself watches its progress.
            read_timeout: (deed == Deed::Download).then_some(SILENT_FOR),
            extra_root_certificates: trusted()?,
            use_monolithic_push: true,
            ..ClientConfig::default()
        };
        let registry = match Client::try_from(config) {
            Ok(client) => Self { image: image.clone(), client, login, deed, name },
            Err(error) => {
                return Err(Error::failed("cannot start the registry client").source(error));
            }
        };
        // Requested here, because the library continues without a token if it gets none, and loses the reason.
        let token = registry.client.auth(image, &registry.login.auth, deed.operation()).await;
        if deed == Deed::Push {
            // What is there is looked up with a token of its own.
            let _ = registry.client.auth(image, &registry.login.auth, RegistryOperation::Pull).await;
        }
        match token.map_err(|error| registry.explain(error))? {
            // The library would put it into a header unchecked.
            Some(token) if !token.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err(Error::new(Kind::Unavailable, format!("{address} returned an unusable token"))
                    .hint("see that the registry's address is right"))
            }
            _ => Ok(registry),
        }
    }

    pub(super) fn explain(&self, problem: Problem) -> Error {
        explain(self, problem)
    }
}

/// Certificates that this network needs in addition to the system's.
fn trusted() -> Result<Vec<Certificate>> {
    let Some(bundle) = CertificateBundle::of_the_environment() else { return Ok(Vec::new()) };
    let found = certificates::read(&bundle)?.into_iter();
    Ok(found.map(|one| Certificate { encoding: CertificateEncoding::Der, data: one.to_vec() }).collect())
}

/// Whether the registry is on this machine, where TLS is not needed.
fn is_this_machine(registry: &str) -> bool {
    matches!(registry.split(':').next(), Some("127.0.0.1" | "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_leaves_this_machine() {
        for (registry, is) in [
            ("127.0.0.1:5000", true),
            ("localhost", true),
            ("127.0.0.1.example.org", false),
            ("localhost.example.org:80", false),
            ("ghcr.io", false),
        ] {
            assert_eq!(is_this_machine(registry), is, "{registry}");
        }
    }
}

//! The credentials themselves: whether there are any, and how long they last. What they are stays here.

use std::time::SystemTime;

use aws_credential_types::{
    credential_feature::AwsCredentialFeature,
    provider::{ProvideCredentials, error::CredentialsError},
};

use super::{Aws, failure::causes};
use crate::error::{Error, Kind, Result};

/// Credentials, as far as a person may see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Where they come from.
    pub source: &'static str,
    /// When they end, where that is known.
    pub expiry: Option<SystemTime>,
}

impl Aws {
    /// The credentials that requests are signed with; none where there are none.
    ///
    /// # Errors
    /// There are some, but they cannot be got.
    pub async fn credentials(&self) -> Result<Option<Credentials>> {
        let Some(provider) = self.config().await.credentials_provider() else { return Ok(None) };
        match provider.provide_credentials().await {
            Ok(found) => Ok(Some(Credentials {
                source: source(found.get_property::<Vec<AwsCredentialFeature>>()),
                expiry: found.expiry(),
            })),
            Err(CredentialsError::CredentialsNotLoaded(_)) => Ok(None),
            // The last place to look, where no other has any: most machines have no such service.
            Err(error) if causes(&error).contains("IMDS") => Ok(None),
            Err(error) => Err(Error::new(Kind::Denied, "the AWS credentials cannot be got")
                .hint("log in again (`aws sso login`), or mend the profile (`aws configure`)")
                .source(error)),
        }
    }

    /// Where requests go instead of to AWS, where the surroundings say so.
    pub async fn endpoint(&self) -> Option<String> {
        self.config().await.endpoint_url().map(str::to_owned)
    }
}

fn source(features: Option<&Vec<AwsCredentialFeature>>) -> &'static str {
    use AwsCredentialFeature as Feature;
    let features = features.map(Vec::as_slice).unwrap_or_default();
    let has = |wanted: &[Feature]| features.iter().any(|feature| wanted.contains(feature));
    match () {
        () if has(&[Feature::CredentialsProfileSso, Feature::CredentialsSso]) => "SSO",
        () if has(&[Feature::CredentialsProfileProcess, Feature::CredentialsProcess]) => {
            "a credential process"
        }
        () if has(&[Feature::CredentialsImds]) => "this machine's instance role",
        () if has(&[Feature::CredentialsHttp]) => "this container's role",
        () if has(&[Feature::CredentialsEnvVars]) => "the environment",
        () if has(&[Feature::CredentialsEnvVarsStsWebIdToken]) => "a web identity",
        () if has(&[Feature::CredentialsProfile]) => "a profile",
        () => "the usual places",
    }
}

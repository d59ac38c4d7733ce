//! AWS credentials: whether there are any, and how long they are valid. Their values do not leave this module.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use aws_config::SdkConfig;
use aws_credential_types::{
    credential_feature::AwsCredentialFeature,
    provider::{
        ProvideCredentials, Result as Provided, SharedCredentialsProvider, error::CredentialsError, future,
    },
};
use tokio::sync::Mutex;

use super::{Ask, Aws, failure};
use crate::error::{Error, Kind, Result};

/// Credentials that expire sooner are not used, because a request may take a while.
const ENDS_EARLY: Duration = Duration::from_secs(60);
const SESSION: &str = "alekseylearn";

/// The source and expiry of credentials, without secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Their source.
    pub source: &'static str,
    /// When they expire; `None` if that is unknown.
    pub expiry: Option<SystemTime>,
}

/// A provider that validates credentials, because the SDK panics at a key with a line end, and caches them until they
/// expire, because a login may ask the user.
pub(super) struct Checked {
    inner: SharedCredentialsProvider,
    got: Mutex<Option<aws_credential_types::Credentials>>,
}

impl Checked {
    pub(super) fn new(inner: SharedCredentialsProvider) -> Self {
        Self { inner, got: Mutex::default() }
    }

    async fn get(&self) -> Provided {
        let mut got = self.got.lock().await;
        let soon = SystemTime::now() + ENDS_EARLY;
        let lasts = |known: &&aws_credential_types::Credentials| known.expiry().is_none_or(|end| end > soon);
        if let Some(known) = got.as_ref().filter(lasts) {
            return Ok(known.clone());
        }
        let found = tidy(self.inner.provide_credentials().await?)?;
        *got = Some(found.clone());
        Ok(found)
    }
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checked")
    }
}

impl ProvideCredentials for Checked {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }
}

/// The credentials without surrounding white space.
fn tidy(found: aws_credential_types::Credentials) -> Provided {
    let parts = [Some(found.access_key_id()), Some(found.secret_access_key()), found.session_token()];
    if parts.iter().flatten().any(|part| !part.trim().bytes().all(|byte| byte.is_ascii_graphic())) {
        let error = Error::new(Kind::Denied, "the AWS credentials have invalid characters")
            .hint("copy the access key, its secret and the session token again, each on one line");
        return Err(CredentialsError::invalid_configuration(error));
    }
    if parts.iter().flatten().all(|part| part.trim() == *part) {
        return Ok(found);
    }
    let mut tidied = aws_credential_types::Credentials::builder()
        .access_key_id(found.access_key_id().trim())
        .secret_access_key(found.secret_access_key().trim())
        .provider_name("Checked");
    tidied.set_session_token(found.session_token().map(|token| token.trim().to_owned()));
    tidied.set_expiry(found.expiry());
    let mut tidied = tidied.build();
    if let Some(features) = found.get_property::<Vec<AwsCredentialFeature>>() {
        tidied.set_property(features.clone());
    }
    Ok(tidied)
}

/// The credentials of a profile whose role requires an MFA code, which the SDK does not support.
pub(super) struct WithMfa {
    /// A client with the credentials of the source profile.
    pub(super) config: SdkConfig,
    pub(super) profile: String,
    pub(super) role: String,
    pub(super) serial: String,
    pub(super) session: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) seconds: Option<i32>,
    pub(super) ask: Ask,
}

impl WithMfa {
    async fn get(&self) -> Provided {
        let (ask, question) = (self.ask.clone(), format!("MFA code for {}:", self.serial));
        let asked = tokio::task::spawn_blocking(move || ask(&question)).await;
        let code = asked.map_err(CredentialsError::unhandled)?.map_err(CredentialsError::unhandled)?;
        let code = code.filter(|code| !code.is_empty()).ok_or_else(|| {
            let message = format!(
                "the AWS profile {} needs an MFA code, but there is no terminal to ask for it",
                self.profile
            );
            let hint = "run this in a terminal, or get credentials first: `eval $(aws configure \
                        export-credentials --profile NAME --format env)`";
            CredentialsError::invalid_configuration(Error::new(Kind::Denied, message).hint(hint))
        })?;
        let answer = aws_sdk_sts::Client::new(&self.config)
            .assume_role()
            .role_arn(&self.role)
            .serial_number(&self.serial)
            .token_code(code)
            .role_session_name(self.session.as_deref().unwrap_or(SESSION))
            .set_external_id(self.external_id.clone())
            .set_duration_seconds(self.seconds)
            .send()
            .await
            .map_err(|error| {
                let operation =
                    format!("cannot assume the role of the AWS profile {} with MFA", self.profile);
                CredentialsError::provider_error(failure::explain(operation, error))
            })?;
        let nothing = || CredentialsError::provider_error("AWS returned no credentials for the MFA code");
        let given = answer.credentials.ok_or_else(nothing)?;
        let mut credentials = aws_credential_types::Credentials::builder()
            .access_key_id(given.access_key_id)
            .secret_access_key(given.secret_access_key)
            .session_token(given.session_token)
            .provider_name("WithMfa");
        credentials.set_expiry(SystemTime::try_from(given.expiration).ok());
        let mut credentials = credentials.build();
        credentials.set_property(vec![AwsCredentialFeature::CredentialsProfile]);
        Ok(credentials)
    }
}

impl fmt::Debug for WithMfa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WithMfa")
    }
}

impl ProvideCredentials for WithMfa {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }
}

impl Aws {
    /// The credentials that sign requests; `None` if there are none.
    ///
    /// # Errors
    /// Credentials are configured, but cannot be loaded.
    pub async fn credentials(&self) -> Result<Option<Credentials>> {
        let Some(provider) = self.config().await?.credentials_provider() else { return Ok(None) };
        match provider.provide_credentials().await {
            Ok(found) => Ok(Some(Credentials {
                source: source(found.get_property::<Vec<AwsCredentialFeature>>()),
                expiry: found.expiry(),
            })),
            Err(CredentialsError::CredentialsNotLoaded(_)) => Ok(None),
            // IMDS is the last source. Most machines have no such service.
            Err(error) if failure::causes(&error).contains("IMDS") => Ok(None),
            Err(error) => Err(failure::without_credentials("cannot load the AWS credentials".into(), &error)),
        }
    }

    /// The custom endpoint in the configuration, without a login in it; `None` if requests go to AWS.
    ///
    /// # Errors
    /// The configuration cannot be read.
    pub async fn endpoint(&self) -> Result<Option<String>> {
        let endpoint = self.config().await?.endpoint_url();
        Ok(endpoint.map(|endpoint| match endpoint.parse::<url::Url>() {
            Ok(address) => address.origin().ascii_serialization(),
            Err(_) => "an invalid endpoint URL".to_owned(),
        }))
    }
}

fn source(features: Option<&Vec<AwsCredentialFeature>>) -> &'static str {
    use AwsCredentialFeature as Feature;
    let features = features.map(Vec::as_slice).unwrap_or_default();
    let has = |wanted: &[Feature]| features.iter().any(|feature| wanted.contains(feature));
    if has(&[Feature::CredentialsProfileSso, Feature::CredentialsSso]) {
        "SSO"
    } else if has(&[Feature::CredentialsProfileProcess, Feature::CredentialsProcess]) {
        "a credential process"
    } else if has(&[Feature::CredentialsImds]) {
        "this machine's instance role"
    } else if has(&[Feature::CredentialsHttp]) {
        "this container's role"
    } else if has(&[Feature::CredentialsEnvVars]) {
        "the environment"
    } else if has(&[Feature::CredentialsEnvVarsStsWebIdToken]) {
        "a web identity"
    } else if has(&[Feature::CredentialsProfile]) {
        "a profile"
    } else {
        "the default credential chain"
    }
}

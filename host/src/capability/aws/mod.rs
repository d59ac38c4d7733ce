//! AWS, through its SDK. Profiles, regions, credentials and endpoints are found as in every AWS tool, and do not leave
//! this module.

mod connection;
mod credentials;
mod ecr;
mod failure;
mod identity;
mod logs;
mod profiles;
mod quotas;
mod s3;
mod sagemaker;
mod send;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{
    BehaviorVersion, Region, SdkConfig, identity::IdentityCache, profile::ProfileFileCredentialsProvider,
    retry::RetryConfig,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use tokio::sync::OnceCell;

pub use ecr::Repository;
pub use identity::Role;
pub use sagemaker::{TrainingJob, TrainingJobRequest};
pub use send::ToSend;

use crate::{
    capability::certificates,
    config::{AwsSettings, Mask},
    environment::{CertificateBundle, Environment},
    error::{Error, Result},
};
use credentials::{Checked, WithMfa};
use profiles::Profiles;

/// Maximum number of attempts of a request, enough for throttling.
const ATTEMPTS: u32 = 8;
/// Maximum wait between two attempts. All of them together take half a minute at most, so that an outage is noticed.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Timeout for credentials: a login may ask the user.
const LOGIN_WITHIN: Duration = Duration::from_secs(300);

/// Asks the user for a short text; `None` if there is nobody to ask.
pub type Ask = Arc<dyn Fn(&str) -> Result<Option<String>> + Send + Sync>;

/// The environment of all requests.
#[derive(Clone)]
pub struct Surroundings {
    /// The certificate bundle that this network needs.
    pub certificates: Option<CertificateBundle>,
    /// `AWS_PROFILE`.
    pub profile: Option<String>,
    /// Whether a user is present who can answer a login's questions.
    pub terminal: bool,
    /// Asks the user.
    pub ask: Ask,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// The user's AWS account, as settings and environment name it. Nothing is read or requested before it is needed.
pub struct Aws {
    settings: AwsSettings,
    surroundings: Surroundings,
    config: OnceCell<SdkConfig>,
    caller: OnceCell<identity::Caller>,
    training_quotas: OnceCell<quotas::TrainingQuotas>,
    /// Masks of the secrets of jobs, by name.
    secrets: Mutex<HashMap<String, Mask>>,
}

impl Aws {
    /// Creates the client without reading or requesting anything.
    pub fn new(settings: AwsSettings, surroundings: Surroundings) -> Self {
        let (config, caller, training_quotas) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { settings, surroundings, config, caller, training_quotas, secrets: Mutex::default() }
    }

    async fn config(&self) -> Result<&SdkConfig> {
        self.config.get_or_try_init(|| self.load()).await
    }

    async fn load(&self) -> Result<SdkConfig> {
        let AwsSettings { profile, region, endpoint } = &self.settings;
        let Surroundings { certificates: usual, terminal, ask, .. } = &self.surroundings;
        let profiles = Profiles::read(*terminal)?;
        let named = profile.as_ref().or(self.surroundings.profile.as_ref());
        let chosen = match named {
            Some(name) => Some(profiles.named(name)?),
            None => profiles.get("default"),
        };
        let of_profile =
            |name: &str| chosen.and_then(|profile| profile.get(name)).filter(|value| !value.is_empty());
        let name = named.map_or("default", String::as_str);
        let of_this_profile = || {
            let path = of_profile("ca_bundle")?.into();
            Some(CertificateBundle { named_by: format!("`ca_bundle` of the AWS profile {name}"), path })
        };
        let bundle = CertificateBundle::of_aws().or_else(of_this_profile).or_else(|| usual.clone());
        if let Some(usual) = usual {
            // Without a valid certificate, the SDK would trust nothing and panic.
            certificates::read(usual)?;
        }
        let http = connection::client(bundle.as_ref())?;

        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(MAX_BACKOFF))
            .timeout_config(connection::timeouts())
            .identity_cache(IdentityCache::lazy().load_timeout(LOGIN_WITHIN).build())
            .profile_files(profiles.files())
            .http_client(http.clone());
        if let Some(name) = named {
            loader = loader.profile_name(profiles::encoded(name));
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        let config = loader.load().await;
        let of_files = |name: &str| {
            let base = aws_config::provider_config::ProviderConfig::without_region()
                .with_region(config.region().cloned())
                .with_http_client(http.clone());
            ProfileFileCredentialsProvider::builder()
                .configure(&base)
                .profile_files(profiles.files())
                .profile_name(profiles::encoded(name))
                .build()
        };
        // A profile set by an option takes precedence over keys in variables.
        let keys_come_first = profile.is_none() && Environment::variable("AWS_ACCESS_KEY_ID").is_some();
        let found = match (of_profile("mfa_serial"), of_profile("role_arn"), of_profile("source_profile")) {
            (Some(serial), Some(role), Some(source)) if !keys_come_first => {
                let source = SharedCredentialsProvider::new(of_files(source));
                let without_mfa = config.clone().into_builder().credentials_provider(source).build();
                let text = |name| of_profile(name).cloned();
                SharedCredentialsProvider::new(WithMfa {
                    config: without_mfa,
                    profile: name.to_owned(),
                    role: role.clone(),
                    serial: serial.clone(),
                    session: text("role_session_name"),
                    external_id: text("external_id"),
                    seconds: of_profile("duration_seconds").and_then(|text| text.parse().ok()),
                    ask: ask.clone(),
                })
            }
            _ if profile.is_some() => SharedCredentialsProvider::new(of_files(name)),
            _ => match config.credentials_provider() {
                Some(found) => found,
                None => return Ok(config),
            },
        };
        let checked = SharedCredentialsProvider::new(Checked::new(found));
        Ok(config.into_builder().credentials_provider(checked).build())
    }

    /// The region of requests.
    ///
    /// # Errors
    /// No region is set.
    pub async fn region(&self) -> Result<String> {
        self.config().await?.region().map(ToString::to_string).ok_or_else(|| {
            Error::invalid("no AWS region is set").hint(
                "set AWS_REGION, or `region` in your AWS profile (`aws configure set region us-east-1`)",
            )
        })
    }
}

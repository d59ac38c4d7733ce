//! AWS, by its SDK: profiles, regions, credentials and endpoints are found as every AWS tool finds them, and stay
//! here.

mod credentials;
mod ecr;
mod failure;
mod identity;
mod logs;
mod quotas;
mod s3;
mod sagemaker;
mod send;

use aws_config::{
    BehaviorVersion, Region, SdkConfig, profile::ProfileFileCredentialsProvider, retry::RetryConfig,
};
use tokio::sync::OnceCell;

pub use ecr::Repository;
pub use identity::Role;
pub use sagemaker::{TrainingJob, TrainingJobRequest};
pub use send::ToSend;

use crate::{
    config::AwsSettings,
    error::{Error, Result},
};

/// As many tries of one request as throttling services need.
const ATTEMPTS: u32 = 8;

/// The user's AWS account, as settings and surroundings name it. Nothing is read or asked before a first verb needs it.
#[derive(Default)]
pub struct Aws {
    settings: AwsSettings,
    config: OnceCell<SdkConfig>,
    caller: OnceCell<identity::Caller>,
    training_quotas: OnceCell<quotas::TrainingQuotas>,
}

impl Aws {
    /// Asks for nothing yet.
    pub fn new(settings: AwsSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    async fn config(&self) -> &SdkConfig {
        self.config
            .get_or_init(|| async {
                let AwsSettings { profile, region, endpoint } = &self.settings;
                let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
                let mut loader = aws_config::defaults(BehaviorVersion::latest()).retry_config(retries);
                if let Some(profile) = profile {
                    // Who names a profile means its credentials, whatever keys there are in variables.
                    let credentials = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
                    loader = loader.profile_name(profile).credentials_provider(credentials);
                }
                if let Some(region) = region {
                    loader = loader.region(Region::new(region.clone()));
                }
                if let Some(endpoint) = endpoint {
                    loader = loader.endpoint_url(endpoint);
                }
                loader.load().await
            })
            .await
    }

    /// The region that requests go to.
    ///
    /// # Errors
    /// None is set.
    pub async fn region(&self) -> Result<String> {
        self.config().await.region().map(ToString::to_string).ok_or_else(|| {
            Error::invalid("no AWS region is set").hint(
                "set AWS_REGION, or `region` in your AWS profile (`aws configure set region us-east-1`)",
            )
        })
    }
}

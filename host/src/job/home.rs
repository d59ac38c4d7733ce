//! Where a job runs, and in whose account. It is asked for only there: another engine or account does not know the
//! job, and its answer would be mistaken for the job's end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Context;
use crate::{
    capability::docker::EngineIdentity,
    config::AwsSettings,
    error::{Error, Kind, Result},
    plugin::Used,
};

/// The place where a job runs, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Home {
    /// The Docker engine.
    pub engine: Option<EngineIdentity>,
    /// The AWS account and region.
    pub aws: Option<AwsHome>,
    /// The user at a service, by the source of the credential, such as `kaggle`.
    pub users: BTreeMap<String, String>,
}

/// An AWS account and region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwsHome {
    /// The account's ID, twelve digits.
    pub account: String,
    /// The region, such as `eu-west-1`.
    pub region: String,
}

impl Home {
    /// Returns where a driver has just submitted a job. What a service does not reveal stays unknown.
    pub(super) async fn of(context: &Context, used: &Used, settings: &AwsSettings) -> Self {
        let services = &context.services;
        let mut home = Self::default();
        if used.engine {
            home.engine = engine(context).await;
        }
        if used.aws {
            home.aws = aws(context, settings).await;
        }
        for source in &used.credentials {
            if let Ok(Some(user)) = services.http.user(source).await {
                home.users.insert(source.to_string(), user);
            }
        }
        home
    }

    /// Fails if this terminal uses another place than the job. What cannot be determined is left to the driver.
    ///
    /// # Errors
    /// The job runs elsewhere; the error says where.
    pub(super) async fn check(&self, context: &Context, job: &str, settings: &AwsSettings) -> Result<()> {
        let elsewhere = |place: String, here: String, hint: String| {
            Err(Error::new(
                Kind::NotFound,
                format!("the job {job} runs {place}, but this terminal uses {here}"),
            )
            .hint(hint))
        };
        if let Some(own) = &self.engine
            && let Some(here) = engine(context).await.filter(|here| !here.is_same(own))
        {
            return elsewhere(
                format!("on the Docker engine at {}", own.address),
                format!("another one at {}", here.address),
                format!("set DOCKER_HOST={}, or switch to the Docker context of that engine", own.address),
            );
        }
        if let Some(own) = &self.aws
            && let Some(here) = aws(context, settings).await
        {
            if here.account != own.account {
                return elsewhere(
                    format!("in the AWS account {}", own.account),
                    format!("credentials of the account {}", here.account),
                    "set AWS_PROFILE to a profile of that account".to_owned(),
                );
            }
            if here.region != own.region {
                return elsewhere(
                    format!("in the AWS region {}", own.region),
                    here.region,
                    format!("set AWS_REGION={}", own.region),
                );
            }
        }
        for (name, user) in &self.users {
            let Ok(source) = name.parse() else { continue };
            if let Ok(Some(here)) = context.services.http.user(&source).await
                && here != *user
            {
                return elsewhere(
                    format!("as the {name} user {user}"),
                    format!("the credentials of {here}"),
                    format!("log in to {name} as {user}"),
                );
            }
        }
        Ok(())
    }
}

async fn engine(context: &Context) -> Option<EngineIdentity> {
    context.services.docker().await.ok()?.identity().await.ok()
}

async fn aws(context: &Context, settings: &AwsSettings) -> Option<AwsHome> {
    let aws = context.services.aws(settings);
    Some(AwsHome { account: aws.account().await.ok()?, region: aws.region().await.ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_identified_by_its_id_whatever_its_address() {
        let engine = |id: Option<&str>, address: &str| EngineIdentity {
            id: id.map(str::to_owned),
            address: address.to_owned(),
        };
        assert!(engine(Some("a"), "unix:///a").is_same(&engine(Some("a"), "tcp://b")));
        assert!(!engine(Some("a"), "unix:///a").is_same(&engine(Some("b"), "unix:///a")));
        assert!(engine(None, "unix:///a").is_same(&engine(None, "unix:///a")));
        assert!(!engine(None, "unix:///a").is_same(&engine(None, "unix:///b")));
    }
}

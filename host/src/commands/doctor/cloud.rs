use std::time::Duration;

use jiff::Timestamp;

use super::{Check, PATIENCE};
use crate::{
    config::AwsSettings,
    error::{Error, Kind},
    job::Context,
};

/// Credentials that end sooner than this may end before a job is submitted.
const SOON: Duration = Duration::from_secs(15 * 60);

/// The AWS account. None at all is no problem, but for a profile that the user named.
pub(super) async fn look(context: &Context) -> Vec<Check> {
    let aws = context.services.aws(&AwsSettings::default());
    let none = || match &context.environment.aws_profile {
        Some(profile) => vec![Check::problem(
            "aws",
            format!("the profile {profile}, which AWS_PROFILE names, gives no credentials"),
            "`aws configure list-profiles` tells which there are; name one of them, or unset AWS_PROFILE",
        )],
        None => vec![Check::ok("aws", "no credentials; only SageMaker needs them")],
    };
    let credentials = match tokio::time::timeout(PATIENCE, aws.credentials()).await {
        Ok(Ok(Some(credentials))) => credentials,
        // Where there are none, the search ends at a machine that seldom answers.
        Ok(Ok(None)) | Err(_) => return none(),
        Ok(Err(error)) => return vec![Check::of("aws", &error)],
    };
    let account = match tokio::time::timeout(PATIENCE, aws.account()).await {
        Ok(Ok(account)) => account,
        Ok(Err(error)) => return vec![Check::of("aws", &error), region(context).await],
        Err(_) => {
            let late = Error::new(Kind::Unavailable, "AWS does not answer in time")
                .hint("see whether the network and any AWS_ENDPOINT_URL are right");
            return vec![Check::of("aws", &late), region(context).await];
        }
    };
    let mut what = format!("account {account}, credentials of {}", credentials.source);
    let expiry = credentials.expiry.and_then(|expiry| Timestamp::try_from(expiry).ok());
    let soon = expiry.is_some_and(|expiry| expiry.duration_since(Timestamp::now()).unsigned_abs() < SOON);
    if let Some(expiry) = expiry {
        what.push_str(&format!(", until {}", expiry.strftime("%Y-%m-%d %H:%M UTC")));
    }
    let check = match soon {
        true => Check::warning("aws", what, "renew them before a long run (`aws sso login`)"),
        false => Check::ok("aws", what),
    };
    vec![check, region(context).await]
}

async fn region(context: &Context) -> Check {
    let aws = context.services.aws(&AwsSettings::default());
    match (aws.region().await, aws.endpoint().await) {
        (Ok(region), Ok(None)) => Check::ok("region", region),
        (Ok(region), Ok(Some(endpoint))) => Check::ok("region", format!("{region}, by way of {endpoint}")),
        (Err(error), _) | (_, Err(error)) => Check::of("region", &error),
    }
}

use std::time::Duration;

use jiff::Timestamp;

use super::{Check, PATIENCE};
use crate::{
    config::AwsSettings,
    error::{Error, Kind},
    job::Context,
};

/// Credentials that expire sooner than this may expire before a job is submitted.
const SOON: Duration = Duration::from_secs(15 * 60);

/// Checks the AWS account. Missing credentials are a problem only if the user named a profile.
pub(super) async fn look(context: &Context) -> Vec<Check> {
    let aws = context.services.aws(&AwsSettings::default());
    let none = || match &context.environment.aws_profile {
        Some(profile) => vec![Check::problem(
            "aws",
            format!("no credentials in the profile {profile}, which AWS_PROFILE names"),
            "set AWS_PROFILE to one of `aws configure list-profiles`, or unset it",
        )],
        None => vec![Check::ok("aws", "no credentials; only SageMaker needs them")],
    };
    let credentials = match tokio::time::timeout(PATIENCE, aws.credentials()).await {
        Ok(Ok(Some(credentials))) => credentials,
        // Without credentials, the search ends at the metadata service, which seldom responds.
        Ok(Ok(None)) | Err(_) => return none(),
        Ok(Err(error)) => return vec![Check::of("aws", &error)],
    };
    let account = match tokio::time::timeout(PATIENCE, aws.account()).await {
        Ok(Ok(account)) => account,
        Ok(Err(error)) => return vec![Check::of("aws", &error), region(context).await],
        Err(_) => {
            let late = Error::new(Kind::Unavailable, "AWS did not respond in time")
                .hint("check the network and AWS_ENDPOINT_URL");
            return vec![Check::of("aws", &late), region(context).await];
        }
    };
    let mut what = format!("account {account}, credentials from {}", credentials.source);
    let expiry = credentials.expiry.and_then(|expiry| Timestamp::try_from(expiry).ok());
    let soon = expiry.is_some_and(|expiry| expiry.duration_since(Timestamp::now()).unsigned_abs() < SOON);
    if let Some(expiry) = expiry {
        what.push_str(&format!(", valid until {}", expiry.strftime("%Y-%m-%d %H:%M UTC")));
    }
    let check = if soon {
        Check::warning("aws", what, "renew them before a long run (`aws sso login`)")
    } else {
        Check::ok("aws", what)
    };
    vec![check, region(context).await]
}

async fn region(context: &Context) -> Check {
    let aws = context.services.aws(&AwsSettings::default());
    match (aws.region().await, aws.endpoint().await) {
        (Ok(region), Ok(None)) => Check::ok("region", region),
        (Ok(region), Ok(Some(endpoint))) => Check::ok("region", format!("{region}, through {endpoint}")),
        (Err(error), _) | (_, Err(error)) => Check::of("region", &error),
    }
}

//! Uses objects that the command line does not designate.

use alekseylearn_sdk::{aws_identity, s3};
use guests::{Error, Finding, Training};

guests::check!(check);

fn check(training: &Training) -> Result<Vec<Finding>, Error> {
    let place = training.options().text("output_path").unwrap_or_default();
    let mut allowed = Vec::new();
    for other in [
        "s3://another-bucket/x".to_owned(),
        format!("{place}fix"),
        place.rsplit_once('/').unwrap_or_default().0.to_owned(),
    ] {
        if !matches!(s3::folders(&other), Err(Error::Denied(_))) {
            allowed.push(other);
        }
    }
    for role in ["admin", "arn:aws:iam::123456789012:role/admin"] {
        if !matches!(aws_identity::role(role), Err(Error::Denied(_))) {
            allowed.push(role.to_owned());
        }
    }
    Ok(allowed
        .iter()
        .map(|what| Finding::problem(&format!("touched {what}"), "it should be denied"))
        .collect())
}

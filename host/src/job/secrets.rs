//! The secrets of a training on their way to its job: who takes them, and by which way.

use super::Context;
use crate::{
    config::{SecretValues, Values, is_secret_option},
    error::{Error, Kind, Result},
    plugin::{BuildDriver, SecretWay, TrainDriver},
};

/// In characters: SageMaker takes no more in one variable.
const LONGEST_IN_REQUEST: usize = 512;

/// Sees that the driver can hand on what the user gave, after the driver itself has looked.
///
/// # Errors
/// It gets no secrets, a value is too long for its service, or a variable is also an option.
pub(super) fn require_way(trainer: &TrainDriver<'_>, options: &Values, secrets: &SecretValues) -> Result<()> {
    if secrets.is_empty() {
        return Ok(());
    }
    let Some(way) = trainer.secret_way() else {
        let message =
            format!("the driver {} gets no secrets: it does not come with alekseylearn", trainer.name());
        return Err(Error::new(Kind::Unsupported, message)
            .hint("leave --secret out, and let the script fetch what it needs where it runs"));
    };
    for (name, value) in secrets.iter() {
        let option = format!("environment.{name}");
        if options.given().iter().any(|(key, _)| *key == option) {
            return Err(Error::invalid(format!(
                "the variable {name} is both a secret and --config.{option}"
            ))
            .hint("leave one of them out"));
        }
        if way == SecretWay::Request && value.chars().count() > LONGEST_IN_REQUEST {
            let message = format!("the secret {name} is longer than the 512 characters that SageMaker takes");
            return Err(Error::invalid(message)
                .hint("keep it in AWS Secrets Manager, and let the script read it with the job's role"));
        }
    }
    Ok(())
}

/// An image that a stranger's driver makes holds what it likes, and would run with the secrets.
///
/// # Errors
/// There are secrets, and the build driver is not shipped.
pub(super) fn require_shipped(builder: &BuildDriver<'_>, secrets: &SecretValues) -> Result<()> {
    if secrets.is_empty() || builder.is_shipped() {
        return Ok(());
    }
    let message = format!(
        "an image of the driver {} gets no secrets: it does not come with alekseylearn",
        builder.name()
    );
    Err(Error::new(Kind::Unsupported, message).hint("leave --secret out, or build with --build-driver local"))
}

/// Warns of values that the record keeps as they are.
pub(super) fn warn_of_options(context: &Context, options: &Values) {
    for (key, _) in options.given().iter().filter(|(key, _)| is_secret_option(key)) {
        let name = key.rsplit('.').next().unwrap_or(key);
        context.ui.warning(&format!(
            "--config.{key} looks like a secret, and the job's record keeps its value; `--secret {name}` is recorded by name only"
        ));
    }
}

//! Checks whether a run's drivers can receive its secrets.

use super::Context;
use crate::{
    config::{SecretValues, Values, is_secret_option},
    error::{Error, Kind, Result},
    plugin::{BuildDriver, SecretWay, TrainDriver},
};

/// Maximum length of a variable on SageMaker in characters.
const MAX_IN_REQUEST: usize = 512;

/// Checks that the secrets can reach the job. The driver's own check comes first, because its errors are more specific.
///
/// # Errors
/// The driver receives no secrets, a value is too long for its service, or a variable is also set by an option.
pub(super) fn require_way(trainer: &TrainDriver<'_>, options: &Values, secrets: &SecretValues) -> Result<()> {
    if secrets.is_empty() {
        return Ok(());
    }
    let Some(way) = trainer.secret_way() else {
        let message = format!(
            "the driver {} cannot receive secrets: it does not ship with alekseylearn",
            trainer.name()
        );
        return Err(Error::new(Kind::Unsupported, message)
            .hint("remove --secret, and let the script read what it needs from a secret store"));
    };
    for (name, value) in secrets.iter() {
        let option = format!("environment.{name}");
        if options.given().iter().any(|(key, _)| *key == option) {
            return Err(Error::invalid(format!("{name} is set twice: by --secret and by --config.{option}"))
                .hint("remove one of them"));
        }
        if way == SecretWay::Request && value.chars().count() > MAX_IN_REQUEST {
            let message =
                format!("the secret {name} is longer than 512 characters, the maximum on SageMaker");
            return Err(Error::invalid(message)
                .hint("store it in AWS Secrets Manager, and let the script read it with the job's role"));
        }
    }
    Ok(())
}

/// Checks the build driver: an image that another one builds may contain any code, which would run with the secrets.
///
/// # Errors
/// There are secrets, and the build driver is not shipped.
pub(super) fn require_shipped(builder: &BuildDriver<'_>, secrets: &SecretValues) -> Result<()> {
    if secrets.is_empty() || builder.is_shipped() {
        return Ok(());
    }
    let message = format!(
        "images of the driver {} cannot receive secrets: it does not ship with alekseylearn",
        builder.name()
    );
    Err(Error::new(Kind::Unsupported, message).hint("remove --secret, or add --build-driver local"))
}

/// Warns about values that the record keeps in clear text.
pub(super) fn warn_of_options(context: &Context, options: &Values) {
    for (key, _) in options.given().iter().filter(|(key, value)| is_secret_option(key, value)) {
        let name = key.rsplit('.').next().unwrap_or(key);
        context.ui.warning(&format!(
            "--config.{key} looks like a secret, but the job's record keeps its value; `--secret {name}` records the name only"
        ));
    }
}

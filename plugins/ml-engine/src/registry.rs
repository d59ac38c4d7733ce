//! Artifact Registry, which stores the image.

use alekseylearn_sdk::{Error, Training, progress};
use serde_json::{Value, json};

use crate::{api, job, storage::encoded};

const REGISTRY: &str = "https://artifactregistry.googleapis.com/v1";
const USUAL: &str = "alekseylearn";
const OF_GOOGLE: &str = "-docker.pkg.dev";
/// Seconds between two polls of an operation, and the maximum number of polls.
const PAUSE: u32 = 1;
const MAX_CHECKS: usize = 300;

/// The repository for images: the user's, or the default one.
pub(crate) fn repository(training: &Training) -> Result<String, Error> {
    let options = training.options();
    match options.text("repository") {
        Some(given) => Ok(given.trim_end_matches('/').to_owned()),
        None => Ok(format!("{}{OF_GOOGLE}/{}/{USUAL}", job::region(&options), job::project(&options)?)),
    }
}

/// The image's address, without a tag.
pub(crate) fn address(training: &Training) -> Result<String, Error> {
    Ok(format!("{}/{}", repository(training)?, training.tag()))
}

/// Creates the repository if it is missing, unless it is in another registry. Returns false if a dry run would have to
/// create it.
pub(crate) fn ensure(training: &Training) -> Result<bool, Error> {
    let repository = repository(training)?;
    let Some((location, rest)) = repository.split_once(&format!("{OF_GOOGLE}/")) else { return Ok(true) };
    let parts: Vec<&str> = rest.split('/').collect();
    let [project, name, ..] = parts[..] else {
        return Err(Error::invalid(format!("--config.repository: `{repository}` is not a repository"))
            .hint("write it as REGION-docker.pkg.dev/PROJECT/NAME"));
    };
    let parent = format!("projects/{}/locations/{location}", project);
    match api::ask(&format!("{REGISTRY}/{parent}/repositories/{}", encoded(name))) {
        Ok(found) if found["format"] == "DOCKER" => return Ok(true),
        Ok(found) => {
            let format = found["format"].as_str().unwrap_or("another format");
            return Err(Error::invalid(format!(
                "the repository {repository} holds {format}, not Docker images"
            ))
            .hint("set --config.repository to another one"));
        }
        Err(Error::NotFound(_)) => {}
        Err(error) => return Err(error),
    }
    if training.is_rehearsal() {
        return Ok(false);
    }
    progress::stage(&format!("Creating the repository {repository}"));
    let url = format!("{REGISTRY}/{parent}/repositories?repositoryId={}", encoded(name));
    match api::act(&url, &json!({ "format": "DOCKER" })) {
        Ok(operation) => finish(operation).map(|()| true),
        // Another run created it at the same time.
        Err(Error::Conflict(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

fn finish(mut operation: Value) -> Result<(), Error> {
    for _ in 0..MAX_CHECKS {
        if operation["done"] == true {
            return match operation["error"]["message"].as_str() {
                None => Ok(()),
                Some(message) => {
                    Err(Error::failed(format!("cannot create the Artifact Registry repository: {message}"))
                        .hint("create it yourself, and set --config.repository to it"))
                }
            };
        }
        progress::wait("Waiting for Artifact Registry to create the repository", PAUSE);
        let name = operation["name"].as_str().unwrap_or_default();
        if !name.starts_with("projects/") || name.contains(['?', '#']) || name.contains("..") {
            return Err(Error::failed("Artifact Registry returned an operation without a name"));
        }
        operation = api::ask(&format!("{REGISTRY}/{name}"))?;
    }
    Err(Error::unavailable("timed out waiting for Artifact Registry to create the repository")
        .hint("run the same command again"))
}

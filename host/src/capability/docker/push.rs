//! Pushes to registries.

use std::collections::HashMap;

use bollard::{
    auth::DockerCredentials,
    query_parameters::{PushImageOptionsBuilder, TagImageOptionsBuilder},
};
use futures_util::StreamExt;

use super::{Engine, Image, explain, failure};
use crate::{
    capability::{Listener, Progress},
    error::{Error, Kind, Result},
};

/// The credentials for a push.
pub struct Login {
    /// The registry's user.
    pub user: String,
    /// Its password or token.
    pub password: String,
}

impl Engine {
    /// Pushes an image as `repository:tag`, and returns its digest there.
    ///
    /// # Errors
    /// The registry refuses, or cannot be reached.
    pub async fn push(
        &self,
        image: &Image,
        repository: &str,
        tag: &str,
        login: Login,
        listener: Listener<'_>,
    ) -> Result<String> {
        let operation = format!("cannot push {repository}:{tag}");
        let tagging = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.docker
            .tag_image(&image.reference, Some(tagging))
            .await
            .map_err(|error| explain(&operation, error))?;
        let credentials = DockerCredentials {
            username: Some(login.user),
            password: Some(login.password),
            serveraddress: repository.split('/').next().map(str::to_owned),
            ..DockerCredentials::default()
        };
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        // The library does not report the layer's name, so its size identifies it.
        let mut layers: HashMap<u64, u64> = HashMap::new();
        let mut answers = self.docker.push_image(repository, Some(options), Some(credentials));
        while let Some(answer) = answers.next().await {
            // A failed push has the status 200, and reports the error in the stream.
            let info = match answer {
                Ok(info) => info,
                Err(error) if failure::is_end(&error) => break,
                Err(error) => return Err(refused(&operation, error)),
            };
            let detail = info.progress_detail.unwrap_or_default();
            if let (Some(done), Some(total)) = (detail.current, detail.total) {
                layers.insert(total.unsigned_abs(), done.unsigned_abs());
                let (done, total) = (layers.values().sum(), Some(layers.keys().sum()));
                listener(Progress::Bytes { what: "pushing", done, total });
            }
        }
        let pushed = self.image(&format!("{repository}:{tag}")).await?;
        pushed.and_then(|image| image.digest_in(repository).map(str::to_owned)).ok_or_else(|| {
            Error::failed(format!("the engine pushed {repository}:{tag}, but returned no digest"))
                .hint("run the same command again")
        })
    }
}

impl Image {
    /// Its digest in a repository that it was pushed to or pulled from.
    pub fn digest_in(&self, repository: &str) -> Option<&str> {
        self.digests.iter().find_map(|digest| digest.strip_prefix(repository)?.strip_prefix('@'))
    }
}

/// The permissions for a push to ECR.
const PERMISSIONS: &str = "ecr:BatchCheckLayerAvailability, ecr:InitiateLayerUpload, ecr:UploadLayerPart, \
                           ecr:CompleteLayerUpload and ecr:PutImage";

/// The missing permission in ECR's message.
fn permission(text: &str) -> Option<&str> {
    let start = text.find("ecr:")?;
    text[start..].split(|c: char| !c.is_ascii_alphanumeric() && c != ':').next()
}

fn refused(operation: &str, error: bollard::errors::Error) -> Error {
    let text = failure::causes(&error);
    refusal(operation, &text, error)
}

/// The error for a push that a registry refuses, from its message.
pub(in crate::capability) fn refusal(
    operation: &str,
    text: &str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    if text.contains("immutable") || text.to_lowercase().contains("tag invalid") {
        return Error::new(Kind::Conflict, operation)
            .hint("make the repository's tags mutable, or push to another repository")
            .source(error);
    }
    let is_denied = ["denied", "403", "forbidden"].iter().any(|word| text.to_lowercase().contains(word));
    if is_denied
        && !text.contains("token has expired")
        && (operation.contains(".dkr.ecr.") || permission(text).is_some())
    {
        let missing = permission(text).unwrap_or(PERMISSIONS);
        return Error::new(Kind::Denied, operation)
            .hint(format!("ask the account's administrator for {missing} on this repository"))
            .source(error);
    }
    let (kind, hint) = if text.contains("does not exist") || text.contains("name unknown") {
        (Kind::NotFound, "check that the repository exists; it may have been deleted just now")
    } else if ["no basic auth", "denied", "unauthorized", "401", "403"].iter().any(|word| text.contains(word))
    {
        (Kind::Denied, "check that the registry's credentials are valid and may push")
    } else {
        (Kind::Unavailable, "check that the registry can be reached, and try again")
    };
    Error::new(kind, operation).hint(hint).source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_push_says_why() {
        for (words, kind) in [
            (
                "name unknown: The repository with name 'a' does not exist in the registry with id '1'",
                Kind::NotFound,
            ),
            ("repository a does not exist or may require 'docker login'", Kind::NotFound),
            ("denied: Your authorization token has expired. Reauthenticate and try again.", Kind::Denied),
            ("no basic auth credentials", Kind::Denied),
            (
                "tag invalid: The image tag 'a' already exists in the 'a' repository and cannot be overwritten \
                 because the repository is immutable.",
                Kind::Conflict,
            ),
            ("unauthorized: authentication required", Kind::Denied),
            ("dial tcp 10.0.0.1:443: connect: connection refused", Kind::Unavailable),
        ] {
            let error = bollard::errors::Error::DockerStreamError { error: words.into() };
            let refused = refused("cannot push a:1", error);
            assert_eq!(refused.kind(), kind, "{words}");
            assert!(refused.hint_text().is_some());
        }
        let denied = "denied: User: arn:aws:iam::1:user/a is not authorized to perform: ecr:InitiateLayerUpload on \
                      resource: arn:aws:ecr:eu-west-1:1:repository/a";
        let error = bollard::errors::Error::DockerStreamError { error: denied.into() };
        let hint = refused("cannot push a:1", error).hint_text().unwrap().to_owned();
        assert!(hint.contains("for ecr:InitiateLayerUpload on"), "{hint}");
        let error = bollard::errors::Error::DockerStreamError { error: "403 Forbidden".into() };
        let hint = refused("cannot push 1.dkr.ecr.eu-west-1.amazonaws.com/a:1", error);
        assert!(hint.hint_text().unwrap().contains("ecr:PutImage"), "{hint:?}");
    }
}

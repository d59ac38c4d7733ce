//! Logins for the registries of base images, as `docker login` stored them. BuildKit requests them when it needs them;
//! the classic builder gets those for the images that the Dockerfile names.

use std::collections::{BTreeSet, HashMap};

use bollard::{
    auth::DockerCredentials,
    moby::filesync::v1::{
        CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
        GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
        VerifyTokenAuthorityResponse, auth_server::Auth,
    },
};
use tonic::{Request, Response, Status};

use crate::capability::logins::{DOCKER_HUB, Stored, stored};

/// Answers BuildKit's requests. BuildKit exchanges the logins for tokens itself.
pub(super) struct Logins;

#[tonic::async_trait]
impl Auth for Logins {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let (username, secret) = match stored(&request.into_inner().host).await {
            Stored::Password { user, password } => (user, password),
            Stored::IdentityToken(token) => (String::new(), token),
            // Public images need no login.
            Stored::Nothing | Stored::Unusable(_) => (String::new(), String::new()),
        };
        Ok(Response::new(CredentialsResponse { username, secret }))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(Status::unimplemented("fetch_token"))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("get_token_authority"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(Status::unimplemented("verify_token_authority"))
    }
}

/// The logins for the classic builder, by registry.
pub(super) async fn for_images_of(dockerfile: &str) -> HashMap<String, DockerCredentials> {
    let mut logins = HashMap::new();
    for registry in registries(dockerfile) {
        let credentials = match stored(&registry).await {
            Stored::Password { user, password } => {
                DockerCredentials { username: Some(user), password: Some(password), ..Default::default() }
            }
            Stored::IdentityToken(token) => {
                DockerCredentials { identitytoken: Some(token), ..Default::default() }
            }
            Stored::Nothing | Stored::Unusable(_) => continue,
        };
        let server = if registry == HUB { DOCKER_HUB.to_owned() } else { registry };
        logins.insert(server.clone(), DockerCredentials { serveraddress: Some(server), ..credentials });
    }
    logins
}

const HUB: &str = "docker.io";

/// The registries of images in `FROM` and `COPY --from`.
fn registries(dockerfile: &str) -> BTreeSet<String> {
    let images = dockerfile.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        match words.next()?.to_ascii_uppercase().as_str() {
            "FROM" => words.find(|word| !word.starts_with("--")),
            "COPY" => words.find_map(|word| word.strip_prefix("--from=")),
            _ => None,
        }
    });
    images.map(registry_of).collect()
}

/// The registry by Docker's rule: the part before the first slash, if it cannot be part of a name.
fn registry_of(image: &str) -> String {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first.to_owned(),
        _ => HUB.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_found_as_docker_does() {
        let dockerfile = "# syntax=docker/dockerfile:1\n\
                          FROM --platform=linux/amd64 127.0.0.1:5000/team/base:1 AS dependencies\n\
                          RUN echo FROM a.example/b\n\
                          from localhost/x\n\
                          COPY --chown=1:1 --from=registry.example/y@sha256:0 /a /b\n\
                          COPY code/ /code/\n\
                          FROM team/base";
        let found = registries(dockerfile);
        let expected = ["127.0.0.1:5000", "docker.io", "localhost", "registry.example"];
        assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}

//! Explains a registry's errors to the user. The registry's own message is left out: it may be anything, and redirect
//! addresses carry signatures.

use std::error::Error as StdError;

use oci_client::{
    errors::{DigestError, OciDistributionError as Problem, OciEnvelope, OciErrorCode},
    secrets::RegistryAuth,
};

use super::client::{Deed, Registry};
use crate::{
    capability::docker,
    error::{Error, Kind},
};

pub(super) fn explain(registry: &Registry, problem: Problem) -> Error {
    match problem {
        Problem::ServerError { code, message, .. } if registry.deed == Deed::Push && code < 500 => {
            let said = format!("{code} {}", said(&message));
            docker::refusal(&cannot(registry), &said, said.clone())
        }
        Problem::UnauthorizedError { .. } | Problem::AuthenticationFailure(_) => denied(registry),
        Problem::RegistryError { envelope, .. } => refused(registry, &envelope),
        Problem::ServerError { code, .. } => answered(registry, code),
        Problem::ImageManifestNotFoundError(_) => missing(registry),
        Problem::DigestError(error) => changed(registry, &error),
        Problem::IoError(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(digest) => changed(registry, digest),
            None => unreachable(registry, &error),
        },
        Problem::RequestError(error) => match error.status() {
            Some(status) => answered(registry, status.as_u16()),
            None => unreachable(registry, &error),
        },
        other => Error::failed(cannot(registry)).hint("check the registry's address").source(other),
    }
}

/// A registry's message about a push, which names a missing permission or says why a tag is refused.
fn said(message: &str) -> String {
    const MAX_LENGTH: usize = 300;
    let envelope: Option<OciEnvelope> = serde_json::from_str(message).ok();
    let first = envelope.and_then(|envelope| envelope.errors.into_iter().next());
    let text = first.map_or_else(String::new, |error| format!("{:?}: {}", error.code, error.message));
    text.chars().filter(|c| !c.is_control()).take(MAX_LENGTH).collect()
}

fn refused(registry: &Registry, envelope: &OciEnvelope) -> Error {
    let code = envelope.errors.first().map(|error| &error.code);
    match code {
        Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => denied(registry),
        Some(
            OciErrorCode::ManifestUnknown
            | OciErrorCode::NameUnknown
            | OciErrorCode::BlobUnknown
            | OciErrorCode::NotFound,
        ) => missing(registry),
        Some(OciErrorCode::Toomanyrequests) => answered(registry, 429),
        Some(code) => Error::failed(format!("the registry refused {}", registry.name))
            .hint("check the reference")
            .source(format!("{code:?}")),
        None => answered(registry, 500),
    }
}

fn answered(registry: &Registry, status: u16) -> Error {
    match status {
        401 | 403 => denied(registry),
        404 | 410 => missing(registry),
        429 => Error::new(Kind::Unavailable, format!("{} reported too many requests", address(registry)))
            .hint("try again later, or raise the limit with `docker login`"),
        _ => Error::new(Kind::Unavailable, format!("{} returned HTTP status {status}", address(registry)))
            .hint("try again later"),
    }
}

fn denied(registry: &Registry) -> Error {
    let (address, name) = (address(registry), &registry.name);
    let message = match (registry.deed, &registry.login.auth) {
        (Deed::Push, _) => format!("{address} denied the push of {name}"),
        (Deed::Download, RegistryAuth::Anonymous) => {
            format!("{address} denied access to {name} without credentials")
        }
        (Deed::Download, _) => format!("{address} denied access to {name} with Docker's stored credentials"),
    };
    let hint = match registry.deed {
        Deed::Push => "check that the registry's credentials are valid and may push".to_owned(),
        Deed::Download => {
            format!("log in with `docker login {address}`, and check that the repository exists")
        }
    };
    let error = Error::new(Kind::Denied, message).hint(hint);
    match &registry.login.problem {
        Some(problem) => error.source(format!("stored credentials cannot be used: {problem}")),
        None => error,
    }
}

fn missing(registry: &Registry) -> Error {
    Error::new(Kind::NotFound, format!("{} not found", registry.name))
        .hint("check the repository and its tag or digest")
}

fn changed(registry: &Registry, error: &DigestError) -> Error {
    Error::new(Kind::Plugin, format!("{} does not match its digest", registry.name))
        .hint("report this to the registry's operator: the content was changed or damaged in transit")
        .source(error.to_string())
}

fn unreachable(registry: &Registry, error: &dyn StdError) -> Error {
    // The innermost cause is the most useful; the outer ones repeat addresses.
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Error::new(Kind::Unavailable, cannot(registry))
        .hint("check the network and the reference, and try again")
        .source(cause.to_string())
}

fn cannot(registry: &Registry) -> String {
    format!("cannot {} {}", registry.deed.word(), registry.name)
}

fn address(registry: &Registry) -> &str {
    registry.image.registry()
}

//! Explains a registry's errors to the user. The registry's own message is left out: it may be anything, and redirect
//! addresses carry signatures.

use std::error::Error as StdError;

use oci_client::{
    errors::{DigestError, OciDistributionError as Problem, OciEnvelope, OciErrorCode},
    secrets::RegistryAuth,
};

use super::{Reference, credentials::Login};
use crate::error::{Error, Kind};

pub(super) fn explain(reference: &Reference, login: &Login, problem: Problem) -> Error {
    match problem {
        Problem::UnauthorizedError { .. } | Problem::AuthenticationFailure(_) => denied(reference, login),
        Problem::RegistryError { envelope, .. } => refused(reference, login, &envelope),
        Problem::ServerError { code, .. } => answered(reference, login, code),
        Problem::ImageManifestNotFoundError(_) => missing(reference),
        Problem::DigestError(error) => changed(reference, &error),
        Problem::IoError(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(digest) => changed(reference, digest),
            None => unreachable(reference, &error),
        },
        Problem::RequestError(error) => match error.status() {
            Some(status) => answered(reference, login, status.as_u16()),
            None => unreachable(reference, &error),
        },
        other => Error::failed(format!("cannot download {reference}"))
            .hint("check the registry's address")
            .source(other),
    }
}

fn refused(reference: &Reference, login: &Login, envelope: &OciEnvelope) -> Error {
    let code = envelope.errors.first().map(|error| &error.code);
    match code {
        Some(OciErrorCode::Unauthorized | OciErrorCode::Denied) => denied(reference, login),
        Some(
            OciErrorCode::ManifestUnknown
            | OciErrorCode::NameUnknown
            | OciErrorCode::BlobUnknown
            | OciErrorCode::NotFound,
        ) => missing(reference),
        Some(OciErrorCode::Toomanyrequests) => answered(reference, login, 429),
        Some(code) => Error::failed(format!("the registry refused {reference}"))
            .hint("check the reference")
            .source(format!("{code:?}")),
        None => answered(reference, login, 500),
    }
}

fn answered(reference: &Reference, login: &Login, status: u16) -> Error {
    match status {
        401 | 403 => denied(reference, login),
        404 | 410 => missing(reference),
        429 => Error::new(Kind::Unavailable, format!("{} reported too many requests", registry(reference)))
            .hint("try again later, or raise the limit with `docker login`"),
        _ => Error::new(Kind::Unavailable, format!("{} returned HTTP status {status}", registry(reference)))
            .hint("try again later"),
    }
}

fn denied(reference: &Reference, login: &Login) -> Error {
    let registry = registry(reference);
    let message = match login.auth {
        RegistryAuth::Anonymous => format!("{registry} denied access to {reference} without credentials"),
        _ => format!("{registry} denied access to {reference} with Docker's stored credentials"),
    };
    let error = Error::new(Kind::Denied, message)
        .hint(format!("log in with `docker login {registry}`, and check that the repository exists"));
    match &login.problem {
        Some(problem) => error.source(format!("stored credentials cannot be used: {problem}")),
        None => error,
    }
}

fn missing(reference: &Reference) -> Error {
    Error::new(Kind::NotFound, format!("{reference} not found"))
        .hint("check the repository and its tag or digest")
}

fn changed(reference: &Reference, error: &DigestError) -> Error {
    Error::new(Kind::Plugin, format!("{reference} does not match its digest"))
        .hint("report this to the registry's operator: the content was changed or damaged in transit")
        .source(error.to_string())
}

fn unreachable(reference: &Reference, error: &dyn StdError) -> Error {
    // The innermost cause is the most useful; the outer ones repeat addresses.
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Error::new(Kind::Unavailable, format!("cannot download {reference}"))
        .hint("check the network and the reference, and try again")
        .source(cause.to_string())
}

fn registry(reference: &Reference) -> &str {
    reference.0.registry()
}

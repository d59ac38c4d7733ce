//! What a registry's errors mean to a user. What it says itself is left out: it may be anything, and addresses that it
//! redirects to carry signatures.

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
        other => Error::failed(format!("cannot get {reference}"))
            .hint("see that the registry's address is right")
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
        Some(code) => Error::failed(format!("the registry does not give {reference}"))
            .hint("see that the reference is right")
            .source(format!("{code:?}")),
        None => answered(reference, login, 500),
    }
}

fn answered(reference: &Reference, login: &Login, status: u16) -> Error {
    match status {
        401 | 403 => denied(reference, login),
        404 | 410 => missing(reference),
        429 => Error::new(Kind::Unavailable, format!("{} has had too many requests", registry(reference)))
            .hint("try again later; `docker login` often raises the limit"),
        _ => Error::new(Kind::Unavailable, format!("{} answers {status}", registry(reference)))
            .hint("try again later"),
    }
}

fn denied(reference: &Reference, login: &Login) -> Error {
    let registry = registry(reference);
    let message = match login.auth {
        RegistryAuth::Anonymous => format!("{registry} does not give {reference} without credentials"),
        _ => format!("{registry} does not give {reference} for the credentials that Docker stored"),
    };
    let error = Error::new(Kind::Denied, message).hint(format!(
        "log in with `docker login {registry}`; see also that the repository exists, which some registries do not tell"
    ));
    match &login.problem {
        Some(problem) => error.source(format!("stored credentials cannot be used: {problem}")),
        None => error,
    }
}

fn missing(reference: &Reference) -> Error {
    Error::new(Kind::NotFound, format!("there is no {reference}"))
        .hint("see that the repository and its tag or digest are right")
}

fn changed(reference: &Reference, error: &DigestError) -> Error {
    Error::new(Kind::Plugin, format!("{reference} is not what its digest says"))
        .hint("it was changed or damaged on its way: do not use it; ask whoever keeps the registry")
        .source(error.to_string())
}

fn unreachable(reference: &Reference, error: &dyn StdError) -> Error {
    // The innermost cause says it best; the outer ones repeat addresses.
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Error::new(Kind::Unavailable, format!("cannot get {reference}"))
        .hint("see whether the network and the reference are right, and try again")
        .source(cause.to_string())
}

fn registry(reference: &Reference) -> &str {
    reference.0.registry()
}

//! Explains the engine's errors to the user.

use bollard::errors::Error as Bollard;

use crate::error::{Error, Kind};

/// Explains an error. `operation` says what failed, such as `cannot list the images`.
pub(super) fn explain(operation: &str, error: Bollard) -> Error {
    let text = causes(&error);
    let kind = match &error {
        Bollard::DockerResponseServerError { status_code, .. } => match status_code {
            400 => Kind::Invalid,
            401 | 403 => Kind::Denied,
            404 => Kind::NotFound,
            409 => Kind::Conflict,
            _ => Kind::Failed,
        },
        error if is_lost(error) => Kind::Unavailable,
        _ => Kind::Failed,
    };
    let failure =
        if text.contains("no space left on device") { full(operation) } else { Error::new(kind, operation) };
    let failure = if kind == Kind::Unavailable {
        failure.hint("check that Docker is running with `docker info`")
    } else {
        failure
    };
    failure.source(error)
}

/// The error if the engine's disk is full.
pub(super) fn full(operation: &str) -> Error {
    Error::failed(operation)
        .hint("free some disk space with `docker system prune`; `docker system df` shows what uses it")
}

/// Whether the engine or the connection to it is gone.
pub(super) fn is_lost(error: &Bollard) -> bool {
    match error {
        Bollard::RequestTimeoutError
        | Bollard::HyperResponseError { .. }
        | Bollard::HyperLegacyError { .. } => true,
        Bollard::IOError { .. } => !is_end(error),
        _ => false,
    }
}

/// The error and its causes as one text, to search in.
pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(|error| format!("{error}\n")).collect()
}

pub(super) fn is_not_found(error: &Bollard) -> bool {
    has_status(error, 404)
}

/// Whether a container of this name exists. Podman says so only in the message.
pub(super) fn is_taken(error: &Bollard) -> bool {
    has_status(error, 409) || (has_status(error, 500) && causes(error).contains("name is already in use"))
}

pub(super) fn has_status(error: &Bollard, status: u16) -> bool {
    matches!(error, Bollard::DockerResponseServerError { status_code, .. } if *status_code == status)
}

/// Whether the error is only the end of a stream: the library reports one if the last line end is in its own packet.
pub(super) fn is_end(error: &Bollard) -> bool {
    matches!(error, Bollard::IOError { err } if err.to_string() == "bytes remaining on stream")
}

pub(super) fn no_container(name: &str) -> Error {
    Error::new(Kind::NotFound, format!("no container {name}"))
}

//! Explains AWS's errors to the user.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::{
    environment::Environment,
    error::{Error, Kind},
};

const CREDENTIALS: &str = "log in (`aws sso login`, or `aws configure`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID and \
                           AWS_SECRET_ACCESS_KEY; `aws sts get-caller-identity` shows who you are";

const CLOCK: &str = "correct this machine's clock with `timedatectl set-ntp true`, and try again";

/// Whether a signature is rejected only because of its time, which most services report as a wrong signature.
fn is_of_another_time(message: &str) -> bool {
    message.starts_with("Signature expired") || message.starts_with("Signature not yet current")
}

/// Explains an error. `operation` says what failed, such as `cannot list X`.
pub(super) fn explain<E>(operation: impl Into<String>, error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let operation = operation.into();
    if let Some(known) = known(&error) {
        return said(operation, known);
    }
    let text = causes(&error);
    let Some(code) = error.code() else {
        return without_answer(operation, &text, &error);
    };
    let message = shorten(error.message().unwrap_or("no reason given"));
    let (kind, hint) = if is_of_another_time(&message) { (Kind::Denied, Some(CLOCK)) } else { kind_of(code) };
    let failure = Error::new(kind, format!("{operation}: {message} ({code})"));
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The same for a response to HEAD, which has only a status and no body.
pub(super) fn explain_head<E>(operation: impl Into<String>, error: SdkError<E>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let answer = error.raw_response().filter(|_| error.code().is_none());
    let region = answer.and_then(|answer| answer.headers().get("x-amz-bucket-region")).map(str::to_owned);
    let (kind, why, hint) = match answer.map(|answer| answer.status().as_u16()) {
        Some(403) => (
            Kind::Denied,
            "access denied (403)".to_owned(),
            "ask the bucket's owner for s3:GetObject and s3:ListBucket, or use another profile".to_owned(),
        ),
        Some(400) => (
            Kind::Denied,
            "the request was refused (400): the credentials may have expired".to_owned(),
            CREDENTIALS.to_owned(),
        ),
        Some(301 | 307) => {
            let there = region.unwrap_or_else(|| "another region".to_owned());
            let hint = format!("set the region to that of the bucket, {there}");
            (Kind::Invalid, format!("the bucket is in {there}"), hint)
        }
        _ => return explain(operation, error),
    };
    Error::new(kind, format!("{}: {why}", operation.into())).hint(hint)
}

/// An error of this program that ended a request.
fn known<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    std::iter::successors(Some(error), |error| error.source()).find_map(|error| error.downcast_ref())
}

/// That error, for an operation.
fn said(operation: String, known: &Error) -> Error {
    let error = Error::new(known.kind(), operation).source(known.chain());
    match known.hint_text() {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The error if credentials are configured, but cannot be loaded.
pub(super) fn without_credentials(operation: String, error: &(dyn std::error::Error + 'static)) -> Error {
    if let Some(known) = known(error) {
        return said(operation, known);
    }
    Error::new(Kind::Denied, operation).hint(CREDENTIALS).source(last_causes(&causes(error)))
}

/// The code of the service's error; empty if there is none.
pub(super) fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error.code().unwrap_or_default()
}

/// Shortens a message: for an invalid value, AWS may list all valid ones.
fn shorten(message: &str) -> String {
    const MAX_LENGTH: usize = 400;
    match message.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

pub(super) fn kind_of(code: &str) -> (Kind, Option<&'static str>) {
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => {
            (Kind::Denied, Some("the credentials have expired: log in again (`aws sso login`)"))
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "AuthFailure"
        | "MissingAuthenticationToken"
        | "IncompleteSignature"
        | "InvalidSignatureException" => (Kind::Denied, Some(CREDENTIALS)),
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "Forbidden"
        | "AllAccessDisabled" => (
            Kind::Denied,
            Some("ask the account's administrator for this permission, or use another profile"),
        ),
        "RequestTimeTooSkewed" | "RequestInTheFuture" => (Kind::Denied, Some(CLOCK)),
        "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "InternalFailure"
        | "InternalError"
        | "InternalServerError"
        | "InternalServerException"
        | "ServerException"
        | "500"
        | "503" => (Kind::Unavailable, Some("the service is busy: try again in a moment")),
        "NoSuchEntity"
        | "NoSuchBucket"
        | "NoSuchKey"
        | "NotFound"
        | "ResourceNotFound"
        | "ResourceNotFoundException"
        | "RepositoryNotFoundException" => (Kind::NotFound, None),
        "ResourceInUse" | "ResourceInUseException" | "ConflictException" => (Kind::Conflict, None),
        "ResourceLimitExceeded" | "LimitExceededException" | "ServiceQuotaExceededException" => {
            (Kind::Quota, Some("ask for a higher quota in the AWS console (Service Quotas)"))
        }
        "ValidationException" | "ValidationError" | "InvalidParameterException" => (Kind::Invalid, None),
        _ => (Kind::Failed, None),
    }
}

fn without_answer<E>(operation: String, text: &str, error: &SdkError<E>) -> Error
where
    E: std::error::Error + 'static,
{
    let lower = text.to_lowercase();
    let cause = || cause(text).to_owned();
    let status = error.raw_response().map(|answer| answer.status().as_u16());
    let named = lower.contains("credential") || lower.contains("identity provider") || lower.contains("sso");
    match error {
        // Credentials are not missing if their service cannot be reached.
        _ if named && !is_of_the_network(error) && !lower.contains("dns error") => {
            Error::new(Kind::Denied, format!("{operation}: no usable AWS credentials"))
                .hint(CREDENTIALS)
                .source(last_causes(text))
        }
        _ if lower.contains("region") && lower.contains("missing") => Error::invalid(format!(
            "{operation}: no AWS region is set"
        ))
        .hint("set AWS_REGION, or `region` in your AWS profile (`aws configure set region us-east-1`)"),
        // The response of something between this machine and AWS, such as a proxy.
        SdkError::ServiceError(_) | SdkError::ResponseError(_)
            if status.is_some_and(|status| status >= 300) =>
        {
            let status = status.unwrap_or_default();
            let kind = if status >= 500 { Kind::Unavailable } else { Kind::Failed };
            Error::new(
                kind,
                format!("{operation}: unexpected response that is not from AWS (HTTP status {status})"),
            )
            .hint("check the proxy and any custom endpoint (AWS_ENDPOINT_URL)")
        }
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => {
            Error::new(Kind::Unavailable, format!("{operation}: cannot reach AWS"))
                .hint("check the network, the region and any custom endpoint (AWS_ENDPOINT_URL)")
                .source(cause())
        }
        _ => Error::failed(operation).source(cause()),
    }
}

/// Whether no connection was made, or it broke.
fn is_of_the_network(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut,
    };
    let network = [
        ConnectionAborted,
        ConnectionRefused,
        ConnectionReset,
        HostUnreachable,
        NetworkUnreachable,
        TimedOut,
    ];
    let mut chain = std::iter::successors(Some(error), |error| error.source());
    chain.any(|error| {
        error.downcast_ref::<std::io::Error>().is_some_and(|error| network.contains(&error.kind()))
    })
}

/// The innermost cause with a useful message.
fn cause(text: &str) -> &str {
    text.lines().rfind(|line| says(line)).unwrap_or("no reason was given")
}

/// Whether a cause's message is useful, which those of the library may not be.
fn says(line: &str) -> bool {
    !matches!(line, "" | "Error" | "unhandled error" | "service error" | "error")
}

/// The innermost causes of a failed login: the last one alone may not name the file or profile.
fn last_causes(text: &str) -> String {
    const MAX: usize = 3;
    let mut lines: Vec<&str> = text.lines().map(str::trim).filter(|line| says(line)).collect();
    lines.dedup();
    let told = lines[lines.len().saturating_sub(MAX)..].join(": ");
    without_secrets(&told)
}

/// Replaces values of variables by their names, because a secret may have been put there by mistake.
fn without_secrets(text: &str) -> String {
    const VARIABLES: [&str; 4] = [
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    VARIABLES.iter().fold(text.to_owned(), |text, name| match Environment::variable(name) {
        Some(value) => text.replace(&value, name),
        None => text,
    })
}

pub(super) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| error.source());
    chain.map(|error| format!("{error}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_useful_cause_is_found() {
        assert_eq!(cause("service error\nunhandled error\nError\n"), "no reason was given");
        assert_eq!(cause("dispatch failure\nrefused\nError\n"), "refused");
    }

    #[test]
    fn codes_become_kinds_a_script_can_tell_apart() {
        for (code, kind) in [
            ("ExpiredTokenException", Kind::Denied),
            ("ThrottlingException", Kind::Unavailable),
            ("ResourceInUse", Kind::Conflict),
            ("ResourceLimitExceeded", Kind::Quota),
            ("NoSuchEntity", Kind::NotFound),
            ("Unheard", Kind::Failed),
        ] {
            assert_eq!(kind_of(code).0, kind, "{code}");
        }
        assert!(is_of_another_time(
            "Signature expired: 20260101T000000Z is now earlier than 20260101T001000Z"
        ));
        assert!(!is_of_another_time("The request signature we calculated does not match"));
    }
}

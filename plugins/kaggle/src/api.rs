//! Calls of Kaggle's API.

use alekseylearn_sdk::{Error, http};
use serde_json::Value;

pub(crate) const API: &str = "https://api.kaggle.com";

/// Calls a method that changes something. Too many requests are reported as a quota.
pub(crate) fn act(method: &str, body: &Value) -> Result<Value, Error> {
    answer(http::post(&format!("{API}/v1/{method}")).json(&body.to_string()).send()?)
}

/// Calls a method that only reads. Too many requests are a passing error.
pub(crate) fn ask(method: &str, body: &Value) -> Result<Value, Error> {
    act(method, body).map_err(Error::passing)
}

fn answer(response: http::Response) -> Result<Value, Error> {
    let status = response.status();
    let text = response.text()?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    // The status may be a success although the body holds an error.
    let code = value["code"].as_u64().filter(|code| *code >= 400).unwrap_or(status.into());
    if code < 300 {
        return Ok(value);
    }
    Err(refusal(code, value["message"].as_str().unwrap_or_default().trim()))
}

/// The error that a failed response means.
pub(crate) fn refusal(code: u64, message: &str) -> Error {
    let said = if message.is_empty() { format!("HTTP status {code}") } else { message.to_owned() };
    match code {
        401 => Error::denied(format!("Kaggle rejected the credentials: {said}")).hint(
            "create a token at https://www.kaggle.com/settings/api and set KAGGLE_API_TOKEN to it, or run \
             `kaggle auth login`; submitted jobs keep running",
        ),
        403 => Error::denied(format!("Kaggle denied access: {said}"))
            .hint("check --config.username and --config.title: the kernel may belong to another user or be renamed"),
        // Kaggle gives the same answer for a kernel of another user.
        404 if message.to_lowercase().contains("notebook not found") => {
            Error::not_found(format!("kernel not found for this Kaggle user: {said}")).hint(
                "check that the credentials belong to the user in --config.username, and that the kernel was not deleted \
                 or renamed on Kaggle's page",
            )
        }
        404 | 410 => Error::not_found(format!("not found on Kaggle: {said}"))
            .hint("check whether it was deleted or renamed on Kaggle's page"),
        409 => Error::conflict(format!("Kaggle reported a conflict: {said}")).hint("run the same command again"),
        429 => Error::quota(format!("Kaggle's rate limit is reached: {said}")).hint("wait a while, and try again"),
        400..500 => {
            Error::invalid(format!("Kaggle rejected the request: {said}")).hint("fix what the message names, and try again")
        }
        _ => Error::unavailable(format!("Kaggle returned a server error: {said}")).hint("try again later"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_becomes_an_error_kind() {
        assert!(matches!(refusal(400, "too large"), Error::Invalid(_)));
        assert!(matches!(refusal(401, ""), Error::Denied(_)));
        assert!(matches!(refusal(403, ""), Error::Denied(_)));
        assert!(matches!(refusal(404, ""), Error::NotFound(_)));
        assert!(matches!(refusal(429, ""), Error::Quota(_)));
        assert!(matches!(refusal(503, ""), Error::Unavailable(_)));
        assert_eq!(refusal(400, "too large").message(), "Kaggle rejected the request: too large");
        assert_eq!(refusal(502, "").message(), "Kaggle returned a server error: HTTP status 502");
    }
}

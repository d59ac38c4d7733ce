//! Calls of Kaggle's API.

use alekseylearn_sdk::{Error, http};
use serde_json::Value;

pub(crate) const API: &str = "https://api.kaggle.com";

/// Asks the service to do something. That it is asked too often is a limit.
pub(crate) fn act(method: &str, body: &Value) -> Result<Value, Error> {
    answer(http::post(&format!("{API}/v1/{method}")).json(&body.to_string()).send()?)
}

/// Asks the service for something. That it is asked too often passes.
pub(crate) fn ask(method: &str, body: &Value) -> Result<Value, Error> {
    act(method, body).map_err(Error::passing)
}

fn answer(response: http::Response) -> Result<Value, Error> {
    let status = response.status();
    let text = response.text()?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    // An error may come as a success.
    let code = value["code"].as_u64().filter(|code| *code >= 400).unwrap_or(status.into());
    if code < 300 {
        return Ok(value);
    }
    Err(refusal(code, value["message"].as_str().unwrap_or_default().trim()))
}

/// What an answer that says no means.
pub(crate) fn refusal(code: u64, message: &str) -> Error {
    let said = if message.is_empty() { format!("it answers {code}") } else { message.to_owned() };
    match code {
        401 => Error::denied(format!("Kaggle does not accept the credential: {said}")).hint(
            "make a token at https://www.kaggle.com/settings/api and put it into KAGGLE_API_TOKEN, or run \
             `kaggle auth login`; a job that was submitted goes on meanwhile",
        ),
        403 => Error::denied(format!("Kaggle does not allow it: {said}"))
            .hint("it may belong to another user, or have another name by now: see --config.username and --config.title"),
        // Kaggle says so of a kernel that is another user's, too.
        404 if message.to_lowercase().contains("notebook not found") => {
            Error::not_found(format!("Kaggle has no such kernel for this user: {said}")).hint(
                "see that the credential is of the user in --config.username, and that the kernel was not deleted or \
                 renamed on Kaggle's page",
            )
        }
        404 | 410 => Error::not_found(format!("Kaggle has no such thing: {said}"))
            .hint("it may have been deleted or renamed on Kaggle's page"),
        409 => Error::conflict(format!("Kaggle refuses: {said}")).hint("run the same command again"),
        429 => Error::quota(format!("Kaggle asks for patience: {said}")).hint("wait a while, and try again"),
        400..500 => Error::invalid(format!("Kaggle refuses: {said}")).hint("correct what it names, and try again"),
        _ => Error::unavailable(format!("Kaggle is in trouble: {said}")).hint("try again later"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_kind() {
        assert!(matches!(refusal(400, "too large"), Error::Invalid(_)));
        assert!(matches!(refusal(401, ""), Error::Denied(_)));
        assert!(matches!(refusal(403, ""), Error::Denied(_)));
        assert!(matches!(refusal(404, ""), Error::NotFound(_)));
        assert!(matches!(refusal(429, ""), Error::Quota(_)));
        assert!(matches!(refusal(503, ""), Error::Unavailable(_)));
        assert_eq!(refusal(400, "too large").message(), "Kaggle refuses: too large");
        assert_eq!(refusal(502, "").message(), "Kaggle is in trouble: it answers 502");
    }
}

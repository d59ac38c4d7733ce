//! Calls of Google's APIs, and what their refusals mean.

use alekseylearn_sdk::{Error, http};
use serde_json::Value;

/// Asks a service for something. That it is asked too often passes.
pub(crate) fn ask(url: &str) -> Result<Value, Error> {
    answer(http::get(url).send()?).map_err(Error::passing)
}

/// Asks for something by POST, as some services want it. That it is asked too often passes.
pub(crate) fn ask_by_post(url: &str, body: &Value) -> Result<Value, Error> {
    act(url, body).map_err(Error::passing)
}

/// Asks a service to do something. That it is asked for too much is a limit.
pub(crate) fn act(url: &str, body: &Value) -> Result<Value, Error> {
    answer(http::post(url).json(&body.to_string()).send()?)
}

/// The content of a small object; none where there is no such object.
pub(crate) fn content(url: &str) -> Result<Option<String>, Error> {
    let response = http::get(url).send()?;
    match response.status() {
        404 => Ok(None),
        200 => response.bytes().map(|bytes| Some(String::from_utf8_lossy(&bytes).into_owned())),
        _ => answer(response).map(|_| None),
    }
}

fn answer(response: http::Response) -> Result<Value, Error> {
    let status = response.status();
    let text = response.text()?;
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    if status < 300 { Ok(value) } else { Err(refusal(status, &value["error"])) }
}

/// What an answer that says no means.
fn refusal(status: u16, error: &Value) -> Error {
    let message = error["message"].as_str().unwrap_or_default().trim().trim_end_matches('.');
    let said = if message.is_empty() { format!("it answers {status}") } else { message.to_owned() };
    if let Some(service) = disabled(error) {
        let hint = format!("run `gcloud services enable {service}`, with --project and the project's name");
        return Error::denied(format!("the project does not use {service} yet: {said}")).hint(hint);
    }
    if reason(error, "USER_PROJECT_DENIED").is_some() {
        return Error::denied(format!(
            "Google does not bill the requests to the credential's quota project: {said}"
        ))
        .hint(
            "run `gcloud auth application-default set-quota-project PROJECT` with a project that you may use \
                 (serviceusage.services.use), or set GOOGLE_CLOUD_QUOTA_PROJECT to it",
        );
    }
    let lower = said.to_lowercase();
    if (status == 400 || status == 403) && (lower.contains("act as") || lower.contains("actas")) {
        return Error::denied(format!("Google does not allow it: {said}")).hint(
            "you need the role Service Account User (roles/iam.serviceAccountUser) on --config.service_account, or \
             leave that option out",
        );
    }
    match status {
        401 => Error::denied(format!("Google does not accept the credential: {said}")).hint(
            "run `gcloud auth application-default login` again; a job that was submitted goes on meanwhile",
        ),
        403 => Error::denied(format!("Google does not allow it: {said}")).hint(
            "you need the roles Vertex AI User, Artifact Registry Writer, Storage Object User and Logs Viewer in the \
             project; see --config.project and --config.output_path",
        ),
        404 | 410 => Error::not_found(format!("Google has no such thing: {said}"))
            .hint("see --config.project, --config.region and --config.output_path"),
        409 => Error::conflict(format!("Google refuses: {said}")).hint("run the same command again"),
        429 => Error::quota(format!("a limit of the project is reached: {said}")).hint(
            "wait a while, take another machine or region, or ask for more at \
             https://console.cloud.google.com/iam-admin/quotas",
        ),
        400..500 => Error::invalid(format!("Google refuses: {said}"))
            .hint("correct what it names, and try again"),
        _ => Error::unavailable(format!("Google is in trouble: {said}")).hint("try again later"),
    }
}

/// The API that the project would have to use first.
fn disabled(error: &Value) -> Option<&str> {
    reason(error, "SERVICE_DISABLED")?["metadata"]["service"].as_str()
}

/// The detail of an error that gives this reason.
fn reason<'a>(error: &'a Value, reason: &str) -> Option<&'a Value> {
    error["details"].as_array()?.iter().find(|detail| detail["reason"] == reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_refusal_has_its_kind() {
        let said = |status, message: &str| refusal(status, &json!({ "code": status, "message": message }));
        assert!(matches!(said(400, "bad machine type"), Error::Invalid(_)));
        assert!(matches!(said(401, ""), Error::Denied(_)));
        assert!(matches!(said(403, ""), Error::Denied(_)));
        assert!(matches!(said(404, ""), Error::NotFound(_)));
        assert!(matches!(said(429, ""), Error::Quota(_)));
        assert!(matches!(said(503, ""), Error::Unavailable(_)));
        assert_eq!(said(400, "bad machine type.").message(), "Google refuses: bad machine type");
        assert_eq!(said(502, "").message(), "Google is in trouble: it answers 502");
        let act = said(400, "You do not have permission to act as service_account: a@b.");
        assert!(
            matches!(&act, Error::Denied(problem) if problem.hint.as_deref().unwrap().contains("serviceAccountUser"))
        );
        let denied = json!([{ "reason": "USER_PROJECT_DENIED", "metadata": { "consumer": "projects/p" } }]);
        let denied =
            refusal(403, &json!({ "message": "Caller does not have permission.", "details": denied }));
        assert!(
            matches!(denied, Error::Denied(problem) if problem.hint.as_deref().unwrap().contains("set-quota-project"))
        );
        let details =
            json!([{ "reason": "SERVICE_DISABLED", "metadata": { "service": "aiplatform.googleapis.com" } }]);
        let disabled = refusal(403, &json!({ "message": "It is disabled.", "details": details }));
        assert!(
            matches!(disabled, Error::Denied(problem) if problem.hint.as_deref().unwrap().contains("gcloud services enable aiplatform.googleapis.com"))
        );
    }
}

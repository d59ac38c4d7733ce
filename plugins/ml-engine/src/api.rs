//! Calls to Google's APIs, and what their errors mean.

use alekseylearn_sdk::{Error, http};
use serde_json::Value;

/// Sends a GET request. Too many requests are a passing error.
pub(crate) fn ask(url: &str) -> Result<Value, Error> {
    answer(http::get(url).send()?).map_err(Error::passing)
}

/// Sends a POST request that only reads, as some services require. Too many requests are a passing error.
pub(crate) fn ask_by_post(url: &str, body: &Value) -> Result<Value, Error> {
    act(url, body).map_err(Error::passing)
}

/// Sends a POST request that changes something. Too many requests are reported as a quota.
pub(crate) fn act(url: &str, body: &Value) -> Result<Value, Error> {
    answer(http::post(url).json(&body.to_string()).send()?)
}

/// The content of a small object; `None` if there is no such object.
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

/// The error that a failed response means.
fn refusal(status: u16, error: &Value) -> Error {
    let message = error["message"].as_str().unwrap_or_default().trim().trim_end_matches('.');
    let said = if message.is_empty() { format!("HTTP status {status}") } else { message.to_owned() };
    if let Some(service) = disabled(error) {
        let hint = format!("run `gcloud services enable {service} --project PROJECT`");
        return Error::denied(format!("{service} is not enabled in the project: {said}")).hint(hint);
    }
    if reason(error, "USER_PROJECT_DENIED").is_some() {
        return Error::denied(format!(
            "the credentials' quota project cannot be billed: {said}"
        ))
        .hint(
            "run `gcloud auth application-default set-quota-project PROJECT` with a project in which you have \
                 serviceusage.services.use, or set GOOGLE_CLOUD_QUOTA_PROJECT to it",
        );
    }
    let lower = said.to_lowercase();
    if (status == 400 || status == 403) && (lower.contains("act as") || lower.contains("actas")) {
        return Error::denied(format!("Google denied access: {said}")).hint(
            "ask for the role Service Account User (roles/iam.serviceAccountUser) on --config.service_account, or \
             leave out that option",
        );
    }
    match status {
        401 => Error::denied(format!("Google rejected the credentials: {said}")).hint(
            "run `gcloud auth application-default login` again; submitted jobs keep running",
        ),
        403 => Error::denied(format!("Google denied access: {said}")).hint(
            "check --config.project and --config.output_path; you need the roles Vertex AI User, Artifact Registry \
             Writer, Storage Object User and Logs Viewer in the project",
        ),
        404 | 410 => Error::not_found(format!("not found on Google Cloud: {said}"))
            .hint("check --config.project, --config.region and --config.output_path"),
        409 => Error::conflict(format!("Google reported a conflict: {said}")).hint("run the same command again"),
        429 => Error::quota(format!("a quota of the project is exceeded: {said}")).hint(
            "wait a while, choose another machine or region, or request a higher quota at \
             https://console.cloud.google.com/iam-admin/quotas",
        ),
        400..500 => Error::invalid(format!("Google rejected the request: {said}"))
            .hint("fix what the message names, and try again"),
        _ => Error::unavailable(format!("Google returned a server error: {said}")).hint("try again later"),
    }
}

/// The API that is not enabled in the project.
fn disabled(error: &Value) -> Option<&str> {
    reason(error, "SERVICE_DISABLED")?["metadata"]["service"].as_str()
}

/// The error's detail with this reason.
fn reason<'a>(error: &'a Value, reason: &str) -> Option<&'a Value> {
    error["details"].as_array()?.iter().find(|detail| detail["reason"] == reason)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_status_becomes_an_error_kind() {
        let said = |status, message: &str| refusal(status, &json!({ "code": status, "message": message }));
        assert!(matches!(said(400, "bad machine type"), Error::Invalid(_)));
        assert!(matches!(said(401, ""), Error::Denied(_)));
        assert!(matches!(said(403, ""), Error::Denied(_)));
        assert!(matches!(said(404, ""), Error::NotFound(_)));
        assert!(matches!(said(429, ""), Error::Quota(_)));
        assert!(matches!(said(503, ""), Error::Unavailable(_)));
        assert_eq!(said(400, "bad machine type.").message(), "Google rejected the request: bad machine type");
        assert_eq!(said(502, "").message(), "Google returned a server error: HTTP status 502");
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

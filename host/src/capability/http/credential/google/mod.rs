//! Google's application default credentials, found as in its own libraries: the file that the environment names, the
//! login of `gcloud auth application-default login`, and the metadata server of a machine in Google's cloud.

mod file;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use jiff::{Span, Timestamp};
use serde_json::Value;

use super::{Credential, cache::Exchange, header, read};
use crate::{
    environment::Environment,
    error::{Error, Kind, Result},
};

/// The user name for an access token as a password.
pub(super) const REGISTRY_USER: &str = "oauth2accesstoken";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// The metadata server's name, and its address, which works without DNS.
const METADATA_HOST: &str = "metadata.google.internal";
const METADATA_ADDRESS: &str = "169.254.169.254";
/// Short, because outside of Google's cloud that address often does not respond.
const METADATA_ANSWERS_WITHIN: Duration = Duration::from_secs(3);
const HINT: &str = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a service account's \
                    key file";

pub(super) async fn find(exchange: &Exchange) -> Result<Credential> {
    Places::of_the_environment().find(exchange).await
}

/// The places to search.
#[derive(Default)]
struct Places {
    /// `GOOGLE_APPLICATION_CREDENTIALS`.
    named: Option<PathBuf>,
    /// The file of gcloud's login.
    well_known: PathBuf,
    /// `GCE_METADATA_HOST`.
    metadata: Option<String>,
    /// `NO_GCE_CHECK=true`.
    never_metadata: bool,
    /// `GOOGLE_CLOUD_QUOTA_PROJECT`.
    billed: Option<String>,
    /// `GOOGLE_CLOUD_PROJECT`.
    project: Option<String>,
}

impl Places {
    fn of_the_environment() -> Self {
        let variable = Environment::variable;
        let gcloud = variable("CLOUDSDK_CONFIG").map_or_else(
            || PathBuf::from(variable("HOME").unwrap_or_default()).join(".config/gcloud"),
            PathBuf::from,
        );
        Self {
            named: variable("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from),
            well_known: gcloud.join("application_default_credentials.json"),
            metadata: variable("GCE_METADATA_HOST"),
            never_metadata: variable("NO_GCE_CHECK").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            billed: variable("GOOGLE_CLOUD_QUOTA_PROJECT"),
            project: variable("GOOGLE_CLOUD_PROJECT"),
        }
    }

    async fn find(&self, exchange: &Exchange) -> Result<Credential> {
        if let Some(path) = &self.named {
            // The value itself is never shown: it may be the key.
            if path.to_string_lossy().trim_start().starts_with('{') {
                return Err(Error::new(
                    Kind::Denied,
                    "GOOGLE_APPLICATION_CREDENTIALS holds a key instead of a file's path",
                )
                .hint("save the key to a file that only you can read, and set the variable to its path"));
            }
            let name = "the file in GOOGLE_APPLICATION_CREDENTIALS";
            let content = read(path, name)
                .await?
                .ok_or_else(|| Error::new(Kind::Denied, format!("{name} does not exist")).hint(HINT))?;
            return self.of_file(exchange, name, &content).await;
        }
        let name = self.well_known.display().to_string();
        if let Some(content) = read(&self.well_known, &name).await? {
            return self.of_file(exchange, &name, &content).await;
        }
        if !self.never_metadata
            && let Some(credential) = self.of_this_machine(exchange).await?
        {
            return Ok(credential);
        }
        Err(Error::new(Kind::Denied, "no Google credentials found").hint(HINT))
    }

    async fn of_file(&self, exchange: &Exchange, place: &str, content: &str) -> Result<Credential> {
        // The parser's message may hold a part of the secret.
        let file: Value = serde_json::from_str(content.trim_start_matches('\u{feff}'))
            .map_err(|_| file::wrong(place, "are not valid JSON"))?;
        let got = file::token(exchange, place, &file).await?;
        let member = |name: &str| file[name].as_str().filter(|value| !value.is_empty());
        let of_user = member("quota_project_id");
        let project = member("project_id").or(of_user);
        self.credential(&got.token, got.until, got.user.as_deref(), of_user, project)
    }

    /// The credentials from the metadata server; `None` if this is not a machine of Google's cloud.
    async fn of_this_machine(&self, exchange: &Exchange) -> Result<Option<Credential>> {
        let ask = async |host: &str, path: &str| {
            exchange.get_nearby(&format!("http://{host}/{path}"), METADATA_ANSWERS_WITHIN).await
        };
        let host = match &self.metadata {
            Some(host) => host,
            None => match ask(METADATA_ADDRESS, "").await {
                Ok(answer) if answer.is_googles => METADATA_HOST,
                _ => return Ok(None),
            },
        };
        let path = format!(
            "computeMetadata/v1/instance/service-accounts/default/token?scopes={}",
            SCOPE.replace(':', "%3A").replace('/', "%2F")
        );
        let answer = ask(host, &path).await?;
        let (token, until) = match answer.status {
            200 if answer.is_googles => token(&serde_json::from_str(&answer.text).unwrap_or_default())?,
            404 => {
                return Err(Error::new(Kind::Denied, "this machine has no service account")
                    .hint("attach one with the scope cloud-platform"));
            }
            status => return Err(troubled(status)),
        };
        let project = match &self.project {
            Some(_) => None,
            None => ask(host, "computeMetadata/v1/project/project-id").await.ok(),
        };
        let project = project.filter(|answer| answer.status == 200).map(|answer| answer.text);
        self.credential(&token, until, None, None, project.as_deref().map(str::trim)).map(Some)
    }

    fn credential(
        &self,
        token: &str,
        until: Timestamp,
        user: Option<&str>,
        billed: Option<&str>,
        project: Option<&str>,
    ) -> Result<Credential> {
        let billed = self.billed.as_deref().or(billed);
        Ok(Credential {
            user: user.map(str::to_owned),
            project: self.project.as_deref().or(project).map(str::to_owned),
            billed: billed.map(header).transpose()?,
            ..Credential::new(header(&format!("Bearer {token}"))?, Some(until))
        })
    }
}

/// The token in a response, and its expiry.
fn token(answer: &Value) -> Result<(String, Timestamp)> {
    let token = answer["access_token"].as_str().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Error::new(Kind::Unavailable, "Google gave no token in its answer"))?;
    let seconds = answer["expires_in"].as_i64().unwrap_or(0).clamp(0, 1 << 30);
    Ok((token.to_owned(), Timestamp::now() + Span::new().seconds(seconds)))
}

fn troubled(status: u16) -> Error {
    Error::new(Kind::Unavailable, format!("cannot get a token from Google: HTTP status {status}"))
        .hint("try again later")
}

//! Caches credentials that are requested from a service until they expire.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use reqwest::{
    Client, RequestBuilder, Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use super::{Credential, CredentialSource};
use crate::{
    capability::http::{innermost, outgoing::builder},
    environment::CertificateBundle,
    error::{Error, Kind, Result},
};

/// Credentials that expire sooner are renewed, because a request may take a while.
const ENDS_EARLY: Duration = Duration::from_secs(5 * 60);
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// Maximum size of a token service's response in bytes.
const MAX_ANSWER: usize = 1 << 20;
/// The header that metadata servers require and return.
const FLAVOR: &str = "metadata-flavor";
const GOOGLE: &str = "Google";

/// The credentials of this process.
pub(in crate::capability::http) struct Credentials {
    exchange: Exchange,
    cached: Mutex<HashMap<CredentialSource, Credential>>,
}

/// A client for token services.
pub(super) struct Exchange {
    certificates: Option<CertificateBundle>,
    client: OnceCell<Client>,
}

impl Credentials {
    pub(in crate::capability::http) fn new(certificates: Option<CertificateBundle>) -> Self {
        Self { exchange: Exchange::new(certificates), cached: Mutex::default() }
    }

    /// The credentials of a source.
    ///
    /// # Errors
    /// There are none, or their service cannot be reached.
    pub(in crate::capability::http) async fn of(&self, source: &CredentialSource) -> Result<Credential> {
        self.find(source, None).await
    }

    /// Other credentials of a source than those that a service rejected; `None` if there are no others.
    pub(in crate::capability::http) async fn another(
        &self,
        source: &CredentialSource,
        refused: &HeaderValue,
    ) -> Option<Credential> {
        let other = self.find(source, Some(refused)).await.ok()?;
        (other.authorization != *refused).then_some(other)
    }

    async fn find(&self, source: &CredentialSource, refused: Option<&HeaderValue>) -> Result<Credential> {
        // While one request waits for a token, the others wait for the same one.
        let mut cached = self.cached.lock().await;
        let is_good = |known: &&Credential| {
            Some(&known.authorization) != refused
                && known.until.is_none_or(|until| until > Timestamp::now() + ENDS_EARLY)
        };
        if let Some(known) = cached.get(source).filter(is_good) {
            return Ok(known.clone());
        }
        let credential = source.find(&self.exchange, refused).await?;
        if source.is_asked_for() {
            cached.insert(source.clone(), credential.clone());
        }
        Ok(credential)
    }
}

/// The response of a metadata server.
pub(super) struct Nearby {
    pub(super) status: u16,
    pub(super) text: String,
    /// Whether it has Google's header, which other servers at the same address do not send.
    pub(super) is_googles: bool,
}

impl Exchange {
    pub(super) fn new(certificates: Option<CertificateBundle>) -> Self {
        Self { certificates, client: OnceCell::new() }
    }

    /// The status and JSON of a response; null if it is not JSON.
    ///
    /// # Errors
    /// There is no response. The message has nothing of the request.
    pub(super) async fn post(&self, url: &str, body: &Value, bearer: Option<&str>) -> Result<(u16, Value)> {
        let mut request =
            self.client(url).await?.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string());
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        Self::json(url, request).await
    }

    /// The same with a form.
    ///
    /// # Errors
    /// There is no response. The message has nothing of the request.
    pub(super) async fn post_form(&self, url: &str, form: &[(&str, String)]) -> Result<(u16, Value)> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let kind = "application/x-www-form-urlencoded";
        let request = self.client(url).await?.post(url).header(CONTENT_TYPE, kind).body(body);
        Self::json(url, request).await
    }

    /// The status and text of a response.
    ///
    /// # Errors
    /// There is no response. The message has nothing of the request.
    pub(super) async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<(u16, String)> {
        let request = self.client(url).await?.get(url);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let mut answer = request.send().await.map_err(|error| failed(url, &error))?;
        let text = String::from_utf8_lossy(&content(url, &mut answer).await?).into_owned();
        Ok((answer.status().as_u16(), text))
    }

    /// Sends a request to a metadata server, without a proxy.
    ///
    /// # Errors
    /// There is no response in time.
    pub(super) async fn get_nearby(&self, url: &str, within: Duration) -> Result<Nearby> {
        let client =
            builder(None)?.no_proxy().timeout(within).build().map_err(|error| failed(url, &error))?;
        let request = client.get(url).header(FLAVOR, GOOGLE);
        let mut answer = request.send().await.map_err(|error| failed(url, &error))?;
        Ok(Nearby {
            status: answer.status().as_u16(),
            is_googles: answer.headers().get(FLAVOR).is_some_and(|flavor| flavor == GOOGLE),
            text: String::from_utf8_lossy(&content(url, &mut answer).await?).into_owned(),
        })
    }

    async fn client(&self, url: &str) -> Result<&Client> {
        let build = async || builder(self.certificates.as_ref());
        self.client
            .get_or_try_init(async || {
                build().await?.timeout(ANSWERS_WITHIN).build().map_err(|error| failed(url, &error))
            })
            .await
    }

    async fn json(url: &str, request: RequestBuilder) -> Result<(u16, Value)> {
        let mut answer = request.send().await.map_err(|error| failed(url, &error))?;
        let content = content(url, &mut answer).await?;
        Ok((answer.status().as_u16(), serde_json::from_slice(&content).unwrap_or_default()))
    }
}

async fn content(url: &str, answer: &mut Response) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| failed(url, &error))? {
        content.extend_from_slice(&part);
        if content.len() > MAX_ANSWER {
            return Err(Error::failed(format!(
                "the response of {} is too large for credentials",
                place(url)
            )));
        }
    }
    Ok(content)
}

fn failed(url: &str, error: &reqwest::Error) -> Error {
    Error::new(Kind::Unavailable, format!("cannot get credentials from {}", place(url)))
        .hint("check the network, and try again")
        .source(innermost(error))
}

/// A URL without its path.
fn place(url: &str) -> String {
    url.split('/').take(3).collect::<Vec<_>>().join("/")
}

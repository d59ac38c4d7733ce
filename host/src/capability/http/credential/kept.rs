//! Credentials that a service has to be asked for, kept as long as they last.

use std::{collections::HashMap, path::PathBuf, time::Duration};

use jiff::Timestamp;
use reqwest::{
    Client,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::Value;
use tokio::sync::{Mutex, OnceCell};

use super::{Credential, CredentialSource};
use crate::{
    capability::http::{innermost, outgoing::builder},
    error::{Error, Kind, Result},
};

/// What is about to end is no good for a request that takes a while.
const ENDS_EARLY: Duration = Duration::from_secs(5 * 60);
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
/// No answer of a service that gives tokens is longer.
const LONGEST_ANSWER: usize = 1 << 20;

/// The credentials of a process.
pub(in crate::capability::http) struct Credentials {
    exchange: Exchange,
    kept: Mutex<HashMap<CredentialSource, Credential>>,
}

/// Asks the services that give tokens.
pub(super) struct Exchange {
    certificates: Option<PathBuf>,
    client: OnceCell<Client>,
}

impl Credentials {
    pub(in crate::capability::http) fn new(certificates: Option<PathBuf>) -> Self {
        Self { exchange: Exchange { certificates, client: OnceCell::new() }, kept: Mutex::default() }
    }

    /// The credential of a source.
    ///
    /// # Errors
    /// There is none, or its service cannot be asked.
    pub(in crate::capability::http) async fn of(&self, source: &CredentialSource) -> Result<Credential> {
        self.find(source, None).await
    }

    /// Another credential of a source than the one that a service has refused: none where there is no other.
    pub(in crate::capability::http) async fn another(
        &self,
        source: &CredentialSource,
        refused: &HeaderValue,
    ) -> Option<Credential> {
        let other = self.find(source, Some(refused)).await.ok()?;
        (other.authorization != *refused).then_some(other)
    }

    async fn find(&self, source: &CredentialSource, refused: Option<&HeaderValue>) -> Result<Credential> {
        // As long as one request waits for a token, the others need no second one.
        let mut kept = self.kept.lock().await;
        let is_good = |known: &&Credential| {
            Some(&known.authorization) != refused
                && known.until.is_none_or(|until| until > Timestamp::now() + ENDS_EARLY)
        };
        if let Some(known) = kept.get(source).filter(is_good) {
            return Ok(known.clone());
        }
        let credential = source.find(&self.exchange, refused).await?;
        if source.is_asked_for() {
            kept.insert(source.clone(), credential.clone());
        }
        Ok(credential)
    }
}

impl Exchange {
    /// The status and the JSON of an answer; null where it holds none.
    ///
    /// # Errors
    /// There is no answer. Nothing of what was sent is in the message.
    pub(super) async fn post(&self, url: &str, body: &Value, bearer: Option<&str>) -> Result<(u16, Value)> {
        let place = url.split('/').take(3).collect::<Vec<_>>().join("/");
        let failed = |error: reqwest::Error| {
            Error::new(Kind::Unavailable, format!("{place} cannot be asked for a credential"))
                .hint("see whether the network is there, and try again")
                .source(innermost(&error))
        };
        let build = async || builder(self.certificates.as_deref());
        let client = self
            .client
            .get_or_try_init(async || build().await?.timeout(ANSWERS_WITHIN).build().map_err(failed))
            .await?;
        let mut request = client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string());
        if let Some(token) = bearer {
            request = request.bearer_auth(token);
        }
        let mut answer = request.send().await.map_err(failed)?;
        let mut content = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            content.extend_from_slice(&part);
            if content.len() > LONGEST_ANSWER {
                return Err(Error::failed(format!("{place} answers with more than any credential holds")));
            }
        }
        Ok((answer.status().as_u16(), serde_json::from_slice(&content).unwrap_or_default()))
    }
}

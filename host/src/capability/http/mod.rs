//! HTTP: files from the web for the host itself, and the requests of drivers.

mod credential;
mod file;
mod outgoing;
mod patience;

use std::time::Duration;

use reqwest::{Client, Url, redirect::Policy};

pub use credential::CredentialSource;
pub use file::WebFile;
pub use outgoing::{Failure, LONGEST_SILENCE, Outgoing, Route, Sender, Sending};

use crate::{
    capability::certificates,
    environment::CertificateBundle,
    error::{Context, Error, Kind, Result},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Between two pieces of an answer.
const SILENT_FOR: Duration = Duration::from_secs(60);
const MOST_REDIRECTS: usize = 5;

/// The content behind an address, of at most `limit` bytes. Only HTTPS is spoken with other machines, also after a
/// redirect.
///
/// # Errors
/// The address is no such thing, the server does not answer or refuses, or sends too much.
pub async fn get(address: &str, limit: usize) -> Result<Vec<u8>> {
    let no_address = || Error::invalid(format!("`{address}` is no address")).hint("write https://…");
    let url: Url = address.parse().map_err(|_| no_address())?;
    if !is_safe(&url) {
        return Err(Error::invalid(format!(
            "`{address}` is not safe: what it sends could be changed on its way"
        ))
        .hint("use https://"));
    }
    let failed = |error: reqwest::Error| explain(address, &error);
    let mut answer = client()?.get(url).send().await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() {
        let kind = match status.as_u16() {
            401 | 403 => Kind::Denied,
            404 | 410 => Kind::NotFound,
            429 | 500.. => Kind::Unavailable,
            _ => Kind::Failed,
        };
        return Err(
            Error::new(kind, format!("{address} answers {status}")).hint("see that the address is right")
        );
    }
    let mut content = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(failed)? {
        if content.len() + part.len() > limit {
            return Err(Error::failed(format!("{address} sends more than {} MiB", limit >> 20))
                .hint("it is larger than any plugin: see that the address is right"));
        }
        content.extend_from_slice(&part);
    }
    Ok(content)
}

fn client() -> Result<Client> {
    let policy = Policy::custom(|attempt| {
        if attempt.previous().len() > MOST_REDIRECTS {
            return attempt.error("it redirects without an end");
        }
        let is_here = |url: &Url| url.scheme() == "http";
        match attempt.url() {
            url if !is_safe(url) => attempt.error("it redirects to an address without TLS"),
            // A server elsewhere has no business with the programs on this machine.
            url if is_here(url) && !attempt.previous().first().is_some_and(is_here) => {
                attempt.error("it redirects to this machine")
            }
            _ => attempt.follow(),
        }
    });
    let agent = concat!("alekseylearn/", env!("CARGO_PKG_VERSION"));
    let client = Client::builder()
        .user_agent(agent)
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(SILENT_FOR)
        .redirect(policy);
    let client = outgoing::trusting(client, CertificateBundle::of_the_environment().as_ref())?;
    client.build().context(|| "the HTTP client cannot start".to_owned())
}

/// HTTPS, or this very machine.
fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")),
        _ => false,
    }
}

fn explain(address: &str, error: &reqwest::Error) -> Error {
    let cause = innermost(error);
    let hint = match cause.contains("certificate") {
        true => certificates::HINT,
        false => "see whether the network and the address are right, and try again",
    };
    Error::new(Kind::Unavailable, format!("cannot get {address}")).hint(hint).source(cause)
}

/// The innermost cause says it best; the outer ones repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tls_leaves_this_machine() {
        let is = |text: &str| is_safe(&text.parse().unwrap());
        assert!(is("https://example.org/a.wasm"));
        assert!(is("http://127.0.0.1:8000/a.wasm"));
        for address in
            ["http://example.org/a", "http://127.0.0.1.example.org/a", "ftp://example.org/a", "file:///a"]
        {
            assert!(!is(address), "{address}");
        }
    }
}

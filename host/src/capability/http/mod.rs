//! HTTP: the host's own downloads, and the requests of drivers.

mod credential;
mod file;
mod outgoing;
mod retry;

use std::time::Duration;

use reqwest::{Client, Url, redirect::Policy};

pub use credential::CredentialSource;
pub use file::WebFile;
pub use outgoing::{Failure, MAX_SILENCE, Outgoing, Route, Sender, Sending};

use crate::{
    capability::certificates,
    environment::CertificateBundle,
    error::{Context, Error, Kind, Result},
};

const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Maximum pause between two pieces of a response.
const SILENT_FOR: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 5;

/// Downloads at most `limit` bytes. Other machines are only contacted with HTTPS, also after a redirect. A redirect to an
/// address that `is_near` this machine or in the user's own networks must lead to the same server.
///
/// # Errors
/// The address is not valid, the server does not respond or refuses, or the content is too large.
pub async fn get(address: &str, limit: usize, is_near: fn(&Url) -> bool) -> Result<Vec<u8>> {
    let no_address =
        || Error::invalid(format!("`{address}` is not an address")).hint("use an address such as https://…");
    let url: Url = address.parse().map_err(|_| no_address())?;
    if !is_safe(&url) {
        return Err(Error::invalid(format!(
            "`{address}` is not secure: its content could be changed in transit"
        ))
        .hint("use https://"));
    }
    let failed = |error: reqwest::Error| explain(address, &error);
    let mut answer = client(is_near)?.get(url).send().await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() {
        let kind = match status.as_u16() {
            401 | 403 => Kind::Denied,
            404 | 410 => Kind::NotFound,
            429 | 500.. => Kind::Unavailable,
            _ => Kind::Failed,
        };
        return Err(
            Error::new(kind, format!("{address} returned HTTP status {status}")).hint("check the address")
        );
    }
    let mut content = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(failed)? {
        if content.len() + part.len() > limit {
            return Err(Error::failed(format!("{address} is larger than {} MiB", limit >> 20))
                .hint("check the address: no plugin is this large"));
        }
        content.extend_from_slice(&part);
    }
    Ok(content)
}

fn client(is_near: fn(&Url) -> bool) -> Result<Client> {
    let policy = Policy::custom(move |attempt| {
        if attempt.previous().len() > MAX_REDIRECTS {
            return attempt.error("it redirects too many times");
        }
        let server = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
        match attempt.url() {
            url if !is_safe(url) => attempt.error("it redirects to an address without TLS"),
            // A server must not reach other programs on this machine, or other machines near it.
            url if is_near(url) && attempt.previous().first().map(server) != Some(server(url)) => {
                attempt.error("it redirects to another server on this machine or in your own network")
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
    client.build().context(|| "cannot create the HTTP client".to_owned())
}

/// Whether an address uses HTTPS or is on this machine.
fn is_safe(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]")),
        _ => false,
    }
}

fn explain(address: &str, error: &reqwest::Error) -> Error {
    let cause = innermost(error);
    let hint = if cause.contains("certificate") {
        certificates::HINT
    } else {
        "check the network and the address, and try again"
    };
    Error::new(Kind::Unavailable, format!("cannot download {address}")).hint(hint).source(cause)
}

/// The innermost cause, which is the most useful; the outer ones repeat the address.
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
    fn other_machines_are_contacted_only_with_tls() {
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

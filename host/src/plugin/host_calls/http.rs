//! `wasi:http`: the host decides each request, and sends it with the credential of the grant for its origin.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyDataStream, BodyExt, StreamBody};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use url::Url;
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpHooks};

use crate::{
    capability::http::{CredentialSource, Failure, MAX_SILENCE, Outgoing, Route, Sending},
    error::{Error, Kind, Result},
    plugin::{
        policy::{authority::Authority, origin::Origin, verb::Verb},
        sandbox::{bindings::alekseylearn::driver::credentials, state::CallState},
        services::Services,
    },
};

/// The number of requests that one driver call may have open.
const MAX_CONCURRENT: usize = 16;
/// A body of up to this many bytes is kept until the response arrives, so that the request can be retried.
const KEPT_BODY: u64 = 8 << 20;
/// After this time without a response, the user is told.
const SILENT: Duration = Duration::from_secs(15);
/// Shorter waits are shown only with `--verbose`.
const WORTH_A_WORD: Duration = Duration::from_secs(3);

/// Sends the requests of one call.
pub struct Requester {
    authority: Arc<Authority>,
    services: Arc<Services>,
    at_once: Arc<Semaphore>,
    /// The detailed error of the last failed request. The guest gets only a code.
    trouble: Arc<Mutex<Option<Error>>>,
}

/// The standard error code for the guest, and the detailed error for the user.
struct Refusal(wasmtime_wasi_http::Error, Option<Error>);

type Done = Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send>;
type Sent = wasmtime_wasi_http::Result<(Response<WasiBody>, Done)>;

impl Requester {
    pub(in crate::plugin) fn new(authority: Arc<Authority>, services: Arc<Services>) -> Self {
        let at_once = Arc::new(Semaphore::new(MAX_CONCURRENT));
        Self { authority, services, at_once, trouble: Arc::default() }
    }

    /// Adds the host's detailed error to a driver's error, if that came from a failed request.
    pub(in crate::plugin) fn explain(&self, error: Error) -> Error {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take();
        match trouble.filter(|trouble| trouble.kind() == error.kind() && error.hint_text().is_none()) {
            Some(trouble) => {
                let hint = trouble.hint_text().map(str::to_owned).unwrap_or_default();
                error.hint(hint).source(trouble)
            }
            None => error,
        }
    }
}

impl WasiHttpHooks for Requester {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Done,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let permit = self.at_once.clone().try_acquire_owned();
        let (authority, services) = (self.authority.clone(), self.services.clone());
        let trouble = self.trouble.clone();
        Box::new(async move {
            let sent = match permit {
                Ok(permit) => send(&authority, &services, request, options, permit).await,
                Err(_) => Err(Refusal(wasmtime_wasi_http::Error::ConnectionLimitReached, None)),
            };
            let done: Done = Box::new(async { Ok(()) });
            sent.map(|response| (response, done)).map_err(|Refusal(code, error)| {
                *trouble.lock().unwrap_or_else(PoisonError::into_inner) = error;
                code
            })
        })
    }
}

async fn send(
    authority: &Arc<Authority>,
    services: &Services,
    request: Request<WasiBody>,
    options: Option<RequestOptions>,
    permit: OwnedSemaphorePermit,
) -> Result<Response<WasiBody>, Refusal> {
    let options = options.unwrap_or_default();
    let (mut head, body) = request.into_parts();
    let place = format!(
        "{}://{}",
        head.uri.scheme_str().unwrap_or_default(),
        head.uri.authority().map(|place| place.as_str()).unwrap_or_default()
    );
    let origin: Origin =
        place.parse().map_err(|problem: String| denied(Error::new(Kind::Denied, problem)))?;
    let own_credential =
        [header::AUTHORIZATION, header::COOKIE].iter().any(|name| head.headers.contains_key(name));
    let url = origin.page(head.uri.path(), head.uri.query());
    let asked =
        Asked { method: head.method.as_str(), own_credential, disguised: is_disguised(&head.headers, &url) };
    let route = route(authority, &origin, &url, asked).map_err(denied)?;
    // Only the host in the address counts.
    head.headers.remove(header::HOST);
    let outgoing = Outgoing {
        method: head.method.to_string(),
        url,
        body: sending(&head.method, &head.headers, body).await?,
        headers: head.headers,
        route,
        patience: options.first_byte_timeout.unwrap_or(MAX_SILENCE),
        silence: options.between_bytes_timeout.unwrap_or(MAX_SILENCE),
    };
    let waits = |why: &str, wait: Duration| {
        let text = format!("{origin} {why}: retrying in {} s", wait.as_secs());
        if wait >= WORTH_A_WORD { services.say(&text) } else { services.tell(&text) }
    };
    let patience = outgoing.patience.min(MAX_SILENCE);
    let sent = async {
        let sending = services.http.send(outgoing, &waits);
        tokio::pin!(sending);
        match timeout(SILENT, &mut sending).await {
            Ok(answer) => answer,
            Err(_) => {
                services.say(&format!("Waiting for {origin} (timeout: {} s)", patience.as_secs()));
                sending.await
            }
        }
    };
    let answer = sent.await.map_err(|failure| match failure {
        Failure::Refused(address) => {
            let prohibited = authority.decide(Verb::Address { origin: &origin, address }).err();
            Refusal(wasmtime_wasi_http::Error::DestinationIpProhibited, prohibited)
        }
        failure => told(failure),
    })?;
    Ok(answer.map(|content| {
        let content = content.map_ok(move |bytes: Bytes| {
            let _open = &permit;
            http_body::Frame::data(bytes)
        });
        StreamBody::new(content.map_err(|failure| told(failure).0)).boxed_unsync()
    }))
}

/// The parts of a request that decide whether it is allowed.
#[derive(Clone, Copy)]
pub(in crate::plugin) struct Asked<'a> {
    method: &'a str,
    own_credential: bool,
    disguised: bool,
}

impl Asked<'_> {
    /// A read request that the host itself sends for a plugin.
    pub(in crate::plugin) const READ: Self = Self { method: "GET", own_credential: false, disguised: false };
}

/// The header and query names by which frameworks override a request's method.
const OTHER_METHODS: [&str; 6] =
    ["x-http-method-override", "x-http-method", "x-method-override", "x-method", "_method", "$httpmethod"];

/// Whether a request overrides its method.
fn is_disguised(headers: &HeaderMap, url: &Url) -> bool {
    // Servers that pass headers as variables treat a dash and an underscore alike.
    let named = |name: &str| {
        let name = name.trim().to_ascii_lowercase();
        OTHER_METHODS.contains(&name.as_str()) || OTHER_METHODS.contains(&name.replace('_', "-").as_str())
    };
    headers.keys().any(|name| named(name.as_str())) || url.query_pairs().any(|(name, _)| named(&name))
}

/// Decides a request, and returns how to send it.
pub(in crate::plugin) fn route(
    authority: &Arc<Authority>,
    origin: &Origin,
    address: &Url,
    asked: Asked<'_>,
) -> Result<Route> {
    let Asked { method, own_credential, disguised } = asked;
    authority.decide(Verb::Request { origin, address, method, own_credential, disguised })?;
    if let Some(address) = origin.address() {
        authority.decide(Verb::Address { origin, address })?;
    }
    let granted = authority.granted_for(origin, address);
    let judge = {
        let (authority, origin) = (authority.clone(), origin.clone());
        Arc::new(move |address| authority.decide(Verb::Address { origin: &origin, address }).is_ok())
    };
    Ok(Route {
        key: format!("{} {origin}", authority.plugin),
        credential: granted.and_then(|granted| granted.credential.clone()),
        judge,
        direct: origin.is_this_machine(),
    })
}

/// How to send a body. Small ones are read completely first.
async fn sending(method: &Method, headers: &HeaderMap, body: WasiBody) -> Result<Sending, Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let none = [Method::GET, Method::HEAD].contains(method).then_some(0);
    match length.or(none).filter(|length| *length <= KEPT_BODY) {
        Some(_) => {
            let whole = http_body_util::Limited::new(body, KEPT_BODY as usize).collect().await;
            let broken = |_| Refusal(wasmtime_wasi_http::Error::HttpRequestBodySize(None), None);
            Ok(Sending::Whole(whole.map_err(broken)?.to_bytes()))
        }
        None => Ok(Sending::Stream(Box::pin(BodyDataStream::new(body).map_err(Into::into)))),
    }
}

impl credentials::Host for CallState {
    async fn user(&mut self, origin: String) -> Result<Option<String>, Error> {
        match self.credential_for(&origin)? {
            Some(source) => self.services.http.user(&source).await,
            None => Ok(None),
        }
    }

    async fn project(&mut self, origin: String) -> Result<Option<String>, Error> {
        match self.credential_for(&origin)? {
            Some(source) => self.services.http.project(&source).await,
            None => Ok(None),
        }
    }
}

impl CallState {
    fn credential_for(&self, origin: &str) -> Result<Option<CredentialSource>> {
        let origin: Origin = origin.parse().map_err(Error::invalid)?;
        self.allow(Verb::Credential(&origin))?;
        Ok(self.authority.granted.all_requests(&origin).find_map(|granted| granted.credential.clone()))
    }
}

fn denied(error: Error) -> Refusal {
    Refusal(wasmtime_wasi_http::Error::HttpRequestDenied, Some(error))
}

fn told(failure: Failure) -> Refusal {
    use wasmtime_wasi_http::Error as Code;
    match failure {
        Failure::Refused(_) => Refusal(Code::DestinationIpProhibited, None),
        // The token service may be temporarily unavailable too.
        Failure::Credential(error) if error.kind() == Kind::Unavailable => {
            Refusal(Code::ConnectionRefused, Some(error))
        }
        Failure::Credential(error) => denied(error),
        Failure::Unknown(error) => Refusal(Code::DnsError { rcode: None, info_code: None }, Some(error)),
        Failure::Unreachable(error) => Refusal(Code::ConnectionRefused, Some(error)),
        Failure::Untrusted(error) => Refusal(Code::TlsCertificateError, Some(error)),
        Failure::TooSlow(error) => Refusal(Code::HttpResponseTimeout, Some(error)),
        Failure::Broken(error) => Refusal(Code::ConnectionTerminated, Some(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_override_is_detected() {
        let is = |header: Option<&'static str>, query: &str| {
            let header = header.map(|name| {
                let name: http::HeaderName = name.parse().unwrap();
                (name, http::HeaderValue::from_static("DELETE"))
            });
            let url = format!("https://a.example/b?{query}").parse().unwrap();
            is_disguised(&header.into_iter().collect(), &url)
        };
        for header in
            ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override", "X_HTTP_METHOD_OVERRIDE"]
        {
            assert!(is(Some(header), ""), "{header}");
        }
        for query in
            ["_method=DELETE", "a=b&_METHOD=put", "%5Fmethod=DELETE", "x-http-method-override=DELETE"]
        {
            assert!(is(None, query), "{query}");
        }
        assert!(!is(Some("x-goog-api-client"), "method=DELETE&prefix=_method"));
    }
}

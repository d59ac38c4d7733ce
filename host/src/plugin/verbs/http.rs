//! `wasi:http`: each request is decided, and sent by the host with the credential that was granted for its origin.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Request, Response, header};
use http_body_util::{BodyDataStream, BodyExt, StreamBody};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{RequestOptions, WasiBody, WasiHttpHooks};

use crate::{
    capability::http::{Failure, LONGEST_SILENCE, Outgoing},
    error::{Error, Result},
    plugin::{
        authority::{Authority, Verb},
        origin::Origin,
        services::Services,
    },
};

/// Requests that one call of a driver may have open.
const MOST_AT_ONCE: usize = 16;

/// Sends the requests of one call.
pub struct Requester {
    authority: Arc<Authority>,
    services: Arc<Services>,
    at_once: Arc<Semaphore>,
    /// Why the last request that failed did, in more words than the guest was told.
    trouble: Arc<Mutex<Option<Error>>>,
}

/// What a guest is told, which is a code of the standard's; and what its user is.
struct Refusal(wasmtime_wasi_http::Error, Option<Error>);

type Done = Box<dyn Future<Output = wasmtime_wasi_http::Result<()>> + Send>;
type Sent = wasmtime_wasi_http::Result<(Response<WasiBody>, Done)>;

impl Requester {
    pub(in crate::plugin) fn new(authority: Arc<Authority>, services: Arc<Services>) -> Self {
        let at_once = Arc::new(Semaphore::new(MOST_AT_ONCE));
        Self { authority, services, at_once, trouble: Arc::default() }
    }

    /// An error of the driver's that follows from a request: with what the host knows of that.
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
    let (mut head, body) = request.into_parts();
    let place = format!(
        "{}://{}",
        head.uri.scheme_str().unwrap_or_default(),
        head.uri.authority().map(|place| place.as_str()).unwrap_or_default()
    );
    let origin: Origin =
        place.parse().map_err(|problem: String| denied(Error::new(crate::error::Kind::Denied, problem)))?;
    let own_credential =
        [header::AUTHORIZATION, header::COOKIE].iter().any(|name| head.headers.contains_key(name));
    let method = head.method.as_str();
    authority.decide(Verb::Request { origin: &origin, method, own_credential }).map_err(denied)?;
    let prohibited = |address| match authority.decide(Verb::Address { origin: &origin, address }) {
        Ok(()) => None,
        Err(error) => Some(Refusal(wasmtime_wasi_http::Error::DestinationIpProhibited, Some(error))),
    };
    if let Some(refusal) = origin.address().and_then(prohibited) {
        return Err(refusal);
    }
    let granted = authority.granted.requests(&origin).cloned();
    // The name in the address is the only one that counts.
    head.headers.remove(header::HOST);
    let judge = {
        let (authority, origin) = (authority.clone(), origin.clone());
        Arc::new(move |address| authority.decide(Verb::Address { origin: &origin, address }).is_ok())
    };
    let outgoing = Outgoing {
        method: head.method.to_string(),
        url: origin.page(head.uri.path(), head.uri.query()),
        headers: head.headers,
        body: Box::pin(BodyDataStream::new(body).map_err(Into::into)),
        credential: granted.and_then(|granted| granted.credential),
        judge,
        direct: origin.is_this_machine(),
        silence: silence(options),
    };
    let sent = services.http.send(&format!("{} {origin}", authority.plugin), outgoing).await;
    let answer = sent.map_err(|failure| match failure {
        Failure::Refused(address) => {
            prohibited(address).unwrap_or(Refusal(wasmtime_wasi_http::Error::DestinationIpProhibited, None))
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

fn silence(options: Option<RequestOptions>) -> Duration {
    let options = options.unwrap_or_default();
    let wishes = [options.first_byte_timeout, options.between_bytes_timeout];
    wishes.into_iter().flatten().fold(LONGEST_SILENCE, Duration::min)
}

fn denied(error: Error) -> Refusal {
    Refusal(wasmtime_wasi_http::Error::HttpRequestDenied, Some(error))
}

fn told(failure: Failure) -> Refusal {
    use wasmtime_wasi_http::Error as Code;
    match failure {
        Failure::Refused(_) => Refusal(Code::DestinationIpProhibited, None),
        Failure::Credential(error) => denied(error),
        Failure::Unknown(error) => Refusal(Code::DnsError { rcode: None, info_code: None }, Some(error)),
        Failure::Unreachable(error) => Refusal(Code::ConnectionRefused, Some(error)),
        Failure::Untrusted(error) => Refusal(Code::TlsCertificateError, Some(error)),
        Failure::TooSlow(error) => Refusal(Code::HttpResponseTimeout, Some(error)),
        Failure::Broken(error) => Refusal(Code::ConnectionTerminated, Some(error)),
    }
}

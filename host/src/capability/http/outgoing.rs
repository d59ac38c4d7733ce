//! Sends the requests of drivers, with the credentials that the user granted.
//!
//! A name is resolved once, and only addresses that passed the check are connected to, so a second look-up cannot
//! differ. **Through a proxy the name cannot be checked**, because the proxy resolves it. The user has chosen that
//! proxy, as for every other tool; requests to this machine never use it. Redirects are not followed: the driver gets
//! them, and sends a new request.

use std::{
    collections::HashMap,
    error::Error as StdError,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use reqwest::{
    Body, Certificate, Client, ClientBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, HeaderValue},
    redirect::Policy,
};
use tokio::time::{Instant, timeout_at};

use super::{
    CONNECT_WITHIN, CredentialSource,
    credential::{Credential, Credentials},
    innermost,
};
use crate::{
    capability::{certificates, docker::Login, proxy},
    environment::CertificateBundle,
    error::{Context, Error, Kind, Result},
};

/// Maximum time from the end of a request to its response, and between two pieces of the response.
pub const MAX_SILENCE: Duration = Duration::from_secs(120);
/// Maximum time from the first byte sent to the last one read.
pub const MAX_EXCHANGE: Duration = Duration::from_secs(60 * 60);

/// Decides whether an address may be connected to.
pub type Judge = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// The body of a response, as a stream.
pub type Content = BoxStream<'static, Result<Bytes, Failure>>;

/// How an origin may be reached.
#[derive(Clone)]
pub struct Route {
    /// Connections are reused by requests with the same key, which have the same host and judge.
    pub key: String,
    /// The credentials to add.
    pub credential: Option<CredentialSource>,
    /// Decides which addresses the name may resolve to.
    pub judge: Judge,
    /// Whether to connect directly, without a proxy.
    pub direct: bool,
}

/// The body of a request.
pub enum Sending {
    /// The whole body, so that the request can be repeated.
    Whole(Bytes),
    /// A stream.
    Stream(BoxStream<'static, Result<Bytes, Box<dyn StdError + Send + Sync>>>),
}

/// A request to send.
pub struct Outgoing {
    /// The method.
    pub method: String,
    /// The address.
    pub url: Url,
    /// Its headers, without the host's credentials.
    pub headers: HeaderMap<HeaderValue>,
    /// Its body.
    pub body: Sending,
    /// How to reach its origin.
    pub route: Route,
    /// Maximum time until the response begins, at most [`MAX_SILENCE`].
    pub patience: Duration,
    /// Maximum time between two pieces of the response, at most [`MAX_SILENCE`].
    pub silence: Duration,
}

/// Why there is no response, or an incomplete one.
#[derive(Debug)]
pub enum Failure {
    /// The name resolves only to addresses that may not be connected to.
    Refused(IpAddr),
    /// The credentials are missing.
    Credential(Error),
    /// The name cannot be resolved.
    Unknown(Error),
    /// The address cannot be connected to.
    Unreachable(Error),
    /// TLS certificate verification failed.
    Untrusted(Error),
    /// The request timed out.
    TooSlow(Error),
    /// The connection was interrupted, or the response is not HTTP.
    Broken(Error),
}

/// Sends requests, and reuses connections for requests with the same key.
pub struct Sender {
    certificates: Option<CertificateBundle>,
    clients: Mutex<HashMap<String, Client>>,
    pub(super) credentials: Credentials,
}

impl Sender {
    /// Creates the sender without connecting.
    pub fn new(certificates: Option<CertificateBundle>) -> Self {
        let credentials = Credentials::new(certificates.clone());
        Self { certificates, clients: Mutex::default(), credentials }
    }

    /// The user of a source's credentials, if known.
    ///
    /// # Errors
    /// There are no credentials.
    pub async fn user(&self, source: &CredentialSource) -> Result<Option<String>> {
        Ok(self.credentials.of(source).await?.user)
    }

    /// The project of a source's credentials, if known.
    ///
    /// # Errors
    /// There are no credentials.
    pub async fn project(&self, source: &CredentialSource) -> Result<Option<String>> {
        Ok(self.credentials.of(source).await?.project)
    }

    /// A source's credentials as a login for an image registry.
    ///
    /// # Errors
    /// There are no credentials, or they are not a login.
    pub async fn login(&self, source: &CredentialSource) -> Result<Login> {
        self.credentials.of(source).await?.login(source)
    }

    /// Sends a request once, with the headers of its credentials.
    ///
    /// # Errors
    /// There is no response. A response with an error status is not an error.
    pub(super) async fn send_once(
        &self,
        request: Outgoing,
        credential: Option<&Credential>,
    ) -> Result<http::Response<Content>, Failure> {
        let place = request.url.origin().ascii_serialization();
        let client = self.client(&request).map_err(Failure::Unreachable)?;
        let mut headers = request.headers;
        for (name, value) in credential.into_iter().flat_map(Credential::headers) {
            headers.insert(name, value.clone());
        }
        let method = request.method.parse::<reqwest::Method>();
        let method = method
            .context(|| format!("`{}` is not an HTTP method", request.method))
            .map_err(Failure::Broken)?;

        let patience = request.patience.min(MAX_SILENCE);
        let silence = request.silence.min(MAX_SILENCE);
        let end = Instant::now() + MAX_EXCHANGE;
        let sent = Arc::new(Mutex::new(Instant::now()));
        let progress = sent.clone();
        let body = match request.body {
            Sending::Whole(bytes) => Body::from(bytes),
            Sending::Stream(body) => Body::wrap_stream(body.inspect(move |_| {
                *progress.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            })),
        };
        let sending = client.request(method, request.url).headers(headers).body(body).send();
        tokio::pin!(sending);
        let answer = loop {
            // The server may be silent while it receives the body.
            let last = *sent.lock().unwrap_or_else(PoisonError::into_inner);
            let limit = (last + patience + CONNECT_WITHIN).min(end);
            match timeout_at(limit, &mut sending).await {
                Ok(answer) => break answer.map_err(|error| explain(&place, error))?,
                Err(_) if limit < end && *sent.lock().unwrap_or_else(PoisonError::into_inner) > last => {}
                Err(_) => return Err(too_slow(&place)),
            }
        };
        let (head, body) = http::Response::<Body>::from(answer).into_parts();
        let content = pieces(body, place, silence, end).boxed();
        Ok(http::Response::from_parts(head, content))
    }

    fn client(&self, request: &Outgoing) -> Result<Client> {
        let key = &request.route.key;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(key) {
            return Ok(client.clone());
        }
        let client = self.build(request, lookup)?;
        clients.insert(key.clone(), client.clone());
        Ok(client)
    }

    fn build(&self, request: &Outgoing, lookup: Lookup) -> Result<Client> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let checked = Checked { host, judge: request.route.judge.clone(), lookup };
        let mut client = builder(self.certificates.as_ref())?.dns_resolver(Arc::new(checked));
        if request.route.direct {
            client = client.no_proxy();
        }
        client.build().context(|| "cannot create the HTTP client".to_owned())
    }
}

/// The common settings of all clients: no redirects, and trust in the system's certificates and the bundle.
pub(super) fn builder(bundle: Option<&CertificateBundle>) -> Result<ClientBuilder> {
    let client = Client::builder()
        .user_agent(concat!("alekseylearn/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_WITHIN)
        .redirect(Policy::none());
    trusting(client, bundle)
}

/// Adds the system's certificates and a bundle.
pub(super) fn trusting(client: ClientBuilder, bundle: Option<&CertificateBundle>) -> Result<ClientBuilder> {
    let Some(bundle) = bundle else { return Ok(client) };
    let certificates: reqwest::Result<Vec<Certificate>> =
        certificates::read(bundle)?.iter().map(|one| Certificate::from_der(one)).collect();
    Ok(client.tls_certs_merge(certificates.context(|| "cannot use the certificates".to_owned())?))
}

/// The pieces of a response's body, each with its timeout.
fn pieces(
    body: Body,
    place: String,
    silence: Duration,
    end: Instant,
) -> impl Stream<Item = Result<Bytes, Failure>> + Send + 'static {
    let parts = http_body_util::BodyDataStream::new(body).boxed();
    futures_util::stream::try_unfold((parts, place), move |(mut parts, place)| async move {
        let limit = (Instant::now() + silence).min(end);
        match timeout_at(limit, parts.try_next()).await {
            Ok(Ok(part)) => Ok(part.map(|part| (part, (parts, place)))),
            Ok(Err(error)) => Err(explain(&place, error)),
            Err(_) => Err(too_slow(&place)),
        }
    })
}

type Lookup = fn(String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>>;

fn lookup(name: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
}

/// A resolver that returns only addresses that may be connected to. Names other than the request's belong to proxies.
struct Checked {
    host: String,
    judge: Judge,
    lookup: Lookup,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let judge = (name.as_str() == self.host).then(|| self.judge.clone());
        let found = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let found = found.await?;
            let may = |address: &SocketAddr| judge.as_ref().is_none_or(|judge| judge(address.ip()));
            let (good, bad): (Vec<_>, Vec<_>) = found.into_iter().partition(may);
            match bad.first() {
                Some(address) if good.is_empty() => Err(RefusedAddress(address.ip()).into()),
                _ => Ok(Box::new(good.into_iter()) as Addrs),
            }
        })
    }
}

#[derive(Debug)]
struct RefusedAddress(IpAddr);

impl fmt::Display for RefusedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connections to {} are not allowed", self.0)
    }
}

impl StdError for RefusedAddress {}

/// Explains an error, without the address's path and query, which come from the driver.
fn explain(place: &str, error: reqwest::Error) -> Failure {
    let mut cause: &(dyn StdError + 'static) = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
        if let Some(RefusedAddress(address)) = cause.downcast_ref() {
            return Failure::Refused(*address);
        }
    }
    let cause = innermost(&error);
    let failed =
        |message: String, hint: &str| Error::new(Kind::Unavailable, message).hint(hint).source(cause.clone());
    let network = "check the network, and try again";
    if error.is_timeout() {
        too_slow(place)
    } else if error.is_dns() {
        Failure::Unknown(failed(format!("cannot resolve the name of {place}"), network))
    } else if error.is_connect() && cause.contains("certificate") {
        Failure::Untrusted(failed(
            format!("TLS certificate verification failed for {place}"),
            certificates::HINT,
        ))
    } else if error.is_connect() {
        Failure::Unreachable(match proxy::of(place).filter(|_| !place.contains("://127.0.0.1")) {
            Some(proxy) => failed(format!("cannot connect through the proxy {proxy}"), proxy::HINT),
            None => failed(format!("cannot connect to {place}"), network),
        })
    } else {
        Failure::Broken(failed(format!("{place} closed the connection"), "try again"))
    }
}

fn too_slow(place: &str) -> Failure {
    Failure::TooSlow(
        Error::new(
            Kind::Unavailable,
            format!("{place} did not respond within {} seconds", MAX_SILENCE.as_secs()),
        )
        .hint("try again later"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(address: IpAddr) -> bool {
        address.to_string() != "10.0.0.5" && !address.is_loopback()
    }

    /// A substitute for DNS: each name resolves to the addresses that it spells.
    fn spelled(name: String) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        let labels = name.split('.').filter_map(|label| label.replace('-', ".").parse::<IpAddr>().ok());
        let found = labels.map(|address| SocketAddr::new(address, 0)).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn request(url: &str) -> Outgoing {
        Outgoing {
            method: "GET".into(),
            url: url.parse().unwrap(),
            headers: HeaderMap::new(),
            body: Sending::Whole(Bytes::new()),
            route: Route { key: String::new(), credential: None, judge: Arc::new(judge), direct: true },
            patience: MAX_SILENCE,
            silence: MAX_SILENCE,
        }
    }

    #[tokio::test]
    async fn only_allowed_addresses_are_resolved() {
        let host = "10-0-0-5.93-184-216-34.example".to_owned();
        let resolver = Checked { host: host.clone(), judge: Arc::new(judge), lookup: spelled };
        let found: Vec<SocketAddr> = resolver.resolve(host.parse().unwrap()).await.unwrap().collect();
        assert_eq!(found, ["93.184.216.34:0".parse().unwrap()]);
        // The user's proxy may have a private address.
        let proxy = resolver.resolve("10-0-0-5.proxy".parse().unwrap()).await.unwrap();
        assert_eq!(proxy.count(), 1);
    }

    #[tokio::test]
    async fn a_name_with_a_refused_address_is_not_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://127-0-0-1.example:{}/", listener.local_addr().unwrap().port());
        let sender = Sender::new(None);
        let client = sender.build(&request(&url), spelled).unwrap();
        let error = client.get(&url).send().await.unwrap_err();
        let Failure::Refused(address) = explain("http://example", error) else {
            panic!("it was not refused")
        };
        assert_eq!(address.to_string(), "127.0.0.1");
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "nobody came");
    }

    /// Sends the text as the response to one request, then nothing more on the open connection.
    async fn service(text: &'static str) -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            stream.write_all(text.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        });
        format!("http://{address}/secret?secret")
    }

    #[tokio::test]
    async fn a_silent_service_times_out_and_its_path_is_not_shown() {
        let send = async |text| {
            let silence = Duration::from_millis(50);
            let mut request = Outgoing { silence, ..request(&service(text).await) };
            request.route.judge = Arc::new(|_| true);
            let answer = Sender::new(None).send_once(request, None).await?;
            answer.into_body().try_fold(0, async |total, part: Bytes| Ok(total + part.len())).await
        };
        assert_eq!(send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap(), 2);
        let failure = send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await.unwrap_err();
        assert!(matches!(failure, Failure::TooSlow(_)), "{failure:?}");
        let failure = send("no HTTP at all\r\n\r\n").await.unwrap_err();
        assert!(
            matches!(failure, Failure::Broken(_)) && !format!("{failure:?}").contains("secret"),
            "{failure:?}"
        );
    }

    #[test]
    fn unreadable_certificates_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let bundle =
            CertificateBundle { named_by: "SSL_CERT_FILE".into(), path: folder.path().join("none.pem") };
        let error = Sender::new(Some(bundle)).client(&request("https://a.example")).unwrap_err();
        assert!(error.message().contains("certificates in SSL_CERT_FILE"), "{error}");
    }
}

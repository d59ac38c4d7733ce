//! The connection to AWS: trusted certificates, the proxy, and timeouts.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_smithy_http_client::{
    Builder, ConnectorBuilder,
    proxy::ProxyConfig,
    tls::{self, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    connector_metadata::ConnectorMetadata,
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};

use super::failure::causes;
use crate::{
    capability::{certificates, proxy},
    environment::CertificateBundle,
    error::{Context, Error, Kind, Result},
};

/// Timeout for a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Timeout from the start of a request to the start of its response.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Timeout for all attempts of one request together.
const END_WITHIN: Duration = Duration::from_secs(100);

/// Timeouts of small requests that are answered at once.
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .read_timeout(ANSWER_WITHIN)
        .operation_timeout(END_WITHIN)
        .build()
}

/// Timeouts of requests that send or copy gigabytes. The SDK itself ends those that stall.
pub(super) fn timeouts_of_large() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_WITHIN)
        .disable_read_timeout()
        .disable_operation_timeout()
        .build()
}

/// A client that trusts a bundle in addition to the system's certificates.
///
/// # Errors
/// The bundle is not valid.
pub(super) fn client(bundle: Option<&CertificateBundle>) -> Result<SharedHttpClient> {
    let mut trusted = TrustStore::default();
    if let Some(bundle) = bundle {
        let pem = certificates::in_pem(&certificates::read(bundle)?);
        trusted = trusted.with_pem_certificate(pem.into_bytes());
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.context(|| "cannot use the certificates".to_owned())?;
    let inner = Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(tls::Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
        connector.build()
    });
    Ok(SharedHttpClient::new(Explaining(inner)))
}

/// Explains connection errors, and allows retries only for passing ones.
struct Explaining<T>(T);

impl<T> std::fmt::Debug for Explaining<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Explaining")
    }
}

impl HttpClient for Explaining<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Explaining(self.0.http_connector(settings, components)))
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.0.connector_metadata()
    }
}

impl HttpConnector for Explaining<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let address = request.uri().to_owned();
        let sent = self.0.call(request);
        HttpConnectorFuture::new(async move {
            sent.await.map_err(|error| match why(&error, &address) {
                // An error that the user has to fix does not pass, so it is not retried.
                Some(why) => ConnectorError::user(why.into()),
                None => error,
            })
        })
    }
}

/// Why no attempt can reach AWS; `None` if a retry may succeed.
fn why(error: &ConnectorError, address: &str) -> Option<Error> {
    let text = causes(error);
    let cause = text.lines().next_back().unwrap_or_default().to_owned();
    if text.contains("invalid peer certificate") {
        let address: Option<http::Uri> = address.parse().ok();
        let host = address.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let message = format!("TLS certificate verification failed for {host}");
        return Some(Error::new(Kind::Unavailable, message).hint(certificates::HINT).source(cause));
    }
    let proxy = proxy::of(address)?;
    let is_connecting = || {
        let mut chain =
            std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| error.source());
        chain.any(|error| {
            error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
        })
    };
    (text.contains("connect timeout") || is_connecting()).then(|| {
        let hint = match cause.contains("unsupported scheme socks") {
            true => "set HTTPS_PROXY to an HTTP proxy, or add amazonaws.com to NO_PROXY: requests to AWS cannot use SOCKS",
            false => proxy::HINT,
        };
        Error::new(Kind::Unavailable, format!("cannot connect through the proxy {proxy}"))
            .hint(hint)
            .source(cause)
    })
}

//! A build's session: a second connection through which BuildKit requests the secrets that the Dockerfile mounts, and
//! logins for the registries of its images. They are never in the context, a layer, the build's history or its cache.

use std::{collections::BTreeMap, fmt, io, path::Path, sync::Arc};

use bollard::{
    health::{
        HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
        health_check_response::ServingStatus,
        health_server::{Health, HealthServer},
    },
    moby::{
        buildkit::secrets::v1::{
            GetSecretRequest, GetSecretResponse,
            secrets_server::{Secrets as SecretsService, SecretsServer},
        },
        filesync::v1::auth_server::AuthServer,
    },
};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional, duplex},
    net::{TcpStream, UnixStream},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};
use tonic::{Response, Status, transport::Server};

use super::{address::Address, logins::Logins, ssh};

/// Secrets for a build, which it must not keep.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// The secrets, by the names that the Dockerfile mounts.
    pub files: BTreeMap<String, String>,
    /// Texts that are removed from the build's output.
    pub words: Vec<String>,
    /// Whether images may be pulled with the logins that `docker login` stored.
    pub logins: bool,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

/// An open session, which is closed when it is dropped.
pub(super) struct Session {
    /// The ID by which a build refers to it.
    pub(super) id: String,
    server: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Session {
    pub(super) async fn open(address: &Address, secrets: Secrets) -> io::Result<Self> {
        let id = uuid::Uuid::new_v4().to_string();
        let (mut request, connection) =
            http1::handshake(TokioIo::new(dial(address).await?)).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(connection.with_upgrades());
        let ask = Request::post("/session")
            .header("Host", "docker")
            .header("Connection", "Upgrade")
            .header("Upgrade", "h2c")
            .header("X-Docker-Expose-Session-Uuid", &id)
            .header("X-Docker-Expose-Session-Name", "alekseylearn")
            .header("X-Docker-Expose-Session-Grpc-Method", "/moby.buildkit.secrets.v1.Secrets/GetSecret")
            .header("X-Docker-Expose-Session-Grpc-Method", "/moby.filesync.v1.Auth/Credentials")
            .body(Empty::<bytes::Bytes>::new())
            .map_err(io::Error::other)?;
        let answer = request.send_request(ask).await.map_err(io::Error::other)?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(io::Error::other(format!("the engine did not open a session: {}", answer.status())));
        }
        let mut engine = TokioIo::new(hyper::upgrade::on(answer).await.map_err(io::Error::other)?);
        let server = tokio::spawn(async move {
            // The server accepts only streams of known types.
            let (ours, mut theirs) = duplex(1 << 16);
            let routes = Server::builder()
                .add_service(HealthServer::new(Alive))
                .add_optional_service(secrets.logins.then(|| AuthServer::new(Logins)))
                .add_service(SecretsServer::new(Given(Arc::new(secrets))));
            let serving = routes.serve_with_incoming(futures_util::stream::iter([Ok::<_, io::Error>(ours)]));
            // The build itself reports an error of the session.
            let _ = tokio::join!(serving, copy_bidirectional(&mut engine, &mut theirs), connection);
        });
        Ok(Self { id, server })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a connection, which the library does not provide.
async fn dial(address: &Address) -> io::Result<Box<dyn Stream>> {
    let (scheme, place) = address.url.split_once("://").unwrap_or(("unix", &address.url));
    if scheme == "unix" {
        return Ok(Box::new(UnixStream::connect(place).await?));
    }
    if scheme == "ssh" {
        return Ok(Box::new(ssh::open(&address.url).map_err(io::Error::other)?));
    }
    let place = place.trim_end_matches('/');
    let stream = TcpStream::connect(place).await?;
    let Some(folder) = &address.certificates else { return Ok(Box::new(stream)) };
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host).trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    Ok(Box::new(tls(folder).map_err(io::Error::other)?.connect(name, stream).await?))
}

type Anything = Box<dyn std::error::Error + Send + Sync>;

fn tls(folder: &Path) -> Result<TlsConnector, Anything> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(folder.join("ca.pem"))? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    // Not every engine requires a client certificate.
    let config = if certificate.exists() || key.exists() {
        let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
        config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key)?)?
    } else {
        config.with_no_client_auth()
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Serves the secrets by name.
struct Given(Arc<Secrets>);

#[tonic::async_trait]
impl SecretsService for Given {
    async fn get_secret(
        &self,
        request: tonic::Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        match self.0.files.get(&id) {
            Some(data) => Ok(Response::new(GetSecretResponse { data: data.clone().into_bytes() })),
            // BuildKit then skips a mount that is not required.
            None => Err(Status::not_found(format!("no secret {id}"))),
        }
    }
}

/// Answers BuildKit's health checks.
struct Alive;

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream = futures_util::stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(
        &self,
        _: tonic::Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("list"))
    }

    async fn watch(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watch"))
    }
}

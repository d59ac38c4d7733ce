//! A build's session: while BuildKit works, it asks back over a connection of its own, and is given the secrets that the
//! Dockerfile mounts, and logins for the registries of its images. They never lie in the context, a layer, the build's
//! history or its cache.

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

/// What a build is given and must not keep.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// By the names that the Dockerfile mounts them under.
    pub files: BTreeMap<String, String>,
    /// Not shown, whatever a tool in the build prints.
    pub words: Vec<String>,
    /// Images may come with the logins that `docker login` stored.
    pub logins: bool,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

/// An open session, closed with this value.
pub(super) struct Session {
    /// What a build names it by.
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
            return Err(io::Error::other(format!("the engine opens no session: {}", answer.status())));
        }
        let mut engine = TokioIo::new(hyper::upgrade::on(answer).await.map_err(io::Error::other)?);
        let server = tokio::spawn(async move {
            // The server takes only streams of kinds that it knows.
            let (ours, mut theirs) = duplex(1 << 16);
            let routes = Server::builder()
                .add_service(HealthServer::new(Alive))
                .add_optional_service(secrets.logins.then(|| AuthServer::new(Logins)))
                .add_service(SecretsServer::new(Given(Arc::new(secrets))));
            let serving = routes.serve_with_incoming(futures_util::stream::iter([Ok::<_, io::Error>(ours)]));
            // The build itself tells of what ends here.
            let _ = tokio::join!(serving, copy_bidirectional(&mut engine, &mut theirs), connection);
        });
        Ok(Self { id, server })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection of its own: the library hands out none.
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
    // An engine need not want to know who asks.
    let config = match certificate.exists() || key.exists() {
        true => {
            let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key)?)?
        }
        false => config.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Gives each secret by its name.
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
            // A mount that is not required is left away then.
            None => Err(Status::not_found(format!("there is no secret {id}"))),
        }
    }
}

/// BuildKit asks from time to time whether anybody is there.
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

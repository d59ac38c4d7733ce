//! Finds the engine by the rules of Docker's own command line: `DOCKER_HOST`, then `DOCKER_CONTEXT`, then the context
//! that `docker context use` chose, then the default socket, or another one if that is missing.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{
    disk,
    environment::DockerEnvironment,
    error::{Context, Error, Kind, Result},
};

const USUAL: &str = "/var/run/docker.sock";

/// The address of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A URL that starts with `unix://`, `tcp://` or `ssh://`.
    pub(super) url: String,
    /// Where the address comes from, for messages.
    pub(super) origin: String,
    /// A folder with `ca.pem`, and `cert.pem` and `key.pem` if the engine requires a client certificate.
    pub(super) certificates: Option<PathBuf>,
}

/// Chooses the engine.
///
/// # Errors
/// The context is unknown, damaged or not supported.
pub(super) fn choose(docker: &DockerEnvironment) -> Result<Address> {
    if let Some(host) = &docker.host {
        return of_host(host, docker);
    }
    let (name, origin) = match &docker.context {
        Some(name) => (name.clone(), format!("the Docker context {name}, by DOCKER_CONTEXT")),
        None => match current_context(&docker.config)? {
            Some(name) => (name.clone(), format!("the Docker context {name}")),
            None => return Ok(of_socket(docker, Path::exists)),
        },
    };
    if name == "default" {
        return Ok(of_socket(docker, Path::exists));
    }
    of_context(&docker.config, &name, origin)
}

fn of_host(host: &str, docker: &DockerEnvironment) -> Result<Address> {
    let origin = "DOCKER_HOST".to_owned();
    let (scheme, rest) = host.split_once("://").unwrap_or(("tcp", host));
    match scheme {
        "unix" | "ssh" => Ok(Address { url: host.to_owned(), origin, certificates: None }),
        "tcp" | "http" | "https" => {
            let secure = docker.tls_verify || scheme == "https";
            if !secure && docker.tls {
                return Err(unverified("DOCKER_TLS is set without DOCKER_TLS_VERIFY"));
            }
            let folder = docker.certificates.clone().unwrap_or_else(|| docker.config.clone());
            Ok(Address { url: tcp(rest, secure), origin, certificates: secure.then_some(folder) })
        }
        _ => Err(Error::invalid("DOCKER_HOST is not an engine's address")
            .hint("use an address that starts with unix://, tcp:// or ssh://")),
    }
}

/// Adds Docker's default port.
fn tcp(authority: &str, secure: bool) -> String {
    let authority = authority.trim_end_matches('/');
    let authority =
        if authority.starts_with(':') { format!("localhost{authority}") } else { authority.to_owned() };
    let has_port = authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
    match (has_port, secure) {
        (true, _) => format!("tcp://{authority}"),
        (false, true) => format!("tcp://{authority}:2376"),
        (false, false) => format!("tcp://{authority}:2375"),
    }
}

fn unverified(message: &str) -> Error {
    Error::new(Kind::Unsupported, format!("{message}: the engine's identity would not be verified"))
        .hint("set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, with a certificate on the engine")
}

/// Maximum size in bytes.
const MAX_CONFIG_SIZE: u64 = 16 << 20;

/// The context that `docker context use` chose.
fn current_context(config: &Path) -> Result<Option<String>> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "currentContext")]
        current: Option<String>,
    }
    let path = config.join("config.json");
    // Docker also continues without the file.
    let Ok(text) = disk::text(&path, MAX_CONFIG_SIZE) else { return Ok(None) };
    let config: Config = serde_json::from_str(&text)
        .map_err(|error| Error::invalid(format!("{} is not valid JSON", path.display())).source(error))?;
    Ok(config.current.filter(|name| !name.is_empty()))
}

fn of_context(config: &Path, name: &str, origin: String) -> Result<Address> {
    #[derive(Deserialize)]
    struct Meta {
        #[serde(rename = "Endpoints")]
        endpoints: Endpoints,
    }
    #[derive(Deserialize)]
    struct Endpoints {
        docker: Option<Endpoint>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    #[derive(Default)]
    struct Endpoint {
        host: String,
        #[serde(rename = "SkipTLSVerify")]
        skip_tls_verify: bool,
    }
    let id = hex::encode(Sha256::digest(name));
    let path = config.join("contexts/meta").join(&id).join("meta.json");
    let text = disk::text(&path, MAX_CONFIG_SIZE).map_err(|error| {
        Error::new(Kind::NotFound, format!("no Docker context {name}"))
            .hint("run `docker context ls` to list the contexts, or set DOCKER_CONTEXT=default for this machine's engine")
            .source(error)
    })?;
    let meta: Meta = serde_json::from_str(&text).context(|| format!("{} is damaged", path.display()))?;
    let endpoint = meta.endpoints.docker.unwrap_or_default();
    match endpoint.host.split_once("://") {
        Some(("unix" | "ssh", _)) => Ok(Address { url: endpoint.host, origin, certificates: None }),
        Some(("tcp" | "http" | "https", rest)) => {
            let tls = config.join("contexts/tls").join(&id).join("docker");
            let secure = tls.is_dir();
            if endpoint.skip_tls_verify {
                return Err(unverified(&format!("the Docker context {name} skips TLS verification")));
            }
            Ok(Address { url: tcp(rest, secure), origin, certificates: secure.then_some(tls) })
        }
        _ => Err(Error::invalid(format!(
            "the Docker context {name} has the address `{}`, which is not supported",
            endpoint.host
        ))
        .hint("choose another one with `docker context use NAME` or DOCKER_CONTEXT=NAME")),
    }
}

/// The default socket; if it is missing, the first other one that exists.
fn of_socket(docker: &DockerEnvironment, exists: impl Fn(&Path) -> bool) -> Address {
    let usual = (PathBuf::from(USUAL), "the default socket");
    let chosen = std::iter::once(usual.clone()).chain(others(docker)).find(|(path, _)| exists(path));
    let (path, origin) = chosen.unwrap_or(usual);
    Address { url: format!("unix://{}", path.display()), origin: origin.into(), certificates: None }
}

/// Sockets of engines other than the system's, on Linux and macOS.
fn others(docker: &DockerEnvironment) -> Vec<(PathBuf, &'static str)> {
    let mut all = Vec::new();
    let runtime = docker.runtime.as_ref();
    all.extend(runtime.map(|folder| (folder.join("docker.sock"), "the rootless engine's socket")));
    let home = |path: &str| docker.home.join(path);
    all.extend([
        (home(".docker/run/docker.sock"), "Docker Desktop's socket"),
        (home(".docker/desktop/docker.sock"), "Docker Desktop's socket"),
        (home(".orbstack/run/docker.sock"), "OrbStack's socket"),
        (home(".colima/default/docker.sock"), "Colima's socket"),
        (home(".config/colima/default/docker.sock"), "Colima's socket"),
        (home(".rd/docker.sock"), "Rancher Desktop's socket"),
    ]);
    all.extend(runtime.map(|folder| (folder.join("podman/podman.sock"), "Podman's socket")));
    all.extend([
        (home(".local/share/containers/podman/machine/podman.sock"), "Podman's socket"),
        (home(".local/share/containers/podman/machine/qemu/podman.sock"), "Podman's socket"),
        (PathBuf::from("/run/podman/podman.sock"), "Podman's socket"),
    ]);
    all
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn user(config: &Path) -> DockerEnvironment {
        DockerEnvironment {
            config: config.to_owned(),
            home: "/home/a".into(),
            runtime: Some("/run/user/1000".into()),
            ..DockerEnvironment::default()
        }
    }

    /// Writes Docker's files for a context.
    fn context(config: &Path, name: &str, endpoint: &str, tls: bool) {
        let id = hex::encode(Sha256::digest(name));
        let meta = config.join("contexts/meta").join(&id);
        fs::create_dir_all(&meta).unwrap();
        let text =
            format!(r#"{{"Name": "{name}", "Metadata": {{}}, "Endpoints": {{"docker": {endpoint}}}}}"#);
        fs::write(meta.join("meta.json"), text).unwrap();
        if tls {
            fs::create_dir_all(config.join("contexts/tls").join(&id).join("docker")).unwrap();
        }
    }

    #[test]
    fn the_precedence_is_dockers() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path();
        context(config, "far", r#"{"Host": "ssh://me@far"}"#, false);
        context(config, "lab", r#"{"Host": "tcp://lab", "SkipTLSVerify": false}"#, true);
        fs::write(config.join("config.json"), r#"{"auths": {}, "currentContext": "far"}"#).unwrap();
        let mut docker = user(config);
        assert_eq!(choose(&docker).unwrap().url, "ssh://me@far");
        docker.context = Some("lab".into());
        let lab = choose(&docker).unwrap();
        assert_eq!(lab.url, "tcp://lab:2376");
        assert!(lab.certificates.unwrap().ends_with("docker"));
        assert_eq!(lab.origin, "the Docker context lab, by DOCKER_CONTEXT");
        docker.context = Some("default".into());
        assert!(choose(&docker).unwrap().url.starts_with("unix://"));
        docker.host = Some("tcp://10.0.0.1:99".into());
        let host = choose(&docker).unwrap();
        assert_eq!((host.url.as_str(), host.origin.as_str()), ("tcp://10.0.0.1:99", "DOCKER_HOST"));
        assert_eq!(host.certificates, None);
    }

    #[test]
    fn certificates_follow_dockers_variables() {
        let mut docker = user(Path::new("/config"));
        docker.host = Some("tcp://engine".into());
        assert_eq!(choose(&docker).unwrap().url, "tcp://engine:2375");
        docker.tls_verify = true;
        let address = choose(&docker).unwrap();
        assert_eq!(address.url, "tcp://engine:2376");
        assert_eq!(address.certificates.as_deref(), Some(Path::new("/config")));
        docker.certificates = Some("/certs".into());
        assert_eq!(choose(&docker).unwrap().certificates.as_deref(), Some(Path::new("/certs")));
        (docker.tls, docker.tls_verify) = (true, false);
        assert_eq!(choose(&docker).unwrap_err().kind(), Kind::Unsupported);
        for (host, url) in [(":2375", "tcp://localhost:2375"), ("[::1]", "tcp://[::1]:2375")] {
            assert_eq!(tcp(host, false), url);
        }
    }

    #[test]
    fn unusable_addresses_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path();
        context(config, "loose", r#"{"Host": "tcp://lab", "SkipTLSVerify": true}"#, false);
        context(config, "pipe", r#"{"Host": "npipe:////./pipe/docker_engine"}"#, false);
        context(config, "cloud", "null", false);
        for (name, kind) in [
            ("loose", Kind::Unsupported),
            ("pipe", Kind::Invalid),
            ("cloud", Kind::Invalid),
            ("none", Kind::NotFound),
        ] {
            let docker = DockerEnvironment { context: Some(name.into()), ..user(config) };
            let error = choose(&docker).unwrap_err();
            assert_eq!(error.kind(), kind, "{name}");
            assert!(error.hint_text().is_some());
        }
        let docker = DockerEnvironment { host: Some("npipe://x".into()), ..user(config) };
        assert_eq!(choose(&docker).unwrap_err().kind(), Kind::Invalid);
    }

    #[test]
    fn another_socket_is_used_if_the_default_one_is_missing() {
        let docker = user(Path::new("/config"));
        let found =
            |there: &[&str]| of_socket(&docker, |path| there.iter().any(|one| path == Path::new(one))).url;
        let rootless = "/run/user/1000/docker.sock";
        assert_eq!(found(&[rootless, USUAL]), "unix:///var/run/docker.sock");
        assert_eq!(found(&["/home/a/.colima/default/docker.sock", rootless]), format!("unix://{rootless}"));
        assert_eq!(found(&["/run/podman/podman.sock"]), "unix:///run/podman/podman.sock");
        assert_eq!(found(&[]), "unix:///var/run/docker.sock");
    }
}

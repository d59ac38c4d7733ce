//! Reads and checks the certificates that a network needs in addition to the system's, in one place for all clients:
//! some libraries panic if a bundle is not valid.

use base64::prelude::{BASE64_STANDARD, Engine};
use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{
    disk,
    environment::CertificateBundle,
    error::{Error, Result},
};

/// The hint if a certificate is not trusted.
pub const HINT: &str = "set SSL_CERT_FILE to the certificate bundle that your network needs";

/// Maximum size in bytes; the bundles of systems have less than 1 MiB.
const MAX_SIZE: u64 = 16 << 20;

/// A certificate in DER.
pub type Certificate = CertificateDer<'static>;

/// The usable certificates of a bundle.
///
/// # Errors
/// The file cannot be read, or holds no certificate.
pub fn read(bundle: &CertificateBundle) -> Result<Vec<Certificate>> {
    let CertificateBundle { named_by, path } = bundle;
    let failed = || {
        Error::invalid(format!("cannot read the certificates in {named_by}"))
            .hint(format!("set {named_by} to a file with PEM certificates, or unset it"))
    };
    let content = disk::read(path, MAX_SIZE).map_err(|error| failed().source(error))?;
    let found = CertificateDer::pem_slice_iter(&content).map_while(Result::ok);
    // TLS libraries do not understand some certificates in old bundles. OpenSSL skips them too.
    let usable = found.filter(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    let usable: Vec<Certificate> = usable.collect();
    if usable.is_empty() { Err(failed().source("it has no PEM certificate")) } else { Ok(usable) }
}

/// Certificates in PEM.
pub fn in_pem(certificates: &[Certificate]) -> String {
    const WIDTH: usize = 64;
    let one = |certificate: &Certificate| {
        let text = BASE64_STANDARD.encode(certificate);
        let lines: Vec<&str> =
            (0..text.len()).step_by(WIDTH).map(|at| &text[at..text.len().min(at + WIDTH)]).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    certificates.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_bundle_is_named_by_its_variable() {
        let folder = tempfile::tempdir().unwrap();
        let junk = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        for (name, content) in
            [("none", None), ("empty", Some("")), ("text", Some("SECRET")), ("junk", Some(junk))]
        {
            let path = folder.path().join(name);
            if let Some(content) = content {
                std::fs::write(&path, content).unwrap();
            }
            let bundle = CertificateBundle { named_by: "SSL_CERT_FILE".into(), path };
            let error = read(&bundle).unwrap_err();
            assert_eq!(error.message(), "cannot read the certificates in SSL_CERT_FILE", "{name}");
            assert!(error.hint_text().is_some());
        }
    }
}

//! What a server's HTTPS is checked by: the CAs that this system trusts, and those that the person named.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

/// Why a CA cannot be trusted. The person's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The file cannot be read.
    #[error("cannot read the CA certificate {path}: {reason}")]
    File {
        /// As given.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file holds no certificate.
    #[error(
        "{path} holds no certificate: name the latchkey-ca.crt or .pem that the server's install page gives"
    )]
    NoCertificate {
        /// As given.
        path: PathBuf,
    },
}

/// Lets this process trust, beside the system's CAs, those of a file, PEM or DER: for servers that are dialled from now on.
///
/// Fails with [`TrustError`]; nothing more is trusted then.
pub fn trust_also(path: &Path) -> Result<(), TrustError> {
    let bytes = std::fs::read(path)
        .map_err(|error| TrustError::File { path: path.to_owned(), reason: error.to_string() })?;
    let in_pem: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok).collect();
    let found = if in_pem.is_empty() { vec![CertificateDer::from(bytes)] } else { in_pem };
    // One that is no certificate would make every connection fail, without a word about this file.
    let mut roots = rustls::RootCertStore::empty();
    let usable = found.iter().all(|certificate| roots.add(certificate.clone()).is_ok());
    if !usable {
        return Err(TrustError::NoCertificate { path: path.to_owned() });
    }
    let mut extra = EXTRA.lock().unwrap_or_else(PoisonError::into_inner);
    extra.extend(found);
    Ok(())
}

/// Checks certificates as this process trusts.
///
/// Fails when the system has no CAs and none was named.
pub(crate) fn verifier() -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    let extra = EXTRA.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Arc::new(Verifier::new_with_extra_roots(extra, provider())?))
}

/// TLS for HTTPS and WebSockets alike.
///
/// Fails as [`verifier`] does.
pub(crate) fn tls() -> Result<ClientConfig, rustls::Error> {
    tls_checked_by(verifier()?)
}

pub(crate) fn tls_checked_by(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The one cryptography library of this program.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

static EXTRA: Mutex<Vec<CertificateDer<'static>>> = Mutex::new(Vec::new());

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        assert!(matches!(trust_also(&path), Err(TrustError::File { .. })));
        std::fs::write(&path, "not a certificate").unwrap();
        let sentence = trust_also(&path).unwrap_err().to_string();
        assert!(sentence.contains("ca.pem holds no certificate"), "{sentence}");
        assert!(EXTRA.lock().unwrap().is_empty());
    }
}

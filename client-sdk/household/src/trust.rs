//! What a server's HTTPS is checked by: the CAs that this system trusts, and those that the person named.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

/// It holds no certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no certificate in it")]
pub struct NoCertificate;

/// Lets this process trust, beside the system's CAs, those of a file's bytes, PEM or DER: for servers that are dialled from
/// now on.
///
/// Fails with [`NoCertificate`]; nothing more is trusted then.
pub fn trust_also(bytes: &[u8]) -> Result<(), NoCertificate> {
    let in_pem: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(bytes).filter_map(Result::ok).collect();
    let found = if in_pem.is_empty() { vec![CertificateDer::from(bytes.to_vec())] } else { in_pem };
    // One that is no certificate would make every connection fail, without a word about this file.
    let mut roots = rustls::RootCertStore::empty();
    if !found.iter().all(|certificate| roots.add(certificate.clone()).is_ok()) {
        return Err(NoCertificate);
    }
    EXTRA.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
    Ok(())
}

/// Checks certificates as this process trusts.
///
/// Fails when the system has no CAs and none was named.
pub fn verifier() -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    let extra = EXTRA.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Arc::new(Verifier::new_with_extra_roots(extra, provider())?))
}

/// TLS for HTTPS and WebSockets alike.
///
/// Fails as [`verifier`] does.
pub fn tls() -> Result<ClientConfig, rustls::Error> {
    tls_checked_by(verifier()?)
}

/// TLS that this checks.
///
/// Fails when the cryptography library has no usable version of TLS.
pub fn tls_checked_by(verifier: Arc<dyn ServerCertVerifier>) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

/// The one cryptography library of this program.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

static EXTRA: Mutex<Vec<CertificateDer<'static>>> = Mutex::new(Vec::new());

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        for bytes in [b"not a certificate".as_slice(), b""] {
            assert_eq!(trust_also(bytes), Err(NoCertificate));
        }
        assert!(EXTRA.lock().unwrap().is_empty());
    }
}

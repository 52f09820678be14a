//! The relay's DTLS identity: one ECDSA P-256 certificate for all of its peers.

use std::sync::Arc;

use aws_lc_rs::digest;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{RTCCryptoProvider, SignatureScheme};
use rtc_dtls::crypto::CryptoPrivateKey;

use crate::transport::fingerprint::Fingerprint;

/// A certificate with its private key, which is never shown.
#[derive(Clone)]
pub struct Certificate {
    pub(super) inner: rtc_dtls::crypto::Certificate,
    fingerprint: Fingerprint,
}

/// Why a certificate cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Caller: the private key is not PKCS#8 of ECDSA P-256.
    #[error("the private key is not PKCS#8 of ECDSA P-256")]
    Key,
    /// System: a new one could not be made.
    #[error("no new certificate could be made: {0}")]
    Generation(String),
}

impl Certificate {
    /// Makes a fresh self-signed one. Peers compare its fingerprint, so that it needs no name and no authority.
    ///
    /// # Errors
    /// [`CertificateError::Generation`]
    pub fn generate() -> Result<Self, CertificateError> {
        let provider = provider();
        let inner =
            rtc_dtls::crypto::Certificate::generate_self_signed(["latchkey".to_owned()], provider.crypto())
                .map_err(|error| CertificateError::Generation(error.to_string()))?;
        Ok(Self::new(inner))
    }

    /// Takes one that was made before.
    ///
    /// # Errors
    /// [`CertificateError::Key`]
    pub fn from_der(certificate: Vec<u8>, pkcs8: &[u8]) -> Result<Self, CertificateError> {
        let key = provider()
            .crypto()
            .import_signing_key(SignatureScheme::EcdsaP256Sha256, pkcs8)
            .map_err(|_| CertificateError::Key)?;
        let inner = rtc_dtls::crypto::Certificate {
            certificate: vec![certificate.into()],
            private_key: CryptoPrivateKey::from_signing_key(key),
        };
        Ok(Self::new(inner))
    }

    /// What every answer names.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new(inner: rtc_dtls::crypto::Certificate) -> Self {
        let fingerprint = fingerprint(&inner.certificate[0]);
        Self { inner, fingerprint }
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// SHA-256 of a certificate in DER.
pub(super) fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
    Fingerprint(bytes)
}

/// The one crypto back end of the project.
pub(super) fn provider() -> Arc<dyn RTCCryptoProvider> {
    Arc::new(AwsLcRsProvider::new())
}

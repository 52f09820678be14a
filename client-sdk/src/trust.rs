//! CAs in files that the person names, to be trusted beside the system's.

use std::path::{Path, PathBuf};

pub(crate) use latchkey_household::trust::{tls, tls_checked_by, verifier};

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
    latchkey_household::trust::trust_also(&bytes)
        .map_err(|_| TrustError::NoCertificate { path: path.to_owned() })
}

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
    }
}

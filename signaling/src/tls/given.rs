//! A certificate from files: checked when the server starts, read again when they change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use latchkey_relay::port::stopped;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::tls::certificate::{Certificates, Facts, certified, day, is_for};

/// Two files, and what they must be good for.
#[derive(Clone, Debug)]
pub(super) struct Given {
    certificate: PathBuf,
    key: PathBuf,
    /// The name that clients dial, where the operator said it.
    host: Option<String>,
}

/// Why a certificate from files cannot be used. The operator's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GivenError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// As configured.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The certificate file holds none.
    #[error("{path} holds no certificate: name a PEM file that begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate {
        /// As configured.
        path: PathBuf,
    },
    /// The key file holds none that can be used.
    #[error("{path} holds no private key that can be used: name a PEM file with an unencrypted one")]
    NoKey {
        /// As configured.
        path: PathBuf,
    },
    /// Key and certificate are no pair.
    #[error("{key} is not the key of {certificate}: name the key that the certificate was asked for with")]
    WrongKey {
        /// The certificate, as configured.
        certificate: PathBuf,
        /// The key, as configured.
        key: PathBuf,
    },
    /// The certificate's time is over.
    #[error("the certificate {path} expired on {day}: renew it")]
    Expired {
        /// As configured.
        path: PathBuf,
        /// When, in UTC.
        day: String,
    },
    /// The certificate's time has not come, or this machine's clock is wrong.
    #[error("the certificate {path} is good from {day} on only: is the clock of this machine right?")]
    NotYet {
        /// As configured.
        path: PathBuf,
        /// When, in UTC.
        day: String,
    },
    /// The certificate is for other names than the public URL.
    #[error(
        "the certificate {path} is for {names} and not for {host} of the public URL: get one for that name"
    )]
    OtherName {
        /// As configured.
        path: PathBuf,
        /// What it is for.
        names: String,
        /// What the public URL says.
        host: String,
    },
}

impl Given {
    pub(super) fn new(certificate: &Path, key: &Path, host: Option<String>) -> Self {
        Self { certificate: certificate.to_owned(), key: key.to_owned(), host }
    }

    /// Reads and checks both files.
    pub(super) fn read(&self, now: SystemTime) -> Result<(CertifiedKey, Facts), GivenError> {
        let path = || self.certificate.clone();
        let no_certificate = |_| GivenError::NoCertificate { path: path() };
        let text = self.file(&self.certificate)?;
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&text)
            .collect::<Result<_, pem::Error>>()
            .map_err(no_certificate)?;
        let leaf = chain.first().ok_or_else(|| GivenError::NoCertificate { path: path() })?.clone();
        let facts = Facts::of(&leaf).ok_or_else(|| GivenError::NoCertificate { path: path() })?;
        let text = zeroize::Zeroizing::new(self.file(&self.key)?);
        let no_key = || GivenError::NoKey { path: self.key.clone() };
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| no_key())?;
        let certified = certified(chain, key).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                GivenError::WrongKey { certificate: path(), key: self.key.clone() }
            }
            _ => no_key(),
        })?;
        if facts.left(now).is_zero() {
            return Err(GivenError::Expired { path: path(), day: day(facts.not_after) });
        }
        if facts.not_before > now {
            return Err(GivenError::NotYet { path: path(), day: day(facts.not_before) });
        }
        match &self.host {
            Some(host) if !is_for(&leaf, host) => {
                Err(GivenError::OtherName { path: path(), names: facts.names(), host: host.clone() })
            }
            _ => Ok((certified, facts)),
        }
    }

    /// Looks every two seconds whether the files changed, until `stop`. What cannot be used is told once, and the old
    /// certificate stays.
    pub(super) async fn follow(
        self,
        certificates: Arc<Certificates>,
        mut facts: Facts,
        stop: watch::Receiver<bool>,
    ) {
        let until = stopped(stop);
        tokio::pin!(until);
        let mut seen = self.stamp();
        let (mut told, mut warned) = (None, None);
        loop {
            tokio::select! { () = &mut until => return, () = sleep(LOOK_AGAIN) => {} }
            let stamp = self.stamp();
            let now = SystemTime::now();
            if stamp != seen || told.is_some() {
                match self.read(now) {
                    Ok((certified, new)) => {
                        certificates.replace(certified);
                        tracing::info!(names = %new.names(), until = %day(new.not_after), "took the changed certificate");
                        (facts, told, warned) = (new, None, None);
                    }
                    Err(error) => {
                        let sentence = error.to_string();
                        if told.as_ref() != Some(&sentence) {
                            tracing::error!("{sentence}; the certificate read before stays in use");
                        }
                        told = Some(sentence);
                    }
                }
                seen = stamp;
            }
            let left = facts.left(now);
            if left < NEAR_END && warned.as_ref() != Some(&day(now)) {
                tracing::warn!(until = %day(facts.not_after), "the certificate ends soon: renew it and put it in place");
                warned = Some(day(now));
            }
        }
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, GivenError> {
        fs::read(path).map_err(|source| GivenError::File { path: path.to_owned(), source })
    }

    fn stamp(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let data = fs::metadata(path).ok()?;
            Some((data.modified().ok()?, data.len()))
        })
    }
}

const LOOK_AGAIN: Duration = Duration::from_secs(2);
const NEAR_END: Duration = Duration::from_secs(14 * 24 * 3600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    struct Files {
        folder: tempfile::TempDir,
    }

    impl Files {
        fn new(change: impl FnOnce(&mut CertificateParams)) -> Self {
            let files = Self { folder: tempfile::tempdir().unwrap() };
            let mut params = CertificateParams::new(["cam.example.org".to_owned()]).unwrap();
            change(&mut params);
            let key = KeyPair::generate().unwrap();
            fs::write(files.path("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
            fs::write(files.path("key.pem"), key.serialize_pem()).unwrap();
            files
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn read(&self, host: Option<&str>) -> Result<(CertifiedKey, Facts), GivenError> {
            let given = Given::new(&self.path("cert.pem"), &self.path("key.pem"), host.map(str::to_owned));
            given.read(SystemTime::now())
        }
    }

    #[test]
    fn a_pair_is_taken_and_its_names_are_known() {
        let (_, facts) = Files::new(|_| {}).read(Some("cam.example.org")).unwrap();
        assert_eq!(facts.dns, ["cam.example.org"]);
    }

    #[test]
    fn each_fault_is_named() {
        let day = |days: i64| time::OffsetDateTime::now_utc() + time::Duration::days(days);
        let expired = Files::new(|params| params.not_after = day(-1)).read(None);
        assert!(matches!(&expired, Err(GivenError::Expired { .. })), "{expired:?}");
        let early = Files::new(|params| params.not_before = day(2)).read(None);
        assert!(matches!(&early, Err(GivenError::NotYet { .. })), "{early:?}");
        let other = Files::new(|_| {}).read(Some("door.example.org")).unwrap_err().to_string();
        assert!(other.contains("is for cam.example.org and not for door.example.org"), "{other}");

        let files = Files::new(|_| {});
        fs::write(files.path("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(matches!(files.read(None), Err(GivenError::WrongKey { .. })));
        fs::write(files.path("key.pem"), "no key").unwrap();
        assert!(matches!(files.read(None), Err(GivenError::NoKey { .. })));
        fs::write(files.path("cert.pem"), "no certificate").unwrap();
        assert!(matches!(files.read(None), Err(GivenError::NoCertificate { .. })));
        fs::remove_file(files.path("cert.pem")).unwrap();
        assert!(matches!(files.read(None), Err(GivenError::File { .. })));
    }
}

//! The household CA: made once, bound to names of home networks, and the short certificates it issues to this server.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use latchkey_relay::port::stopped;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::tls::certificate::{Certificates, Facts, certified, day};
use crate::tls::machine::{Names, host_name};
use crate::tls::private_file::{self, PrivateFileError};

/// The CA with its key.
pub(super) struct LocalCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    more: Vec<String>,
}

/// What everybody may know of the CA.
#[derive(Clone, Debug)]
pub(super) struct CaCertificate {
    pub(super) der: CertificateDer<'static>,
    /// Its name, as devices show it.
    pub(super) name: String,
}

/// Why there is no household CA.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalCaError {
    /// Its files cannot be used.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// One of the two files is missing or holds something else.
    #[error(
        "{path} is no household CA of this server: restore it, or delete {folder} and a new one is made, which every device must trust anew"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// Its time is over.
    #[error(
        "the household CA expired on {day}: delete {folder} and a new one is made, which every device must trust anew"
    )]
    Expired {
        /// When, in UTC.
        day: String,
        /// The folder of its files.
        folder: PathBuf,
    },
    /// The operator asked for a name that this CA does not vouch for.
    #[error(
        "tls_names has {0:?}, which is no name or address of a home network: the household CA vouches for those alone. Use --acme or --tls-cert for it"
    )]
    NotOfAHome(String),
    /// The cryptography library refused.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// TLS refused what was made.
    #[error("cannot use the certificate just made: {0}")]
    Use(#[from] rustls::Error),
}

impl LocalCa {
    /// Reads the CA of the folder, or makes one. `more` are further names for its certificates.
    pub(super) fn load_or_make(
        folder: &Path,
        more: &[String],
        now: SystemTime,
    ) -> Result<Self, LocalCaError> {
        if let Some(strange) = more.iter().find(|name| !is_of_a_home(name)) {
            return Err(LocalCaError::NotOfAHome(strange.clone()));
        }
        let folder = folder.join(FOLDER);
        let (key_path, cert_path) = (folder.join("ca.key"), folder.join("ca.crt"));
        let malformed =
            |path: &Path| LocalCaError::Malformed { path: path.to_owned(), folder: folder.clone() };
        let (key, pem) = match private_file::read(&key_path)? {
            Some(key) => {
                let pem = fs::read_to_string(&cert_path).map_err(|_| malformed(&cert_path))?;
                (KeyPair::from_pem(&key).map_err(|_| malformed(&key_path))?, pem)
            }
            None if cert_path.exists() => return Err(malformed(&key_path)),
            None => {
                let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
                let pem = ca_params(now).self_signed(&key)?.pem();
                private_file::write(&key_path, &Zeroizing::new(key.serialize_pem()))?;
                private_file::write(&cert_path, &pem)?;
                tracing::info!(folder = %folder.display(), "made a household CA: guard its key as you would a house key");
                (key, pem)
            }
        };
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| malformed(&cert_path))?;
        let facts = Facts::of(&certificate).ok_or_else(|| malformed(&cert_path))?;
        if facts.left(now).is_zero() {
            return Err(LocalCaError::Expired { day: day(facts.not_after), folder });
        }
        let key_der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        // Certificate and key must be a pair, or every device would refuse what they sign.
        certified(vec![certificate.clone()], key_der).map_err(|_| malformed(&key_path))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| malformed(&cert_path))?;
        Ok(Self { issuer, certificate, more: more.to_vec() })
    }

    /// What devices have to trust.
    pub(super) fn certificate(&self) -> CaCertificate {
        let parsed = x509_parser::parse_x509_certificate(&self.certificate).ok();
        let name = parsed.and_then(|(_, parsed)| {
            Some(parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned())
        });
        CaCertificate { der: self.certificate.clone(), name: name.unwrap_or_else(|| NAME.to_owned()) }
    }

    /// A certificate for these names, with a key of its own that rests nowhere.
    fn issue(&self, names: &Names, now: SystemTime) -> Result<(CertifiedKey, Facts), LocalCaError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let leaf = leaf_params(names, now)?.signed_by(&key, &self.issuer)?.der().clone();
        let facts = Facts::of(&leaf).ok_or(rcgen::Error::CouldNotParseCertificate)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((certified(vec![leaf, self.certificate.clone()], key)?, facts))
    }
}

/// Keeps a fresh certificate for the names of this machine.
pub(super) struct Keeper {
    ca: LocalCa,
    certificates: Arc<Certificates>,
    names: Names,
    facts: Facts,
}

impl Keeper {
    /// Issues the first certificate.
    pub(super) fn start(
        ca: LocalCa,
        certificates: Arc<Certificates>,
        now: SystemTime,
    ) -> Result<Self, LocalCaError> {
        let names = Names::now(&ca.more);
        let (certified, facts) = ca.issue(&names, now)?;
        certificates.replace(certified);
        Ok(Self { ca, certificates, names, facts })
    }

    /// Looks again every quarter of a minute, as the relay does for its own addresses.
    pub(super) async fn follow(mut self, stop: watch::Receiver<bool>) {
        let until = stopped(stop);
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = &mut until => return,
                () = sleep(LOOK_AGAIN) => self.look(Names::now(&self.ca.more), SystemTime::now()),
            }
        }
    }

    /// Issues anew when the names changed or the certificate nears its end.
    fn look(&mut self, names: Names, now: SystemTime) {
        if names == self.names && self.facts.left(now) > RENEW_BEFORE {
            return;
        }
        match self.ca.issue(&names, now) {
            Ok((certified, facts)) => {
                self.certificates.replace(certified);
                tracing::info!(names = %facts.names(), until = %day(facts.not_after), "issued a new certificate");
                (self.names, self.facts) = (names, facts);
            }
            Err(error) => tracing::error!(%error, "the old certificate stays in use"),
        }
    }
}

impl CaCertificate {
    /// SHA-256 over the certificate, in pairs of hexadecimal digits, as devices show it.
    pub(super) fn fingerprint(&self) -> String {
        let pairs: Vec<String> = Sha256::digest(&self.der).iter().map(|byte| format!("{byte:02X}")).collect();
        pairs.join(":")
    }
}

fn is_of_a_home(name: &str) -> bool {
    use crate::addresses::{is_home_address, is_home_name};
    match name.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => is_home_address(address),
        Err(_) => is_home_name(&name.to_ascii_lowercase()),
    }
}

/// What the CA may vouch for is written into it: a stolen key makes no certificate for a bank.
fn ca_params(now: SystemTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    let host = host_name();
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "Latchkey");
    name.push(DnType::CommonName, host.as_ref().map_or(NAME.to_owned(), |host| format!("{NAME} on {host}")));
    params.distinguished_name = name;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // No programs, no mail.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let own = host.iter().filter(|host| is_of_a_home(host)).map(String::as_str);
    let dns = HOME_NAMES.into_iter().chain(own).map(|name| GeneralSubtree::DnsName(name.to_owned()));
    let networks = HOME_NETWORKS
        .into_iter()
        .map(|(address, prefix)| GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, prefix)));
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: dns.chain(networks).collect(),
        excluded_subtrees: vec![],
    });
    (params.not_before, params.not_after) = validity(now, CA_LIFE);
    params
}

fn leaf_params(names: &Names, now: SystemTime) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::default();
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "latchkey-server");
    params.distinguished_name = name;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    for name in &names.dns {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.extend(names.addresses.iter().copied().map(SanType::IpAddress));
    (params.not_before, params.not_after) = validity(now, LEAF_LIFE);
    Ok(params)
}

/// From a little earlier on: clocks at home differ.
fn validity(now: SystemTime, life: Duration) -> (OffsetDateTime, OffsetDateTime) {
    (OffsetDateTime::from(now - CLOCKS_APART), OffsetDateTime::from(now + life))
}

const FOLDER: &str = "household-ca";
const NAME: &str = "Latchkey household CA";
/// RFC 6762, RFC 8375, and what routers use; names without a dot cannot be named as a whole.
const HOME_NAMES: [&str; 5] = ["localhost", "local", "lan", "internal", "home.arpa"];
/// RFC 1918, RFC 3927, RFC 4193, RFC 4291 and loopback.
const HOME_NETWORKS: [(IpAddr, u8); 8] = [
    (v4(127, 0), 8),
    (v4(10, 0), 8),
    (v4(172, 16), 12),
    (v4(192, 168), 16),
    (v4(169, 254), 16),
    (v6(0, 1), 128),
    (v6(0xfc00, 0), 7),
    (v6(0xfe80, 0), 10),
];
const DAY: u64 = 24 * 3600;
const CA_LIFE: Duration = Duration::from_secs(3650 * DAY);
/// Browsers take at most 398 days from public CAs and Apple 825 from others; short is better where it costs nothing.
const LEAF_LIFE: Duration = Duration::from_secs(30 * DAY);
const RENEW_BEFORE: Duration = Duration::from_secs(10 * DAY);
const CLOCKS_APART: Duration = Duration::from_secs(DAY);
const LOOK_AGAIN: Duration = Duration::from_secs(15);

const fn v4(a: u8, b: u8) -> IpAddr {
    IpAddr::V4(std::net::Ipv4Addr::new(a, b, 0, 0))
}

const fn v6(first: u16, last: u16) -> IpAddr {
    IpAddr::V6(std::net::Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last))
}

#[cfg(test)]
mod tests;

//! HTTPS: where the certificate comes from, who keeps it fresh, and how connections are opened with it.
//!
//! ```text
//! given     two files ──────────┐
//! acme      a public CA ────────┼─▶ certificate ─▶ handshake ─▶ the public routes
//! local_ca  the household's CA ─┘        └──────────────────▶ install (the page that helps devices trust it)
//! ```

mod acme;
pub(crate) mod certificate;
mod given;
pub(crate) mod handshake;
pub(crate) mod install;
mod local_ca;
mod machine;
mod private_file;
pub(crate) mod reach;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::given::GivenError;
pub use self::local_ca::LocalCaError;
pub use self::private_file::PrivateFileError;

use crate::addresses::host_of_url;
use crate::config::{ServerConfig, Tls};
use crate::tls::acme::Acme;
use crate::tls::certificate::{Certificates, Facts, day};
use crate::tls::given::Given;
use crate::tls::handshake::Doorman;
use crate::tls::install::InstallPage;
use crate::tls::local_ca::{CaCertificate, Keeper, LocalCa};
use crate::tls::reach::Trust;

/// Why HTTPS cannot be served. The operator's fault, mostly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate of `tls_cert`.
    #[error(transparent)]
    Given(#[from] GivenError),
    /// The household CA.
    #[error(transparent)]
    LocalCa(#[from] LocalCaError),
    /// The certificate kept from an ACME CA.
    #[error(transparent)]
    Kept(#[from] PrivateFileError),
    /// The TLS library refused its settings.
    #[error("cannot set up TLS: {0}")]
    Library(#[from] rustls::Error),
}

/// HTTPS, ready to be served.
pub(crate) struct Https {
    certificates: Arc<Certificates>,
    source: Source,
}

enum Source {
    Given(Given, Facts),
    Acme(Acme, Option<Facts>),
    LocalCa(Box<Keeper>, CaCertificate),
}

impl Https {
    /// What the configuration asks for; `None` for plain HTTP.
    pub(crate) fn prepare(config: &ServerConfig) -> Result<Option<Self>, TlsError> {
        let now = SystemTime::now();
        let certificates = Arc::new(Certificates::default());
        let given = !config.tls_cert.as_os_str().is_empty();
        let source = match config.tls {
            Tls::Off => return Ok(None),
            Tls::LocalCa => {
                let ca = LocalCa::load_or_make(&config.data_dir, &config.tls_names, now)?;
                let certificate = ca.certificate();
                let keeper = Keeper::start(ca, Arc::clone(&certificates), now)?;
                Source::LocalCa(Box::new(keeper), certificate)
            }
            Tls::Auto if given => {
                let host = host_of_url(&config.public_url).map(str::to_owned);
                let given = Given::new(&config.tls_cert, &config.tls_key, host);
                let (certified, facts) = given.read(now)?;
                tracing::info!(names = %facts.names(), until = %day(facts.not_after), "serving the given certificate");
                certificates.replace(certified);
                Source::Given(given, facts)
            }
            Tls::Auto if !config.acme.is_empty() => {
                let acme = acme(config);
                let kept = acme.kept(now)?;
                let facts = kept.map(|(certified, facts)| {
                    certificates.replace(certified);
                    facts
                });
                Source::Acme(acme, facts)
            }
            Tls::Auto => return Ok(None),
        };
        Ok(Some(Self { certificates, source }))
    }

    /// Opens connections to `routes`.
    pub(crate) fn doorman(&self, routes: &Router) -> Result<Doorman, TlsError> {
        let strict = !matches!(self.source, Source::LocalCa(..));
        let acme = matches!(self.source, Source::Acme(..));
        Ok(Doorman::new(Arc::clone(&self.certificates), routes, strict, acme)?)
    }

    /// The base URL that clients of this machine dial, when `address` is the port really taken.
    pub(crate) fn url(&self, config: &ServerConfig, address: SocketAddr) -> String {
        if !config.public_url.is_empty() {
            return config.public_url.trim_end_matches('/').to_owned();
        }
        match &self.source {
            Source::Acme(..) => self.name().unwrap_or_default(),
            Source::Given(_, facts) => {
                let name = facts.dns.iter().find(|name| !name.starts_with('*'));
                match (name, facts.addresses.first()) {
                    (Some(name), _) => with_port(name, address.port()),
                    (None, Some(ip)) => format!("https://{}", SocketAddr::new(*ip, address.port())),
                    (None, None) => format!("https://{address}"),
                }
            }
            Source::LocalCa(..) => format!("https://{address}"),
        }
    }

    /// The URL that the certificate makes this server's own.
    pub(crate) fn name(&self) -> Option<String> {
        match &self.source {
            Source::Acme(acme, _) => acme.domains.first().map(|domain| format!("https://{domain}")),
            _ => None,
        }
    }

    /// Who trusts the certificate.
    pub(crate) fn trust(&self) -> Trust {
        match self.source {
            Source::LocalCa(..) => Trust::Household,
            Source::Given(..) => Trust::Given,
            Source::Acme(..) => Trust::Public,
        }
    }

    /// The page that helps devices trust the household CA, where there is one.
    pub(crate) fn install_page(&self) -> Option<InstallPage> {
        match &self.source {
            Source::LocalCa(_, certificate) => Some(InstallPage::new(certificate.clone())),
            _ => None,
        }
    }

    /// Keeps the certificate fresh until `stop`.
    pub(crate) fn follow(self, tasks: &mut JoinSet<()>, stop: watch::Receiver<bool>) {
        let certificates = self.certificates;
        match self.source {
            Source::Given(given, facts) => tasks.spawn(given.follow(certificates, facts, stop)),
            Source::Acme(acme, facts) => tasks.spawn(acme.follow(certificates, facts, stop)),
            Source::LocalCa(keeper, _) => tasks.spawn(keeper.follow(stop)),
        };
    }
}

fn acme(config: &ServerConfig) -> Acme {
    Acme {
        domains: config.acme.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        email: config.acme_email.clone(),
        directory: config.acme_directory.clone(),
        root: (!config.acme_ca.as_os_str().is_empty()).then(|| config.acme_ca.clone()),
        folder: config.data_dir.clone(),
    }
}

fn with_port(host: &str, port: u16) -> String {
    if port == 443 { format!("https://{host}") } else { format!("https://{host}:{port}") }
}

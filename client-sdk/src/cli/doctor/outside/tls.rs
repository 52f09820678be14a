//! The certificate: whether a device that dials the server believes it, why not, and until when.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use latchkey_household::clock::unix_seconds;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use x509_parser::parse_x509_certificate;

use crate::cli::doctor::outside::Target;
use crate::cli::doctor::outside::shown::{Check, Shown};
use crate::trust;

/// Shakes hands as a client does. Returns whether the certificate is believed.
pub(super) async fn look(
    shown: &mut Shown,
    target: &Target,
    addresses: &[SocketAddr],
    patience: Duration,
) -> bool {
    let began = Instant::now();
    shown.doing("checking the certificate ...");
    let seen = Arc::new(Seen::default());
    let shaken = timeout(patience, shake(target, addresses, &seen)).await;
    let facts = seen.facts();
    match shaken {
        Ok(Ok(())) => {
            let about = facts.as_ref().map(Facts::sentence).unwrap_or_default();
            shown.open(Check::Tls, began.elapsed(), &about);
            if facts.is_some_and(|facts| facts.days_left() < NEAR_END) {
                shown.note("the certificate ends soon: see in the server's log why it is not renewed");
            }
            return true;
        }
        Ok(Err(Refused(reason, advice))) => {
            let reason = match &facts {
                Some(facts) => format!("{reason} ({})", facts.sentence()),
                None => reason,
            };
            shown.shut(Check::Tls, began.elapsed(), &reason, Some(advice));
        }
        Err(_) => shown.shut(Check::Tls, began.elapsed(), "no reply in time", Some(NO_TLS)),
    }
    false
}

/// Why there is no TLS, and what to do.
struct Refused(String, &'static str);

async fn shake(target: &Target, addresses: &[SocketAddr], seen: &Arc<Seen>) -> Result<(), Refused> {
    let own_fault = |error: &dyn std::fmt::Display| Refused(error.to_string(), "name a CA with --ca FILE");
    let inner = trust::verifier().map_err(|error| own_fault(&error))?;
    let witness = Arc::new(Witness { inner, seen: Arc::clone(seen) });
    let config = trust::tls_checked_by(witness).map_err(|error| own_fault(&error))?;
    let name = ServerName::try_from(target.host.clone()).map_err(|error| own_fault(&error))?;
    let no_tls =
        |error: &std::io::Error| match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(error) => refusal(error),
            None => Refused("the port does not speak TLS".to_owned(), NO_TLS),
        };
    let stream = TcpStream::connect(addresses).await.map_err(|error| no_tls(&error))?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| no_tls(&error))?;
    Ok(())
}

fn refusal(error: &Error) -> Refused {
    let (reason, advice) = match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            ("the certificate has expired", "renew it; with --acme see in the server's log why it was not")
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => ("the certificate is not good yet", "set the clocks of this machine and of the server"),
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => (
            "nobody whom this machine trusts vouches for the certificate",
            "send the whole chain (fullchain.pem) with --tls-cert; for a household CA add --ca latchkey-ca.crt here",
        ),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            ("the certificate is for another name", "dial the name that it is for, or get one for this name")
        }
        Error::InvalidCertificate(other) => {
            return Refused(format!("the certificate is not believed: {other}"), "get another certificate");
        }
        Error::AlertReceived(_) => (
            "the server has no certificate to show yet",
            "wait for --acme to get one; the server's log says why not",
        ),
        _ => ("the port does not speak TLS", NO_TLS),
    };
    Refused(reason.to_owned(), advice)
}

/// The certificate that was shown, whether it was believed or not.
#[derive(Debug, Default)]
struct Seen(Mutex<Option<CertificateDer<'static>>>);

impl Seen {
    fn facts(&self) -> Option<Facts> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, parsed) = parse_x509_certificate(shown.as_ref()?).ok()?;
        Some(Facts {
            issuer: parsed.issuer().to_string(),
            not_after: parsed.validity().not_after.timestamp(),
        })
    }
}

struct Facts {
    issuer: String,
    not_after: i64,
}

impl Facts {
    fn days_left(&self) -> i64 {
        let now = i64::try_from(unix_seconds()).unwrap_or(i64::MAX);
        (self.not_after - now).div_euclid(24 * 3600)
    }

    fn sentence(&self) -> String {
        let days = self.days_left();
        let time =
            if days < 0 { format!("ended {} days ago", -days) } else { format!("good for {days} days more") };
        format!("issued by {}, {time}", self.issuer)
    }
}

/// Passes every question on to the true verifier, and remembers what was shown.
#[derive(Debug)]
struct Witness {
    inner: Arc<dyn ServerCertVerifier>,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.clone().into_owned());
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

const NO_TLS: &str =
    "start the server with --acme, --tls-cert or --tls local-ca, or lead this port to its HTTPS port";
/// Days.
const NEAR_END: i64 = 14;

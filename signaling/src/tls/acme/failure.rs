//! Why a CA gave no certificate, in words that say what to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use instant_acme::{Error, Problem};

use crate::tls::private_file::PrivateFileError;

/// Why there is no certificate this time.
#[derive(Debug)]
pub(super) enum AcmeFailure {
    /// The CA looked at a domain and did not find the proof.
    Refused { domain: String, problem: Box<Problem> },
    /// The CA refused without a reason.
    Silent,
    /// The CA does not offer the one proof that this server can give.
    NoTlsAlpn,
    /// The CA cannot be reached, or refused a request.
    Asking(Error),
    /// A file of ours.
    File(PrivateFileError),
    /// The kept account cannot be read.
    Account(PathBuf),
    /// What was made or given cannot be used.
    Unusable,
}

impl AcmeFailure {
    /// How long to leave the CA alone at least.
    pub(super) fn rest(&self) -> Duration {
        match self.kind() {
            Some("rateLimited") => Duration::from_secs(3600),
            _ => Duration::ZERO,
        }
    }

    fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            Self::Asking(Error::Api(problem)) => Some(problem),
            _ => None,
        }
    }

    /// The last word of the problem's type (RFC 8555 section 6.7).
    fn kind(&self) -> Option<&str> {
        self.problem()?.r#type.as_deref()?.strip_prefix("urn:ietf:params:acme:error:")
    }

    /// What to do about it.
    fn advice(&self) -> Option<&'static str> {
        Some(match self.kind()? {
            "dns" => "let the domain's A or AAAA record name this server's public address",
            "connection" | "tls" | "unauthorized" => {
                "the CA dials port 443 of the domain and must find this server there: lead that port to --listen, in the router and the firewall, without a proxy that ends TLS"
            }
            "rateLimited" => {
                "the CA was asked too often: wait; try with its staging directory (--acme-directory)"
            }
            "rejectedIdentifier" => {
                "this CA gives nothing for that name: use a public domain, or --tls local-ca at home"
            }
            "caa" => "the domain's CAA record does not allow this CA: add it there",
            "externalAccountRequired" => {
                "this CA wants an account made on its site first: choose another with --acme-directory"
            }
            "userActionRequired" => "the CA wants its terms read anew: see its site",
            "invalidContact" | "unsupportedContact" => {
                "write an e-mail address that the CA takes with --acme-email"
            }
            _ => return None,
        })
    }
}

impl fmt::Display for AcmeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { domain, problem } => {
                write!(f, "the CA could not check {domain}: {}", detail(problem))?;
            }
            Self::Silent => f.write_str("the CA refused and gave no reason")?,
            Self::NoTlsAlpn => {
                f.write_str(
                    "the CA does not offer the check tls-alpn-01: choose another with --acme-directory",
                )?;
            }
            Self::Asking(Error::Api(problem)) => write!(f, "the CA refused: {}", detail(problem))?,
            Self::Asking(error) => {
                write!(
                    f,
                    "the CA cannot be asked ({}): can this server reach --acme-directory?",
                    innermost(error)
                )?;
            }
            Self::File(error) => write!(f, "{error}")?,
            Self::Account(path) => {
                write!(
                    f,
                    "{} holds no account: restore it, or delete it and a new one is made",
                    path.display()
                )?;
            }
            Self::Unusable => f.write_str("what the CA gave cannot be used")?,
        }
        match self.advice() {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

impl From<Error> for AcmeFailure {
    fn from(error: Error) -> Self {
        Self::Asking(error)
    }
}

impl From<PrivateFileError> for AcmeFailure {
    fn from(error: PrivateFileError) -> Self {
        Self::File(error)
    }
}

impl From<rcgen::Error> for AcmeFailure {
    fn from(_: rcgen::Error) -> Self {
        Self::Unusable
    }
}

/// What the CA says, on one line.
fn detail(problem: &Problem) -> String {
    let said = problem.detail.as_deref().or(problem.r#type.as_deref()).unwrap_or("it gave no reason");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn innermost(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(kind: &str) -> AcmeFailure {
        let problem = serde_json::from_value(serde_json::json!({
            "type": format!("urn:ietf:params:acme:error:{kind}"), "detail": "what\nthe CA says",
        }));
        AcmeFailure::Refused { domain: "cam.example.org".to_owned(), problem: Box::new(problem.unwrap()) }
    }

    #[test]
    fn usual_failures_say_what_to_do_on_one_line() {
        for (kind, word) in [("dns", "A or AAAA record"), ("connection", "port 443"), ("caa", "CAA record")] {
            let said = refused(kind).to_string();
            assert!(said.contains("cam.example.org: what the CA says") && said.contains(word), "{said}");
            assert_eq!(said.lines().count(), 1);
        }
        assert!(!refused("somethingNew").to_string().contains('('));
    }

    #[test]
    fn a_ca_that_was_asked_too_often_is_left_alone_for_an_hour() {
        assert_eq!(refused("rateLimited").rest().as_secs(), 3600);
        assert!(refused("dns").rest().is_zero());
    }
}

//! Why the server did not do what was asked, and whether trying again can help.

use std::time::Duration;

use latchkey_api::problem::{Problem, ProblemCode};

/// Why the server did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalingError {
    /// The address is not an `http://` or `https://` address.
    #[error("{0} is not a server address: write it like https://cam.example.org or http://127.0.0.1:9601")]
    BadAddress(String),
    /// This machine cannot check certificates.
    #[error(
        "this machine cannot check the server's certificate ({0}): install its CA certificates, or name its CA"
    )]
    NoTls(String),
    /// Nobody answers.
    #[error("the server at {host} does not answer ({reason}): check the address and that it runs")]
    Unreachable {
        /// Host and port that were tried.
        host: String,
        /// What the network said.
        reason: String,
    },
    /// The server refused.
    #[error("the server refused: {detail} ({})", code.as_str())]
    Refused {
        /// The stable code.
        code: ProblemCode,
        /// HTTP status.
        status: u16,
        /// The server's own sentence.
        detail: String,
        /// How long it asks to be left alone, where it says so.
        retry_after: Option<Duration>,
    },
    /// The server passed on a challenge made for another server: somebody stands in between.
    #[error(
        "the server names itself {named}, but was called as {called}: it may be passing on another server's challenge; use the address it names, or leave it"
    )]
    ForeignChallenge {
        /// What the challenge says.
        named: String,
        /// What was dialled.
        called: String,
    },
    /// What this device has to remember could not be stored, so nothing was said.
    #[error(
        "nothing was sent, because what this device keeps could not be stored ({0}): make room for it and try again"
    )]
    NotStored(String),
    /// The reply is not what this version understands.
    #[error("the server's reply is not understood ({0}): is it a Latchkey server of this version?")]
    BadReply(String),
}

impl SignalingError {
    /// Returns the stable problem code, where the server gave one.
    pub fn code(&self) -> Option<ProblemCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Returns whether trying again later can help without changing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

/// Reads what the server says of a refusal.
pub(super) fn refusal(status: u16, retry_after: Option<Duration>, body: &[u8]) -> SignalingError {
    let (code, detail) = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => (problem.code, problem.detail),
        Err(_) => (ProblemCode::Unknown, format!("HTTP status {status}")),
    };
    SignalingError::Refused { code, status, detail, retry_after }
}

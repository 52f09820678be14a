//! Why a server did not start: the operator's settings, what the system does not give, or the relay inside.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::grant_key::GrantKeyError;
use crate::store::sqlite::OpenError;
use crate::tls::TlsError;
use crate::web::NoWebApp;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The operator's: the data folder cannot be had.
    #[error("cannot use the data folder {path}: {source}")]
    DataDir {
        /// As configured.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The operator's: the grant signing key cannot be had.
    #[error(transparent)]
    GrantKey(#[from] GrantKeyError),
    /// The operator's: the database cannot be opened.
    #[error("cannot open the database {path}: {source}")]
    Store {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: OpenError,
    },
    /// The operator's, or another program's: a TCP address cannot be had.
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// `signaling` or `the ops port`.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The operator's: the folder named holds no web app.
    #[error(transparent)]
    Web(#[from] NoWebApp),
    /// The operator's: HTTPS cannot be served as asked for.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The relay did not start.
    #[error(transparent)]
    Relay(#[from] latchkey_relay::StartError),
    /// The database takes no invite code just now; its log says why.
    #[error("the database takes no invite code just now: try again")]
    InviteCode,
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    NoRandomness,
}

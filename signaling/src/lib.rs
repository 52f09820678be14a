//! Signaling server with a relay inside, for one machine.
//!
//! [`Server::start`] runs one in this process; the binary `latchkey-server` does nothing else. What it can be told
//! is [`ServerConfig`]; its routes are described in `signaling/docs/api.md` and at `/v1/openapi.json`.
//!
//! ```text
//! http ─▶ app ─▶ latchkey-signaling-core (rules) ─▶ store (SQLite)
//!          ├──▶ bus (event sockets)
//!          └──▶ relay_side (the relay in this process)
//! ```

mod addresses;
mod app;
mod bus;
mod config;
mod grant_key;
mod http;
mod limits;
mod metrics;
mod ops;
mod ready_file;
mod refusal;
mod relay_side;
mod server;
mod store;
mod tls;
mod web;

pub use crate::config::arguments::{Arguments, Command};
pub use crate::config::{Registration, ServerConfig, Tls};
pub use crate::grant_key::GrantKeyError;
pub use crate::http::openapi::document as openapi_document;
pub use crate::ready_file::ReadyFile;
pub use crate::relay_side::RelaySide;
pub use crate::server::{Install, Server, ServerUrls, StartError, make_invite_code};
pub use crate::store::sqlite::{OpenError, SqliteStore};
pub use crate::tls::reach::{Reach, Trust, devices_for};
pub use crate::tls::{GivenError, LocalCaError, PrivateFileError, TlsError};
pub use crate::web::NoWebApp;
#[cfg(feature = "test-tap")]
pub use latchkey_relay::shard::Meddler;

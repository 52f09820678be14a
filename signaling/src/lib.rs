//! Signaling server with a relay inside, for one machine.

mod store;
pub use crate::store::sqlite::{OpenError, SqliteStore};

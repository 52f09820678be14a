//! Blind relay: takes one sealed stream from a publisher and fans it out to viewers, without a key to open it.
//!
//! [`Relay::start`] runs one in this process; the binary `latchkey-relay` does nothing else. What it can be told is
//! [`RelayConfig`]; its doors are described in `relay/docs/doors.md`.

mod config;
mod relay;

pub use crate::config::{GrantKey, PublicAddress, RelayConfig};
pub use crate::relay::{Relay, StartError};

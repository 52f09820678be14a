//! Blind relay: takes one sealed stream from a publisher and fans it out to viewers, without a key to open it.
//!
//! [`Relay::start`] runs one in this process; the binary `latchkey-relay` does nothing else. What it can be told is
//! [`RelayConfig`]; its doors are described in `relay/docs/doors.md`.
//!
//! ```text
//! control plane   http, ops ─▶ door ─▶ problem, admission, sdp, registry, sessions
//!                               │
//! data plane                    └▶ shard ─▶ transport, srtp, demux, batch
//! ```

mod admission;
mod arguments;
pub mod batch;
mod config;
mod demux;
mod door;
mod http;
mod metrics;
mod ops;
pub mod port;
mod problem;
mod public_address;
mod registry;
mod relay;
mod sdp;
mod sessions;
pub mod shard;
pub mod srtp;
pub mod top;
pub mod transport;

pub use crate::arguments::{Arguments, Verb};
pub use crate::config::limits::SessionLimits;
pub use crate::config::sources;
pub use crate::config::sources::ConfigError;
pub use crate::config::{GrantKey, GrantKeyError, PublicAddress, PublicAddressError, RelayConfig};
pub use crate::door::Probe;
pub use crate::public_address::{DiscoveryError, machine_addresses};
pub use crate::relay::{Relay, RelayControl, StartError};

//! Shards: threads that own sockets, rooms and peers. What they share on the packet path are pooled buffers, through rings
//! without a lock.
//!
//! ```text
//! recvmmsg -> ingress: demux, SRTP open -> Room::ingest -> Room::forward -> sink: seal in the arena -> sendmmsg
//!             |       STUN, DTLS, RTCP -> transport, session          |
//!             |                                                       | branches: what came, once per batch
//!             +------------------- neighbours ------------------------+-> other shards with viewers of the room
//! ```

mod admit;
mod branches;
pub mod command;
mod cores;
pub mod counters;
pub mod end;
mod forward;
mod hold;
mod ingress;
mod limits;
mod load;
mod neighbours;
mod peer;
mod probe;
mod rooms;
mod session;
pub mod session_id;
mod sink;
mod start;
#[cfg(feature = "test-tap")]
mod tap;
mod timers;
pub mod traffic;
mod worker;

pub use limits::Limits;
pub use start::{MAX_SHARDS, Shards, ShardsConfig, StartError};
#[cfg(feature = "test-tap")]
pub use tap::{Inbound, Meddler, Outbound, Tap};

#[cfg(test)]
mod tests;

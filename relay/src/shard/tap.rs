//! What a test may see and change of the packets: the operator's place, without its rules.

use std::sync::Arc;

use latchkey_wire::id::RoomId;

/// Sees every opened inbound RTP packet of all shards.
pub type Tap = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// What an operator can do that changes its relay.
#[derive(Clone)]
pub struct Meddler {
    /// Is given every opened inbound RTP packet with its room, and returns those that the room gets in its place, of
    /// the same publisher.
    pub inbound: Arc<Inbound>,
    /// Is given the payload of every outbound RTP packet, after all that the relay checks, and returns what goes out
    /// in its place, not longer; nothing when it stays.
    pub outbound: Arc<Outbound>,
}

/// What a [`Meddler`] does to what comes in.
pub type Inbound = dyn Fn(RoomId, &[u8]) -> Vec<Vec<u8>> + Send + Sync;
/// What a [`Meddler`] does to what goes out.
pub type Outbound = dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync;

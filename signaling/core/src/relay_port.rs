//! What signaling asks of the relay: cut a device off, and whether a room is live.

use std::net::SocketAddr;
use std::time::SystemTime;

use async_trait::async_trait;
use latchkey_wire::id::{DeviceHandle, RoomId};
use zeroize::Zeroizing;

/// The relay as signaling sees it. Calls go this way only; the relay never calls signaling.
#[async_trait]
pub trait RelayPort: Send + Sync + 'static {
    /// Ends every leg of `device` in `room` at once and voids its grants issued before `issued_before`.
    async fn cut(&self, room: RoomId, device: DeviceHandle, issued_before: SystemTime);

    /// Whether somebody publishes into `room` now.
    async fn is_live(&self, room: RoomId) -> bool;

    /// What somebody outside needs to see whether its packets reach the media port; `None` when the relay has no such thing
    /// to give just now.
    async fn open_probe(&self) -> Option<MediaProbe> {
        None
    }
}

/// Credentials for a STUN check (RFC 8489) of the media port, good for a few answers within half a minute.
pub struct MediaProbe {
    /// First half of the user name; any word may be the second.
    pub ufrag: String,
    /// Password for message integrity.
    pub password: Zeroizing<String>,
    /// Where the check should be sent.
    pub addresses: Vec<SocketAddr>,
}

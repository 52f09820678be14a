//! What signaling asks of the relay: cut a device off, and whether a room is live.

use std::time::SystemTime;

use async_trait::async_trait;
use latchkey_wire::id::{DeviceHandle, RoomId};

/// The relay as signaling sees it. Calls go this way only; the relay never calls signaling.
#[async_trait]
pub trait RelayPort: Send + Sync + 'static {
    /// Ends every leg of `device` in `room` at once and voids its grants issued before `issued_before`.
    async fn cut(&self, room: RoomId, device: DeviceHandle, issued_before: SystemTime);

    /// Whether somebody publishes into `room` now.
    async fn is_live(&self, room: RoomId) -> bool;
}

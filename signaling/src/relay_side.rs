//! The relay beside signaling: in this process, or whatever a test puts there.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use axum::Router;
use latchkey_relay::{Relay, RelayControl};
use latchkey_signaling_core::relay_port::{MediaProbe, RelayPort};
use latchkey_wire::id::{DeviceHandle, RoomId};

/// What the server needs of a relay.
pub struct RelaySide {
    /// To cut devices off and to ask who is live.
    pub port: Arc<dyn RelayPort>,
    /// Public routes to put beside signaling's (`/whip`, `/whep`).
    pub door: Router,
    /// Private routes for the ops port; `/metrics` among them.
    pub ops: Router,
    /// Where media goes.
    pub media: SocketAddr,
}

impl RelaySide {
    /// The relay of this process.
    pub(crate) fn of(relay: &Relay) -> Self {
        Self {
            port: Arc::new(InProcess(relay.control())),
            door: relay.door_router(),
            ops: relay.ops_router(),
            media: relay.addr(),
        }
    }
}

impl fmt::Debug for RelaySide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelaySide").field("media", &self.media).finish_non_exhaustive()
    }
}

struct InProcess(RelayControl);

#[async_trait]
impl RelayPort for InProcess {
    async fn cut(&self, room: RoomId, device: DeviceHandle, issued_before: SystemTime) {
        let ended = self.0.cut(room, device, issued_before).await;
        tracing::info!(?room, ?device, ended, "device cut off");
    }

    async fn is_live(&self, room: RoomId) -> bool {
        self.0.is_live(room).await
    }

    async fn open_probe(&self) -> Option<MediaProbe> {
        let probe = self.0.open_probe().await?;
        Some(MediaProbe { ufrag: probe.ufrag, password: probe.pwd, addresses: probe.addresses })
    }
}

//! A relay that only writes down what it is asked.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::Router;
use axum::routing::{get, post};
use latchkey_signaling::RelaySide;
use latchkey_signaling_core::relay_port::RelayPort;
use latchkey_wire::id::{DeviceHandle, RoomId};

/// What was asked, and which rooms are said to be live.
#[derive(Clone, Default)]
pub(crate) struct NotedRelay {
    cuts: Arc<Mutex<Vec<(RoomId, DeviceHandle)>>>,
    live: Arc<Mutex<HashSet<RoomId>>>,
}

impl NotedRelay {
    pub(crate) fn cuts(&self) -> Vec<(RoomId, DeviceHandle)> {
        self.cuts.lock().unwrap().clone()
    }

    pub(crate) fn set_live(&self, room: RoomId) {
        self.live.lock().unwrap().insert(room);
    }

    pub(crate) fn side(&self) -> RelaySide {
        RelaySide {
            port: Arc::new(self.clone()),
            door: Router::new().route("/whep/{room}", post(async || "door")),
            ops: Router::new().route("/metrics", get(async || "relay_rooms 0\n")),
            media: "127.0.0.1:1".parse().unwrap(),
        }
    }
}

#[async_trait::async_trait]
impl RelayPort for NotedRelay {
    async fn cut(&self, room: RoomId, device: DeviceHandle, _: SystemTime) {
        self.cuts.lock().unwrap().push((room, device));
    }

    async fn is_live(&self, room: RoomId) -> bool {
        self.live.lock().unwrap().contains(&room)
    }
}

//! The relay as a whole: starts shards, door and ops port, and ends them again.

use std::net::SocketAddr;
use std::time::SystemTime;

use latchkey_wire::id::{DeviceHandle, RoomId};

use crate::config::RelayConfig;

/// A running relay. Dropping it ends it at once; [`shutdown`](Relay::shutdown) ends it in order.
#[derive(Debug)]
pub struct Relay {}

impl Relay {
    /// Starts shards, door and ops port as `config` says; they run until [`shutdown`](Relay::shutdown).
    ///
    /// # Errors
    /// See [`StartError`]; nothing runs then.
    pub async fn start(config: RelayConfig) -> Result<Self, StartError>;

    /// UDP address of the media socket, with the port that was really taken.
    pub fn addr(&self) -> SocketAddr;

    /// Address of the door, when `config.door` asked for one.
    pub fn door_addr(&self) -> Option<SocketAddr>;

    /// Address of the private ops port, when `config.ops` asked for one.
    pub fn ops_addr(&self) -> Option<SocketAddr>;

    /// The door's routes (`/whip/…`, `/whep/…`), to be merged into a host's own router.
    pub fn door_router(&self) -> axum::Router;

    /// The private routes (`/metrics`, `/livez`, …): never merge them into a public router.
    pub fn ops_router(&self) -> axum::Router;

    /// Ends every leg of `device` in `room` at once and refuses its grants issued up to `issued_before` for 120 s.
    /// Returns how many legs ended.
    pub async fn cut(&self, room: RoomId, device: DeviceHandle, issued_before: SystemTime) -> usize;

    /// Whether somebody publishes into `room` now.
    pub async fn is_live(&self, room: RoomId) -> bool;

    /// Takes nobody new from now on; `/readyz` says so.
    pub fn drain(&self);

    /// Drains, ends all sessions, closes all ports and returns when every thread and task is gone.
    pub async fn shutdown(self);
}

/// Why a relay did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {}

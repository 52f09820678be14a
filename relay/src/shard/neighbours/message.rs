//! What shards tell each other, and the buffers in which packets travel between them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use latchkey_relay_core::{MissingPackets, Parcel, TrackId, TrackParams};
use latchkey_wire::id::RoomId;

use crate::batch::Route;
use crate::shard::end::EndReason;

/// What one shard gives another.
pub(in crate::shard) enum Message {
    /// Datagrams for your peers.
    Datagrams(Arc<Datagrams>),
    /// Packets of a room of mine.
    Shipment(Arc<Shipment>),
    /// About a room that we both have.
    Word(RoomId, Word),
    /// This address belongs to a peer of mine now.
    Learnt(SocketAddr),
    /// It does no longer.
    Forgotten(SocketAddr),
}

/// What home and branch of a room say to each other.
#[derive(Clone, Debug)]
pub(in crate::shard) enum Word {
    /// Branch: give me the room's packets; or again, how many viewers I have.
    Viewers(usize),
    /// Branch: my last viewer is gone.
    Closed,
    /// Branch: these did not come.
    Missing(TrackId, MissingPackets),
    /// Branch: a viewer of mine needs a key frame.
    KeyFrame(TrackId),
    /// Branch: viewers of mine watch this track now, or none does any more.
    Watched(TrackId, bool),
    /// Home: this is what the room has now.
    Tracks(Vec<(TrackId, TrackParams)>),
    /// Home: a pause holds this track back, or does no longer.
    Paused(TrackId, bool),
    /// Home: the publisher is gone, and may come back.
    Vacated,
    /// Home: the room is over.
    Over(EndReason),
}

/// Packets of one room.
pub(in crate::shard) struct Shipment {
    pub(in crate::shard) room: RoomId,
    /// When the oldest of them came in.
    pub(in crate::shard) received: Option<SystemTime>,
    pub(in crate::shard) parcel: Parcel,
}

impl Shipment {
    /// Begins anew.
    pub(in crate::shard) fn begin(&mut self, room: RoomId, received: Option<SystemTime>) {
        (self.room, self.received) = (room, received);
        self.parcel.clear();
    }
}

impl Default for Shipment {
    fn default() -> Self {
        Self { room: RoomId::new([0; 16]), received: None, parcel: Parcel::new() }
    }
}

/// Datagrams of any peers.
pub(in crate::shard) struct Datagrams {
    bytes: Vec<u8>,
    heads: Vec<(usize, Route, Option<SystemTime>)>,
}

impl Datagrams {
    /// The datagrams in the order they came.
    pub(in crate::shard) fn iter(&self) -> impl Iterator<Item = (&[u8], Route, Option<SystemTime>)> {
        let mut rest = &self.bytes[..];
        self.heads.iter().map(move |(len, route, received)| {
            let (bytes, after) = rest.split_at(*len);
            rest = after;
            (bytes, *route, *received)
        })
    }

    pub(super) fn takes(&self, len: usize) -> bool {
        self.heads.len() < MOST_DATAGRAMS && self.bytes.len() + len <= DATAGRAM_BYTES
    }

    pub(super) fn push(&mut self, bytes: &[u8], route: Route, received: Option<SystemTime>) {
        self.bytes.extend_from_slice(bytes);
        self.heads.push((bytes.len(), route, received));
    }

    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.heads.clear();
    }
}

impl Default for Datagrams {
    fn default() -> Self {
        Self { bytes: Vec::with_capacity(DATAGRAM_BYTES), heads: Vec::with_capacity(MOST_DATAGRAMS) }
    }
}

/// Datagrams handed over at once.
const MOST_DATAGRAMS: usize = 64;
/// Their bytes; a single one may be as large.
const DATAGRAM_BYTES: usize = 64 << 10;

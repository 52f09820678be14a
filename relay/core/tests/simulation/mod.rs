//! A small world for the tests: a camera that sends properly shaped frames, a room, and a log of what every viewer got.

#![allow(dead_code, unused_imports, unreachable_pub, clippy::disallowed_methods, clippy::unwrap_used)]

mod camera;
mod log;
pub mod watching;

use std::time::{Duration, Instant};

use latchkey_relay_core::{
    Event, Mid, Origin, Room, RoomConfig, RtxParams, SubscriberId, SubscriptionParams, TrackId,
};
use latchkey_wire::extension::{ExtensionKind, ExtensionMap};

pub use camera::{Camera, Frame, MEDIA_PT};
pub use log::{Log, Sent};

/// Time between two frames.
pub const FRAME: Duration = Duration::from_millis(33);

/// A room with one video track, its camera, and its viewers' log, on a clock of its own.
pub struct Scene {
    pub room: Room,
    pub now: Instant,
    pub log: Log,
    pub events: Vec<Event>,
    pub camera: Camera,
    pub track: TrackId,
    /// Every frame sent, in order.
    pub frames: Vec<Frame>,
}

impl Scene {
    pub fn new(camera: Camera) -> Self {
        Self::with(camera, RoomConfig::default())
    }

    pub fn with(camera: Camera, config: RoomConfig) -> Self {
        let now = Instant::now() + Duration::from_secs(3600);
        let mut room = Room::new(config);
        let track = room.publish(camera.params(), now).unwrap();
        Self { room, now, log: Log::default(), events: Vec::new(), camera, track, frames: Vec::new() }
    }

    /// Lets a viewer with RTX and all extensions in.
    pub fn join(&mut self, viewer: u64) {
        let params = leg(viewer);
        self.room.subscribe(SubscriberId(viewer), self.track, &params, self.now).unwrap();
        self.settle();
    }

    /// Sends one frame of about `len` bytes in one batch, then lets the frame time pass.
    pub fn frame(&mut self, key: bool, len: usize) {
        let packets = self.make_frame(key, len);
        self.deliver(&packets);
        self.pass(FRAME);
    }

    /// Makes a frame and hands its packets over without sending them.
    pub fn make_frame(&mut self, key: bool, len: usize) -> Vec<Vec<u8>> {
        let frame = self.camera.frame(key, len);
        let packets = frame.packets.clone();
        self.frames.push(frame);
        packets
    }

    /// A key frame and enough others that the track is forwarded.
    pub fn open(&mut self) {
        for index in 0..8 {
            self.frame(index == 0, 500);
        }
        assert!(self.events.iter().any(|event| matches!(event, Event::TrackAccepted { .. })));
    }

    /// Hands packets to the room as one batch. Drops are the test's to look at in the statistics.
    pub fn deliver(&mut self, packets: &[Vec<u8>]) {
        for packet in packets {
            let _ = self.room.ingest(packet, self.now);
        }
        self.room.forward(self.now, &mut self.log);
        self.settle();
    }

    /// Lets time pass, with every timeout handled when it is due.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.room.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.room.handle_timeout(self.now, &mut self.log);
            self.drain_events();
        }
        self.now = end;
    }

    /// Handles what is due now.
    pub fn settle(&mut self) {
        self.pass(Duration::ZERO);
        self.drain_events();
    }

    /// Asks for packets like a viewer that lost them.
    pub fn nack(&mut self, viewer: u64, lost: &[u16]) {
        let lost = lost.iter().copied();
        self.room.nack(SubscriberId(viewer), media_ssrc(viewer), lost, self.now, &mut self.log);
    }

    /// Number of key-frame requests to the camera so far.
    pub fn key_frames_wanted(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::KeyFrameWanted { .. })).count()
    }

    /// Sequence numbers asked of the camera so far.
    pub fn asked(&self) -> Vec<u16> {
        let missing = self.events.iter().filter_map(|event| match event {
            Event::PacketsMissing { missing, .. } => Some(missing.as_slice().to_vec()),
            _ => None,
        });
        missing.flatten().collect()
    }

    fn drain_events(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.room.poll_event()));
    }
}

/// The usual leg of a viewer: RTX, every extension, ids unlike the camera's.
pub fn leg(viewer: u64) -> SubscriptionParams {
    let origin = (viewer as u16).wrapping_mul(7919);
    SubscriptionParams {
        ssrc: media_ssrc(viewer),
        payload_type: 110,
        rtx: Some(RtxParams { ssrc: rtx_ssrc(viewer), payload_type: 111 }),
        mid: Mid::new("v0").unwrap(),
        extensions: extensions(&[
            (ExtensionKind::Mid, 9),
            (ExtensionKind::AbsCaptureTime, 4),
            (ExtensionKind::DependencyDescriptor, 12),
            (ExtensionKind::PlayoutDelay, 6),
        ]),
        origin: Origin {
            sequence: origin,
            rtx_sequence: origin ^ 0x55,
            timestamp: viewer as u32 * 1_000_003,
        },
        most_bits_per_second: None,
    }
}

pub fn extensions(ids: &[(ExtensionKind, u8)]) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for &(kind, id) in ids {
        map.insert(kind, id).unwrap();
    }
    map
}

pub fn media_ssrc(viewer: u64) -> u32 {
    0x1000_0000 + viewer as u32
}

pub fn rtx_ssrc(viewer: u64) -> u32 {
    0x2000_0000 + viewer as u32
}

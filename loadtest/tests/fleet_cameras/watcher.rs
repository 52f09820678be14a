//! Somebody who looks at a camera: opens frames and reads their stamps.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::open::FrameOpener;
use latchkey_loadtest::fleet::content::Stamp;
use latchkey_loadtest::fleet::peer::{Peer, PeerEvent};
use latchkey_relay::batch::{Receiver, SendArena};
use latchkey_wire::codec::Codec;
use latchkey_wire::{envelope, payload};

/// A frame that was opened.
pub(crate) struct Seen {
    pub(crate) stamp: Stamp,
    pub(crate) key: bool,
    /// Packets that it came in.
    pub(crate) packets: usize,
    /// When the kernel had its first and its last packet.
    pub(crate) arrivals: (Duration, Duration),
    pub(crate) timestamp: u32,
    pub(crate) bytes: usize,
}

pub(crate) struct Watcher {
    peer: Peer,
    codec: Codec,
    opener: FrameOpener,
    tools: (Receiver, SendArena),
    parts: Vec<(u16, Vec<u8>, SystemTime, u32)>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) refused: usize,
}

impl Watcher {
    pub(crate) fn new(peer: Peer, keys: EpochKeys) -> Self {
        let mut opener = FrameOpener::new();
        opener.add_epoch(keys, Duration::ZERO);
        let codec = peer.codec();
        let tools = (Receiver::new(), SendArena::new());
        Self { peer, codec, opener, tools, parts: Vec::new(), seen: Vec::new(), refused: 0 }
    }

    pub(crate) fn take_keys(&mut self, keys: EpochKeys) {
        self.opener.add_epoch(keys, Duration::ZERO);
    }

    pub(crate) fn ask_for_key_frame(&mut self) {
        self.peer.ask_for_key_frame();
    }

    /// Takes what came.
    pub(crate) fn turn(&mut self) {
        let (receiver, arena) = &mut self.tools;
        let mut packets = Vec::new();
        let mut on = |event| {
            if let PeerEvent::Packet(packet, arrival) = event {
                packets.push((packet, arrival));
            }
        };
        self.peer.receive(receiver, arena, &mut on).unwrap();
        self.peer.pass_time(Instant::now(), arena, &mut on).unwrap();
        self.peer.send(arena);
        for (packet, arrival) in packets {
            let header = &packet.header;
            self.parts.push((header.sequence_number, packet.payload.to_vec(), arrival, header.timestamp));
            if header.marker {
                self.frame();
            }
        }
    }

    fn frame(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        let (mut wire, mut scratch, mut picture) = (Vec::new(), Vec::new(), Vec::new());
        let payloads = parts.iter().map(|(_, payload, ..)| payload.as_slice());
        if payload::assemble(self.codec, payloads, &mut wire).is_err() {
            return;
        }
        let split = envelope::split(self.codec, &wire, &mut scratch).unwrap();
        match self.opener.open(split.sframe, split.envelope, &mut picture) {
            Ok(opened) => {
                let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap();
                self.seen.push(Seen {
                    stamp: Stamp::read_from(&picture).expect("every frame has its stamp"),
                    key: opened.header.key_frame,
                    packets: parts.len(),
                    arrivals: (since(parts[0].2), since(parts[parts.len() - 1].2)),
                    timestamp: parts[0].3,
                    bytes: picture.len(),
                });
            }
            Err(_) => self.refused += 1,
        }
    }
}

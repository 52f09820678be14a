//! Cost of forwarding alone: no socket, no seal. Prints nanoseconds per outgoing packet, and bytes kept per viewer without
//! and with transport-wide feedback.
//!
//! `cargo bench -p latchkey-relay-core --bench forward`

#![allow(clippy::disallowed_methods, clippy::print_stdout)]

#[path = "../tests/simulation/mod.rs"]
mod simulation;

use std::time::{Duration, Instant};

use latchkey_relay_core::{Outgoing, Room, RoomConfig, SenderReport, Sink, SubscriberId};
use latchkey_wire::codec::Codec;
use latchkey_wire::extension::ExtensionKind;
use simulation::Camera;

fn main() {
    for viewers in [1, 10, 100, 300, 1000] {
        let mut camera = Camera::new(Codec::H264, 1);
        camera.max_payload = 1040;
        let (mut now, mut room, mut sink) = (Instant::now(), Room::new(RoomConfig::default()), Arena::new());
        let track = room.publish(camera.params(), now).expect("an empty room has a place");
        for viewer in 0..viewers {
            room.subscribe(SubscriberId(viewer), track, &simulation::leg(viewer), now)
                .expect("the track is there");
        }
        let frames: Vec<_> = (0..300).map(|index| camera.frame(index % 60 == 0, 10_300).packets).collect();
        let (mut ingesting, mut forwarding) = (Duration::ZERO, Duration::ZERO);
        for (index, packets) in frames.iter().enumerate() {
            let start = Instant::now();
            for packet in packets {
                let _ = room.ingest(packet, now);
            }
            let ingested = Instant::now();
            room.forward(now, &mut sink);
            if index == 20 {
                (ingesting, forwarding, sink.packets) = (Duration::ZERO, Duration::ZERO, 0);
            } else {
                ingesting += ingested - start;
                forwarding += ingested.elapsed();
            }
            let next_frame = now + simulation::FRAME;
            while let Some(due) = room.poll_timeout().filter(|&due| due < next_frame) {
                now = now.max(due);
                room.handle_timeout(now, &mut sink);
            }
            now = next_frame;
            while room.poll_event().is_some() {}
        }
        let incoming: usize = frames[21..].iter().map(Vec::len).sum();
        println!(
            "core forward: viewers={viewers} packets_out={} ingest_ns={:.0} forward_ns_per_packet={:.1}",
            sink.packets,
            ingesting.as_nanos() as f64 / incoming as f64,
            forwarding.as_nanos() as f64 / sink.packets as f64,
        );
    }
    for feedback in [false, true] {
        println!("core memory: transport_cc={feedback} bytes_per_viewer={}", bytes_per_viewer(feedback));
    }
}

/// What a room keeps for each viewer of one track.
fn bytes_per_viewer(feedback: bool) -> i64 {
    const VIEWERS: u64 = 1024;
    let (now, mut room) = (Instant::now(), Room::new(RoomConfig::default()));
    let track = room.publish(Camera::new(Codec::H264, 1).params(), now).expect("an empty room has a place");
    let joining = allocation_counter::measure(|| {
        for viewer in 0..VIEWERS {
            let mut leg = simulation::leg(viewer);
            if feedback {
                leg.extensions.insert(ExtensionKind::TransportCc, 13).expect("the id is free");
            }
            room.subscribe(SubscriberId(viewer), track, &leg, now).expect("the track is there");
        }
    });
    joining.bytes_current / VIEWERS as i64
}

/// Copies packets like a shell does, over and over the same place.
struct Arena {
    bytes: Box<[u8; 2048]>,
    packets: usize,
}

impl Arena {
    fn new() -> Self {
        Self { bytes: Box::new([0; 2048]), packets: 0 }
    }
}

impl Sink for Arena {
    fn begin(&mut self, _: SubscriberId) {}

    fn packet(&mut self, packet: &Outgoing<'_>) {
        let (header, rest) = self.bytes.split_at_mut(packet.header.len());
        header.copy_from_slice(packet.header);
        rest[..packet.payload.len()].copy_from_slice(packet.payload);
        std::hint::black_box(&self.bytes);
        self.packets += 1;
    }

    fn report(&mut self, _: &SenderReport) {}

    fn end(&mut self, _: SubscriberId) {}
}

//! Forwarding allocates nothing: counted over ten thousand packets to a hundred viewers, with loss and repair.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod simulation;

use std::time::{Duration, Instant};

use latchkey_relay_core::{Outgoing, Room, RoomConfig, SenderReport, Sink, SubscriberId};
use latchkey_wire::codec::Codec;
use simulation::Camera;

const VIEWERS: u64 = 100;
/// Batches until every viewer is live and every buffer has its size.
const WARM_UP: usize = 20;

#[test]
fn ten_thousand_packets_to_a_hundred_viewers_without_an_allocation() {
    let mut camera = Camera::new(Codec::H264, 1);
    let mut now = Instant::now() + Duration::from_secs(60);
    let mut room = Room::new(RoomConfig::default());
    let track = room.publish(camera.params(), now).unwrap();
    for viewer in 0..VIEWERS {
        room.subscribe(SubscriberId(viewer), track, &simulation::leg(viewer), now).unwrap();
    }
    let mut batches: Vec<Vec<Vec<u8>>> = Vec::new();
    let frames = allocation_counter::measure(|| {
        batches = (0..1300).map(|index| camera.frame(index % 60 == 0, 1700).packets).collect();
    });
    assert!(frames.count_total > 0, "the counter counts: the frames were allocated");
    let mut run = |batches: &[Vec<Vec<u8>>], counter: &mut Counter| {
        let mut forwarded = 0;
        for (index, batch) in batches.iter().enumerate() {
            for (place, packet) in batch.iter().enumerate() {
                // The publisher's own loss is one in twenty too: the last packet but one of every second frame.
                if !(index % 2 == 1 && place + 2 == batch.len()) {
                    let _ = room.ingest(packet, now);
                    forwarded += 1;
                }
            }
            room.forward(now, counter);
            for viewer in 0..VIEWERS {
                let newest = counter.newest[viewer as usize];
                let lost = (0..batch.len() as u16).filter(|step| step % 20 == viewer as u16 % 20);
                let lost = lost.map(|step| newest.wrapping_sub(step));
                room.nack(SubscriberId(viewer), simulation::media_ssrc(viewer), lost, now, counter);
            }
            now += Duration::from_millis(33);
            while room.poll_timeout().is_some_and(|due| due <= now) {
                room.handle_timeout(now, counter);
            }
            while room.poll_event().is_some() {}
        }
        forwarded
    };
    run(&batches[..WARM_UP], &mut Counter::default());
    let (mut counter, mut forwarded) = (Counter::default(), 0);
    let info = allocation_counter::measure(|| forwarded = run(&batches[WARM_UP..], &mut counter));
    let allocated = info.count_total;
    println!("{forwarded} in, {} out, {} repairs, {allocated} allocations", counter.media, counter.repairs);
    assert!(forwarded >= 10_000, "{forwarded} packets came in");
    assert!(counter.media >= 90 * forwarded, "{} went out", counter.media);
    assert!(
        counter.repairs * 40 >= counter.media,
        "{} repairs for {} packets",
        counter.repairs,
        counter.media
    );
    assert!(counter.reports > 0);
    assert_eq!(allocated, 0, "allocations over {forwarded} packets in, {} out", counter.media);
}

struct Counter {
    media: usize,
    repairs: usize,
    reports: usize,
    newest: [u16; VIEWERS as usize],
}

impl Default for Counter {
    fn default() -> Self {
        Self { media: 0, repairs: 0, reports: 0, newest: [0; VIEWERS as usize] }
    }
}

impl Sink for Counter {
    fn begin(&mut self, _: SubscriberId) {}

    fn packet(&mut self, packet: &Outgoing<'_>) {
        if packet.prefix.is_empty() {
            self.media += 1;
            self.newest[packet.subscriber.0 as usize] = packet.index as u16;
        } else {
            self.repairs += 1;
        }
    }

    fn report(&mut self, _: &SenderReport) {
        self.reports += 1;
    }

    fn end(&mut self, _: SubscriberId) {}
}

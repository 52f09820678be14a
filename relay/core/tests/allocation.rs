//! Forwarding allocates nothing: counted over ten thousand packets to a hundred viewers, with loss and repair, and with layers.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod simulation;

use std::time::{Duration, Instant};

use latchkey_relay_core::{Outgoing, Room, RoomConfig, SenderReport, Sink, SubscriberId, TrackParams};
use latchkey_wire::codec::Codec;
use latchkey_wire::extension::ExtensionKind;
use latchkey_wire::rtcp::{self, Request, TransportFeedbackReport};
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
        let mut leg = simulation::leg(viewer);
        leg.extensions.insert(ExtensionKind::TransportCc, 13).unwrap();
        room.subscribe(SubscriberId(viewer), track, &leg, now).unwrap();
    }
    let mut batches: Vec<Vec<Vec<u8>>> = Vec::new();
    let frames = allocation_counter::measure(|| {
        batches = (0..1300).map(|index| camera.frame(index % 60 == 0, 1700).packets).collect();
    });
    assert!(frames.count_total > 0, "the counter counts: the frames were allocated");
    let (start, mut compound) = (now, Vec::with_capacity(2_000));
    let mut told = [0u16; VIEWERS as usize];
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
                // And what came is told, one of twenty as lost.
                let (sent, told) = (counter.sent[viewer as usize], &mut told[viewer as usize]);
                let mut deltas = [Some(0); 400];
                deltas.iter_mut().skip(10).step_by(20).for_each(|delta| *delta = None);
                let arrival = (now - start).as_millis() as u32;
                deltas[0] = Some((arrival % 64 * 4) as i16);
                let count = usize::from(sent.wrapping_sub(*told)).min(400);
                let report = TransportFeedbackReport {
                    sender_ssrc: 1,
                    media_ssrc: 2,
                    base: *told,
                    reference: arrival / 64,
                    number: index as u8,
                    deltas: &deltas[..count],
                };
                compound.clear();
                rtcp::write_transport_feedback(&report, &mut compound);
                *told = sent;
                let _ = rtcp::requests(&compound, |request| {
                    if let Request::Arrivals(feedback) = request {
                        room.transport_feedback(SubscriberId(viewer), &feedback, now);
                    }
                });
            }
            now += Duration::from_millis(33);
            while room.poll_timeout().is_some_and(|due| due <= now) {
                room.handle_timeout(now, counter);
            }
            while room.poll_event().is_some() {}
        }
        forwarded
    };
    let (mut counter, mut forwarded) = (Counter::default(), 0);
    run(&batches[..WARM_UP], &mut counter);
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
    let estimate = room.estimate(SubscriberId(0)).unwrap();
    println!("{estimate:?}");
    assert_eq!(allocated, 0, "allocations over {forwarded} packets in, {} out", counter.media);
}

/// A viewer's estimate falls and rises so that it goes from layer to layer and back while it is counted.
#[test]
fn three_layers_and_switches_between_them_without_an_allocation() {
    const LAYERS: [(u64, usize); 3] = [(0, 300), (3, 1_100), (4, 3_300)];
    const GOP: usize = 30;
    let mut now = Instant::now() + Duration::from_secs(60);
    let mut room = Room::new(RoomConfig::default());
    let mut cameras = LAYERS.map(|(track, _)| {
        let mut camera = Camera::new(Codec::Vp8, 11 + track);
        camera.kid = camera.kid >> 24 << 24 | track << 16;
        camera.ssrc = 100 + track as u32;
        camera.temporal = Some(0);
        camera
    });
    let mut first = None;
    for camera in &cameras {
        let params = TrackParams { first, ssrc: Some(camera.ssrc), pause: true, ..camera.params() };
        let track = room.publish(params, now).unwrap();
        first = first.or(Some(track));
    }
    for viewer in 0..VIEWERS {
        let leg = simulation::leg(viewer);
        room.subscribe(SubscriberId(viewer), first.unwrap(), &leg, now).unwrap();
    }
    let batches: Vec<Vec<Vec<u8>>> = (0..900)
        .map(|index: usize| {
            let key = index.is_multiple_of(GOP);
            let frames = cameras.iter_mut().zip(LAYERS).flat_map(|(camera, (_, size))| {
                camera.temporal = Some((index % GOP % 2) as u8);
                camera.frame(key, size).packets
            });
            frames.collect()
        })
        .collect();
    let mut run = |batches: &[Vec<Vec<u8>>], from: usize, counter: &mut Counter| {
        for (index, batch) in batches.iter().enumerate() {
            // Half of the viewers have a wide path while the others' is narrow, for ten seconds each.
            let turn = (from + index) as u64 / 300;
            for viewer in 0..VIEWERS {
                let bits_per_second = if (turn + viewer).is_multiple_of(2) { 5_000_000 } else { 200_000 };
                room.receiver_estimate(SubscriberId(viewer), bits_per_second, now);
            }
            for packet in batch {
                let _ = room.ingest(packet, now);
            }
            room.forward(now, counter);
            now += Duration::from_millis(33);
            while room.poll_timeout().is_some_and(|due| due <= now) {
                room.handle_timeout(now, counter);
            }
            while room.poll_event().is_some() {}
        }
        room.take_stats()
    };
    let mut counter = Counter::default();
    run(&batches[..2 * GOP], 0, &mut counter);
    let mut stats = None;
    let info = allocation_counter::measure(|| {
        stats = Some(run(&batches[2 * GOP..], 2 * GOP, &mut counter));
    });
    let stats = stats.unwrap();
    println!(
        "{} out, {} times to a lower layer, {} to a higher, {} allocations",
        counter.media, stats.layers_down, stats.layers_up, info.count_total
    );
    assert!(stats.layers_down >= 2 * VIEWERS / 2 && stats.layers_up >= VIEWERS / 2, "{stats:?}");
    assert_eq!(info.count_total, 0);
}

struct Counter {
    media: usize,
    repairs: usize,
    reports: usize,
    newest: [u16; VIEWERS as usize],
    /// Packets so far, modulo 2^16: the next transport-wide number.
    sent: [u16; VIEWERS as usize],
}

impl Default for Counter {
    fn default() -> Self {
        Self { media: 0, repairs: 0, reports: 0, newest: [0; VIEWERS as usize], sent: [0; VIEWERS as usize] }
    }
}

impl Sink for Counter {
    fn begin(&mut self, _: SubscriberId) {}

    fn packet(&mut self, packet: &Outgoing<'_>) {
        let sent = &mut self.sent[packet.subscriber.0 as usize];
        *sent = sent.wrapping_add(1);
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

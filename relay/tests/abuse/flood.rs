//! A camera with a grant that sends fifty times its rate is held to what it may, and its neighbours do not notice.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use latchkey_relay::shard::Shards;
use latchkey_relay::shard::counters::buckets::FORWARD_LATENCY_BOUNDS;
use latchkey_relay::shard::counters::events::Event;
use latchkey_relay::shard::counters::packets::{DropReason, Limited};
use latchkey_relay::shard::traffic::RoomTraffic;
use str0m::rtp::RtpWrite;

use crate::camera::Camera;
use crate::client::{Client, Packet, run, start};
use crate::{counters, figures, pair, soak};

/// Two cameras of 30 frames a second, 10 packets each.
const NEIGHBOURS: [u8; 2] = [1, 2];
const FLOODER: u8 = 3;
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 30);
/// What a camera may send in a second: above a neighbour's rate, and so far below the flood that a slow machine exceeds it, too.
const ALLOWED: u32 = 2_000;
/// 30 packets each 2 ms: 15,000 a second, where a neighbour sends 300.
const SHOVEL: Duration = Duration::from_millis(2);
const SHOVELFUL: usize = 30 * 990;

#[test]
fn one_camera_at_fifty_times_its_rate_leaves_the_others_alone() {
    let shards = start(|config| config.limits.publisher_packets_per_second = ALLOWED);
    let mut neighbours: Vec<_> = NEIGHBOURS.iter().map(|number| Neighbour::new(&shards, *number)).collect();
    let (mut camera, mut flooder, mut watcher) = pair(&shards, FLOODER);
    let time = Duration::from_secs(if soak() { 20 } else { 4 });

    let before = traffic(&shards);
    watch(&mut neighbours, time);
    let quiet = traffic(&shards);
    let (began, over) = (Instant::now(), AtomicBool::new(false));
    let flooded = std::thread::scope(|scope| {
        let flooding = scope.spawn(|| flood(&mut camera, &mut flooder, &mut watcher, &over));
        watch(&mut neighbours, time);
        over.store(true, Ordering::Relaxed);
        flooding.join().unwrap()
    });
    let loud = traffic(&shards);
    let lasted = began.elapsed().as_secs_f64();

    let tally = counters(&shards, |_| true);
    let figures = figures(&shards, FLOODER).traffic;
    let rate = flooded as f64 / lasted;
    println!(
        "a camera at {rate:.0} packets/s beside two of 300: {} of {flooded} dropped over its limit, {} taken in, {} by the kernel",
        figures.over_limit,
        figures.packets_in,
        tally.event(Event::SocketReceiveDrops)
    );
    for (number, ((before, quiet), loud)) in NEIGHBOURS.iter().zip(before.iter().zip(&quiet).zip(&loud)) {
        let (before, beside) = (p99(before, quiet), p99(quiet, loud));
        println!(
            "neighbour {number}: forward latency p99 {before:.0} us before, {beside:.0} us beside the flood ({:.2} times)",
            beside / before
        );
    }
    for neighbour in &mut neighbours {
        neighbour.has_everything();
        println!("neighbour {}: all of {} packets arrived", neighbour.number, neighbour.sent.len());
        assert_eq!(
            crate::figures(&shards, neighbour.number).traffic.over_limit,
            0,
            "only the flooder is limited"
        );
    }
    assert!(figures.over_limit > 1_000, "the room is named: {figures:?}");
    assert_eq!(tally.event(Event::SessionsLimited), 1, "and counted as one session");
    let limited = tally.limited(Limited::MediaPackets) + tally.limited(Limited::MediaBytes);
    assert_eq!((limited, tally.dropped(DropReason::RateLimit)), (figures.over_limit, figures.over_limit));
    // What it may send, a second's worth that it may send at once, and as much for the time it takes to end.
    let allowed = f64::from(ALLOWED) * (lasted + 2.0);
    assert!((figures.packets_in as f64) < allowed, "{} of {allowed}", figures.packets_in);
    assert!(!flooder.over, "it is held, not thrown out");
}

/// A camera that does as cameras do, with its viewer.
struct Neighbour {
    number: u8,
    camera: Camera,
    publisher: Client,
    viewer: Client,
    sent: BTreeSet<Vec<u8>>,
}

impl Neighbour {
    fn new(shards: &Shards, number: u8) -> Self {
        let (camera, publisher, viewer) = pair(shards, number);
        Self { number, camera, publisher, viewer, sent: BTreeSet::new() }
    }

    fn frame(&mut self) {
        let packets = self.camera.frame(false, 9_900);
        self.publisher.send(&packets);
        self.sent.extend(packets.into_iter().map(|packet| packet.payload));
    }

    fn has_everything(&mut self) {
        let Self { publisher, viewer, sent, number, .. } = self;
        let got_all = run(&mut [publisher, viewer], |clients| {
            sent.len() <= clients[1].received.len() && {
                let got: BTreeSet<_> = clients[1].received.iter().map(|packet| &packet.payload).collect();
                sent.iter().all(|payload| got.contains(payload))
            }
        });
        assert!(got_all, "neighbour {number}: {} of {} packets", viewer.received.len(), sent.len());
    }
}

/// Lets the neighbours send and watch for a while, each at its own part of the frame time.
fn watch(neighbours: &mut [Neighbour], time: Duration) {
    let start = Instant::now();
    let stagger = FRAME / neighbours.len() as u32;
    let mut due: Vec<_> = (0..neighbours.len()).map(|at| start + stagger * at as u32).collect();
    while start.elapsed() < time {
        for (neighbour, due) in neighbours.iter_mut().zip(&mut due) {
            if Instant::now() >= *due {
                *due += FRAME;
                neighbour.frame();
            }
            neighbour.publisher.step();
            neighbour.viewer.step();
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

/// Sends as much as it can up to fifty times a camera's rate, and returns how many packets that were.
fn flood(camera: &mut Camera, flooder: &mut Client, watcher: &mut Client, over: &AtomicBool) -> usize {
    let (mut sent, mut due) = (0, Instant::now());
    while !over.load(Ordering::Relaxed) {
        while Instant::now() < due {
            std::thread::sleep(Duration::from_micros(200));
        }
        // Behind its schedule it does not catch up: the kernel's buffer is not what is tested.
        due = (due + SHOVEL).max(Instant::now());
        let packets = camera.frame(false, SHOVELFUL);
        blast(flooder, &packets);
        sent += packets.len();
        watcher.step();
        // Only how many is of interest.
        watcher.received.clear();
    }
    sent
}

/// Hands all packets to the client at once, and looks at the socket once.
fn blast(client: &mut Client, packets: &[Packet]) {
    let now = Instant::now();
    for packet in packets {
        let (pt, sequence) = (packet.payload_type.into(), packet.sequence.into());
        let write =
            RtpWrite::new(pt, sequence, packet.timestamp, now, packet.payload.clone()).marker(packet.marker);
        client.rtc.direct_api().stream_tx(&client.ssrc).unwrap().write_rtp(write);
    }
    client.step();
}

fn traffic(shards: &Shards) -> Vec<RoomTraffic> {
    NEIGHBOURS.iter().map(|number| figures(shards, *number).traffic).collect()
}

/// The latency that all but one in a hundred of the packets sent in between stayed within, in microseconds: even over the
/// bucket it falls in.
fn p99(before: &RoomTraffic, after: &RoomTraffic) -> f64 {
    let cells: Vec<_> =
        after.latency.iter().zip(before.latency).map(|(after, before)| (after - before) as f64).collect();
    let (mut left, mut from) = (cells.iter().sum::<f64>() * 0.99, 0.0);
    for (bound, cell) in FORWARD_LATENCY_BOUNDS.iter().zip(cells) {
        let bound = bound.as_secs_f64() * 1e6;
        if left <= cell {
            return from + left / cell.max(1.0) * (bound - from);
        }
        left -= cell;
        from = bound;
    }
    f64::INFINITY
}

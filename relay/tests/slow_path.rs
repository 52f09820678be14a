//! One viewer's path is too narrow: its estimate falls, what it gets is spread, and nobody else notices. And a publisher is
//! told how its packets come.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::grant::Scope;
use str0m_netem::{Bitrate, DataSize, Netem, NetemConfig};
use support::House;
use support::peer::{Packet, Peer, run};
use support::sealed::{Track, household};

/// Bits per second of the narrow place. One and a half times it is just above a bound of the estimates' buckets.
const NARROW: u64 = 700_000;
const BOUND: u64 = 1_000_000;

#[tokio::test]
async fn a_viewer_on_a_narrow_path_is_paced_and_the_one_beside_it_is_not() {
    let house = House::new().await;
    let (mut sealer, _) = household();
    let (mut camera, _) = Peer::join(&house, Scope::Publish, &[Codec::Vp8]).await;
    let (mut free, _) = Peer::join(&house, Scope::View, &[Codec::Vp8]).await;
    let (mut narrow, _) = Peer::join(&house, Scope::View, &[Codec::Vp8]).await;
    let mut peers = [&mut camera, &mut free, &mut narrow];
    run(&mut peers, "connecting", |peers| peers.iter().all(|peer| peer.connected)).await;

    let mut stream = Stream { track: Track::new(Codec::Vp8), next: Instant::now(), sent: HashMap::new() };
    stream.run_for(&mut peers, &mut sealer, Duration::from_secs(2)).await;
    let before = Instant::now();
    peers[2].bottleneck = Some(Netem::new(bottleneck()));
    stream.run_for(&mut peers, &mut sealer, Duration::from_secs(4)).await;
    let (low, all) = estimates(&house).await;
    let settled = Instant::now();
    stream.run_for(&mut peers, &mut sealer, Duration::from_secs(5)).await;
    let (low, all) = (estimates(&house).await.0 - low, estimates(&house).await.1 - all);

    let rate = |peer: &Peer| {
        let came = peer.packets.iter().filter(|packet| packet.at >= settled);
        came.map(|packet| packet.payload.len() * 8).sum::<usize>() as f64
            / settled.elapsed().as_secs_f64()
            / 1e3
    };
    let quiet = |packet: &Packet| packet.at < before;
    let after = |packet: &Packet| packet.at >= before;
    println!("the free viewer before: {}", stream.latency(peers[1], quiet));
    println!(
        "the free viewer beside a narrow one: {}, {:.0} kbit/s",
        stream.latency(peers[1], after),
        rate(peers[1])
    );
    println!(
        "the viewer on {} kbit/s: {}, {:.0} kbit/s",
        NARROW / 1000,
        stream.latency(peers[2], after),
        rate(peers[2])
    );
    println!("of {all} estimates {low} at most {} kbit/s", BOUND / 1000);
    for name in ["relay_paced_packets_total", "relay_skips_total", "relay_probes_total"] {
        println!("{name} {}", house.metric(name).await);
    }
    assert!(rate(peers[1]) > 1_000.0, "the free viewer gets everything");
    assert!(rate(peers[2]) > 50.0, "the other one gets at least key frames");
    assert!(low >= 3.0, "the narrow path is found");
    assert!(all - low >= 3.0, "and the other one is not taken for narrow");
    assert!(house.metric("relay_paced_packets_total").await > 0.0);
    house.relay.shutdown().await;
}

#[tokio::test]
async fn a_publisher_learns_what_its_uplink_carries() {
    const START: u64 = 100_000;
    let house = House::new().await;
    let (mut sealer, _) = household();
    let (mut camera, session) = Peer::join_from(&house, (Scope::Publish, Some(START)), &[Codec::Vp8]).await;
    assert!(session.answer.contains("transport-cc") && session.answer.contains("transport-wide-cc"));
    run(&mut [&mut camera], "connecting", |peers| peers[0].connected).await;
    let (mut track, mut next) = (Track::new(Codec::Vp8), Instant::now());
    let started = Instant::now();
    run(&mut [&mut camera], "an estimate above the first", |peers| {
        if Instant::now() >= next {
            next += Duration::from_millis(15);
            let frame = track.next(&mut sealer);
            peers[0].send(MediaKind::Video, frame.timestamp, &frame.payloads);
        }
        peers[0].estimate.is_some_and(|estimate| estimate > 3 * START)
    })
    .await;
    println!("{:?} bit/s after {} ms", camera.estimate, started.elapsed().as_millis());
    assert!(house.metric("relay_transport_feedback_total{dir=\"out\"}").await >= 1.0);
    house.relay.shutdown().await;
}

/// A camera of about 1.4 Mbit/s.
struct Stream {
    track: Track,
    next: Instant,
    /// When frames were sent, by their last payload, which comes as it was sent.
    sent: HashMap<Vec<u8>, Instant>,
}

impl Stream {
    async fn run_for(
        &mut self,
        peers: &mut [&mut Peer],
        sealer: &mut latchkey_e2ee::seal::FrameSealer,
        time: Duration,
    ) {
        let until = Instant::now() + time;
        run(peers, "a while", |peers| {
            while Instant::now() >= self.next {
                self.next += Duration::from_millis(15);
                let frame = self.track.next(sealer);
                self.sent.insert(frame.payloads.last().unwrap().clone(), Instant::now());
                peers[0].send(MediaKind::Video, frame.timestamp, &frame.payloads);
            }
            Instant::now() >= until
        })
        .await;
    }

    /// Time from a frame's sending to its last packet.
    fn latency(&self, peer: &Peer, which: impl Fn(&Packet) -> bool) -> String {
        let ends = peer.packets.iter().filter(|packet| packet.marker && which(packet));
        let mut delays: Vec<_> = ends
            .filter_map(|packet| packet.at.checked_duration_since(*self.sent.get(&packet.payload)?))
            .map(|delay| delay.as_secs_f64() * 1e3)
            .collect();
        delays.sort_unstable_by(f64::total_cmp);
        let at = |part: f64| delays.get((delays.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
        format!("{} frames, p50 {:.1} ms, p95 {:.1} ms", delays.len(), at(0.5), at(0.95))
    }
}

fn bottleneck() -> NetemConfig {
    let buffer = DataSize::bytes((NARROW / 8 / 5) as i64);
    NetemConfig::new().latency(Duration::from_millis(10)).link(Bitrate::bps(NARROW), buffer)
}

/// Estimates so far: those at most `BOUND`, and all.
async fn estimates(house: &House) -> (f64, f64) {
    let name = "relay_viewer_estimate_bytes_per_second";
    let low = house.metric(&format!("{name}_bucket{{transport=\"webrtc\",le=\"{}\"}}", BOUND / 8)).await;
    (low, house.metric(&format!("{name}_count{{transport=\"webrtc\"}}")).await)
}

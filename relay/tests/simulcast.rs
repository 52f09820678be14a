//! Three simulcast layers through the relay: an unhindered viewer gets the largest, one on a narrow path a small one and then
//! more, and every frame it gets is whole and opens.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::envelope::{self, EnvelopeBuilder};
use latchkey_wire::grant::Scope;
use latchkey_wire::payload::{self, Payloads};
use str0m_netem::{Bitrate, DataSize, Netem, NetemConfig};
use support::House;
use support::film::{Footage, film};
use support::peer::{Packet, Peer, run};
use support::sealed::{household, open_all};

const CODEC: Codec = Codec::Vp8;
/// Name, track of the key id, and bytes of a frame: about 120, 400 and 1200 kbit/s at 30 a second.
const LAYERS: [(&str, u8, usize); 3] = [("l", 0, 450), ("m", 3, 1_600), ("h", 4, 5_000)];
const NARROW: u64 = 300_000;

#[tokio::test]
async fn each_viewer_gets_the_layer_that_its_path_carries() {
    let house = House::new().await;
    let (sealer, mut opener) = household();
    let (mut camera, session) = Peer::join_with_layers(&house, CODEC, &LAYERS.map(|layer| layer.0)).await;
    assert!(session.answer.contains("a=simulcast:recv l;m;h"), "{}", session.answer);
    let (mut free, _) = Peer::join(&house, Scope::View, &[CODEC]).await;
    let (mut narrow, _) = Peer::join(&house, Scope::View, &[CODEC]).await;
    let mut peers = [&mut camera, &mut free, &mut narrow];
    run(&mut peers, "connecting", |peers| peers.iter().all(|peer| peer.connected)).await;

    let mut source = Source::new(sealer);
    film(&mut source, &mut peers, "the largest layer for both", |source, peers| {
        (1..=2).all(|viewer| {
            source.newest(peers[viewer]).is_some_and(|frame| frame.layer == 2 && frame.number > 60)
        })
    })
    .await;
    peers[2].bottleneck = Some(Netem::new(bottleneck()));
    film(&mut source, &mut peers, "the smallest layer on the narrow path", |source, peers| {
        source.newest(peers[2]).is_some_and(|frame| frame.layer == 0)
    })
    .await;
    let rooms: serde_json::Value =
        house.http.get(house.ops("/rooms")).send().await.unwrap().json().await.unwrap();
    let layers = rooms["rooms"][0]["layers"].as_array().unwrap().clone();
    assert_eq!(
        layers.iter().map(|layer| layer["rid"].as_str().unwrap()).collect::<Vec<_>>(),
        ["l", "m", "h"]
    );
    peers[2].bottleneck = None;
    film(&mut source, &mut peers, "a larger layer when the path is wide again", |source, peers| {
        source.newest(peers[2]).is_some_and(|frame| frame.layer > 0)
    })
    .await;

    film(&mut source, &mut peers, "the largest layer for the free viewer still", |source, peers| {
        source.newest(peers[1]).is_some_and(|frame| frame.layer == 2)
    })
    .await;

    for (viewer, name) in [(1, "free"), (2, "narrow")] {
        let frames = source.frames(peers[viewer]);
        for pair in frames.windows(2) {
            let [before, after] = [pair[0], pair[1]];
            let same = before.layer == after.layer;
            assert!(same || after.key, "another layer from its key frame: {before:?} {after:?}");
            assert!(!same || after.number > before.number, "{before:?} {after:?}");
            let lossless = viewer == 1 && same;
            assert!(!lossless || after.number == before.number + 1 || after.key, "{before:?} {after:?}");
        }
        let mut shown: Vec<usize> = frames.iter().map(|frame| frame.layer).collect();
        shown.dedup();
        println!("the {name} viewer's layers: {shown:?}");
        assert!(time_goes_forward(&peers[viewer].packets), "over every switch");
    }
    let frames = source.frames(peers[2]);
    let whole: Vec<Packet> = source.whole(peers[2]);
    let opened = open_all(&mut opener, CODEC, &whole);
    assert_eq!(opened.len(), frames.len(), "every whole frame opens, of whichever layer");
    for name in ["up", "down"] {
        let name = format!("relay_layer_switches_total{{direction=\"{name}\"}}");
        let count = house.metric(&name).await;
        println!("{name} {count}");
        assert!(count >= 1.0, "{name}");
    }
    house.relay.shutdown().await;
}

/// A viewer who comes in the middle of a group of pictures gets the largest layer's from its beginning, and none is asked for
/// because of it.
#[tokio::test]
async fn a_joiner_begins_with_the_kept_pictures_of_the_largest_layer() {
    let house = House::new().await;
    let (sealer, mut opener) = household();
    let (mut camera, _) = Peer::join_with_layers(&house, CODEC, &LAYERS.map(|layer| layer.0)).await;
    let (mut first, _) = Peer::join(&house, Scope::View, &[CODEC]).await;
    let mut source = Source::new(sealer);
    // Shorter than the time after which the relay itself asks for a key frame.
    source.gop = 90;
    let mut peers = [&mut camera, &mut first];
    run(&mut peers, "connecting", |peers| peers.iter().all(|peer| peer.connected)).await;
    film(&mut source, &mut peers, "the middle of a group of pictures that is measured", |source, peers| {
        source.number > 2 * source.gop
            && source.number % source.gop == source.gop / 2
            && source.newest(peers[1]).is_some_and(|frame| frame.layer == 2)
    })
    .await;
    let asked = peers[0].key_frames_wanted;
    let posted = Instant::now();
    let (mut joiner, _) = Peer::join(&house, Scope::View, &[CODEC]).await;
    let mut peers = [&mut camera, &mut first, &mut joiner];
    film(&mut source, &mut peers, "live", |source, peers| {
        // Whatever was sent a moment ago may be on its way.
        source.frames(peers[2]).last().is_some_and(|frame| frame.number + 3 >= source.number)
    })
    .await;
    let live = posted.elapsed();
    let frames = source.frames(peers[2]);
    let (_, picture) = &source.groups(peers[2])[0];
    let picture = picture.iter().map(|packet| packet.at).max().unwrap() - posted;
    println!(
        "in the middle of {} frames: connected {} ms after the offer, first picture after {} ms, live after {} ms ({} frames)",
        source.gop,
        (peers[2].connected_at.unwrap() - posted).as_millis(),
        picture.as_millis(),
        live.as_millis(),
        frames.len()
    );
    assert!(frames[0].key && frames.iter().all(|frame| frame.layer == 2), "{frames:?}");
    assert!(frames.windows(2).all(|pair| pair[1].number == pair[0].number + 1), "{frames:?}");
    assert_eq!(frames[0].number % source.gop, 0, "a key frame that the camera had sent of itself");
    assert!(frames.len() > 2, "begun before the joiner came");
    assert_eq!(peers[0].key_frames_wanted, asked, "none was asked for");
    let whole: Vec<Packet> = source.whole(peers[2]);
    assert_eq!(open_all(&mut opener, CODEC, &whole).len(), frames.len());
    house.relay.shutdown().await;
}

/// A camera that sends three layers, with key frames at the same time.
struct Source {
    sealer: FrameSealer,
    /// Frames from one key frame to the next.
    gop: usize,
    number: usize,
    next: Instant,
    envelope: EnvelopeBuilder,
    /// Frames by their first payload, which holds the counter of its key and so is its own.
    sent: BTreeMap<Vec<u8>, (Frame, Vec<Vec<u8>>)>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    layer: usize,
    number: usize,
    key: bool,
}

impl Footage for Source {
    fn next(&mut self) -> &mut Instant {
        &mut self.next
    }

    fn send(&mut self, camera: &mut Peer) {
        let key = self.number.is_multiple_of(self.gop);
        for (layer, (rid, track, len)) in LAYERS.into_iter().enumerate() {
            let head: &[u8] = match key {
                true => &[0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01],
                false => &[0x11, 0x02, 0x00],
            };
            let plain = [head, &vec![layer as u8; len]].concat();
            let (mut clear, mut sframe, mut wire) = (Vec::new(), Vec::new(), Vec::new());
            self.envelope.build(key, &plain, &mut clear).unwrap();
            let header = InnerHeader::new(SystemTime::now(), key, CODEC);
            self.sealer.seal(track, header, &clear, &plain, &mut sframe).unwrap();
            envelope::join(CODEC, &clear, &sframe, &mut wire);
            let mut payloads = Payloads::new();
            payload::split(CODEC, &wire, key, 1_040, &mut payloads).unwrap();
            let payloads: Vec<Vec<u8>> = payloads.iter().map(<[u8]>::to_vec).collect();
            // Each layer has a time line of its own.
            let timestamp = 90_000 + self.number as u32 * 2_970 + layer as u32 * 1_000_000;
            camera.send_layer((MediaKind::Video, Some(rid)), timestamp, &payloads);
            self.sent.insert(payloads[0].clone(), (Frame { layer, number: self.number, key }, payloads));
        }
        self.number += 1;
    }
}

impl Source {
    fn new(sealer: FrameSealer) -> Self {
        let envelope = EnvelopeBuilder::new(CODEC);
        Self { sealer, gop: 30, number: 0, next: Instant::now(), envelope, sent: BTreeMap::new() }
    }

    /// The newest frame of which something came.
    fn newest(&self, peer: &Peer) -> Option<Frame> {
        peer.packets.iter().rev().find_map(|packet| self.sent.get(&packet.payload)).map(|(frame, _)| *frame)
    }

    /// The frames that came whole, in the order of their numbers.
    fn frames(&self, peer: &Peer) -> Vec<Frame> {
        self.groups(peer).into_iter().map(|(frame, _)| frame).collect()
    }

    fn whole(&self, peer: &Peer) -> Vec<Packet> {
        self.groups(peer).into_iter().flat_map(|(_, packets)| packets).collect()
    }

    fn groups(&self, peer: &Peer) -> Vec<(Frame, Vec<Packet>)> {
        let ordered: BTreeMap<u64, &Packet> =
            peer.packets.iter().map(|packet| (packet.sequence, packet)).collect();
        let mut groups: Vec<Vec<Packet>> = Vec::new();
        for packet in ordered.into_values() {
            match groups.last_mut().filter(|group| group[0].timestamp == packet.timestamp) {
                Some(group) => group.push(packet.clone()),
                None => groups.push(vec![packet.clone()]),
            }
        }
        let whole = groups.into_iter().filter_map(|group| {
            let (frame, payloads) = self.sent.get(&group[0].payload)?;
            let same = payloads.len() == group.len()
                && payloads.iter().zip(&group).all(|(sent, came)| *sent == came.payload);
            same.then_some((*frame, group))
        });
        whole.collect()
    }
}

/// Whether timestamps never go back along the sequence numbers.
fn time_goes_forward(packets: &[Packet]) -> bool {
    let ordered: BTreeMap<u64, u32> =
        packets.iter().map(|packet| (packet.sequence, packet.timestamp)).collect();
    let times: Vec<u32> = ordered.into_values().collect();
    times.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) as i32 >= 0)
}

fn bottleneck() -> NetemConfig {
    let buffer = DataSize::bytes((NARROW / 8 / 5) as i64);
    NetemConfig::new().latency(Duration::from_millis(10)).link(Bitrate::bps(NARROW), buffer)
}

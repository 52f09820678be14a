//! Temporal layers through the relay, by another implementation that writes the Dependency Descriptor: a viewer on a narrow
//! path gets fewer of them, without a gap in its numbers or a frame it cannot decode, and a free one gets all.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::Codec;
use latchkey_wire::dependency_descriptor::Mandatory;
use latchkey_wire::grant::Scope;
use str0m_netem::{Bitrate, DataSize, Netem, NetemConfig};
use support::House;
use support::film::{Footage, film};
use support::peer::{Offer, Packet, Peer, run};
use support::sealed::{Track, household, open_all};

const CODEC: Codec = Codec::Vp8;
/// The camera sends about 650 kbit/s, two thirds of it without the top layer and a third in the base layer.
const NARROW: u64 = 450_000;
/// Frames from one key frame to the next, as [`Track`] has it.
const GOP: usize = 30;

#[tokio::test]
async fn a_narrow_viewer_gets_fewer_temporal_layers_and_a_free_one_all() {
    let house = House::new().await;
    let (sealer, mut opener) = household();
    let described = |scope| Offer { descriptor: true, ..Offer::plain(scope) };
    let (mut camera, session) = Peer::join_with(&house, described(Scope::Publish), &[CODEC]).await;
    assert!(session.answer.contains("dependency-descriptor"), "{}", session.answer);
    let (mut free, _) = Peer::join_with(&house, described(Scope::View), &[CODEC]).await;
    let (mut narrow, _) = Peer::join_with(&house, described(Scope::View), &[CODEC]).await;
    let mut peers = [&mut camera, &mut free, &mut narrow];
    run(&mut peers, "connecting", |peers| peers.iter().all(|peer| peer.connected)).await;

    let mut source = Source::new(sealer);
    film(&mut source, &mut peers, "three layers for both", |source, peers| {
        (1..=2).all(|viewer| source.recent_layers(peers[viewer]) == Some(2))
    })
    .await;
    peers[2].bottleneck = Some(Netem::new(bottleneck()));
    let narrowed = source.frames.len();
    film(&mut source, &mut peers, "fewer layers on the narrow path", |source, peers| {
        source.recent_layers(peers[2]).is_some_and(|highest| highest < 2)
    })
    .await;
    println!("fewer after {} ms of video", 33 * (source.frames.len() - narrowed));
    assert_eq!(source.recent_layers(peers[1]), Some(2), "the free viewer has all of them");
    peers[2].bottleneck = None;
    let widened = source.frames.len();
    film(&mut source, &mut peers, "all layers when the path is wide again", |source, peers| {
        source.recent_layers(peers[2]) == Some(2)
    })
    .await;
    println!("all again after {} ms of video", 33 * (source.frames.len() - widened));
    let end = source.frames.len();
    source.stop(&mut peers).await;

    let every: Vec<usize> = source.numbers(peers[1]);
    assert_eq!(every, (every[0]..end).collect::<Vec<_>>(), "each frame to the free viewer");
    let kept = source.numbers(peers[2]);
    let by_layer = |layer| kept.iter().filter(|number| source.frames[**number].temporal == layer).count();
    println!("the narrow viewer got {} of {end} frames, by layer {:?}", kept.len(), [0, 1, 2].map(by_layer));
    assert!(kept.len() < every.len());
    let bases: Vec<usize> =
        kept.iter().copied().filter(|number| source.frames[*number].temporal == 0).collect();
    let wanted: Vec<usize> = (bases[0]..end).filter(|number| source.frames[*number].temporal == 0).collect();
    assert_eq!(bases, wanted, "the base layer never stalls");
    for viewer in [1, 2] {
        source.check(peers[viewer]);
    }
    assert_eq!(open_all(&mut opener, CODEC, &peers[2].packets).len(), kept.len(), "every frame opens");
    house.relay.shutdown().await;
}

/// A camera of three temporal layers (L1T3).
struct Source {
    sealer: FrameSealer,
    track: Track,
    next: Instant,
    frames: Vec<Frame>,
    /// Which frame a payload is of: sealed payloads are all different.
    of: HashMap<Vec<u8>, usize>,
}

struct Frame {
    temporal: u8,
    packets: usize,
    /// Of the frame that it needs.
    needs: Option<usize>,
}

impl Footage for Source {
    fn next(&mut self) -> &mut Instant {
        &mut self.next
    }

    fn send(&mut self, camera: &mut Peer) {
        let (number, in_gop) = (self.frames.len(), self.frames.len() % GOP);
        let shape = Shape::of(in_gop);
        let sealed = self.track.next(&mut self.sealer);
        let count = sealed.payloads.len();
        let described = |(index, payload): (usize, Vec<u8>)| {
            let ends = (index == 0, index + 1 == count);
            let descriptor = shape.descriptor(in_gop == 0, ends, number as u16);
            (payload, descriptor)
        };
        sealed.payloads.iter().for_each(|payload| {
            self.of.insert(payload.clone(), number);
        });
        let packets: Vec<_> = sealed.payloads.into_iter().enumerate().map(described).collect();
        let needs = (in_gop > 0).then(|| number - shape.back);
        self.frames.push(Frame { temporal: shape.temporal, packets: count, needs });
        camera.send_described(sealed.timestamp, &packets);
    }
}

impl Source {
    fn new(sealer: FrameSealer) -> Self {
        let track = Track::new(CODEC);
        Self { sealer, track, next: Instant::now(), frames: Vec::new(), of: HashMap::new() }
    }

    /// Until nothing is on its way any more.
    async fn stop(&self, peers: &mut [&mut Peer]) {
        let last = self.frames.len() - 1;
        run(peers, "the last frame", |peers| {
            peers[1..].iter().all(|peer| self.numbers(peer).last() == Some(&last) && is_gapless(peer))
        })
        .await;
    }

    /// The highest layer among the last frames that came; `None` before there are some.
    fn recent_layers(&self, peer: &Peer) -> Option<u8> {
        let numbers = self.numbers(peer);
        let recent = numbers.last_chunk::<RECENT>()?;
        recent.iter().map(|number| self.frames[*number].temporal).max()
    }

    /// The frames that came whole.
    fn numbers(&self, peer: &Peer) -> Vec<usize> {
        let mut came: BTreeMap<usize, BTreeSet<u64>> = BTreeMap::new();
        for packet in &peer.packets {
            if let Some(number) = self.of.get(&packet.payload) {
                came.entry(*number).or_default().insert(packet.sequence);
            }
        }
        let whole =
            came.into_iter().filter(|(number, packets)| packets.len() == self.frames[*number].packets);
        whole.map(|(number, _)| number).collect()
    }

    /// No number is missing, all that came is of whole frames, each frame has what it needs, its number is as far from that
    /// as the camera said, and its last packet alone has the marker.
    fn check(&self, peer: &Peer) {
        assert!(is_gapless(peer));
        let ordered: BTreeMap<u64, &Packet> =
            peer.packets.iter().map(|packet| (packet.sequence, packet)).collect();
        let mut numbers: HashMap<usize, u16> = HashMap::new();
        let ordered: Vec<&Packet> = ordered.into_values().collect();
        for (index, packet) in ordered.iter().enumerate() {
            let number = self.of[&packet.payload];
            let next = ordered.get(index + 1).map(|next| self.of[&next.payload]);
            assert_eq!(packet.marker, next != Some(number), "frame {number}");
            let descriptor = Mandatory::read(packet.descriptor.as_ref().unwrap()).unwrap();
            assert_eq!(descriptor.end_of_frame, packet.marker);
            numbers.insert(number, descriptor.frame_number);
        }
        assert_eq!(numbers.len(), self.numbers(peer).len(), "frames are whole");
        for (number, told) in &numbers {
            if let Some(needed) = self.frames[*number].needs {
                let before = numbers.get(&needed).unwrap_or_else(|| panic!("{number} without {needed}"));
                assert_eq!(usize::from(told.wrapping_sub(*before)), number - needed);
            }
        }
    }
}

/// Every number between the first and the last came.
fn is_gapless(peer: &Peer) -> bool {
    let numbers: BTreeSet<u64> = peer.packets.iter().map(|packet| packet.sequence).collect();
    let ends = numbers.first().zip(numbers.last());
    ends.is_some_and(|(first, last)| last - first + 1 == numbers.len() as u64)
}

/// What a frame is by its place in the group of pictures.
struct Shape {
    template: u32,
    temporal: u8,
    /// How many frames back is the one it needs.
    back: usize,
}

impl Shape {
    fn of(in_gop: usize) -> Self {
        let (template, temporal, back) = match in_gop % 4 {
            _ if in_gop == 0 => (0, 0, 0),
            0 => (1, 0, 4),
            1 => (3, 2, 1),
            2 => (2, 1, 2),
            _ => (4, 2, 1),
        };
        Self { template, temporal, back }
    }

    /// As libwebrtc writes it for L1T3 (AV1 RTP specification, appendix A).
    fn descriptor(&self, key: bool, (starts, ends): (bool, bool), frame_number: u16) -> Vec<u8> {
        let mandatory =
            [(u32::from(starts), 1), (u32::from(ends), 1), (self.template, 6), (frame_number.into(), 16)];
        // Offset 0, three decode targets; the templates' layers are 0 0 1 2 2; how they are to each target (not there,
        // discardable, switch); the frames they need, 4, 2, 1 and 1 back; one chain and the distances in it; no resolution.
        let structure = [
            (0b10000, 5),
            (0, 6),
            (2, 5),
            (0b00_01_01_00_11, 10),
            (0b101010_101010_000110_000001_000001, 30),
            (0b0, 1),
            (0b10_0110, 6),
            (0b10_0010, 6),
            (0b10_0000, 6),
            (0b10_0000, 6),
            (0b01, 2),
            (0b0000_0100_0010_0001_0011, 20),
            (0, 1),
        ];
        let structure = structure.into_iter().filter(|_| key && starts);
        let bits: Vec<bool> = mandatory
            .into_iter()
            .chain(structure)
            .flat_map(|(value, width): (u32, u32)| (0..width).rev().map(move |shift| value >> shift & 1 == 1))
            .collect();
        let byte = |bits: &[bool]| bits.iter().rev().enumerate().map(|(at, bit)| u8::from(*bit) << at).sum();
        bits.chunks(8)
            .map(|bits| {
                let full: Vec<bool> = bits.iter().copied().chain(std::iter::repeat(false)).take(8).collect();
                byte(&full)
            })
            .collect()
    }
}

/// A cycle of four frames has every layer; three of them are more than chance.
const RECENT: usize = 12;

/// It holds back rather than drops, so that what is lost is not the question.
fn bottleneck() -> NetemConfig {
    let buffer = DataSize::bytes((NARROW / 8 * 3) as i64);
    NetemConfig::new().latency(Duration::from_millis(10)).link(Bitrate::bps(NARROW), buffer)
}

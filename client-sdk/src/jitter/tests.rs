//! Loss, repetition and disorder of every kind: what comes out is what went in, in order.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use latchkey_wire::codec::Codec;
use proptest::prelude::*;

use super::{Jitter, Limits};
use crate::packetizer::{Packetizer, Start, WireFrame};
use crate::transport::{IncomingPacket, OutgoingPacket};

const EVERY: Duration = Duration::from_millis(40);
const WAIT: Duration = Duration::from_millis(100);

/// A frame as it was sent.
#[derive(Clone, Debug)]
struct Sent {
    wire: Vec<u8>,
    key: bool,
    packets: Vec<OutgoingPacket>,
}

fn wire(codec: Codec, key: bool, index: usize, length: usize) -> Vec<u8> {
    let mut wire: Vec<u8> = match (codec, key) {
        (Codec::Vp8, true) => vec![0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01],
        (Codec::Vp8, false) => vec![0x11],
        (Codec::Av1, true) => vec![0x0a, 0x00, 0x30],
        (Codec::Av1, false) => vec![0x30],
        _ => vec![],
    };
    wire.extend((0..length.max(8)).map(|at| (at * 7 + index * 31) as u8));
    wire
}

/// `lengths` frames, every `gop`th a key frame.
fn send(codec: Codec, lengths: &[usize], gop: usize, start: Start) -> Vec<Sent> {
    let mut packetizer = Packetizer::new(codec, start);
    let frames = lengths.iter().enumerate().map(|(index, length)| {
        let key = index % gop == 0 || codec == Codec::Opus;
        let wire = wire(codec, key, index, *length);
        let mut packets = Vec::new();
        let frame = WireFrame {
            wire: &wire,
            key,
            pts: EVERY * index as u32,
            captured: EVERY * index as u32,
            geometry: Some((640, 360)),
        };
        packetizer.packetize(frame, &mut packets).unwrap();
        Sent { wire, key, packets }
    });
    frames.collect()
}

fn arrive(codec: Codec, packet: &OutgoingPacket, arrived: Instant) -> IncomingPacket {
    IncomingPacket {
        kind: codec.kind(),
        codec,
        sequence_number: packet.sequence_number,
        timestamp: packet.timestamp,
        marker: packet.marker,
        extensions: Vec::new(),
        payload: packet.payload.clone(),
        arrived,
    }
}

/// Plays packets at their times and returns the wire frames that came out.
fn play(jitter: &mut Jitter, mut arrivals: Vec<IncomingPacket>) -> Vec<super::Depacketized> {
    arrivals.sort_by_key(|packet| packet.arrived);
    let mut out = Vec::new();
    let end = arrivals.last().map(|packet| packet.arrived + 2 * WAIT);
    for packet in arrivals {
        while let Some(deadline) = jitter.deadline().filter(|deadline| *deadline < packet.arrived) {
            let before = out.len();
            out.extend(std::iter::from_fn(|| jitter.pop(deadline)));
            assert!(
                jitter.deadline() != Some(deadline) || out.len() > before,
                "a deadline that changes nothing"
            );
        }
        let now = packet.arrived;
        jitter.push(packet);
        out.extend(std::iter::from_fn(|| jitter.pop(now)));
    }
    if let Some(end) = end {
        out.extend(std::iter::from_fn(|| jitter.pop(end)));
    }
    out
}

fn limits() -> Limits {
    Limits { wait: WAIT, ..Limits::default() }
}

fn codecs() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::Vp8), Just(Codec::Vp9), Just(Codec::Av1), Just(Codec::Opus)]
}

/// What the network does to one packet.
#[derive(Clone, Debug)]
struct Fate {
    lost: bool,
    delay_ms: u64,
    repeated_after_ms: Option<u64>,
}

fn fates(loss: f64) -> impl Strategy<Value = Vec<Fate>> {
    let fate = (
        prop::bool::weighted(loss),
        prop_oneof![6 => 0_u64..20, 1 => 20_u64..90],
        prop::option::weighted(0.1, 0_u64..400),
    );
    let fate =
        fate.prop_map(|(lost, delay_ms, repeated_after_ms)| Fate { lost, delay_ms, repeated_after_ms });
    prop::collection::vec(fate, 40)
}

fn deliver(codec: Codec, sent: &[Sent], fates: &[Fate], zero: Instant) -> Vec<IncomingPacket> {
    let mut fate = fates.iter().cycle();
    let mut arrivals = Vec::new();
    for (index, frame) in sent.iter().enumerate() {
        for packet in &frame.packets {
            let fate = fate.next().unwrap();
            let at = zero + EVERY * index as u32 + Duration::from_millis(fate.delay_ms);
            if !fate.lost {
                arrivals.push(arrive(codec, packet, at));
            }
            if let Some(after) = fate.repeated_after_ms {
                arrivals.push(arrive(codec, packet, at + Duration::from_millis(after)));
            }
        }
    }
    arrivals
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn disorder_and_repetition_alone_lose_nothing(
        codec in codecs(),
        lengths in prop::collection::vec(8_usize..5_000, 30),
        gop in 1_usize..12,
        fates in fates(0.0),
        sequence_number: u16,
        timestamp: u32,
    ) {
        let lengths: Vec<_> = lengths.into_iter().map(|l| if codec == Codec::Opus { l % 500 + 8 } else { l }).collect();
        let sent = send(codec, &lengths, gop, Start { sequence_number, timestamp });
        let mut jitter = Jitter::new(codec, Limits { wait: Duration::from_secs(1), ..limits() });
        let mut arrivals = deliver(codec, &sent, &fates, Instant::now());
        // A stream is entered at its first packet; what comes before it is not waited for.
        let earliest = arrivals.iter().map(|packet| packet.arrived).min().unwrap();
        arrivals.insert(0, arrive(codec, &sent[0].packets[0], earliest));
        let out = play(&mut jitter, arrivals);
        prop_assert_eq!(out.len(), sent.len());
        for (got, sent) in out.iter().zip(&sent) {
            prop_assert_eq!(&got.wire[..], &sent.wire[..]);
        }
        prop_assert_eq!(jitter.counters().lost, 0);
    }

    #[test]
    fn under_loss_frames_are_whole_in_order_and_video_starts_over_with_a_key_frame(
        codec in codecs(),
        lengths in prop::collection::vec(8_usize..5_000, 60),
        gop in 2_usize..12,
        fates in fates(0.08),
        sequence_number: u16,
    ) {
        let lengths: Vec<_> = lengths.into_iter().map(|l| if codec == Codec::Opus { l % 500 + 8 } else { l }).collect();
        let sent = send(codec, &lengths, gop, Start { sequence_number, timestamp: 0 });
        let mut jitter = Jitter::new(codec, limits());
        let out = play(&mut jitter, deliver(codec, &sent, &fates, Instant::now()));
        let mut previous: Option<usize> = None;
        for got in &out {
            let index = sent.iter().position(|sent| got.wire == sent.wire).expect("a frame that was never sent");
            prop_assert!(previous.is_none_or(|previous| index > previous), "out of order or twice");
            let follows = previous.is_some_and(|previous| index == previous + 1);
            prop_assert!(follows || sent[index].key || codec == Codec::Opus, "a frame whose base was lost");
            previous = Some(index);
        }
        let counters = jitter.counters();
        prop_assert_eq!(counters.frames, out.len() as u64);
        prop_assert!(jitter.packets.len() <= 4_096);
    }

    #[test]
    fn any_packets_at_all_do_not_panic(
        codec in codecs(),
        packets in prop::collection::vec(
            (any::<u16>(), any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..20), 0_u64..300), 0..200),
    ) {
        let zero = Instant::now();
        let mut jitter = Jitter::new(codec, Limits { wait: WAIT, packets: 64 });
        let arrivals = packets.into_iter().map(|(sequence_number, timestamp, marker, payload, after)| {
            let packet = OutgoingPacket { sequence_number, timestamp, marker, extensions: vec![], payload: payload.into() };
            arrive(codec, &packet, zero + Duration::from_millis(after))
        });
        for packet in arrivals {
            let now = packet.arrived;
            jitter.push(packet);
            while jitter.pop(now).is_some() {}
            prop_assert!(jitter.packets.len() <= 65);
            prop_assert!(jitter.missing(50).len() <= 50);
        }
    }
}

#[test]
fn a_gap_is_asked_for_and_closed_by_a_repetition() {
    let sent = send(Codec::Vp8, &[3_000, 3_000, 3_000], 10, Start { sequence_number: 65_535, timestamp: 5 });
    let zero = Instant::now();
    let mut jitter = Jitter::new(Codec::Vp8, limits());
    let all: Vec<_> = sent.iter().flat_map(|frame| &frame.packets).collect();
    let (lost, rest) = (all[4], all.iter().filter(|packet| packet.sequence_number != all[4].sequence_number));
    for packet in rest {
        jitter.push(arrive(Codec::Vp8, packet, zero));
    }
    assert_eq!(jitter.pop(zero).unwrap().wire, sent[0].wire);
    assert_eq!(jitter.pop(zero), None);
    assert_eq!(jitter.missing(10), [lost.sequence_number]);
    assert_eq!(jitter.deadline(), Some(zero + WAIT));
    jitter.push(arrive(Codec::Vp8, lost, zero + WAIT / 2));
    assert_eq!(jitter.pop(zero + WAIT / 2).unwrap().wire, sent[1].wire);
    assert_eq!(jitter.pop(zero + WAIT / 2).unwrap().wire, sent[2].wire);
    assert!(jitter.missing(10).is_empty() && !jitter.wants_key_frame());
}

#[test]
fn broken_video_waits_for_a_key_frame_and_says_so() {
    let sent = send(Codec::Vp8, &[2_000; 9], 4, Start { sequence_number: 9, timestamp: 5 });
    let zero = Instant::now();
    let mut jitter = Jitter::new(Codec::Vp8, limits());
    let mut got = Vec::new();
    for (index, frame) in sent.iter().enumerate() {
        let now = zero + EVERY * index as u32;
        let broken = index == 1;
        for packet in frame.packets.iter().skip(usize::from(broken)) {
            jitter.push(arrive(Codec::Vp8, packet, now));
        }
        if index == 3 {
            assert_eq!(jitter.pop(zero + WAIT + EVERY), None);
            assert!(jitter.wants_key_frame());
        }
        got.extend(std::iter::from_fn(|| jitter.pop(now)).map(|frame| (frame.wire, frame.key)));
    }
    let expected: Vec<_> =
        [0, 4, 5, 6, 7, 8].iter().map(|at| (sent[*at].wire.clone().into(), sent[*at].key)).collect();
    assert_eq!(got, expected);
    assert_eq!(jitter.counters().lost, 1);
}

#[test]
fn a_late_repetition_saves_what_came_since() {
    let sent = send(Codec::Vp8, &[2_000; 12], 8, Start { sequence_number: 9, timestamp: 5 });
    let zero = Instant::now();
    let mut jitter = Jitter::new(Codec::Vp8, limits());
    let mut got = Vec::new();
    for (index, frame) in sent.iter().enumerate() {
        let now = zero + EVERY * index as u32;
        // The first packet of frame 1 comes with frame 7, that of frame 9 never: the key frame is between them.
        let broken = [1, 9].contains(&index);
        for packet in frame.packets.iter().skip(usize::from(broken)) {
            jitter.push(arrive(Codec::Vp8, packet, now));
        }
        if index == 7 {
            jitter.push(arrive(Codec::Vp8, &sent[1].packets[0], now));
        }
        got.extend(std::iter::from_fn(|| jitter.pop(now)).map(|frame| frame.wire));
        assert_eq!(jitter.wants_key_frame(), (4..7).contains(&index), "frame {index}");
        assert!(jitter.deadline().is_none_or(|deadline| deadline > now), "nothing to wake up for");
    }
    assert_eq!(got, sent[..9].iter().map(|frame| frame.wire.clone()).collect::<Vec<_>>());
    assert_eq!((jitter.counters().lost, jitter.counters().gaps), (0, 0));
}

#[test]
fn padding_between_and_inside_frames_and_empty_sound_are_stepped_over() {
    let zero = Instant::now();
    for codec in [Codec::Vp8, Codec::Opus] {
        let sent = send(codec, &[900; 3], 10, Start { sequence_number: 0, timestamp: 5 });
        let mut jitter = Jitter::new(codec, limits());
        let mut number = 0;
        for frame in &sent {
            for packet in &frame.packets {
                for payload in [packet.payload.clone(), bytes::Bytes::new()] {
                    let packet = OutgoingPacket {
                        sequence_number: number,
                        payload,
                        marker: packet.marker,
                        ..packet.clone()
                    };
                    jitter.push(arrive(codec, &packet, zero));
                    number += 1;
                }
            }
        }
        let got: Vec<_> = std::iter::from_fn(|| jitter.pop(zero)).map(|frame| frame.wire).collect();
        assert_eq!(got, sent.iter().map(|frame| frame.wire.clone()).collect::<Vec<_>>());
        assert_eq!(jitter.counters().empty, u64::from(number) / 2);
    }
}

#[test]
fn a_sender_that_counts_from_elsewhere_is_followed() {
    let zero = Instant::now();
    let mut jitter = Jitter::new(Codec::Opus, limits());
    let before = send(Codec::Opus, &[60; 10], 1, Start { sequence_number: 20_000, timestamp: 0 });
    let after = send(Codec::Opus, &[60; 400], 1, Start { sequence_number: 100, timestamp: 9 });
    let arrivals = before.iter().chain(&after).flat_map(|frame| &frame.packets);
    let arrivals: Vec<_> = arrivals
        .enumerate()
        .map(|(index, packet)| arrive(Codec::Opus, packet, zero + EVERY * index as u32))
        .collect();
    let out = play(&mut jitter, arrivals);
    assert!(out.len() > 200, "only {} frames", out.len());
    assert_eq!(out.last().unwrap().wire, after.last().unwrap().wire);
}

#[test]
fn a_picture_of_another_size_is_a_key_frame_like_any_other() {
    let zero = Instant::now();
    let mut jitter = Jitter::new(Codec::Vp8, limits());
    let mut sent = send(Codec::Vp8, &[1_500; 4], 2, Start { sequence_number: 0, timestamp: 0 });
    let mut packetizer = Packetizer::new(Codec::Vp8, Start { sequence_number: 0, timestamp: 0 });
    for (index, frame) in sent.iter_mut().enumerate() {
        if index == 2 {
            frame.wire[6..10].copy_from_slice(&[0x40, 0x01, 0xb4, 0x00]);
        }
        frame.packets.clear();
        let wire = WireFrame {
            wire: &frame.wire,
            key: frame.key,
            pts: EVERY * index as u32,
            captured: Duration::ZERO,
            geometry: Some(if index < 2 { (640, 360) } else { (320, 180) }),
        };
        packetizer.packetize(wire, &mut frame.packets).unwrap();
    }
    let arrivals =
        sent.iter().flat_map(|frame| &frame.packets).map(|packet| arrive(Codec::Vp8, packet, zero));
    let out = play(&mut jitter, arrivals.collect());
    assert_eq!(out.iter().map(|frame| frame.key).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(out[2].wire, sent[2].wire);
}

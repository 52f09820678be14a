//! The whole way of the clip's frames but for keys and sockets: envelope, packets, a bad network, packets, envelope.
#![allow(clippy::unwrap_used)]

mod clips;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use clips::{all_frames, bundled, clip, once, open_file};
use latchkey::frame::{Codec, MediaFrame};
use latchkey::jitter::{Jitter, Limits};
use latchkey::packetizer::{Packetizer, Start, WireFrame};
use latchkey::transport::{IncomingPacket, OutgoingPacket};
use latchkey_wire::envelope::{self, EnvelopeBuilder};

/// Stands for the sealed bytes: an SFrame header (KID 0, CTR 0), then bytes in which nothing of a codec is left.
fn sealed(frame: &MediaFrame) -> Vec<u8> {
    let mut state = frame.data.len() as u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Zeros are frequent on purpose: they are what H.264 has to escape.
        if state >> 30 == 0 { 0 } else { (state >> 16) as u8 }
    };
    let mut bytes = vec![0x00];
    bytes.extend(frame.data.iter().map(|byte| byte ^ next()));
    bytes.extend([0, 0, 0]);
    bytes
}

struct Sent {
    frame: MediaFrame,
    envelope: Vec<u8>,
    sealed: Vec<u8>,
    packets: Vec<OutgoingPacket>,
}

fn send(frames: Vec<MediaFrame>) -> Vec<Sent> {
    let codec = frames[0].codec;
    let mut envelopes = EnvelopeBuilder::new(codec);
    let mut packetizer =
        Packetizer::new(codec, Start { sequence_number: 65_500, timestamp: u32::MAX - 90_000 });
    let sent = frames.into_iter().map(|frame| {
        let (mut clear, mut wire, mut packets) = (Vec::new(), Vec::new(), Vec::new());
        envelopes.build(frame.key, &frame.data, &mut clear).unwrap();
        let sealed = sealed(&frame);
        envelope::join(codec, &clear, &sealed, &mut wire);
        let outgoing = WireFrame {
            wire: &wire,
            key: frame.key,
            pts: frame.pts,
            captured: Duration::from_secs(1_700_000_000) + frame.pts,
            geometry: frame.geometry,
        };
        packetizer.packetize(outgoing, &mut packets).unwrap();
        Sent { frame, envelope: clear, sealed, packets }
    });
    sent.collect()
}

/// Frames that arrive when of every `loss_every` packets one is lost, pairs are swapped and every seventh packet comes twice.
fn receive(sent: &[Sent], loss_every: usize) -> (Vec<usize>, Jitter) {
    let codec = sent[0].frame.codec;
    let zero = Instant::now();
    let mut jitter = Jitter::new(codec, Limits { wait: Duration::from_millis(100), ..Limits::default() });
    let mut scratch = Vec::new();
    let mut whole: VecDeque<usize> = (0..sent.len()).collect();
    let mut got = Vec::new();
    let mut number = 0;
    for frame in sent {
        let now = zero + frame.frame.pts;
        let mut order: Vec<_> = frame.packets.iter().collect();
        order.chunks_mut(2).for_each(<[_]>::reverse);
        for packet in order {
            number += 1;
            // The very first packets are what a viewer enters by; losing those is another test.
            let lost = number > 40 && number % loss_every == 0;
            let copies = if lost { 0 } else { 1 + usize::from(number % 7 == 0) };
            for _ in 0..copies {
                jitter.push(IncomingPacket {
                    kind: codec.kind(),
                    codec,
                    sequence_number: packet.sequence_number,
                    timestamp: packet.timestamp,
                    marker: packet.marker,
                    extensions: packet.extensions.clone(),
                    payload: packet.payload.clone(),
                    arrived: now,
                });
            }
        }
        for frame in std::iter::from_fn(|| jitter.pop(now)) {
            let parts = envelope::split(codec, &frame.wire, &mut scratch).unwrap();
            let index = loop {
                let index = whole.pop_front().expect("a frame that was not sent, or out of order");
                if sent[index].sealed == parts.sframe {
                    break index;
                }
            };
            assert_eq!(parts.envelope, sent[index].envelope);
            assert_eq!(frame.key, sent[index].frame.key);
            got.push(index);
        }
    }
    (got, jitter)
}

#[tokio::test]
async fn every_frame_of_the_clips_arrives_byte_for_byte() {
    for path in [clip(), bundled("doorbell-vp8.ivf"), bundled("doorbell.opus.ogg")] {
        let mut source = open_file(&path, &once()).await.unwrap();
        let frames = all_frames(&mut *source).await;
        let sent = send(frames);
        let packets: usize = sent.iter().map(|sent| sent.packets.len()).sum();
        let largest =
            sent.iter().flat_map(|sent| &sent.packets).map(|packet| packet.payload.len()).max().unwrap();
        println!("{}: {} frames, {packets} packets, largest payload {largest}", path.display(), sent.len());
        assert!(largest <= latchkey_wire::payload::DEFAULT_MAX_PAYLOAD);
        let (got, jitter) = receive(&sent, usize::MAX);
        assert_eq!(got, (0..sent.len()).collect::<Vec<_>>());
        assert_eq!(jitter.counters().lost, 0);
    }
}

#[tokio::test]
async fn under_loss_what_arrives_is_whole_and_video_starts_over_with_key_frames() {
    for path in [clip(), bundled("doorbell-vp8.ivf"), bundled("doorbell.opus.ogg")] {
        let mut source = open_file(&path, &once()).await.unwrap();
        let frames = all_frames(&mut *source).await;
        let sent = send(frames);
        let packets: usize = sent.iter().map(|sent| sent.packets.len()).sum();
        let (got, jitter) = receive(&sent, packets.div_ceil(6));
        println!("{}: {} of {} frames, {:?}", path.display(), got.len(), sent.len(), jitter.counters());
        assert!(jitter.counters().lost > 0 && got.len() < sent.len());
        for pair in got.windows(2) {
            let decodable = pair[1] == pair[0] + 1 || sent[pair[1]].frame.key;
            assert!(pair[1] > pair[0] && decodable, "{pair:?}");
        }
        // What is lost takes its sound alone with it, but its picture up to the next key frame.
        let least = if sent[0].frame.codec == Codec::Opus { sent.len() * 9 / 10 } else { 1 };
        assert!(got.len() >= least, "{} of {}", got.len(), sent.len());
    }
}

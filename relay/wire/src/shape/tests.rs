//! Our frames pass in every order a network makes of them; what is almost ours does not.

use super::*;
use crate::envelope::{self, EnvelopeBuilder};
use crate::payload::{self, Payloads};
use crate::sframe_header::{self, SframeHeader};
use bytes::Bytes;
use proptest::prelude::*;
use rtc_rtp::codec::av1::Av1Payloader;
use rtc_rtp::codec::h264::H264Payloader;
use rtc_rtp::codec::vp8::Vp8Payloader;
use rtc_rtp::codec::vp9::Vp9Payloader;
use rtc_rtp::packetizer::Payloader;

mod plaintext;

const VIDEO_KID: u64 = 0x8BAD_F00D << 24 | 7;
const AUDIO_KID: u64 = VIDEO_KID | 1 << 16;

/// A track as our clients send it.
struct Publisher {
    codec: Codec,
    builder: EnvelopeBuilder,
    kid: u64,
    ctr: u64,
}

impl Publisher {
    fn new(codec: Codec) -> Self {
        let kid = if codec == Codec::Opus { AUDIO_KID } else { VIDEO_KID };
        Self { codec, builder: EnvelopeBuilder::new(codec), kid, ctr: 0 }
    }

    fn wire_frame(&mut self, key: bool, len: usize) -> Vec<u8> {
        let h264 = "00000001674d400b26ca16276022000003000200000300641e28532c0000000168212be3cb200000000165882040021f";
        let real = match self.codec {
            Codec::H264 => hex::decode(h264).unwrap(),
            _ => hex::decode("d0dc019d012a4001b400aabb").unwrap(),
        };
        let mut envelope = Vec::new();
        self.builder.build(key, &real, &mut envelope).unwrap();
        let mut header = [0; sframe_header::MAX_LEN];
        let header_len = SframeHeader::write(self.kid, self.ctr, &mut header);
        self.ctr += 1;
        let ciphertext = (0..len).map(|n| (n * 89 + self.ctr as usize) as u8);
        let sframe: Vec<u8> = header[..header_len].iter().copied().chain(ciphertext).collect();
        let mut wire = Vec::new();
        envelope::join(self.codec, &envelope, &sframe, &mut wire);
        wire
    }

    fn frame(&mut self, key: bool, len: usize) -> Vec<Vec<u8>> {
        let wire = self.wire_frame(key, len);
        let mut payloads = Payloads::new();
        payload::split(self.codec, &wire, key, 1040, &mut payloads).unwrap();
        payloads.iter().map(<[u8]>::to_vec).collect()
    }

    /// Frames with a key frame in front and each `gop` frames.
    fn frames(&mut self, count: usize, gop: usize) -> Vec<Vec<Vec<u8>>> {
        (0..count)
            .map(|n| {
                self.frame(n % gop == 0, if self.codec == Codec::Opus { 90 } else { 100 + n * 613 % 4000 })
            })
            .collect()
    }
}

fn inspect_all<'a>(check: &mut ShapeCheck, payloads: impl IntoIterator<Item = &'a Vec<u8>>) -> Verdict {
    payloads.into_iter().for_each(|payload| {
        check.inspect(payload);
    });
    check.verdict()
}

#[test]
fn our_frames_settle_with_the_eighth() {
    for codec in Codec::ALL {
        let mut check = ShapeCheck::new(codec);
        for (index, frame) in Publisher::new(codec).frames(400, 50).iter().enumerate() {
            let verdict = inspect_all(&mut check, frame);
            let want = if index < 7 { Verdict::Hold } else { Verdict::Forward };
            assert_eq!(verdict, want, "{codec} frame {index}");
        }
        assert_eq!(check.inspect(&[]), Verdict::Forward, "padding");
    }
}

#[test]
fn a_track_may_be_joined_anywhere() {
    for codec in Codec::ALL {
        let frames = Publisher::new(codec).frames(120, 60);
        // The first packets are the tail of a frame, and the counter is far on.
        let packets: Vec<_> = frames[40..].iter().flatten().skip(1).collect();
        let mut check = ShapeCheck::new(codec);
        assert_eq!(inspect_all(&mut check, packets), Verdict::Forward, "{codec}");
    }
}

#[test]
fn counters_whose_header_is_escaped_are_read() {
    let mut check = ShapeCheck::new(Codec::H264);
    let mut publisher = Publisher::new(Codec::H264);
    publisher.kid = 0x0001_0000_0000_0000;
    publisher.ctr = 0x0100_0000 - 6;
    for frame in publisher.frames(12, 6) {
        assert!(!matches!(inspect_all(&mut check, &frame), Verdict::Refuse(_)));
    }
    assert_eq!(check.verdict(), Verdict::Forward);
    let wire = publisher.wire_frame(false, 30);
    assert!(wire.windows(3).filter(|window| window == &[0, 0, 3]).count() >= 2, "{}", hex::encode(wire));
}

#[test]
fn payloads_of_a_browsers_packetiser_pass() {
    let mut vp8 = Vp8Payloader::default();
    vp8.enable_picture_id = true;
    let writers: [(Codec, Box<dyn Payloader>); 4] = [
        (Codec::H264, Box::new(H264Payloader::default())),
        (Codec::Vp8, Box::new(vp8)),
        (Codec::Vp9, Box::new(Vp9Payloader::default())),
        (Codec::Av1, Box::new(Av1Payloader::default())),
    ];
    for (codec, mut writer) in writers {
        let mut publisher = Publisher::new(codec);
        let mut check = ShapeCheck::new(codec);
        for n in 0..40 {
            let wire = publisher.wire_frame(n % 8 == 0, 40 + n * 150);
            let payloads = writer.payload(1100, &Bytes::from(wire)).unwrap();
            payloads.iter().for_each(|payload| {
                check.inspect(payload);
            });
        }
        assert_eq!(check.verdict(), Verdict::Forward, "{codec}");
    }
}

#[test]
fn a_small_key_frame_in_one_aggregate_passes() {
    // libwebrtc puts SPS, PPS and a small IDR slice into one STAP-A.
    let mut publisher = Publisher::new(Codec::H264);
    let mut check = ShapeCheck::new(Codec::H264);
    for _ in 0..8 {
        let wire = publisher.wire_frame(true, 60);
        let mut aggregate = vec![0x78];
        for nal in envelope::h264::nal_units(&wire) {
            aggregate.extend((nal.len() as u16).to_be_bytes());
            aggregate.extend(nal);
        }
        check.inspect(&aggregate);
    }
    assert_eq!(check.verdict(), Verdict::Forward);
}

#[test]
fn a_new_epoch_or_session_switches_the_key() {
    for settled in [false, true] {
        let mut publisher = Publisher::new(Codec::Vp8);
        let mut check = ShapeCheck::new(Codec::Vp8);
        inspect_all(&mut check, &publisher.frames(if settled { 20 } else { 5 }, 50).concat());
        let late = publisher.frame(false, 200);
        publisher.kid += 1;
        publisher.ctr = 0;
        let after = publisher.frames(20, 50);
        inspect_all(&mut check, &after[0]);
        inspect_all(&mut check, &late);
        assert_eq!(check.verdict() == Verdict::Forward, settled);
        assert_eq!(inspect_all(&mut check, &after[1..].concat()), Verdict::Forward);
    }
}

#[test]
fn what_is_almost_ours_is_refused() {
    let video = Publisher::new(Codec::Vp8);
    let refusal_of = |codec: Codec, change: &mut dyn FnMut(usize, &mut Publisher)| {
        let mut publisher = Publisher::new(codec);
        let mut check = ShapeCheck::new(codec);
        for n in 0..600 {
            change(n, &mut publisher);
            let frame = publisher.frame(n == 0, 100);
            if let Verdict::Refuse(refusal) = inspect_all(&mut check, &frame) {
                return Some(refusal);
            }
        }
        None
    };
    assert_eq!(refusal_of(Codec::Vp8, &mut |_, _| {}), None);
    for jump_at in [3, 30] {
        let jumped = refusal_of(Codec::Vp8, &mut |n, p| p.ctr += if n == jump_at { 5000 } else { 0 });
        assert_eq!(jumped, Some(Refusal::Counter), "at {jump_at}");
    }
    assert_eq!(
        refusal_of(Codec::Vp8, &mut |_, p| p.ctr = 9),
        Some(Refusal::NeverSettled),
        "the counter stands still"
    );
    assert_eq!(
        refusal_of(Codec::Vp8, &mut |n, p| (p.kid, p.ctr) = (VIDEO_KID + n as u64, 0)),
        Some(Refusal::KeyChanges)
    );
    // A hundred removals in a row: a new key with every fifth frame.
    let storm = |n: usize, p: &mut Publisher| {
        if n > 20 && n.is_multiple_of(5) {
            (p.kid, p.ctr) = (VIDEO_KID + n as u64, 0);
        }
    };
    assert_eq!(refusal_of(Codec::Vp8, &mut { storm }), None);
    let interleaved = refusal_of(Codec::Vp8, &mut |n, p| p.kid = VIDEO_KID + n as u64 % 2);
    assert_eq!(interleaved, Some(Refusal::KeyChanges), "two keys in turn");
    let far =
        refusal_of(Codec::Vp8, &mut |n, p| (p.kid, p.ctr) = (VIDEO_KID + u64::from(n > 2), 900 + n as u64));
    assert_eq!(far, Some(Refusal::Counter), "a new key counts from zero");
    assert_eq!(refusal_of(Codec::Vp8, &mut |_, p| p.kid = 1), Some(Refusal::KeyId), "no session");
    assert_eq!(
        refusal_of(Codec::Vp8, &mut |_, p| p.kid |= 1 << 56),
        Some(Refusal::KeyId),
        "more than 56 bits"
    );
    assert_eq!(refusal_of(Codec::Vp8, &mut |_, p| p.kid = AUDIO_KID), Some(Refusal::KeyId), "audio as video");
    assert_eq!(
        refusal_of(Codec::Opus, &mut |_, p| p.kid = video.kid),
        Some(Refusal::KeyId),
        "video as audio"
    );
    assert_eq!(refusal_of(Codec::Vp8, &mut |_, p| p.kid = VIDEO_KID | 3 << 16), None, "a simulcast layer");
}

#[test]
fn frames_too_short_to_be_sealed_are_refused() {
    for codec in Codec::ALL {
        let mut check = ShapeCheck::new(codec);
        let mut publisher = Publisher::new(codec);
        assert_eq!(inspect_all(&mut check, &publisher.frame(true, 24)), Verdict::Hold, "{codec}");
        assert_eq!(
            inspect_all(&mut check, &publisher.frame(true, 23)),
            Verdict::Refuse(Refusal::TooShort),
            "{codec}"
        );
        assert_eq!(
            inspect_all(&mut check, &publisher.frame(true, 24)),
            Verdict::Refuse(Refusal::TooShort),
            "final"
        );
    }
}

#[test]
fn packets_without_a_start_do_not_hold_for_ever() {
    let frame = Publisher::new(Codec::Vp8).frame(true, 3000);
    let mut check = ShapeCheck::new(Codec::Vp8);
    let refused = (1..).find(|_| matches!(check.inspect(&frame[1]), Verdict::Refuse(_))).unwrap();
    assert_eq!((refused, check.verdict()), (4096, Verdict::Refuse(Refusal::NeverSettled)));
}

#[test]
fn refusals_have_one_label_each() {
    let labels: std::collections::HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.label()).collect();
    assert_eq!(labels.len(), Refusal::ALL.len());
}

proptest! {
    /// Loss, repetition and disorder within the reach of repairs.
    #[test]
    fn our_frames_pass_a_bad_network(
        fates in proptest::collection::vec((0u8..10, 0usize..30), 300),
        which in 0usize..5,
    ) {
        let codec = Codec::ALL[which];
        let packets = Publisher::new(codec).frames(120, 30).concat();
        let mut arrivals: Vec<(usize, &Vec<u8>)> = Vec::new();
        for (at, packet) in packets.iter().enumerate() {
            let (fate, delay) = fates[at % fates.len()];
            match fate {
                0 => {}
                1 => arrivals.extend([(at, packet), (at + delay, packet)]),
                2 => arrivals.push((at + delay, packet)),
                _ => arrivals.push((at, packet)),
            }
        }
        arrivals.sort_by_key(|(at, _)| *at);
        let mut check = ShapeCheck::new(codec);
        let verdict = inspect_all(&mut check, arrivals.into_iter().map(|(_, packet)| packet));
        prop_assert_eq!(verdict, Verdict::Forward);
    }

    #[test]
    fn any_bytes_are_inspected_without_panic(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..20),
    ) {
        for codec in Codec::ALL {
            let mut check = ShapeCheck::new(codec);
            let verdict = inspect_all(&mut check, &payloads);
            prop_assert!(verdict != Verdict::Forward);
        }
    }
}

//! Frames come back byte for byte, in equal payloads, from our reader and from `rtc-rtp`'s, and from its writers.

use super::*;
use crate::envelope::{self, EnvelopeBuilder};
use bytes::Bytes;
use proptest::prelude::*;
use rtc_rtp::codec::av1::Av1Depacketizer;
use rtc_rtp::codec::h264::{H264Packet as WitnessH264, H264Payloader};
use rtc_rtp::codec::vp8::{Vp8Packet, Vp8Payloader};
use rtc_rtp::codec::vp9::Vp9Packet;
use rtc_rtp::packetizer::{Depacketizer, Payloader};

fn wire_frame(codec: Codec, key: bool, sealed: &[u8]) -> Vec<u8> {
    // A real key frame's sets, with pps id 3.
    let h264 = hex::decode(
        "00000001674d400b26ca16276022000003000200000300641e28532c0000000168212be3cb200000000165882040021f",
    );
    let real = match codec {
        Codec::H264 => h264.unwrap(),
        _ => hex::decode("d0dc019d012a4001b400aabb").unwrap(),
    };
    let (mut envelope, mut wire) = (Vec::new(), Vec::new());
    let mut builder = EnvelopeBuilder::new(codec);
    builder.build(true, &real, &mut envelope).unwrap();
    if !key {
        builder.build(false, &[], &mut envelope).unwrap();
    }
    envelope::join(codec, &envelope, sealed, &mut wire);
    wire
}

fn cut(codec: Codec, key: bool, frame: &[u8], max_payload: usize) -> Payloads {
    let mut payloads = Payloads::new();
    split(codec, frame, key, max_payload, &mut payloads).unwrap();
    payloads
}

fn witness(codec: Codec, payloads: &Payloads) -> Vec<u8> {
    let mut reader: Box<dyn Depacketizer> = match codec {
        Codec::H264 => Box::new(WitnessH264::default()),
        Codec::Vp8 => Box::new(Vp8Packet::default()),
        Codec::Vp9 => Box::new(Vp9Packet::default()),
        _ => Box::new(Av1Depacketizer::new()),
    };
    payloads
        .iter()
        .flat_map(|payload| reader.depacketize(&Bytes::copy_from_slice(payload)).unwrap())
        .collect()
}

#[test]
fn the_vectors_of_the_wire_document_hold() {
    let document = include_str!("../../../docs/wire.md");
    let mut seen = 0;
    for line in document.lines().filter_map(|line| line.strip_prefix("    payload ")) {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [codec, kind, frame, payloads @ ..] = &fields[..] else { panic!("{line}") };
        let codec = Codec::from_sdp_name(codec).unwrap();
        let frame = hex::decode(frame).unwrap();
        let cut = cut(codec, *kind == "key", &frame, 128);
        let cut: Vec<_> = cut.iter().map(hex::encode).collect();
        assert_eq!(cut, payloads, "{line}");
        seen += 1;
    }
    assert_eq!(seen, 8, "vectors in the wire document");
}

#[test]
fn a_payload_tells_start_and_key_frame() {
    for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        for key in [true, false] {
            let payloads = cut(codec, key, &wire_frame(codec, key, &[0x5A; 700]), 200);
            for (index, payload) in payloads.iter().enumerate() {
                assert_eq!(starts_frame(codec, payload), index == 0, "{codec} {key} {index}");
                // The second payload of an H.264 key frame begins its IDR slice.
                let begins_key = key && (index == 0 || codec == Codec::H264 && index == 1);
                assert_eq!(is_key_frame(codec, payload), begins_key, "{codec} {key} {index}");
            }
        }
    }
    assert!(starts_frame(Codec::Opus, &[1]) && !starts_frame(Codec::Opus, &[]));
}

#[test]
fn optional_descriptor_fields_are_stepped_over() {
    // VP8 with a long picture id, TL0PICIDX, TID and KEYIDX; then with a short id alone.
    assert_eq!(Vp8Descriptor::read(&[0x90, 0xF0, 0x81, 2, 3, 4, 0x10]).unwrap().body, [0x10]);
    assert_eq!(Vp8Descriptor::read(&[0x90, 0x80, 0x01, 0x10]).unwrap().body, [0x10]);
    assert!(!Vp8Descriptor::read(&[0x11, 0]).unwrap().starts_frame, "partition 1");
    // VP9 as Chromium sends it: flexible, long picture id, layers, one reference; and non-flexible with a structure.
    let flexible = Vp9Descriptor::read(&[0xF8, 0x80, 1, 0x22, 0x02, 7]).unwrap();
    assert_eq!(
        (flexible.begins, flexible.key, flexible.spatial_id, flexible.body),
        (true, false, 1, &[7][..])
    );
    let structure = [0xAA, 0x81, 0x02, 0x00, 9, 0x18, 1, 64, 0, 180, 2, 0x10, 0x04, 1, 7];
    let structure = Vp9Descriptor::read(&structure).unwrap();
    assert_eq!((structure.begins, structure.key, structure.body), (true, true, &[7][..]));
    // AV1 with a length on each element.
    let packet = Av1Packet::read(&[0x08, 1, 0x08, 3, 0x30, 5, 6]).unwrap();
    let elements: Vec<_> = packet.elements().collect();
    assert_eq!(elements, [Some(&[0x08][..]), Some(&[0x30, 5, 6])]);
    assert!(Av1Packet::read(&[0x98, 1]).is_none(), "Z and N");
}

#[test]
fn what_cannot_be_cut_is_refused() {
    let mut out = Payloads::new();
    let mut split = |codec, frame: &[u8], max| split(codec, frame, true, max, &mut out);
    assert_eq!(split(Codec::Opus, &[0; 129], 128), Err(SplitError::DoesNotFit));
    assert_eq!(split(Codec::Vp8, &[0; 9], 63), Err(SplitError::DoesNotFit));
    assert_eq!(split(Codec::Vp9, &[], 128), Err(SplitError::NotAWireFrame));
    assert_eq!(split(Codec::Av1, &[0x0A, 0x0B, 0x30], 128), Err(SplitError::NotAWireFrame));
    assert_eq!(split(Codec::H264, &[9; 40], 128), Err(SplitError::NotAWireFrame));
    let large_sps = [&[0, 0, 0, 1, 0x67][..], &[9; 200], &[0, 0, 0, 1, 0x65, 9]].concat();
    assert_eq!(split(Codec::H264, &large_sps, 128), Err(SplitError::DoesNotFit));
}

#[test]
fn missing_ends_are_seen() {
    let mut out = Vec::new();
    for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let payloads = cut(codec, false, &wire_frame(codec, false, &[0x5A; 700]), 200);
        let without_first = payloads.iter().skip(1);
        assert_eq!(assemble(codec, without_first, &mut out), Err(AssembleError::Incomplete), "{codec}");
        assert_eq!(assemble(codec, [&[][..]], &mut out), Err(AssembleError::Empty), "{codec}");
    }
    let payloads = cut(Codec::H264, false, &wire_frame(Codec::H264, false, &[0x5A; 700]), 200);
    assert_eq!(assemble(Codec::H264, payloads.iter().take(2), &mut out), Err(AssembleError::Incomplete));
    assert_eq!(assemble(Codec::Opus, [&[1][..], &[2]], &mut out), Err(AssembleError::Malformed));
}

#[test]
fn a_frame_whose_last_payload_holds_one_byte_comes_back() {
    for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let mut shortest = usize::MAX;
        for len in 3_900..4_200 {
            let frame = wire_frame(codec, false, &vec![0x5A; len]);
            let payloads = cut(codec, false, &frame, MIN_MAX_PAYLOAD);
            let mut back = Vec::new();
            assemble(codec, payloads.iter(), &mut back).unwrap();
            assert_eq!(back, frame, "{codec} {len}");
            shortest = shortest.min(payloads.iter().last().unwrap().len());
        }
        assert_eq!(shortest, if codec == Codec::H264 { 3 } else { 2 }, "{codec}");
    }
}

proptest! {
    #[test]
    fn frames_come_back_from_equal_payloads(
        sealed in proptest::collection::vec(prop_oneof![1 => Just(0u8), 2 => any::<u8>()], 25..6000),
        max_payload in MIN_MAX_PAYLOAD..1200,
        key: bool,
    ) {
        for codec in Codec::ALL {
            let sealed = if codec == Codec::Opus { &sealed[..sealed.len().min(max_payload)] } else { &sealed[..] };
            let frame = wire_frame(codec, key, sealed);
            let payloads = cut(codec, key, &frame, max_payload);
            let sizes: Vec<_> = payloads.iter().map(<[u8]>::len).collect();
            let aggregate = usize::from(codec == Codec::H264 && key);
            let alike = &sizes[aggregate..];
            let last = alike[alike.len() - 1];
            prop_assert!(alike[..alike.len() - 1].iter().all(|&size| size == alike[0]), "{} {:?}", codec, &sizes);
            prop_assert!(last <= alike[0] && alike[0] - last < alike.len(), "{} {:?}", codec, &sizes);
            prop_assert!(sizes.iter().all(|&size| size <= max_payload));
            let mut back = Vec::new();
            assemble(codec, payloads.iter(), &mut back).unwrap();
            prop_assert_eq!(&back, &frame);
            match codec {
                Codec::Opus => {}
                // The witness puts sizes on the OBUs, like a browser's receiver.
                Codec::Av1 => {
                    let received = witness(codec, &payloads);
                    let mut scratch = Vec::new();
                    let parts = envelope::split(codec, &received, &mut scratch).unwrap();
                    prop_assert_eq!(parts.sframe, sealed);
                    prop_assert_eq!(parts.key, key);
                }
                // It refuses what has less than three bytes behind the descriptor; RFC 7741 does not.
                Codec::Vp8 if last < 4 => {}
                _ => prop_assert_eq!(&witness(codec, &payloads), &frame),
            }
        }
    }

    #[test]
    fn payloads_of_another_writer_are_read(sealed in proptest::collection::vec(any::<u8>(), 1..4000), key: bool) {
        let writers: [(Codec, Box<dyn Payloader>); 2] =
            [(Codec::H264, Box::new(H264Payloader::default())), (Codec::Vp8, Box::new(Vp8Payloader::default()))];
        for (codec, mut writer) in writers {
            let frame = wire_frame(codec, key, &sealed);
            let payloads = writer.payload(900, &Bytes::copy_from_slice(&frame)).unwrap();
            let mut back = Vec::new();
            assemble(codec, payloads.iter().map(|payload| &payload[..]), &mut back).unwrap();
            prop_assert_eq!(back, frame);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..5),
        first: u8,
    ) {
        let mut out = Vec::new();
        let mut cut = Payloads::new();
        for codec in Codec::ALL {
            let _ = assemble(codec, payloads.iter().map(|payload| &payload[..]), &mut out);
            for payload in &payloads {
                for payload in [&payload[..], &[&[first], &payload[..]].concat()] {
                    let _ = starts_frame(codec, payload);
                    let _ = is_key_frame(codec, payload);
                    let _ = split(codec, payload, false, MIN_MAX_PAYLOAD, &mut cut);
                }
            }
        }
    }
}

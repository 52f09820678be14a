//! Envelopes of real frames, and wire frames that come back byte for byte.

use super::parameter_sets::{MadeUp, SpsParameters, made_up_pps_id, write_pps};
use super::*;
use crate::bits::BitWriter;
use h264_reader::Context;
use h264_reader::nal::pps::PicParameterSet;
use h264_reader::nal::sps::{PicOrderCntType, SeqParameterSet};
use h264_reader::rbsp;
use proptest::prelude::*;

/// SPS, PPS and first bytes of the IDR slice as x264 164 wrote them for ffmpeg's test picture, with what they say.
const REAL_KEY_FRAMES: [(&str, [&str; 3], (u32, u32)); 6] = [
    (
        "constrained baseline, POC type 2",
        ["6742c00cd901419f9f011000000300100000030320f142a480", "68cb83cb20", "658884087c4222ae0c085f80"],
        (320, 180),
    ),
    (
        "high, POC type 0, B-frames",
        ["6764001eacd940a02ff97011000003000100000300320f162d96", "68ebe3cb22c0", "6588840021ffd3d6670b58c9"],
        (640, 360),
    ),
    (
        "main, sps id 3 and pps id 3",
        ["674d400b26ca16276022000003000200000300641e28532c", "68212be3cb20", "65882040021f69d7db9da482"],
        (176, 144),
    ),
    (
        "high, interlaced",
        ["67640028acd94078044fde0220000003002000000643e2c5b2c0", "68fba3cb22c0", "6588820b077fcaacfdd09bd9"],
        (1920, 1080),
    ),
    (
        "high 4:4:4, scaling matrix",
        [
            "67f4000d919b282a33c7c5e022000003000200000300641e28532c",
            "68ebe3c44c000440",
            "6588840021ffd3d666e7691c",
        ],
        (322, 182),
    ),
    (
        "main, POC type 2, from a film",
        ["674d401fda014016ec0440000003004000000c83c60ca8", "68ef3c80", "6588821f8edb1c643e81df8b"],
        (1280, 720),
    ),
];

fn annex_b(nals: &[Vec<u8>]) -> Vec<u8> {
    nals.iter().flat_map(|nal| [&h264::START_CODE[..], nal].concat()).collect()
}

fn real_frame(nals: [&str; 3]) -> Vec<u8> {
    annex_b(&nals.map(|nal| hex::decode(nal).unwrap()))
}

fn parse_sps(nal: &[u8]) -> SeqParameterSet {
    let rbsp = rbsp::decode_nal(nal).unwrap();
    SeqParameterSet::from_bits(rbsp::BitReader::new(&*rbsp)).unwrap()
}

fn build(codec: Codec, key: bool, frame: &[u8]) -> Result<Vec<u8>, BuildError> {
    let mut out = vec![0xAA];
    EnvelopeBuilder::new(codec).build(key, frame, &mut out).map(|()| out)
}

#[test]
fn a_made_up_sps_says_the_same_and_rules_out_reordering() {
    for (what, nals, size) in REAL_KEY_FRAMES {
        let envelope = build(Codec::H264, true, &real_frame(nals)).unwrap();
        let made_up: Vec<_> = h264::nal_units(&envelope).collect();
        assert_eq!(made_up.len(), 3, "{what}");
        let real = parse_sps(&hex::decode(nals[0]).unwrap());
        let sps = parse_sps(made_up[0]);
        // The witness reads the whole of it: id, profile, size with cropping, VUI and stop bit.
        assert_eq!(sps.pixel_dimensions().unwrap(), size, "{what}");
        assert_eq!(sps.pixel_dimensions().unwrap(), real.pixel_dimensions().unwrap(), "{what}");
        assert_eq!(sps.seq_parameter_set_id, real.seq_parameter_set_id, "{what}");
        assert_eq!(sps.profile_idc, real.profile_idc, "{what}");
        assert_eq!((sps.constraint_flags, sps.level_idc), (real.constraint_flags, real.level_idc), "{what}");
        assert_eq!(sps.chroma_info.chroma_format, real.chroma_info.chroma_format, "{what}");
        assert_eq!(sps.max_num_ref_frames, real.max_num_ref_frames, "{what}");
        assert_eq!(sps.pic_order_cnt, PicOrderCntType::TypeTwo, "{what}");
        let restrictions = sps.vui_parameters.clone().unwrap().bitstream_restrictions.unwrap();
        assert_eq!(restrictions.max_num_reorder_frames, 0, "{what}");
        assert_eq!(restrictions.max_dec_frame_buffering, real.max_num_ref_frames, "{what}");
        assert!(parameter_sets::is_made_up_sps(made_up[0]), "{what}");
        assert!(!parameter_sets::is_made_up_sps(&hex::decode(nals[0]).unwrap()), "{what}");
        let mut context = Context::default();
        context.put_seq_param_set(sps.clone());
        let rbsp = rbsp::decode_nal(made_up[1]).unwrap();
        let pps = PicParameterSet::from_bits(&context, rbsp::BitReader::new(&*rbsp)).unwrap();
        assert_eq!(pps.seq_parameter_set_id, sps.seq_parameter_set_id, "{what}");
        // The PPS and the slice name the real pps id.
        let pps_id = parameter_sets::read_pps_ids(&hex::decode(nals[1]).unwrap()).unwrap().0;
        assert_eq!(made_up_pps_id(made_up[1]), Some(pps_id), "{what}");
        assert_eq!(h264::read_slice_pps_id(&made_up[2][1..]), Some(pps_id), "{what}");
    }
}

#[test]
fn an_sps_without_vui_is_normalised_too() {
    for poc_type in 0..3 {
        let mut bits = BitWriter::<32>::new();
        bits.bits(24, 0x42_00_1E);
        bits.unsigned_exp_golomb(31);
        bits.unsigned_exp_golomb(12);
        bits.unsigned_exp_golomb(poc_type);
        match poc_type {
            0 => bits.unsigned_exp_golomb(4),
            1 => {
                bits.flag(true);
                (0..2).for_each(|_| bits.unsigned_exp_golomb(9));
                bits.unsigned_exp_golomb(2);
                (0..2).for_each(|_| bits.unsigned_exp_golomb(100));
            }
            _ => {}
        }
        bits.unsigned_exp_golomb(4);
        bits.flag(true);
        bits.unsigned_exp_golomb(19);
        bits.unsigned_exp_golomb(14);
        bits.bits(2, 0b11);
        bits.bits(2, 0b00);
        bits.flag(true);
        let nal = [&[0x67], bits.as_bytes()].concat();
        assert_eq!(parse_sps(&nal).vui_parameters, None);
        let parameters = SpsParameters::read(&nal).unwrap();
        let mut made_up = MadeUp::new();
        let made_up = parse_sps(parameters.write(&mut made_up));
        assert_eq!(made_up.pixel_dimensions().unwrap(), (320, 240));
        assert_eq!(made_up.seq_parameter_set_id.id(), 31);
        assert_eq!(made_up.max_num_ref_frames, 4);
        assert_eq!(
            made_up.vui_parameters.unwrap().bitstream_restrictions.unwrap().max_dec_frame_buffering,
            4
        );
    }
}

#[test]
fn the_vectors_of_the_wire_document_hold() {
    let document = include_str!("../../../docs/wire.md");
    let vectors = document
        .lines()
        .filter_map(|line| line.strip_prefix("    envelope "))
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut seen = 0;
    for vector in vectors {
        let [codec, kind, frame, envelope, sframe, wire] = vector[..] else { panic!("{vector:?}") };
        let codec = Codec::from_sdp_name(codec).unwrap();
        let bytes = |text: &str| hex::decode(text.trim_matches('-')).unwrap();
        let mut builder = EnvelopeBuilder::new(codec);
        if codec == Codec::H264 && kind == "other" {
            builder.build(true, &real_frame(REAL_KEY_FRAMES[2].1), &mut Vec::new()).unwrap();
        }
        let mut built = Vec::new();
        builder.build(kind == "key", &bytes(frame), &mut built).unwrap();
        assert_eq!(hex::encode(&built), envelope.trim_matches('-'), "{vector:?}");
        let mut joined = Vec::new();
        join(codec, &built, &bytes(sframe), &mut joined);
        assert_eq!(hex::encode(&joined), wire, "{vector:?}");
        let mut scratch = Vec::new();
        let parts = split(codec, &joined, &mut scratch).unwrap();
        assert_eq!((parts.envelope, parts.sframe), (&built[..], &bytes(sframe)[..]), "{vector:?}");
        seen += 1;
    }
    assert_eq!(seen, 8, "vectors in the wire document");
}

#[test]
fn constants_of_vp8_and_av1() {
    let key = hex::decode("d0dc019d012a4001b480aabb").unwrap();
    let envelope = build(Codec::Vp8, true, &key).unwrap();
    assert_eq!(hex::encode(envelope), "1000009d012a4001b400", "320 by 180, scaling taken off");
    assert_eq!(build(Codec::Vp8, false, &[0x31]).unwrap(), [0x11]);
    assert_eq!(build(Codec::Vp8, true, &key[..9]), Err(BuildError::MissingParameters));
    assert_eq!(build(Codec::Vp8, true, &[0x11; 12]), Err(BuildError::MissingParameters));
    assert_eq!(build(Codec::Av1, true, &[]).unwrap(), [0x0A, 0x00, 0x30]);
    assert_eq!(build(Codec::Av1, false, &[]).unwrap(), [0x30]);
    assert!(build(Codec::Vp9, true, &[]).unwrap().is_empty());
    assert!(build(Codec::Opus, true, &[]).unwrap().is_empty());
}

#[test]
fn a_key_frame_without_its_sets_has_no_envelope() {
    let nals = REAL_KEY_FRAMES[2].1;
    let decoded = nals.map(|nal| hex::decode(nal).unwrap());
    let mut builder = EnvelopeBuilder::new(Codec::H264);
    let mut out = Vec::new();
    assert_eq!(builder.build(false, &annex_b(&decoded[2..]), &mut out), Err(BuildError::NoKeyFrameYet));
    for missing in 0..3 {
        let mut some = decoded.to_vec();
        some.remove(missing);
        assert_eq!(builder.build(true, &annex_b(&some), &mut out), Err(BuildError::MissingParameters));
    }
    let mut cut = decoded.to_vec();
    cut[0].truncate(6);
    assert_eq!(builder.build(true, &annex_b(&cut), &mut out), Err(BuildError::UnreadableSps));
    assert!(out.is_empty());
    // A second pair of sets, for another id, does not confuse it.
    let other = REAL_KEY_FRAMES[0].1.map(|nal| hex::decode(nal).unwrap());
    let both = [&other[..2], &decoded[..]].concat();
    builder.build(true, &annex_b(&both), &mut out).unwrap();
    assert_eq!(out, build(Codec::H264, true, &annex_b(&decoded)).unwrap());
    builder.build(false, &[], &mut out).unwrap();
    assert_eq!(hex::encode(&out), "0000000141c880", "the slice names pps 3");
}

#[test]
fn an_av1_receivers_size_fields_are_undone() {
    let sealed: Vec<u8> = (0..300u16).map(|n| n as u8).collect();
    for (envelope, received) in
        [(&[0x0A, 0, 0x30][..], "0a0032ac02"), (&[0x30], "32ac02"), (&[0x30], "120032ac02")]
    {
        let received = [hex::decode(received).unwrap(), sealed.clone()].concat();
        let mut scratch = Vec::new();
        let parts = split(Codec::Av1, &received, &mut scratch).unwrap();
        assert_eq!((parts.envelope, parts.sframe), (envelope, &sealed[..]));
        assert_eq!(parts.key, envelope.len() == 3);
    }
    let mut scratch = Vec::new();
    let mut split = |text: &str| split(Codec::Av1, &hex::decode(text).unwrap(), &mut scratch).map(|_| ());
    assert_eq!(split("32ac0201"), Err(SplitError::Truncated), "shorter than it says");
    assert_eq!(split("3201"), Err(SplitError::Truncated));
    assert_eq!(split("32ffffffffffffffffff01"), Err(SplitError::Truncated));
    assert_eq!(split("0a00"), Err(SplitError::Truncated));
    assert_eq!(split("0a0b0000"), Err(SplitError::Envelope), "a real sequence header");
}

#[test]
fn foreign_frames_are_no_wire_frames() {
    let mut scratch = Vec::new();
    let h264 = real_frame(REAL_KEY_FRAMES[0].1);
    for (codec, frame, want) in [
        (Codec::H264, &h264[..], SplitError::Envelope),
        (Codec::H264, &[0, 0, 0, 1, 0x09, 0xF0], SplitError::Envelope),
        (Codec::H264, &[0, 0, 0, 1, 0x41, 0xE0, 0x80, 1, 2, 3], SplitError::Truncated),
        (Codec::H264, &[0, 0, 0, 1, 0x65, 0x88, 0x80, 1, 0x80], SplitError::Envelope),
        (Codec::H264, &[0, 0, 0, 1], SplitError::Truncated),
        (Codec::Vp8, &[0xD0, 0xDC, 1, 0x9D, 1, 0x2A, 64, 1, 180, 0, 9], SplitError::Envelope),
        (Codec::Vp8, &[0x31, 1, 2, 3], SplitError::Envelope),
        (Codec::Opus, &[], SplitError::Empty),
    ] {
        assert_eq!(split(codec, frame, &mut scratch), Err(want), "{codec} {frame:x?}");
    }
}

/// Ciphertext in which the bytes that need escapes are frequent.
fn sealed() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![2 => Just(0u8), 2 => 0u8..5, 3 => any::<u8>()], 0..600)
}

fn frame_of(codec: Codec) -> Vec<u8> {
    match codec {
        Codec::H264 => real_frame(REAL_KEY_FRAMES[1].1),
        Codec::Vp8 => hex::decode("d0dc019d012a4001b400aabb").unwrap(),
        _ => vec![1, 2, 3],
    }
}

proptest! {
    #[test]
    fn every_sealed_byte_survives(sealed in sealed(), pps_id: u8, key: bool) {
        for codec in Codec::ALL {
            let mut envelope = Vec::new();
            let mut builder = EnvelopeBuilder::new(codec);
            builder.build(true, &frame_of(codec), &mut envelope).unwrap();
            if codec == Codec::H264 {
                // Every pps id, also those whose slice header ends in zero bits.
                let sps_len = envelope.len() - h264::nal_units(&envelope).skip(1).map(|nal| nal.len() + 4).sum::<usize>();
                envelope.truncate(sps_len);
                envelope.extend_from_slice(&h264::START_CODE);
                envelope.extend_from_slice(write_pps(pps_id, 0, &mut MadeUp::new()));
                if !key {
                    envelope.clear();
                }
                h264::push_slice(key, pps_id, &mut envelope);
            } else if !key {
                builder.build(false, &[], &mut envelope).unwrap();
            }
            let mut wire = Vec::new();
            join(codec, &envelope, &sealed, &mut wire);
            let mut scratch = vec![9; 9];
            if wire.is_empty() {
                prop_assert_eq!(split(codec, &wire, &mut scratch), Err(SplitError::Empty));
                continue;
            }
            let parts = split(codec, &wire, &mut scratch).unwrap();
            prop_assert_eq!(parts.envelope, &envelope[..]);
            prop_assert_eq!(parts.sframe, &sealed[..]);
            prop_assert_eq!(parts.key, key && !matches!(codec, Codec::Vp9 | Codec::Opus));
            if codec == Codec::H264 {
                // No start code but ours: a packetiser finds three NAL units, or one.
                prop_assert_eq!(h264::nal_units(&wire).count(), if key { 3 } else { 1 });
            }
        }
    }

    #[test]
    fn any_bytes_are_split_and_built_without_panic(bytes in sealed(), with_start_code: bool) {
        let bytes = if with_start_code { [&[0, 0, 1], &bytes[..]].concat() } else { bytes };
        let mut out = Vec::new();
        for codec in Codec::ALL {
            let _ = split(codec, &bytes, &mut out);
            let _ = build(codec, true, &bytes);
        }
        let _ = SpsParameters::read(&bytes);
        let _ = parameter_sets::is_made_up_sps(&bytes);
        let _ = made_up_pps_id(&bytes);
    }

    #[test]
    fn cut_and_flipped_real_sets_never_panic(which in 0usize..6, at in 0usize..30, flip: u8, len in 0usize..30) {
        let mut nal = hex::decode(REAL_KEY_FRAMES[which].1[0]).unwrap();
        let at = at % nal.len();
        nal[at] ^= flip;
        nal.truncate(len.max(1));
        if let Ok(parameters) = SpsParameters::read(&nal) {
            let mut made_up = MadeUp::new();
            let made_up = parameters.write(&mut made_up);
            prop_assert!(parameter_sets::is_made_up_sps(made_up));
        }
    }
}

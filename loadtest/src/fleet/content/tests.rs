//! Content: stamps are inside, a decoder passes them by, and frames are cut into as many packets as their stamps say.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Command;

use latchkey_wire::envelope::{self, EnvelopeBuilder};

use super::*;

fn bundled(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("clips").join(name)
}

fn stamp(number: u64) -> impl Fn(u16) -> Stamp {
    move |packets| Stamp { number, born_ns: number * 40_000_000, pace_ns: 0, packets }
}

fn wants(key: bool, sealed: bool) -> Wants {
    Wants { key, sealed, max_payload: Shape::default().max_payload() }
}

/// Frames with what `next` says of them.
fn frames(content: &mut Content, sealed: bool, count: u64) -> Vec<(bool, usize, Vec<u8>)> {
    let mut scratch = Payloads::new();
    let of = |number| {
        let mut out = Vec::new();
        let (key, packets) = content.next(wants(false, sealed), stamp(number), &mut scratch, &mut out);
        (key, packets, out)
    };
    (0..count).map(of).collect()
}

async fn all_kinds() -> Vec<Content> {
    let odd = Shape { bitrate_bps: 1_234_567, fps: 23.976, key_frame_factor: 9.0, ..Shape::default() };
    vec![
        Content::synthetic(Shape::default()),
        Content::synthetic(odd),
        Content::clip(&bundled("doorbell.mp4")).await.unwrap(),
        Content::clip(&bundled("doorbell-vp8.ivf")).await.unwrap(),
    ]
}

#[tokio::test]
async fn every_frame_has_its_stamp_and_is_cut_into_as_many_packets_as_it_says() {
    for content in all_kinds().await {
        let codec = content.codec();
        for sealed in [false, true] {
            let mut envelopes = EnvelopeBuilder::new(codec);
            let (mut clear, mut wire, mut payloads) = (Vec::new(), Vec::new(), Payloads::new());
            let (mut ctr_bytes, mut packets_of_full_size) = (0usize, 0);
            for (number, (key, packets, frame)) in (0..).zip(frames(&mut content.clone(), sealed, 700)) {
                let read = Stamp::read_from(&frame).unwrap();
                assert_eq!((read.number, usize::from(read.packets)), (number, packets));
                assert_eq!(key, number == 0 || key, "the first frame is a key frame");
                if sealed {
                    // Bytes as a cipher gives them, behind an SFrame header of any length.
                    envelopes.build(key, &frame, &mut clear).unwrap();
                    let mut state = number ^ 0x9E37_79B9;
                    let sframe: Vec<u8> = (0..9 + ctr_bytes + 24 + frame.len())
                        .map(|_| {
                            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                            (state >> 56) as u8
                        })
                        .collect();
                    ctr_bytes = (ctr_bytes + 1) % 5;
                    envelope::join(codec, &clear, &sframe, &mut wire);
                } else {
                    wire.clone_from(&frame);
                }
                let cut = Cut { key, sealed, max_payload: Shape::default().max_payload() };
                cut.split(codec, &wire, packets, &mut payloads).unwrap();
                assert_eq!(payloads.len(), packets, "{codec} sealed {sealed} frame {number}");
                assert!(payloads.iter().all(|payload| payload.len() <= 1100));
                packets_of_full_size += payloads.iter().filter(|payload| payload.len() > 900).count();
            }
            assert!(packets_of_full_size > 0, "{codec}");
        }
    }
}

#[tokio::test]
async fn a_clip_goes_on_at_its_next_key_frame_when_one_is_wanted() {
    let mut content = Content::clip(&bundled("doorbell.mp4")).await.unwrap();
    assert_eq!(content.codec(), Codec::H264);
    let (mut scratch, mut out) = (Payloads::new(), Vec::new());
    let keys: Vec<bool> = (0..6)
        .map(|number| content.next(wants(number == 3, true), stamp(number), &mut scratch, &mut out).0)
        .collect();
    assert_eq!(keys, [true, false, false, true, false, false]);
    let shape = content.shape(Shape::default());
    assert!((shape.fps - 25.0).abs() < 0.01 && shape.gop == 50, "{shape:?}");
    // 126 KB in 12 s, and what packets and stamps add.
    assert!((80_000..160_000).contains(&shape.bitrate_bps), "{shape:?}");
}

#[tokio::test]
async fn what_is_no_clip_is_refused() {
    let error = Content::clip(&bundled("README.md")).await.unwrap_err();
    assert!(matches!(error, ClipError::Source(_)), "{error}");
    let error = Content::clip(&bundled("doorbell.opus.ogg")).await.unwrap_err();
    assert!(matches!(error, ClipError::NoVideo(_)), "{error}");
}

#[tokio::test]
async fn ffmpeg_decodes_every_stamped_frame() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (clip, name, count) in
        [("doorbell.mp4", "stamped.h264", 450), ("doorbell-vp8.ivf", "stamped.ivf", 400)]
    {
        let mut content = Content::clip(&bundled(clip)).await.unwrap();
        let frames = frames(&mut content, false, count);
        let mut file = Vec::new();
        if content.codec() == Codec::Vp8 {
            file.extend_from_slice(&ivf_header(count as u32));
        }
        for (number, (_, _, frame)) in (0u64..).zip(&frames) {
            assert_eq!(Stamp::read_from(frame).unwrap().number, number);
            if content.codec() == Codec::Vp8 {
                file.extend_from_slice(&(frame.len() as u32).to_le_bytes());
                file.extend_from_slice(&number.to_le_bytes());
            }
            file.extend_from_slice(frame);
        }
        let path = dir.path().join(name);
        std::fs::write(&path, file).unwrap();
        let decoded = Command::new("ffmpeg")
            .args(["-v", "error", "-xerror", "-i"])
            .arg(&path)
            .args(["-f", "framecrc", "-fps_mode", "passthrough", "-"])
            .output()
            .unwrap();
        let complaints = String::from_utf8_lossy(&decoded.stderr).into_owned();
        assert!(decoded.status.success() && complaints.is_empty(), "{name}: {complaints}");
        let lines = String::from_utf8_lossy(&decoded.stdout).into_owned();
        let pictures = lines.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(pictures as u64, count, "{name}");
    }
}

fn ivf_header(frames: u32) -> [u8; 32] {
    let mut header = [0; 32];
    header[..8].copy_from_slice(b"DKIF\0\0\x20\0");
    header[8..12].copy_from_slice(b"VP80");
    header[12..14].copy_from_slice(&640u16.to_le_bytes());
    header[14..16].copy_from_slice(&360u16.to_le_bytes());
    header[16..20].copy_from_slice(&25u32.to_le_bytes());
    header[20..24].copy_from_slice(&1u32.to_le_bytes());
    header[24..28].copy_from_slice(&frames.to_le_bytes());
    header
}

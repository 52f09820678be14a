//! Counters, key changes and limits of the sealer; what it makes is opened in `open`'s tests.

#![allow(clippy::unwrap_used)]

use latchkey_wire::codec::Codec;

use super::*;
use crate::key_schedule::keys_for_test;
use crate::kid::{AUDIO, VIDEO};

const HEADER: InnerHeader = InnerHeader { captured_ms: 7, key_frame: true, codec: Codec::H264 };
const SESSION: SenderSession = SenderSession(0x0102_0304);

fn seal(sealer: &mut FrameSealer, track: u8) -> Result<Sealed, SealError> {
    sealer.seal(track, HEADER, b"env", b"frame", &mut Vec::new())
}

#[test]
fn each_track_counts_from_zero_under_its_own_key() {
    let mut sealer = FrameSealer::new(&keys_for_test(3, 0), SESSION);
    let (video, audio) = (Kid::new(SESSION, VIDEO, 0, 3), Kid::new(SESSION, AUDIO, 0, 3));
    for ctr in 0..5 {
        assert_eq!(seal(&mut sealer, VIDEO), Ok(Sealed { kid: video, ctr }));
    }
    for ctr in 0..2 {
        assert_eq!(seal(&mut sealer, AUDIO), Ok(Sealed { kid: audio, ctr }));
    }
    assert_eq!(seal(&mut sealer, VIDEO), Ok(Sealed { kid: video, ctr: 5 }));
    assert_eq!(sealer.aead_calls(), 8);
}

#[test]
fn the_bytes_are_header_ciphertext_tag_and_the_buffer_is_used_again() {
    let mut sealer = FrameSealer::new(&keys_for_test(3, 0), SESSION);
    let mut out = vec![9; 4000];
    let capacity = out.capacity();
    sealer.seal(VIDEO, HEADER, b"env", b"frame", &mut out).unwrap();
    assert_eq!(out.capacity(), capacity);
    let header = Vec::from(&SframeHeader::new(Kid::new(SESSION, VIDEO, 0, 3).value(), 0));
    assert_eq!(header.len(), 8);
    assert!(out.starts_with(&header));
    assert_eq!(out.len(), header.len() + InnerHeader::LEN + 5 + TAG_LEN);
    assert!(!out.windows(5).any(|window| window == b"frame"));
}

#[test]
fn counters_end_instead_of_repeating() {
    let mut sealer = FrameSealer::new(&keys_for_test(3, 0), SESSION);
    seal(&mut sealer, VIDEO).unwrap();
    sealer.tracks[0].next = MAX_FRAMES_PER_KEY - 1;
    assert_eq!(seal(&mut sealer, VIDEO).unwrap().ctr, MAX_FRAMES_PER_KEY - 1);
    let mut out = vec![1];
    for _ in 0..3 {
        assert_eq!(sealer.seal(VIDEO, HEADER, b"", b"frame", &mut out), Err(SealError::Exhausted));
        assert!(out.is_empty());
    }
    assert_eq!(seal(&mut sealer, AUDIO).unwrap().ctr, 0);
    sealer.rekey(&keys_for_test(4, 0)).unwrap();
    assert_eq!(seal(&mut sealer, VIDEO), Ok(Sealed { kid: Kid::new(SESSION, VIDEO, 0, 4), ctr: 0 }));
}

#[test]
fn the_same_epoch_again_does_not_start_counting_over() {
    let mut sealer = FrameSealer::new(&keys_for_test(3, 0), SESSION);
    seal(&mut sealer, VIDEO).unwrap();
    sealer.rekey(&keys_for_test(3, 0)).unwrap();
    assert_eq!(seal(&mut sealer, VIDEO).unwrap().ctr, 1);
    assert_eq!(sealer.rekey(&keys_for_test(2, 0)), Err(SealError::OldEpoch));
    assert_eq!(seal(&mut sealer, VIDEO).unwrap().ctr, 2);
    assert_eq!(sealer.epoch(), 3);
}

#[test]
fn too_large_a_frame_is_refused_and_uses_no_counter() {
    let mut sealer = FrameSealer::new(&keys_for_test(3, 0), SESSION);
    let frame = vec![0; MAX_FRAME_BYTES + 1];
    let mut out = Vec::new();
    assert_eq!(sealer.seal(VIDEO, HEADER, b"", &frame, &mut out), Err(SealError::TooLarge));
    assert_eq!(seal(&mut sealer, VIDEO).unwrap().ctr, 0);
    assert_eq!(sealer.aead_calls(), 1);
}

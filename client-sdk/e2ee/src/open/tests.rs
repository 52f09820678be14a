//! What the opener accepts, and everything it must refuse.

#![allow(clippy::unwrap_used)]

use latchkey_wire::codec::Codec;
use proptest::prelude::*;

use super::*;
use crate::key_schedule::keys_for_test;
use crate::kid::{AUDIO, VIDEO};
use crate::seal::FrameSealer;
use sframe::crypto::EncryptionBufferView;

const HEADER: InnerHeader = InnerHeader { captured_ms: 7, key_frame: false, codec: Codec::Vp8 };
const NOW: Duration = Duration::ZERO;

fn sealer(epoch: u64, session: u32) -> FrameSealer {
    FrameSealer::new(&keys_for_test(epoch, 0), SenderSession(session))
}

fn opener(epochs: &[u64]) -> FrameOpener {
    let mut opener = FrameOpener::new();
    for epoch in epochs {
        opener.add_epoch(keys_for_test(*epoch, 1), NOW);
    }
    opener
}

fn seal(sealer: &mut FrameSealer, frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.seal(VIDEO, HEADER, b"env", frame, &mut out).unwrap();
    out
}

fn open(opener: &mut FrameOpener, sframe: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut out = vec![0xEE; 3];
    let opened = opener.open(sframe, b"env", &mut out);
    assert!(opened.is_ok() || out.is_empty(), "nothing comes out of a refused frame");
    opened.map(|_| out)
}

/// A frame sealed with the group's keys, but with a key id and a plaintext of the test's choice.
fn forge(kid: Kid, ctr: u64, plaintext: &[u8]) -> Vec<u8> {
    let key = keys_for_test(u64::from(kid.epoch_bits()), 1).sealing_key(kid).unwrap();
    let header = Vec::from(&sframe::header::SframeHeader::new(kid.value(), ctr));
    let mut aad = [header.as_slice(), b"env"].concat();
    let mut data = plaintext.to_vec();
    let mut tag = [0; TAG_LEN];
    key.encrypt(EncryptionBufferView { aad: &mut aad, data: &mut data, tag: &mut tag }, ctr).unwrap();
    [header, data, tag.to_vec()].concat()
}

proptest! {
    #[test]
    fn any_frame_comes_back(
        frame in proptest::collection::vec(any::<u8>(), 0..3000),
        envelope in proptest::collection::vec(any::<u8>(), 0..80),
        track: u8, session: u32, captured_ms in 0u64..1 << 48, key_frame: bool, codec in 0u8..5, epoch: u64,
    ) {
        let header = InnerHeader { captured_ms, key_frame, codec: Codec::from_code(codec).unwrap() };
        let (mut sealer, mut opener) = (sealer(epoch, session), opener(&[epoch]));
        let (mut sframe, mut out) = (Vec::new(), Vec::new());
        let sealed = sealer.seal(track, header, &envelope, &frame, &mut sframe).unwrap();
        let opened = opener.open(&sframe, &envelope, &mut out).unwrap();
        prop_assert_eq!(out, frame);
        prop_assert_eq!(opened, Opened {
            header, kid: sealed.kid, sender_leaf: 0, session: SenderSession(session), track, ctr: 0, epoch,
        });
    }

    #[test]
    fn any_changed_bit_is_refused(frame in proptest::collection::vec(any::<u8>(), 0..200), bit: prop::sample::Index) {
        let (mut sealer, mut opener) = (sealer(3, 1), opener(&[2, 3, 4]));
        let sframe = seal(&mut sealer, &frame);
        let bit = bit.index((sframe.len() + 3) * 8);
        let (mut bent, mut envelope) = (sframe.clone(), b"env".to_vec());
        match bent.get_mut(bit / 8) {
            Some(byte) => *byte ^= 1 << (bit % 8),
            None => envelope[bit / 8 - sframe.len()] ^= 1 << (bit % 8),
        }
        let mut out = Vec::new();
        prop_assert!(opener.open(&bent, &envelope, &mut out).is_err());
        prop_assert!(out.is_empty());
        // The attempt leaves nothing behind that would keep the real frame from being opened.
        prop_assert_eq!(open(&mut opener, &sframe).unwrap(), frame);
    }

    #[test]
    fn bytes_of_no_kind_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(open(&mut opener(&[0, 1, 2]), &bytes).is_err());
    }

    #[test]
    fn frames_open_once_in_any_order(order in Just((0u32..200).collect::<Vec<_>>()).prop_shuffle()) {
        let (mut sealer, mut opener) = (sealer(3, 1), opener(&[3]));
        let frames: Vec<_> = (0u32..200).map(|number| seal(&mut sealer, &number.to_be_bytes())).collect();
        for number in &order {
            let frame = &frames[*number as usize];
            prop_assert_eq!(open(&mut opener, frame).unwrap(), number.to_be_bytes());
            prop_assert_eq!(open(&mut opener, frame), Err(OpenError::Replayed));
        }
        for frame in &frames {
            prop_assert_eq!(open(&mut opener, frame), Err(OpenError::Replayed));
        }
    }
}

#[test]
fn another_envelope_is_refused() {
    let (mut sealer, mut opener) = (sealer(3, 1), opener(&[3]));
    let sframe = seal(&mut sealer, b"frame");
    for envelope in [b"".as_slice(), b"en", b"envv", b"enw"] {
        let refused = opener.open(&sframe, envelope, &mut Vec::new());
        assert_eq!(refused.err(), Some(OpenError::AuthenticationFailed));
    }
    assert_eq!(open(&mut opener, &sframe).unwrap(), b"frame");
}

#[test]
fn frames_older_than_the_window_are_refused() {
    let (mut sealer, mut opener) = (sealer(3, 1), opener(&[3]));
    let frames: Vec<_> = (0..1026).map(|_| seal(&mut sealer, b"x")).collect();
    open(&mut opener, &frames[1024]).unwrap();
    assert_eq!(open(&mut opener, &frames[0]), Err(OpenError::Replayed));
    open(&mut opener, &frames[1]).unwrap();
    open(&mut opener, &frames[1025]).unwrap();
    assert_eq!(open(&mut opener, &frames[1]), Err(OpenError::Replayed));
}

#[test]
fn only_the_cameras_leaf_counts() {
    let mut opener = opener(&[3]);
    // A viewer can derive any leaf's key; under its own key id it is refused before the cipher runs.
    let mut viewer = FrameSealer::new(&keys_for_test(3, 1), SenderSession(1));
    let sframe = seal(&mut viewer, b"frame");
    assert_eq!(open(&mut opener, &sframe), Err(OpenError::NotTheCamera));
}

#[test]
fn frames_of_unknown_epochs_are_told_apart_from_forged_ones() {
    let mut opener = opener(&[3]);
    assert_eq!(open(&mut opener, &seal(&mut sealer(4, 1), b"x")), Err(OpenError::UnknownEpoch));
    // 3 + 256 has the same epoch bits and other keys.
    let mut other = FrameSealer::new(&EpochKeys { epoch: 259, ..keys_for_test(4, 0) }, SenderSession(1));
    assert_eq!(open(&mut opener, &seal(&mut other, b"x")), Err(OpenError::AuthenticationFailed));
    assert_eq!(open(&mut FrameOpener::new(), &seal(&mut sealer(3, 1), b"x")), Err(OpenError::UnknownEpoch));
}

#[test]
fn old_epochs_stay_for_a_while_and_three_at_most() {
    let mut opener = FrameOpener::new();
    let at = Duration::from_secs;
    opener.add_epoch(keys_for_test(3, 1), at(0));
    opener.add_epoch(keys_for_test(4, 1), at(10));
    let (mut old, mut new) = (sealer(3, 1), sealer(4, 1));
    opener.retire_epochs(at(16), at(7));
    open(&mut opener, &seal(&mut old, b"x")).unwrap();
    opener.retire_epochs(at(17), at(7));
    assert_eq!(open(&mut opener, &seal(&mut old, b"x")), Err(OpenError::UnknownEpoch));
    opener.retire_epochs(at(999), at(7));
    open(&mut opener, &seal(&mut new, b"x")).unwrap();

    for epoch in 5..=7 {
        opener.add_epoch(keys_for_test(epoch, 1), at(1000));
    }
    assert_eq!(open(&mut opener, &seal(&mut new, b"x")), Err(OpenError::UnknownEpoch));
    for epoch in 5..=7 {
        open(&mut opener, &seal(&mut sealer(epoch, 1), b"x")).unwrap();
    }
    // An epoch that comes late, for instance after a restart, does not become the newest.
    opener.add_epoch(keys_for_test(6, 1), at(1000));
    assert_eq!(opener.newest_epoch(), Some(7));
}

#[test]
fn the_same_epoch_again_keeps_the_replay_windows() {
    let (mut sealer, mut opener) = (sealer(3, 1), opener(&[3]));
    let sframe = seal(&mut sealer, b"x");
    open(&mut opener, &sframe).unwrap();
    opener.add_epoch(keys_for_test(3, 1), NOW);
    assert_eq!(open(&mut opener, &sframe), Err(OpenError::Replayed));
}

#[test]
fn another_group_replaces_everything() {
    let mut opener = opener(&[8]);
    let next = EpochKeys { group: latchkey_api::id::GroupId([5; 20]), ..keys_for_test(0, 1) };
    opener.add_epoch(next, NOW);
    assert_eq!(opener.newest_epoch(), Some(0));
    assert_eq!(open(&mut opener, &seal(&mut sealer(8, 1), b"x")), Err(OpenError::UnknownEpoch));
}

#[test]
fn forged_key_ids_leave_nothing_behind() {
    let (mut sealer, mut opener) = (sealer(3, 1), opener(&[3]));
    open(&mut opener, &seal(&mut sealer, b"x")).unwrap();
    for session in 0..5000u32 {
        let kid = Kid::new(SenderSession(session.wrapping_mul(0x9E37_79B1)), VIDEO, 0, 3);
        let mut sframe = forge(kid, 0, &[0; 40]);
        *sframe.last_mut().unwrap() ^= 1;
        assert_eq!(open(&mut opener, &sframe), Err(OpenError::AuthenticationFailed));
    }
    assert_eq!((opener.epochs[0].live.len(), opener.epochs[0].over.len()), (1, 0));
}

#[test]
fn a_session_that_was_given_up_stays_over() {
    let mut opener = opener(&[3]);
    let first = seal(&mut sealer(3, 0), b"first");
    open(&mut opener, &first).unwrap();
    let mut running = sealer(3, u32::MAX);
    for session in 1..100 {
        open(&mut opener, &seal(&mut sealer(3, session), b"x")).unwrap();
        open(&mut opener, &seal(&mut running, b"running")).unwrap();
    }
    assert_eq!(open(&mut opener, &first), Err(OpenError::SessionOver));
    assert_eq!(opener.epochs[0].live.len(), MAX_LIVE);
    for session in 100..5000 {
        let _ = open(&mut opener, &seal(&mut sealer(3, session), b"x"));
    }
    assert_eq!(opener.epochs[0].over.len(), MAX_OVER);
    assert_eq!(open(&mut opener, &seal(&mut sealer(3, 9999), b"x")), Err(OpenError::TooManySessions));
}

#[test]
fn tracks_have_windows_of_their_own() {
    let (mut sealer, mut opener) = (sealer(3, 1), opener(&[3]));
    let mut audio = Vec::new();
    sealer.seal(AUDIO, HEADER, b"env", b"sound", &mut audio).unwrap();
    open(&mut opener, &seal(&mut sealer, b"picture")).unwrap();
    assert_eq!(open(&mut opener, &audio).unwrap(), b"sound");
    assert_eq!(open(&mut opener, &audio), Err(OpenError::Replayed));
}

#[test]
fn newer_formats_are_named_as_such() {
    let mut opener = opener(&[3]);
    let kid = Kid::new(SenderSession(1), VIDEO, 0, 3);
    let checkpoint = forge(kid, 0, &[0, 0, 0, 0, 0, 0, 2, 0, 1, 2, 3]);
    assert_eq!(open(&mut opener, &checkpoint), Err(OpenError::UnknownFormat));
    let codec = forge(kid, 1, &[0, 0, 0, 0, 0, 0, 0, 99]);
    assert_eq!(open(&mut opener, &codec), Err(OpenError::UnknownFormat));
    let short = forge(kid, 2, &[0; 7]);
    assert_eq!(open(&mut opener, &short), Err(OpenError::Malformed));
}

#[test]
fn a_header_that_is_not_the_shortest_is_refused() {
    let mut opener = opener(&[3]);
    let kid = Kid::new(SenderSession(1), VIDEO, 0, 3);
    let good = forge(kid, 0, &[0; 8]);
    // The same numbers with CTR 0 in a byte of its own.
    let mut longer = vec![good[0] | 0x08];
    longer.extend_from_slice(&good[1..5]);
    longer.push(0);
    longer.extend_from_slice(&good[5..]);
    assert_eq!(open(&mut opener, &longer), Err(OpenError::Malformed));
    open(&mut opener, &good).unwrap();
}

//! What the opener accepts, and everything it must refuse.

#![allow(clippy::unwrap_used)]

use latchkey_wire::codec::Codec;
use proptest::prelude::*;

use super::windows::{MAX_LIVE, MAX_RESTING};
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
    assert_eq!(opener.epochs[0].windows.count(), (1, 0));
}

#[test]
fn sessions_that_come_again_open_nothing_twice() {
    let mut opener = opener(&[3]);
    let mut sealers: Vec<_> = (1..=1000).map(|session| sealer(3, session)).collect();
    let first: Vec<_> = sealers.iter_mut().map(|sealer| seal(sealer, b"first")).collect();
    let second: Vec<_> = sealers.iter_mut().map(|sealer| seal(sealer, b"second")).collect();
    for frame in &first {
        assert_eq!(open(&mut opener, frame).unwrap(), b"first");
    }
    assert_eq!(opener.epochs[0].windows.count(), (MAX_LIVE, 1000 - MAX_LIVE));
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(open(&mut opener, first), Err(OpenError::Replayed));
        assert_eq!(open(&mut opener, second).unwrap(), b"second");
        assert_eq!(open(&mut opener, second), Err(OpenError::Replayed));
    }
}

/// A member and the relay make up more sessions than anybody remembers, before and after the camera's next start.
#[test]
fn made_up_sessions_keep_no_frame_of_the_camera_out() {
    let mut opener = opener(&[3]);
    let plain = [HEADER.to_bytes().as_slice(), b"forged"].concat();
    let flood = |opener: &mut FrameOpener, from: u32| {
        for session in from..from + 5000 {
            let forged = forge(Kid::new(SenderSession(session), VIDEO, 0, 3), 0, &plain);
            assert_eq!(open(opener, &forged).unwrap(), b"forged");
        }
    };
    let mut before = sealer(3, u32::MAX);
    let signed = seal(&mut before, b"signed");
    open(&mut opener, &signed).unwrap();
    opener.camera_signed(Kid::new(SenderSession(u32::MAX), VIDEO, 0, 3));
    flood(&mut opener, 1);
    assert_eq!(opener.epochs[0].windows.count(), (MAX_LIVE, MAX_RESTING), "memory is bounded");
    assert_eq!(open(&mut opener, &seal(&mut before, b"goes on")).unwrap(), b"goes on");
    let mut restarted = sealer(3, u32::MAX - 1);
    let fresh = seal(&mut restarted, b"restarted");
    assert_eq!(open(&mut opener, &fresh).unwrap(), b"restarted");
    assert_eq!(open(&mut opener, &fresh), Err(OpenError::Replayed));
    flood(&mut opener, 10_000);
    assert_eq!(open(&mut opener, &seal(&mut restarted, b"goes on")).unwrap(), b"goes on");
    // What the camera signed frames under is remembered all along.
    assert_eq!(open(&mut opener, &signed), Err(OpenError::Replayed));
}

/// A member and the relay use up the counters of the camera's own key id.
#[test]
fn a_counter_far_ahead_denies_nothing_for_good() {
    let (mut sealer, mut opener) = (sealer(3, 1), opener(&[3]));
    let kid = Kid::new(SenderSession(1), VIDEO, 0, 3);
    let frames: Vec<_> = (0..10).map(|_| seal(&mut sealer, b"camera")).collect();
    open(&mut opener, &frames[0]).unwrap();
    open(&mut opener, &frames[1]).unwrap();
    let plain = [HEADER.to_bytes().as_slice(), b"forged"].concat();
    for ctr in [1000, 2000, u64::MAX - 1] {
        open(&mut opener, &forge(kid, ctr, &plain)).unwrap();
    }
    assert_eq!(open(&mut opener, &frames[2]), Err(OpenError::Replayed));
    // What the camera signed comes out of its frames all the same, but only where they are authentic.
    let mut carrier = Vec::new();
    sealer.seal_with(VIDEO, HEADER, Some(b"block"), b"env", b"frame", &mut carrier).unwrap();
    assert_eq!(open(&mut opener, &carrier), Err(OpenError::Replayed));
    assert_eq!(opener.block(), Some(b"block".as_slice()));
    let mut bent = carrier.clone();
    *bent.last_mut().unwrap() ^= 1;
    assert_eq!(open(&mut opener, &bent), Err(OpenError::Replayed));
    assert_eq!(opener.block(), None);
    opener.forget_forged(kid, 4);
    for frame in &frames[..4] {
        assert_eq!(open(&mut opener, frame), Err(OpenError::Replayed));
    }
    for frame in &frames[4..] {
        assert_eq!(open(&mut opener, frame).unwrap(), b"camera");
        assert_eq!(open(&mut opener, frame), Err(OpenError::Replayed));
    }
    // Nothing is put back where nothing was too far ahead.
    opener.forget_forged(kid, 4);
    assert_eq!(open(&mut opener, &frames[9]), Err(OpenError::Replayed));
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
    let flag = forge(kid, 0, &[0, 0, 0, 0, 0, 0, 4, 0, 1, 2, 3]);
    assert_eq!(open(&mut opener, &flag), Err(OpenError::UnknownFormat));
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

#[test]
fn a_block_comes_out_beside_its_frame() {
    let (mut sealer, mut opener) = (sealer(3, 1), opener(&[3]));
    let (mut sframe, mut out) = (Vec::new(), Vec::new());
    let blocks = [Some(vec![7; 3000]), None, Some(vec![9; 1]), None];
    for (ctr, block) in blocks.iter().enumerate() {
        sealer.seal_with(VIDEO, HEADER, block.as_deref(), b"env", b"frame", &mut sframe).unwrap();
        let opened = opener.open(&sframe, b"env", &mut out).unwrap();
        assert_eq!((opened.ctr, opened.header), (ctr as u64, HEADER));
        assert_eq!((out.as_slice(), opener.block()), (b"frame".as_slice(), block.as_deref()));
    }
    sealer.seal_with(VIDEO, HEADER, Some(&[1]), b"env", b"frame", &mut sframe).unwrap();
    opener.open(&sframe, b"env", &mut out).unwrap();
    assert!(opener.open(&sframe, b"env", &mut out).is_err());
    assert_eq!(opener.block(), None, "nothing is left of the frame before");
    let too_large = vec![0; MAX_BLOCK_BYTES + 1];
    let refused = sealer.seal_with(VIDEO, HEADER, Some(&too_large), b"env", b"x", &mut sframe);
    assert_eq!(refused, Err(crate::seal::SealError::TooLarge));
}

#[test]
fn a_largest_frame_with_a_largest_block_opens() {
    let (mut sealer, mut opener) = (sealer(3, 1), opener(&[3]));
    let (frame, block) = (vec![1; MAX_FRAME_BYTES], vec![2; MAX_BLOCK_BYTES]);
    let mut sframe = Vec::new();
    sealer.seal_with(VIDEO, HEADER, Some(&block), b"env", &frame, &mut sframe).unwrap();
    assert!(open(&mut opener, &sframe).unwrap() == frame);
}

#[test]
fn lengths_of_blocks_that_cannot_be_are_refused() {
    let mut opener = opener(&[3]);
    let kid = Kid::new(SenderSession(1), VIDEO, 0, 3);
    let header = [0, 0, 0, 0, 0, 0, 2, 0];
    let lengths: [&[u8]; 6] =
        [&[], &[0, 0, 0], &[0, 0, 0, 0], &[0, 0, 0, 2, 1], &[0, 1, 0, 1], &[255, 255, 255, 255, 1]];
    for (ctr, length) in lengths.into_iter().enumerate() {
        let frame = forge(kid, ctr as u64, &[&header, length].concat());
        assert_eq!(open(&mut opener, &frame), Err(OpenError::UnknownFormat), "{length:?}");
        assert_eq!(opener.block(), None);
    }
    let whole = forge(kid, 99, &[&header[..], &[0, 0, 0, 2, 1, 2, 5]].concat());
    assert_eq!(open(&mut opener, &whole).unwrap(), [5]);
    assert_eq!(opener.block(), Some([1, 2].as_slice()));
}

proptest! {
    /// Whatever a member seals: it is opened or refused, and what comes out is never longer than what went in.
    #[test]
    fn plaintexts_of_any_kind_do_no_harm(mut plain in proptest::collection::vec(any::<u8>(), 8..200), flags in 0_u8..4, len in 0_u8..100) {
        plain[6] = flags;
        plain[7] = 0;
        if plain.len() > 12 {
            plain[8..12].copy_from_slice(&[0, 0, 0, len]);
        }
        let mut opener = opener(&[3]);
        let frame = forge(Kid::new(SenderSession(1), VIDEO, 0, 3), 0, &plain);
        if let Ok(out) = open(&mut opener, &frame) {
            let block = opener.block().map_or(0, |block| 4 + block.len());
            prop_assert_eq!(out.len() + block + 8, plain.len());
        }
    }
}

/// A member that was removed with epoch 3, with the keys of it, and a relay that takes its frames.
#[test]
fn a_removed_member_makes_no_frames_once_the_record_is_there() {
    let at = Duration::from_secs;
    let mut opener = opener(&[3]);
    let mut camera = sealer(3, 1);
    let on_the_way: Vec<_> = (0..10).map(|_| seal(&mut camera, b"camera")).collect();
    for frame in &on_the_way[..6] {
        open(&mut opener, frame).unwrap();
    }
    opener.add_epoch(keys_for_test(4, 1), at(10));
    opener.limit_before(4, at(10));
    let kid = Kid::new(SenderSession(1), VIDEO, 0, 3);
    assert_eq!(opener.end_epoch(3, &[(kid, 9)]), []);

    let plain = [HEADER.to_bytes().as_slice(), b"forged"].concat();
    for ctr in [10, 11, 1000] {
        assert_eq!(open(&mut opener, &forge(kid, ctr, &plain)), Err(OpenError::EpochOver));
    }
    for (session, track) in [(1, AUDIO), (1, 7), (2, VIDEO), (0, VIDEO)] {
        let other = Kid::new(SenderSession(session), track, 0, 3);
        assert_eq!(open(&mut opener, &forge(other, 0, &plain)), Err(OpenError::EpochOver));
    }
    // What the camera sealed last is not lost, not even long after two seconds.
    opener.retire_epochs(at(20), at(15));
    for frame in &on_the_way[6..] {
        assert_eq!(open(&mut opener, frame).unwrap(), b"camera");
    }
    opener.retire_epochs(at(25), at(15));
    assert_eq!(open(&mut opener, &forge(kid, 5, &plain)), Err(OpenError::UnknownEpoch));
}

#[test]
fn without_a_record_the_keys_of_a_removed_member_live_two_seconds() {
    let at = Duration::from_millis;
    let mut opener = opener(&[2, 3]);
    opener.add_epoch(keys_for_test(4, 1), at(10_000));
    opener.limit_before(4, at(10_000));
    opener.limit_before(4, at(11_500));
    let keep = Duration::from_secs(15);
    opener.retire_epochs(at(11_999), keep);
    open(&mut opener, &seal(&mut sealer(3, 1), b"on its way")).unwrap();
    opener.retire_epochs(at(12_000), keep);
    for epoch in [2, 3] {
        assert_eq!(open(&mut opener, &seal(&mut sealer(epoch, 1), b"forged")), Err(OpenError::UnknownEpoch));
    }
    open(&mut opener, &seal(&mut sealer(4, 1), b"new")).unwrap();
}

#[test]
fn a_record_tells_of_frames_that_were_forged_before_it_came() {
    let mut opener = opener(&[3, 4]);
    let (kid, audio) = (Kid::new(SenderSession(1), VIDEO, 0, 3), Kid::new(SenderSession(1), AUDIO, 0, 3));
    let plain = [HEADER.to_bytes().as_slice(), b"x"].concat();
    open(&mut opener, &forge(kid, 9, &plain)).unwrap();
    open(&mut opener, &forge(audio, 20, &plain)).unwrap();
    // A run of the camera before this one, which its record does not name.
    open(&mut opener, &forge(Kid::new(SenderSession(0), VIDEO, 0, 3), 5, &plain)).unwrap();
    assert_eq!(opener.end_epoch(4, &[]), [], "the epoch in force has no end yet");
    assert_eq!(opener.end_epoch(7, &[]), []);
    assert_eq!(opener.end_epoch(3, &[(kid, 9), (audio, 19)]), [audio]);
    open(&mut opener, &seal(&mut sealer(4, 1), b"x")).unwrap();
}

//! The bytes of blocks: arbitrary ones, and one that is pinned.

use proptest::prelude::*;

use super::super::block::{Block, frame_hash};
use super::*;

const PINNED: &str = include_str!("../../../tests/vectors/checkpoint.json");

proptest! {
    #[test]
    fn bytes_of_no_kind_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400), version: bool) {
        let mut bytes = bytes;
        if let (true, Some(first)) = (version, bytes.first_mut()) {
            *first = 1;
        }
        let mut verifier = Camera::new().verifier();
        prop_assert!(verifier.block(&bytes, Duration::ZERO).is_err());
        prop_assert!(!verifier.has_begun());
    }

    /// Blocks with a bent byte are read without harm too, when the signature is not in the way.
    #[test]
    fn bent_blocks_are_read_or_refused(at: prop::sample::Index, value: u8, cut in 0_usize..200) {
        let mut block = Camera::new().run(3).into_iter().find_map(|frame| frame.block).unwrap();
        let at = at.index(block.len());
        block[at] = value;
        block.truncate(block.len().saturating_sub(cut));
        if let Ok((block, body)) = Block::read(&block) {
            prop_assert!(block.ranges.iter().all(|range| !range.hashes.is_empty()));
            prop_assert!(body.len() < MAX_BLOCK_BYTES);
        }
    }
}

#[test]
fn sizes_and_versions_are_checked() {
    assert_eq!(Block::read(&[]).err(), Some(BlockError::Malformed));
    assert_eq!(Block::read(&vec![1; MAX_BLOCK_BYTES + 1]).err(), Some(BlockError::Malformed));
    assert_eq!(Block::read(&[2; 200]).err(), Some(BlockError::UnknownVersion));
}

/// The camera of the pinned block: fixed keys, a fixed chain, five frames whose SFrame bytes are one letter each.
fn pinned_block() -> (Camera, Vec<u8>) {
    let mut camera = Camera::new();
    camera.builder.set_chain(*b"0123456789abcdef");
    let kid = |track| Kid::new(SenderSession(0x0102_0304), track, 0, 3);
    let frames = [(VIDEO, 7), (AUDIO, 40), (VIDEO, 8), (AUDIO, 41), (VIDEO, 10)];
    for (number, (track, ctr)) in frames.into_iter().enumerate() {
        let sealed = Sealed { kid: kid(track), ctr };
        let letter = [b'a' + number as u8];
        camera.builder.note(sealed, BEGAN_MS + 20 * number as u64, &letter).unwrap();
    }
    let block = camera.builder.due(Duration::ZERO, carrier(VIDEO, true, usize::MAX)).unwrap().to_vec();
    (camera, block)
}

#[test]
fn the_pinned_block_is_made_and_read_again() {
    let pinned: serde_json::Value = serde_json::from_str(PINNED).unwrap();
    let text = |name: &str| pinned[name].as_str().unwrap().to_owned();
    let (camera, block) = pinned_block();
    assert_eq!(hex::encode(camera.key()), text("camera_public_key"));
    assert_eq!(hex::encode(keys(3).group.0), text("group"));
    assert_eq!(hex::encode(&block), text("block"));

    let mut verifier = camera.verifier();
    verifier.block(&block, Duration::ZERO).unwrap();
    let (read, _) = Block::read(&block).unwrap();
    assert_eq!((read.seq, read.covers_ms, read.previous), (0, BEGAN_MS + 80, [0; 32]));
    let video = Kid::new(SenderSession(0x0102_0304), VIDEO, 0, 3);
    let listed: Vec<_> = (7..11).map(|ctr| read.hash_of(video, ctr).copied()).collect();
    assert_eq!(listed, [Some(frame_hash(b"a")), Some(frame_hash(b"c")), None, Some(frame_hash(b"e"))]);
    assert_eq!(read.end_of(video), Some(11));
}

//! Sealing, noting for checkpoints and opening allocate nothing once buffers are there.

#![allow(clippy::unwrap_used)]

mod household;

use std::time::Duration;

use household::Scene;
use latchkey_api::device_list::Role;
use latchkey_e2ee::checkpoint::{Carrier, CheckpointBuilder, CheckpointSigner};
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::kid::{AUDIO, VIDEO};
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_wire::codec::Codec;

#[test]
fn nothing_is_allocated_per_frame() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let session = scene.group.next_session().unwrap();
    let mut sealer = FrameSealer::new(&scene.group.frame_keys().unwrap(), session);
    let mut opener = FrameOpener::new();
    opener.add_epoch(scene.members[0].frame_keys().unwrap(), Duration::ZERO);
    let header = InnerHeader { captured_ms: 1, key_frame: false, codec: Codec::H264 };
    let frame = vec![7; 100_000];
    let (mut sframe, mut out) = (Vec::with_capacity(110_000), Vec::with_capacity(110_000));
    let mut run = |frames: u32| {
        for number in 0..frames {
            let track = if number % 3 == 0 { AUDIO } else { VIDEO };
            sealer.seal(track, header, b"envelope", &frame, &mut sframe).unwrap();
            opener.open(&sframe, b"envelope", &mut out).unwrap();
        }
    };
    // The first frame of each track makes its keys.
    run(6);
    let info = allocation_counter::measure(|| run(300));
    assert_eq!(info.count_total, 0, "{} bytes", info.bytes_total);
}

#[test]
fn nothing_is_allocated_per_frame_that_is_signed_or_carries_a_block() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let session = scene.group.next_session().unwrap();
    let keys = scene.group.frame_keys().unwrap();
    let mut sealer = FrameSealer::new(&keys, session);
    let signer = CheckpointSigner::new(&DeviceIdentity::generate().unwrap()).unwrap();
    let mut builder = CheckpointBuilder::new(&signer, keys.group()).unwrap();
    let mut opener = FrameOpener::new();
    opener.add_epoch(scene.members[0].frame_keys().unwrap(), Duration::ZERO);
    let frame = vec![7; 10_000];
    let (mut sframe, mut out) = (Vec::with_capacity(20_000), Vec::with_capacity(20_000));
    let mut at = Duration::ZERO;
    let mut blocks = 0;
    let mut run = |seconds: u64| {
        for number in 0..seconds * 75 {
            let (track, room) = if number % 3 == 0 { (VIDEO, usize::MAX) } else { (AUDIO, 0) };
            at += Duration::from_micros(1_000_000 / 75);
            let header =
                InnerHeader { captured_ms: at.as_millis() as u64, key_frame: false, codec: Codec::H264 };
            let block = builder.due(at, Carrier { track, key_frame: false, room });
            blocks += u32::from(block.is_some());
            let sealed = sealer.seal_with(track, header, block, b"envelope", &frame, &mut sframe).unwrap();
            builder.note(sealed, header.captured_ms, &sframe).unwrap();
            opener.open(&sframe, b"envelope", &mut out).unwrap();
        }
    };
    run(5);
    let info = allocation_counter::measure(|| run(20));
    assert_eq!(info.count_total, 0, "{} bytes", info.bytes_total);
    assert!(blocks > 20, "{blocks} blocks");
}

//! Checkpoints: what the camera pays per frame and per block, and a viewer per block.

use std::time::{Duration, Instant};

use latchkey_api::device_list::Role;
use latchkey_e2ee::checkpoint::{Carrier, CheckpointBuilder, CheckpointSigner, CheckpointVerifier};
use latchkey_e2ee::kid::VIDEO;
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::FrameSealer;

use crate::frames::HEADER;
use crate::household::Scene;
use crate::{ROUNDS, Times};

/// Frames between two blocks: 2 s of 30 pictures, and of 50 packets of sound.
const FRAMES: usize = 160;
/// A picture, with room for a block.
const CARRIER: Carrier = Carrier { track: VIDEO, key_frame: false, room: 16 * 1024 };

/// One row each: noting a frame, making a block, verifying one.
pub(crate) fn rows() {
    let mut scene = Scene::with(&[Role::Viewer]);
    let group = scene.group.group_id();
    let session = scene.group.next_session().unwrap();
    let mut sealer = FrameSealer::new(&scene.group.frame_keys().unwrap(), session);
    let mut opener = FrameOpener::new();
    opener.add_epoch(scene.members[0].frame_keys().unwrap(), Duration::ZERO);
    let mut builder = CheckpointBuilder::new(&CheckpointSigner::new(&scene.camera).unwrap(), group).unwrap();
    let mut verifier = CheckpointVerifier::new(group, &scene.camera.public().mls_public).unwrap();

    let frame = vec![9; 10_000];
    let (mut note, mut make, mut verify) = (Vec::new(), Vec::new(), Vec::new());
    let (mut block_bytes, mut listed, mut out) = (0, 0_u64, Vec::new());
    for round in 0..ROUNDS as u64 {
        let mut opened = Vec::with_capacity(FRAMES);
        let mut noting = Duration::ZERO;
        for _ in 0..FRAMES {
            let mut sframe = Vec::new();
            let sealed = sealer.seal(VIDEO, HEADER, b"", &frame, &mut sframe).unwrap();
            let begin = Instant::now();
            builder.note(sealed, HEADER.captured_ms, &sframe).unwrap();
            noting += begin.elapsed();
            opened.push((opener.open(&sframe, b"", &mut out).unwrap(), sframe));
        }
        note.push(noting / FRAMES as u32);
        let now = Duration::from_secs(10 * round);
        let begin = Instant::now();
        let block = builder.due(now, CARRIER).unwrap().to_vec();
        make.push(begin.elapsed());
        block_bytes = block.len();
        let begin = Instant::now();
        for (opened, sframe) in &opened {
            listed += verifier.frame(opened, sframe, now).signed;
        }
        listed += verifier.block(&block, now).unwrap().signed;
        verify.push(begin.elapsed());
        // Each block is carried twice.
        builder.due(now + Duration::from_secs(1), CARRIER);
    }
    assert!(listed > 0, "a viewer sees signed frames");
    let us = |times| Times::sorted(times).us();
    println!("e2ee: checkpoint_note frame_bytes={} us={:.2}", frame.len(), us(note));
    println!("e2ee: checkpoint_make frames={FRAMES} us={:.1} block_bytes={block_bytes}", us(make));
    println!("e2ee: checkpoint_verify frames={FRAMES} us={:.1}", us(verify));
}

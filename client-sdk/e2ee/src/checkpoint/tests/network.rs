//! What honest relays and networks do: it never makes a frame forged.

use proptest::prelude::*;

use super::*;

const LATE: Duration = Duration::from_millis(200);

#[test]
fn every_frame_is_signed_two_seconds_later() {
    let mut camera = Camera::new();
    let mut verifier = camera.verifier();
    let frames = camera.run(60);
    let verdicts = watch(&mut verifier, &frames, LATE);
    assert_eq!((verdicts.unverified, verdicts.forged), (0, 0));
    assert!(verdicts.signed + 170 > frames.len() as u64, "{verdicts:?} of {}", frames.len());
}

#[test]
fn each_block_is_carried_twice_and_the_cost_is_told() {
    let mut camera = Camera::new();
    let frames = camera.run(60);
    let blocks: Vec<&Vec<u8>> = frames.iter().filter_map(|frame| frame.block.as_ref()).collect();
    let mut distinct = blocks.clone();
    distinct.dedup();
    assert_eq!(blocks.len(), 2 * distinct.len());
    // With 4 bytes of length each.
    let bytes: usize = blocks.iter().map(|block| block.len() + 4).sum();
    println!(
        "checkpoints: blocks={} bytes={} per_second={} at 25 pictures and 50 packets of sound per second",
        distinct.len(),
        distinct[1].len(),
        bytes / 60
    );
    assert!(bytes / 60 < 4000, "{} bytes per second", bytes / 60);
}

#[test]
fn who_joins_in_the_middle_begins_with_the_first_block_it_sees() {
    let mut camera = Camera::new();
    let frames = camera.run(60);
    // The relay's cache begins with a key frame.
    let from = frames.iter().position(|frame| frame.at == Duration::from_secs(20)).unwrap() + 1;
    assert!(frames[from].block.is_some(), "a key frame carries a block");
    let mut verifier = camera.verifier();
    let verdicts = watch(&mut verifier, &frames[from..], LATE);
    assert_eq!((verdicts.unverified, verdicts.forged), (0, 0));
    assert!(verdicts.signed > 2700);
    // One that has its key later says so of what came before, and of nothing else.
    let mut verifier = camera.verifier();
    let mut verdicts = Verdicts::default();
    for frame in &frames[from + 10..from + 60] {
        verdicts += verifier.frame(&frame.opened(), &frame.sframe, frame.at + LATE);
    }
    verdicts += watch(&mut verifier, &frames[from + 60..], LATE);
    assert_eq!(verdicts.forged, 0);
    assert!(verdicts.unverified < 60 && verdicts.signed > 2700, "{verdicts:?}");
}

#[test]
fn a_lost_block_leaves_its_frames_unverified_and_one_lost_copy_does_nothing() {
    let mut camera = Camera::new();
    let frames = camera.run(60);
    let mut blocks: Vec<Vec<u8>> = frames.iter().filter_map(|frame| frame.block.clone()).collect();
    blocks.dedup();
    let without = |at: usize, copies: usize| -> Vec<Sent> {
        let mut left = copies;
        let is_lost = |frame: &&Sent| frame.block.as_ref() == Some(&blocks[at]);
        let keep = |frame: &&Sent| {
            !is_lost(frame) || left == 0 || {
                left -= 1;
                false
            }
        };
        frames.iter().filter(keep).cloned().collect()
    };
    for (copies, unverified) in [(1, 0), (2, 150)] {
        let mut verifier = camera.verifier();
        let verdicts = watch(&mut verifier, &without(10, copies), LATE);
        assert_eq!((verdicts.unverified, verdicts.forged), (unverified, 0), "{copies} copies lost");
    }
}

#[test]
fn epochs_and_restarts_are_no_forgery() {
    let mut camera = Camera::new();
    let mut verifier = camera.verifier();
    let mut frames = camera.run(33);
    camera.rekey(4);
    frames.extend(camera.run(1));
    camera.rekey(5);
    frames.extend(camera.run(40));
    let verdicts = watch(&mut verifier, &frames, LATE);
    assert_eq!((verdicts.unverified, verdicts.forged), (0, 0), "the chain goes on over epochs");

    let mut camera = camera.restarted(2);
    camera.rekey(5);
    let again = camera.run(40);
    let mut verdicts = watch(&mut verifier, &again, LATE);
    verdicts += finish(&mut verifier);
    assert_eq!(verdicts.forged, 0);
    // What the camera had no time to sign, and what came last.
    assert!(verdicts.unverified <= 2 * 160, "{verdicts:?}");
    assert!(verdicts.signed + 2 * 160 > again.len() as u64, "{verdicts:?}");
}

#[test]
fn a_clock_that_is_set_is_no_forgery() {
    for (back, forward) in [(3_600_000, 0), (0, 3_600_000), (700, 0), (2500, 0)] {
        let mut camera = Camera::new();
        let mut verifier = camera.verifier();
        let mut frames = camera.run(45);
        camera.clock_ms = camera.clock_ms - back + forward;
        frames.extend(camera.run(45));
        // Sound comes before the picture of its time.
        let skew =
            |frame: &Sent| frame.at + if frame.sealed.kid.track() == VIDEO { LATE } else { Duration::ZERO };
        frames.sort_by_key(skew);
        let mut verdicts = watch(&mut verifier, &frames, Duration::from_secs(1));
        verdicts += finish(&mut verifier);
        assert_eq!(verdicts.forged, 0, "-{back} +{forward}: {verdicts:?}");
        assert!(verdicts.signed > 6000, "-{back} +{forward}: {verdicts:?}");
    }
}

#[test]
fn without_any_block_nothing_is_verified() {
    let mut camera = Camera::new();
    let mut verifier = camera.verifier();
    let mut frames = camera.run(40);
    frames.iter_mut().for_each(|frame| frame.block = None);
    let mut verdicts = watch(&mut verifier, &frames, LATE);
    verdicts += finish(&mut verifier);
    assert_eq!(verdicts, Verdicts { unverified: frames.len() as u64, ..Verdicts::default() });
}

#[test]
fn sound_alone_is_signed_in_small_blocks() {
    let mut camera = Camera::new();
    let mut verifier = camera.verifier();
    let mut signed = 0;
    for step in 0..50 * 30 {
        let at = Duration::from_millis(20 * step);
        let block = camera.builder.due(at, carrier(AUDIO, false, 800)).map(<[u8]>::to_vec);
        assert!(block.as_ref().is_none_or(|block| block.len() <= 800));
        let mut sframe = Vec::new();
        let header = InnerHeader { captured_ms: BEGAN_MS + 20 * step, key_frame: false, codec: Codec::Opus };
        let sealed =
            camera.sealer.seal_with(AUDIO, header, block.as_deref(), b"", b"x", &mut sframe).unwrap();
        camera.builder.note(sealed, header.captured_ms, &sframe).unwrap();
        let captured_ms = header.captured_ms;
        let sent = Sent { at, sealed, captured_ms, key_frame: false, temporal: 0, sframe, block };
        let verdicts = watch(&mut verifier, &[sent], LATE);
        assert_eq!((verdicts.unverified, verdicts.forged), (0, 0));
        signed += verdicts.signed;
    }
    assert!(signed > 1400, "{signed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// Whatever is lost, however frames are put out of order within two seconds, whenever one joins, and
    /// whatever the camera does in between: no frame is forged, and each gets one verdict.
    #[test]
    fn loss_and_disorder_forge_nothing(
        lost in proptest::collection::vec(0_u8..100, 5000),
        percent in 0_u8..60,
        delays in proptest::collection::vec(0_u64..2000, 5000),
        join in 0_usize..2000,
        restart: bool,
        step in -5000_i64..5000,
    ) {
        let mut camera = Camera::new();
        let mut verifier = camera.verifier();
        let mut frames = camera.run(20);
        camera.rekey(4);
        camera.clock_ms = camera.clock_ms.saturating_add_signed(step);
        frames.extend(camera.run(15));
        if restart {
            camera = camera.restarted(2);
            camera.rekey(4);
        }
        frames.extend(camera.run(20));
        let came = bad_network(frames.split_off(join), (&lost[join..], percent), &delays[join..]);
        let mut all = watch_at(&mut verifier, came.iter().map(|(at, frame)| (*at, frame)));
        all += finish(&mut verifier);
        prop_assert_eq!(all.forged, 0, "{:?}", all.first_forged);
        prop_assert_eq!(all.signed + all.unverified, came.len() as u64);
    }
}

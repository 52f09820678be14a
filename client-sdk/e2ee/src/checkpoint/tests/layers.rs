//! A picture of several sizes: whoever gets one of them, another, or less of it, can verify what comes.

use proptest::prelude::*;

use super::*;

const LATE: Duration = Duration::from_millis(200);
const LAYERS: [u8; 3] = [VIDEO, SECOND_LAYER, THIRD_LAYER];

fn browser() -> Camera {
    Camera { layers: &LAYERS, browser: true, ..Camera::new() }
}

/// What a relay sends to a viewer of one layer: its frames up to a temporal layer, and the sound.
fn only(frames: &[Sent], layer: u8, temporal: u8) -> Vec<Sent> {
    let is_sent = |frame: &&Sent| {
        let track = frame.sealed.kid.track();
        track == AUDIO || track == layer && frame.temporal <= temporal
    };
    frames.iter().filter(is_sent).cloned().collect()
}

/// What a relay sends to a viewer who gets another layer now and then, always from a key frame of it on.
fn switching(frames: &[Sent], mut wishes: impl Iterator<Item = bool>) -> Vec<Sent> {
    let (mut layer, mut sent) = (VIDEO, Vec::new());
    for frame in frames {
        let track = frame.sealed.kid.track();
        if track != AUDIO && track != layer && frame.key_frame && wishes.next().unwrap_or_default() {
            layer = track;
        }
        if track == AUDIO || track == layer {
            sent.push(frame.clone());
        }
    }
    sent
}

fn blocks_of(frames: &[Sent]) -> Vec<&Vec<u8>> {
    let mut blocks: Vec<&Vec<u8>> = frames.iter().filter_map(|frame| frame.block.as_ref()).collect();
    blocks.dedup();
    blocks
}

/// All but what waits for the next block, which must come within some seconds.
fn assert_all_signed(verdicts: Verdicts, of: &[Sent], what: &str) {
    assert_eq!((verdicts.unverified, verdicts.forged), (0, 0), "{what}: {verdicts:?}");
    let waiting = of.len() as u64 - verdicts.signed;
    assert!(waiting < 4 * 75, "{what}: {verdicts:?} of {}", of.len());
}

#[test]
fn a_viewer_of_each_layer_finds_every_frame_signed_without_its_upper_temporal_layers_too() {
    let mut camera = browser();
    let frames = camera.run(60);
    for layer in LAYERS {
        for temporal in 0..3 {
            let sent = only(&frames, layer, temporal);
            let verdicts = watch(&mut camera.verifier(), &sent, LATE);
            assert_all_signed(verdicts, &sent, &format!("layer {layer}, temporal {temporal}"));
        }
    }
}

#[test]
fn each_layer_carries_each_block_twice_and_the_cost_is_told() {
    let mut camera = browser();
    let frames = camera.run(60);
    let mut distinct = blocks_of(&frames);
    distinct.sort();
    distinct.dedup();
    for layer in LAYERS {
        let sent = only(&frames, layer, 0);
        // The last one may be under way.
        for block in &distinct[..distinct.len() - 1] {
            let copies = sent.iter().filter(|frame| frame.block.as_ref() == Some(block)).count();
            assert!(copies >= 2, "{copies} copies in layer {layer}");
        }
        let bytes: usize = sent.iter().filter_map(|frame| Some(frame.block.as_ref()?.len() + 4)).sum();
        println!(
            "checkpoints: layer={layer} of 3, blocks={} per_second={} bytes",
            distinct.len(),
            bytes / 60
        );
        assert!(bytes / 60 < 7_500, "{} bytes per second", bytes / 60);
    }
    // Each layer has a key frame every 2 s, and blocks at key frames are half a second apart.
    assert!((60..=120).contains(&distinct.len()), "{} blocks in a minute", distinct.len());
}

#[test]
fn a_layer_that_ends_holds_no_block_up_and_its_viewers_go_on_with_another() {
    let mut camera = browser();
    let mut frames = camera.run(20);
    camera.layers = &LAYERS[..2];
    let without = camera.run(20);
    assert!(blocks_of(&only(&without, VIDEO, 0)).len() >= 7, "{}", blocks_of(&without).len());
    frames.extend(without);
    camera.layers = &LAYERS;
    frames.extend(camera.run(20));
    for layer in &LAYERS[..2] {
        let sent = only(&frames, *layer, 0);
        assert_all_signed(watch(&mut camera.verifier(), &sent, LATE), &sent, "a layer that stays");
    }
    // The layer ends without a word: until the relay has a key frame of another one, nothing comes.
    let is_gone = |frame: &Sent| (20..40).contains(&frame.at.as_secs());
    let mut layer = THIRD_LAYER;
    let sent: Vec<Sent> = frames
        .iter()
        .filter(|frame| {
            let track = frame.sealed.kid.track();
            let other = if is_gone(frame) { VIDEO } else { THIRD_LAYER };
            if track == other && frame.key_frame {
                layer = other;
            }
            track == AUDIO || track == layer
        })
        .cloned()
        .collect();
    let verdicts = watch(&mut camera.verifier(), &sent, LATE);
    assert_eq!(verdicts.forged, 0, "{verdicts:?}");
    assert!(verdicts.unverified < 4 * 75, "what the layer carried last, at most: {verdicts:?}");
    assert!(verdicts.signed + 8 * 75 > sent.len() as u64, "{verdicts:?} of {}", sent.len());
}

#[test]
fn a_block_that_comes_late_still_signs() {
    let mut camera = browser();
    let mut sent = only(&camera.run(30), VIDEO, 2);
    let blocks: Vec<Vec<u8>> = blocks_of(&sent).into_iter().cloned().collect();
    // Both copies of the sixth come with a frame that carries the seventh, behind it.
    let late = blocks[5].clone();
    sent.iter_mut().filter(|frame| frame.block.as_ref() == Some(&late)).for_each(|frame| frame.block = None);
    let lost = watch(&mut camera.verifier(), &sent, LATE);
    let at = sent.iter().position(|frame| frame.block.as_ref() == Some(&blocks[6])).unwrap();
    sent[at + 1].block = Some(late);
    let late = watch(&mut camera.verifier(), &sent, LATE);
    assert_eq!((lost.forged, late.forged), (0, 0));
    // Those of the moment in which the fifth was under way have seen two blocks that do not list them.
    assert!(late.unverified < 15 && lost.unverified > 40, "{late:?} {lost:?}");
}

/// The clock is set back, and what was sealed after it overtakes what the camera signed before.
#[test]
fn blocks_from_before_a_clock_was_set_back_deny_nothing_that_overtook_them() {
    for back_ms in (600..6_000).step_by(300) {
        let mut camera = browser();
        let mut frames = camera.run(20);
        camera.rekey(4);
        camera.clock_ms -= back_ms;
        frames.extend(camera.run(20));
        let sent = switching(&frames, std::iter::repeat(true));
        let lost = vec![100; sent.len()];
        let is_late = |frame: &Sent| frame.block.is_some() && frame.at < Duration::from_millis(21_200);
        let delays: Vec<u64> = sent.iter().map(|frame| if is_late(frame) { 1_999 } else { 0 }).collect();
        let came = bad_network(sent, (&lost, 0), &delays);
        let mut verifier = camera.verifier();
        let mut all = watch_at(&mut verifier, came.iter().map(|(at, frame)| (*at, frame)));
        all += finish(&mut verifier);
        assert_eq!(all.forged, 0, "set back by {back_ms} ms: {:?}", all.first_forged);
    }
}

#[test]
fn a_late_block_of_another_history_is_seen() {
    let blocks = |camera: &mut Camera| -> Vec<Vec<u8>> {
        camera.builder.set_chain([4; 16]);
        blocks_of(&only(&camera.run(20), VIDEO, 2)).into_iter().cloned().collect()
    };
    let (mut camera, mut other) = (browser(), browser());
    other.seal(AUDIO, false);
    let (mine, theirs) = (blocks(&mut camera), blocks(&mut other));
    let mut verifier = camera.verifier();
    for number in [0, 2, 5] {
        verifier.block(&mine[number], LATE).unwrap();
    }
    // Beside one that is known, or in its place.
    for number in [0, 1, 2, 3, 4, 5] {
        assert_eq!(verifier.block(&theirs[number], LATE), Err(BlockError::TwoHistories), "{number}");
    }
    for number in [4, 1, 3] {
        verifier.block(&mine[number], LATE).unwrap();
    }
}

#[test]
fn a_forged_frame_is_found_in_whichever_layer_it_comes() {
    for layer in LAYERS {
        for (claim, ahead) in [("in the place of a real one", 0), ("far ahead", 1_000_000)] {
            let mut camera = browser();
            let mut verifier = camera.verifier();
            assert_eq!(watch(&mut verifier, &only(&camera.run(40), layer, 2), LATE).forged, 0);
            let mut frames = only(&camera.run(20), layer, 2);
            let at = frames
                .iter()
                .position(|frame| frame.sealed.kid.track() == layer && frame.block.is_none())
                .unwrap();
            let Sealed { kid, ctr } = frames[at].sealed;
            let bad = forged(&frames[at], kid, ctr + ahead);
            if ahead == 0 {
                frames[at] = bad;
            } else {
                frames.insert(at, bad);
            }
            let verdicts = watch(&mut verifier, &frames, LATE);
            assert_eq!((verdicts.forged, verdicts.unverified), (1, 0), "{claim} in layer {layer}");
            let how = verdicts.first_forged.unwrap();
            assert_eq!(matches!(how, Forgery::Contradicted { .. }), ahead == 0, "{how}");
        }
        // Under the key of a layer that this viewer does not get.
        let mut camera = browser();
        let mut verifier = camera.verifier();
        let before = camera.run(40);
        watch(&mut verifier, &only(&before, layer, 2), LATE);
        let other = LAYERS.into_iter().find(|other| *other != layer).unwrap();
        let theirs = before.iter().rfind(|frame| frame.sealed.kid.track() == other).unwrap();
        let mut frames = vec![forged(theirs, theirs.sealed.kid, theirs.sealed.ctr + 500)];
        frames.extend(only(&camera.run(20), layer, 2));
        assert_eq!(watch(&mut verifier, &frames, LATE).forged, 1, "a picture of layer {other} in {layer}");
    }
}

#[test]
fn sound_goes_on_signing_where_the_picture_ends() {
    let mut camera = browser();
    let mut verifier = camera.verifier();
    let mut frames = only(&camera.run(21), VIDEO, 2);
    // The last block of the picture has more than a packet of sound can hold.
    for step in 0..50 * 30 {
        let room = if step < 200 { 0 } else { 800 };
        camera.now += Duration::from_millis(20);
        camera.clock_ms += 20;
        camera.steps += 1;
        let block = camera.builder.due(camera.now, carrier(AUDIO, false, room)).map(<[u8]>::to_vec);
        assert!(block.as_ref().is_none_or(|block| block.len() <= room));
        frames.push(Sent { block, ..camera.seal(AUDIO, false) });
    }
    let verdicts = watch(&mut verifier, &frames, LATE);
    assert_eq!((verdicts.unverified, verdicts.forged), (0, 0));
    assert!(verdicts.signed + 300 > frames.len() as u64, "{verdicts:?} of {}", frames.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever layers a viewer gets one after the other, every frame is signed.
    #[test]
    fn switches_leave_nothing_unverified(wishes in proptest::collection::vec(any::<bool>(), 200)) {
        let mut camera = browser();
        let sent = switching(&camera.run(45), wishes.into_iter());
        let verdicts = watch(&mut camera.verifier(), &sent, LATE);
        prop_assert_eq!((verdicts.unverified, verdicts.forged), (0, 0));
        prop_assert!(verdicts.signed + 4 * 75 > sent.len() as u64, "{:?} of {}", verdicts, sent.len());
    }

    /// On a bad network, too, no frame of any layer is taken for forged, and each gets one verdict.
    #[test]
    fn loss_and_disorder_among_switches_forge_nothing(
        wishes in proptest::collection::vec(any::<bool>(), 200),
        lost in proptest::collection::vec(0_u8..100, 6000),
        percent in 0_u8..60,
        delays in proptest::collection::vec(0_u64..2000, 6000),
        step in -5000_i64..5000,
    ) {
        let mut camera = browser();
        let mut frames = camera.run(20);
        camera.rekey(4);
        camera.layers = &LAYERS[..2];
        camera.clock_ms = camera.clock_ms.saturating_add_signed(step);
        frames.extend(camera.run(15));
        camera.layers = &LAYERS;
        frames.extend(camera.run(15));
        let came = bad_network(switching(&frames, wishes.into_iter()), (&lost, percent), &delays);
        let mut verifier = camera.verifier();
        let mut all = watch_at(&mut verifier, came.iter().map(|(at, frame)| (*at, frame)));
        all += finish(&mut verifier);
        prop_assert_eq!(all.forged, 0, "{:?}", all.first_forged);
        prop_assert_eq!(all.signed + all.unverified, came.len() as u64);
    }
}

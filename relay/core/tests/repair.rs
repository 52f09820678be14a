//! Loss on either side: viewers get RTX from the one history, the publisher is asked for what is missing, and what comes
//! late goes out in its own place.

#![allow(clippy::unwrap_used)]

mod simulation;

use std::time::Duration;

use latchkey_relay_core::{DropReason, OutgoingKind, RoomConfig, SubscriberId};
use latchkey_wire::codec::Codec;
use proptest::prelude::*;
use simulation::{Camera, Scene};

const VIEWER: u64 = 1;

fn scene() -> Scene {
    let mut scene = Scene::new(Camera::new(Codec::H264, 1));
    scene.join(VIEWER);
    scene.open();
    scene.room.take_stats();
    scene
}

#[test]
fn a_lost_packet_comes_again_by_rtx() {
    let mut scene = scene();
    let lost = (*scene.log.media(VIEWER).last().unwrap()).clone();
    scene.nack(VIEWER, &[lost.index as u16]);
    scene.nack(VIEWER, &[lost.index as u16]);
    let repairs = scene.log.repairs(VIEWER);
    assert_eq!(repairs.len(), 2);
    assert_eq!(repairs[1].index, repairs[0].index + 1, "numbers of its own");
    let (repair, original) = (repairs[0].view(), lost.view());
    assert_eq!(repair.ssrc(), simulation::rtx_ssrc(VIEWER));
    assert_eq!(repair.payload_type(), 111);
    assert_eq!((repair.timestamp(), repair.marker()), (original.timestamp(), original.marker()));
    assert_eq!(repair.payload()[..2], original.sequence_number().to_be_bytes());
    assert_eq!(&repair.payload()[2..], original.payload());
    assert_eq!(repairs[0].kind, OutgoingKind::Repair);
    let stats = scene.room.take_stats();
    assert_eq!((stats.nacks_received, stats.repairs_sent), (2, 2));
}

#[test]
fn what_never_was_or_is_gone_is_not_repeated() {
    let config = RoomConfig { video_packets: 64, ..RoomConfig::default() };
    let mut scene = Scene::with(Camera::new(Codec::Vp8, 2), config);
    scene.join(VIEWER);
    scene.open();
    let old = scene.log.media(VIEWER)[0].index as u16;
    let next = scene.log.media(VIEWER).last().unwrap().index as u16 + 1;
    scene.nack(VIEWER, &[old.wrapping_sub(1), next]);
    for _ in 0..70 {
        scene.frame(false, 40);
    }
    scene.nack(VIEWER, &[old]);
    assert_eq!(scene.log.repairs(VIEWER).len(), 0);
    assert_eq!(scene.room.take_stats().dropped(DropReason::RepairGone), 3);
}

#[test]
fn one_viewer_cannot_ask_without_end() {
    let config = RoomConfig { repairs_per_second: 10, ..RoomConfig::default() };
    let mut scene = Scene::with(Camera::new(Codec::Vp8, 3), config);
    scene.join(VIEWER);
    scene.join(2);
    scene.open();
    let lost = scene.log.media(VIEWER)[0].index as u16;
    (0..50).for_each(|_| scene.nack(VIEWER, &[lost]));
    assert_eq!(scene.log.repairs(VIEWER).len(), 10);
    assert_eq!(scene.room.take_stats().dropped(DropReason::RepairDenied), 40);
    let lost = scene.log.media(2)[0].index as u16;
    scene.nack(2, &[lost]);
    assert_eq!(scene.log.repairs(2).len(), 1, "others are not affected");
    scene.pass(Duration::from_millis(300));
    (0..50).for_each(|_| scene.nack(VIEWER, &[lost]));
    assert!(scene.log.repairs(VIEWER).len() <= 13);
}

#[test]
fn a_leg_without_rtx_gets_no_repairs() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 4));
    let params = latchkey_relay_core::SubscriptionParams { rtx: None, ..simulation::leg(VIEWER) };
    scene.room.subscribe(SubscriberId(VIEWER), scene.track, &params, scene.now).unwrap();
    scene.open();
    let sent = scene.log.sent.len();
    let lost = scene.log.media(VIEWER)[0].index as u16;
    scene.nack(VIEWER, &[lost]);
    assert_eq!(scene.log.sent.len(), sent);
}

#[test]
fn the_publisher_is_asked_for_a_gap_after_the_time_of_a_reordering() {
    let mut scene = scene();
    let packets = scene.make_frame(false, 900);
    let (lost, rest) = (&packets[1], [&packets[..1], &packets[2..]].concat());
    scene.deliver(&rest);
    scene.pass(Duration::from_millis(9));
    assert!(scene.asked().is_empty());
    scene.pass(Duration::from_millis(2));
    assert_eq!(scene.asked(), [sequence(lost)]);
    let repair = scene.camera.repair(lost);
    scene.deliver(&[repair]);
    scene.pass(Duration::from_secs(1));
    assert_eq!(scene.asked().len(), 1, "not asked again");
    let sent = scene.log.seamless(VIEWER);
    assert_eq!(scene.log.frames(Codec::H264, VIEWER).last(), scene.frames.last().map(|frame| &frame.wire));
    let media = scene.log.media(VIEWER);
    let (late, last) = (media[media.len() - 1], sent[sent.len() - 1]);
    assert!(late.index < last.index, "sent last, in its own place");
    assert_eq!(scene.room.take_stats().repaired_in, 1);
}

#[test]
fn a_gap_is_never_closed_by_other_packets() {
    let mut scene = scene();
    let packets = scene.make_frame(false, 900);
    scene.deliver(&packets[..1]);
    scene.deliver(&packets[3..]);
    scene.frame(false, 300);
    let sent = scene.log.by_number(VIEWER);
    let gaps: Vec<u64> =
        sent.windows(2).map(|pair| pair[1].index - pair[0].index).filter(|&step| step > 1).collect();
    assert_eq!(gaps, [3], "two numbers are kept");
    let missing = sent.windows(2).find(|pair| pair[1].index - pair[0].index > 1).unwrap()[0].index as u16 + 1;
    scene.nack(VIEWER, &[missing]);
    assert_eq!(scene.log.repairs(VIEWER).len(), 0, "not there yet");
    scene.deliver(&packets[1..3]);
    scene.log.seamless(VIEWER);
}

#[test]
fn duplicates_go_nowhere() {
    let mut scene = scene();
    let packets = scene.make_frame(false, 600);
    let repair = scene.camera.repair(&packets[0]);
    scene.deliver(&packets);
    let sent = scene.log.sent.len();
    scene.deliver(&packets);
    scene.deliver(&[repair]);
    assert_eq!(scene.log.sent.len(), sent);
    assert_eq!(scene.room.take_stats().dropped(DropReason::Duplicate), packets.len() as u64 + 1);
}

#[test]
fn padding_is_left_out_and_late_padding_fills_its_place() {
    let mut scene = scene();
    let (probe, late_probe) = (scene.camera.padding(), scene.camera.padding());
    scene.deliver(&[probe]);
    let packets = scene.make_frame(false, 600);
    scene.deliver(&packets);
    assert_eq!(
        scene.log.by_number(VIEWER).windows(2).filter(|pair| pair[1].index - pair[0].index != 1).count(),
        1
    );
    scene.deliver(&[late_probe]);
    let filled = scene.log.seamless(VIEWER);
    let fillers: Vec<_> = filled.iter().filter(|sent| sent.view().payload().is_empty()).collect();
    assert_eq!(fillers.len(), 1, "a padding-only packet in the number that was kept");
    assert_eq!(scene.log.frames(Codec::H264, VIEWER).last(), scene.frames.last().map(|frame| &frame.wire));
    let sent = scene.log.sent.len();
    let probes: Vec<_> = (0..100).map(|_| scene.camera.padding()).collect();
    scene.deliver(&probes);
    assert_eq!(scene.log.sent.len(), sent);
    scene.frame(false, 300);
    scene.log.seamless(VIEWER);
    assert_eq!(scene.room.take_stats().dropped(DropReason::PaddingOnly), 102);
}

#[test]
fn more_missing_than_can_be_repaired_takes_a_key_frame() {
    let mut scene = scene();
    let before = scene.key_frames_wanted();
    (0..300).for_each(|_| drop(scene.camera.padding()));
    scene.frame(false, 300);
    assert!(scene.asked().is_empty());
    assert_eq!(scene.key_frames_wanted(), before + 1);
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Twice,
    /// So many batches later.
    Late(usize),
    /// Only when asked for, by RTX.
    Repaired,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Arrives),
        1 => Just(Fate::Twice),
        1 => (1usize..6).prop_map(Fate::Late),
        1 => Just(Fate::Repaired),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever happens on the way to us, every viewer can put every frame together in the end, no number is missing and
    /// none was used twice (the log checks that).
    #[test]
    fn reordered_repeated_and_repaired_packets_find_their_place(
        fates in prop::collection::vec(fate(), 200),
        sizes in prop::collection::vec(40usize..1500, 20..40),
        joins in prop::collection::vec(0usize..30, 1..4),
    ) {
        let mut scene = Scene::new(Camera::new(Codec::Vp8, 5));
        let mut fates = fates.into_iter().cycle();
        let mut later: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut answered = 0;
        let mut lost: Vec<Vec<u8>> = Vec::new();
        scene.open();
        for (round, size) in sizes.into_iter().enumerate() {
            for (viewer, _) in joins.iter().enumerate().filter(|(_, join)| **join == round) {
                scene.join(viewer as u64);
            }
            let mut batch = Vec::new();
            for packet in scene.make_frame(round % 12 == 11, size) {
                match fates.next().unwrap() {
                    Fate::Arrives => batch.push(packet),
                    Fate::Twice => batch.extend([packet.clone(), packet]),
                    Fate::Late(batches) => later.push((round + batches, packet)),
                    Fate::Repaired => lost.push(packet),
                }
            }
            later.retain(|(due, packet)| {
                let now = *due <= round;
                now.then(|| batch.push(packet.clone()));
                !now
            });
            scene.deliver(&batch);
            scene.pass(simulation::FRAME);
            answered += answer(&mut scene, &mut lost, answered);
        }
        scene.deliver(&later.into_iter().map(|(_, packet)| packet).collect::<Vec<_>>());
        for _ in 0..3 {
            scene.frame(false, 100);
            answered += answer(&mut scene, &mut lost, answered);
        }
        scene.pass(Duration::from_secs(1));
        prop_assert!(lost.is_empty(), "every loss was asked for");
        for (viewer, _) in joins.iter().enumerate().filter(|(_, join)| **join < 20) {
            let frames = scene.log.frames(Codec::Vp8, viewer as u64);
            let sent: Vec<_> = scene.frames.iter().map(|frame| frame.wire.clone()).collect();
            prop_assert!(!frames.is_empty() && frames.len() <= sent.len());
            let first = sent.len() - frames.len();
            prop_assert_eq!(&frames[..], &sent[first..]);
            prop_assert!(scene.frames[first].key);
        }
    }
}

/// Repeats what was asked for since the last time, as a camera does; returns how much that was.
fn answer(scene: &mut Scene, lost: &mut Vec<Vec<u8>>, answered: usize) -> usize {
    let asked = scene.asked()[answered..].to_vec();
    let mut repairs = Vec::new();
    lost.retain(|packet| {
        let wanted = asked.contains(&sequence(packet));
        wanted.then(|| repairs.push(scene.camera.repair(packet)));
        !wanted
    });
    scene.deliver(&repairs);
    asked.len()
}

fn sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

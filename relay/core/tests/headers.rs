//! Every leg's headers are its own: ids, mid, payload type, and one size for all packets of a train.

#![allow(clippy::unwrap_used)]

mod simulation;

use std::collections::BTreeSet;
use std::time::Duration;

use latchkey_relay_core::{Mid, SubscriberId, SubscriptionParams};
use latchkey_wire::codec::Codec;
use latchkey_wire::extension::{AbsCaptureTime, ExtensionKind, PlayoutDelay};
use latchkey_wire::rtp::RtpView;
use simulation::{Camera, Scene, Sent};

/// Ids of the usual leg of the simulation.
const MID: u8 = 9;
const CAPTURE_TIME: u8 = 4;
const DESCRIPTOR: u8 = 12;
const PLAYOUT_DELAY: u8 = 6;
const VIEWER: u64 = 1;

#[test]
fn a_leg_has_its_own_ids_and_values_pass_through() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 1));
    scene.join(VIEWER);
    scene.open();
    scene.frame(false, 900);
    let sent = scene.log.seamless(VIEWER);
    let packets: Vec<_> = scene.frames.iter().flat_map(|frame| &frame.packets).collect();
    assert_eq!(sent.len(), packets.len());
    let offset = sent[0].view().timestamp().wrapping_sub(RtpView::parse(packets[0]).unwrap().timestamp());
    for (sent, packet) in sent.iter().zip(packets) {
        let (out, arrived) = (sent.view(), RtpView::parse(packet).unwrap());
        let original = |id| arrived.extension().unwrap().find(id);
        assert_eq!(out.payload(), arrived.payload(), "payloads are the same for everyone");
        assert_eq!((out.payload_type(), out.marker()), (110, arrived.marker()));
        assert_eq!(out.timestamp().wrapping_sub(arrived.timestamp()), offset);
        assert_eq!(sent.extension(MID), Some(&b"v0"[..]));
        assert_eq!(sent.extension(CAPTURE_TIME), original(2));
        assert_eq!(sent.extension(DESCRIPTOR).map(|value| value[0]), original(3).map(|value| value[0]));
        assert_eq!(sent.extension(DESCRIPTOR).map(<[u8]>::len), original(3).map(<[u8]>::len));
    }
}

#[test]
fn what_a_leg_did_not_negotiate_is_stripped() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 2));
    let bare = simulation::extensions(&[(ExtensionKind::Mid, 1), (ExtensionKind::AbsSendTime, 3)]);
    subscribe(&mut scene, 1, SubscriptionParams { extensions: bare, ..simulation::leg(1) });
    let none = simulation::extensions(&[]);
    subscribe(&mut scene, 2, SubscriptionParams { extensions: none, ..simulation::leg(2) });
    scene.open();
    for sent in scene.log.seamless(1) {
        let elements: Vec<_> = sent.view().extension().unwrap().iter().collect();
        assert_eq!(elements, [(1, &b"v0"[..])]);
    }
    for sent in scene.log.seamless(2) {
        assert!(sent.view().extension().is_none());
        assert_eq!(sent.header_len, 12);
    }
}

#[test]
fn packets_of_a_train_have_one_header_size() {
    let mut scene = Scene::new(Camera::new(Codec::H264, 3));
    scene.join(VIEWER);
    scene.open();
    scene.pass(Duration::from_secs(1));
    for key in [true, false] {
        for _ in 0..3 {
            let before = scene.log.media(VIEWER).len();
            scene.frame(key, 2000);
            let media = scene.log.media(VIEWER);
            let train = &media[before..];
            assert!(train.len() > 8);
            assert_eq!(sizes(train).len(), 1, "key {key}");
        }
    }
    scene.join(2);
    let chunk = scene.log.media(2);
    assert!(chunk.len() > 8);
    assert_eq!(sizes(&chunk).len(), 1, "from the cache too");
}

#[test]
fn a_joining_viewer_plays_at_once_until_it_is_live() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 4));
    scene.open();
    (0..20).for_each(|_| scene.frame(false, 1800));
    scene.join(VIEWER);
    scene.pass(Duration::from_secs(1));
    let cached = scene.log.seamless(VIEWER).len();
    let delays = |range: std::ops::Range<usize>| -> BTreeSet<Option<[u8; 3]>> {
        let delay = |sent: &&Sent| sent.extension(PLAYOUT_DELAY).map(|value| value.try_into().unwrap());
        scene.log.seamless(VIEWER)[range].iter().map(delay).collect()
    };
    assert_eq!(delays(0..cached), BTreeSet::from([Some(PlayoutDelay::NONE.to_bytes())]));
    (0..40).for_each(|_| scene.frame(false, 1800));
    let delays = |range: std::ops::RangeFrom<usize>, take: usize| -> BTreeSet<Option<[u8; 3]>> {
        let delay = |sent: &&Sent| sent.extension(PLAYOUT_DELAY).map(|value| value.try_into().unwrap());
        scene.log.seamless(VIEWER)[range].iter().take(take).map(delay).collect()
    };
    let usual = PlayoutDelay { min: Duration::ZERO, max: Duration::from_secs(10) };
    assert_eq!(
        delays(cached.., 200),
        BTreeSet::from([Some(usual.to_bytes())]),
        "told to play as usual again"
    );
    assert_eq!(delays(cached + 300.., 50), BTreeSet::from([None]), "and then no more");
}

#[test]
fn a_viewer_who_was_there_first_is_told_no_delay() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 5));
    scene.join(VIEWER);
    (0..30).for_each(|index| scene.frame(index == 0, 100));
    assert!(scene.log.seamless(VIEWER).iter().all(|sent| sent.extension(PLAYOUT_DELAY).is_none()));
}

#[test]
fn capture_times_are_read_where_they_stand() {
    let mut scene = Scene::new(Camera::new(Codec::Av1, 6));
    scene.join(VIEWER);
    scene.open();
    let times = scene.log.seamless(VIEWER).iter().filter_map(|sent| sent.extension(CAPTURE_TIME)).count();
    assert_eq!(times, scene.frames.len(), "once per frame, as sent");
    let first = scene.log.seamless(VIEWER)[0].extension(CAPTURE_TIME).and_then(AbsCaptureTime::read);
    assert!(first.is_some());
}

#[test]
fn long_mids_and_high_ids_take_the_two_byte_form() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 7));
    let ids = [(ExtensionKind::Mid, 200), (ExtensionKind::DependencyDescriptor, 201)];
    let params = SubscriptionParams {
        extensions: simulation::extensions(&ids),
        mid: Mid::new("0123456789abcdef").unwrap(),
        ..simulation::leg(VIEWER)
    };
    subscribe(&mut scene, VIEWER, params);
    scene.open();
    for sent in scene.log.seamless(VIEWER) {
        assert_eq!(sent.extension(200), Some(&b"0123456789abcdef"[..]));
        assert!(sent.extension(201).is_some());
    }
}

fn subscribe(scene: &mut Scene, viewer: u64, params: SubscriptionParams) {
    scene.room.subscribe(SubscriberId(viewer), scene.track, &params, scene.now).unwrap();
}

fn sizes(train: &[&Sent]) -> BTreeSet<usize> {
    train.iter().map(|sent| sent.header_len).collect()
}

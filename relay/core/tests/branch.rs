//! A room that spans threads: viewers of a branch get what viewers of the home get, whatever is lost in between.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod simulation;

use std::time::Duration;

use latchkey_relay_core::{Event, Parcel, Room, RoomConfig, Seeding, SubscriberId};
use latchkey_wire::codec::Codec;
use proptest::prelude::*;
use simulation::{Camera, FRAME, Log, Scene, leg};

const HERE: u64 = 1;
const THERE: u64 = 2;

/// A home with its viewers, and one branch.
struct Pair {
    home: Scene,
    branch: Room,
    log: Log,
    /// Parcels lost on the way from now on.
    losing: usize,
    /// What the branch asked of the home.
    asked: usize,
    key_frames_wanted: usize,
}

impl Pair {
    fn new(camera: Camera) -> Self {
        let home = Scene::new(camera);
        let branch = Room::new(RoomConfig::default());
        Self { home, branch, log: Log::default(), losing: 0, asked: 0, key_frames_wanted: 0 }
    }

    /// Opens the branch, as when its first viewer comes.
    fn open(&mut self) {
        let (home, now) = (&mut self.home.room, self.home.now);
        self.branch.follow(self.home.track, *home.track(self.home.track).unwrap(), now);
        home.begin_handing_on();
        let mut seeding = Seeding::default();
        loop {
            let mut parcel = Parcel::new();
            let done = home.seed(&mut seeding, &mut parcel);
            self.branch.take_in(&parcel, now);
            if done {
                break;
            }
        }
        self.branch.forward(now, &mut self.log);
    }

    fn join_there(&mut self, viewer: u64) {
        let (track, now) = (self.home.track, self.home.now);
        self.branch.subscribe(SubscriberId(viewer), track, &leg(viewer), now).unwrap();
        self.settle();
    }

    fn frame(&mut self, key: bool, len: usize) {
        let packets = self.home.make_frame(key, len);
        self.deliver(&packets);
        self.pass(FRAME);
    }

    fn deliver(&mut self, packets: &[Vec<u8>]) {
        for packet in packets {
            let _ = self.home.room.ingest(packet, self.home.now);
        }
        let (mut parcels, mut done) = (Vec::new(), false);
        while !done {
            let mut parcel = Parcel::new();
            done = self.home.room.hand_on(&mut parcel);
            parcels.push(parcel);
        }
        self.home.room.forward(self.home.now, &mut self.home.log);
        for parcel in parcels.iter().filter(|parcel| !parcel.is_empty()) {
            if self.losing > 0 {
                self.losing -= 1;
            } else {
                self.branch.take_in(parcel, self.home.now);
            }
        }
        self.branch.forward(self.home.now, &mut self.log);
        self.settle();
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.home.now + duration;
        let step = Duration::from_millis(1);
        while self.home.now < end {
            self.home.pass(step.min(end - self.home.now));
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.home.settle();
        if self.branch.poll_timeout().is_some_and(|due| due <= self.home.now) {
            self.branch.handle_timeout(self.home.now, &mut self.log);
        }
        while let Some(event) = self.branch.poll_event() {
            match event {
                Event::PacketsMissing { track, missing, .. } => {
                    self.asked += missing.as_slice().len();
                    let mut parcel = Parcel::new();
                    self.home.room.hand_again(track, &missing, &mut parcel);
                    self.branch.take_in(&parcel, self.home.now);
                    self.branch.forward(self.home.now, &mut self.log);
                }
                Event::KeyFrameWanted { track, .. } => {
                    self.key_frames_wanted += 1;
                    self.home.room.key_frame_wanted(track, self.home.now);
                    self.home.settle();
                }
                _ => {}
            }
        }
    }

    /// What both viewers put together: the same frames, all that were sent from `from` on.
    fn check(&self, from: usize) {
        let codec = self.home.camera.codec;
        let sent: Vec<_> = self.home.frames[from..].iter().map(|frame| frame.wire.clone()).collect();
        assert_eq!(self.home.log.frames(codec, HERE), sent, "at home");
        assert_eq!(self.log.frames(codec, THERE), sent, "in the branch");
    }
}

#[test]
fn a_branch_opened_in_the_middle_of_a_gop_shows_it_from_its_key_frame() {
    for codec in [Codec::Vp8, Codec::H264, Codec::Av1] {
        let mut pair = Pair::new(Camera::new(codec, 3));
        pair.home.open();
        pair.home.join(HERE);
        (0..60).for_each(|_| pair.home.frame(false, 2500));
        let requests = pair.home.key_frames_wanted();
        pair.open();
        pair.join_there(THERE);
        (0..30).for_each(|_| pair.frame(false, 700));
        pair.pass(Duration::from_secs(1));
        assert_eq!((pair.key_frames_wanted, pair.home.key_frames_wanted()), (0, requests), "{codec}");
        pair.check(0);
    }
}

#[test]
fn what_is_lost_between_the_two_is_repaired_from_the_home() {
    let mut pair = Pair::new(Camera::new(Codec::Vp8, 4));
    pair.home.open();
    pair.home.join(HERE);
    pair.open();
    pair.join_there(THERE);
    for round in 0..20 {
        pair.losing = usize::from(round % 3 == 0);
        pair.frame(false, 1500);
    }
    pair.losing = 0;
    (0..5).for_each(|_| pair.frame(false, 500));
    assert!(pair.asked > 20, "{} packets asked for", pair.asked);
    assert_eq!(pair.home.asked().len(), 0, "nothing of it reaches the camera");
    pair.check(0);
}

#[test]
fn a_branch_follows_a_restarted_camera() {
    let mut pair = Pair::new(Camera::new(Codec::Vp8, 5));
    pair.home.open();
    pair.home.join(HERE);
    pair.open();
    pair.join_there(THERE);
    (0..10).for_each(|_| pair.frame(false, 900));
    let (track, before) = (pair.home.track, pair.home.frames.len());
    pair.home.room.vacate(track);
    pair.branch.vacate(track);
    pair.pass(Duration::from_millis(300));
    pair.home.camera = Camera::new(Codec::Vp8, 6);
    let params = pair.home.camera.params();
    pair.home.room.replace(track, params).unwrap();
    pair.branch.follow(track, params, pair.home.now);
    (0..20).for_each(|frame| pair.frame(frame == 0, 900));
    assert_eq!(pair.home.frames.len(), before + 20);
    pair.check(0);
}

#[test]
fn without_a_key_frame_a_branch_asks_the_camera_for_one() {
    let mut pair = Pair::new(Camera::new(Codec::Vp8, 7));
    pair.home.open();
    pair.pass(Duration::from_secs(20));
    pair.open();
    let before = pair.home.key_frames_wanted();
    pair.join_there(THERE);
    assert_eq!(pair.home.key_frames_wanted(), before + 1);
    (0..5).for_each(|frame| pair.frame(frame == 0, 900));
    assert_eq!(pair.log.frames(Codec::Vp8, THERE).len(), 5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Loss before the home, loss between home and branch, reordering: both viewers see the same.
    #[test]
    fn both_see_the_same(
        seed in 0u64..1000,
        frames in prop::collection::vec((100usize..6000, any::<u64>(), 0usize..8), 10..40),
        opens in 0usize..10,
    ) {
        let mut pair = Pair::new(Camera::new(Codec::Vp8, seed));
        pair.home.open();
        pair.home.join(HERE);
        // Lost on the way from the camera, and brought by its repair when the next frame has shown the gap.
        let mut lost: Option<Vec<u8>> = None;
        for (index, (len, dice, losing)) in frames.into_iter().enumerate() {
            if index == opens {
                pair.open();
                pair.join_there(THERE);
            }
            let mut packets = pair.home.make_frame(dice % 16 == 0, len);
            if dice % 3 == 0 && packets.len() > 2 {
                let (a, b) = (dice as usize / 7 % packets.len(), dice as usize / 11 % packets.len());
                packets.swap(a, b);
            }
            let missing = lost.take();
            if missing.is_none() && dice % 5 == 0 {
                lost = Some(packets.remove(dice as usize / 13 % packets.len()));
            }
            pair.losing = usize::from(losing == 0);
            pair.deliver(&packets);
            pair.losing = 0;
            pair.pass(Duration::from_millis(20));
            if let Some(missing) = missing {
                let repair = pair.home.camera.repair(&missing);
                pair.deliver(&[repair]);
            }
            pair.pass(Duration::from_millis(13));
        }
        pair.frame(false, 100);
        if let Some(lost) = lost {
            let repair = pair.home.camera.repair(&lost);
            pair.deliver(&[repair]);
        }
        pair.pass(Duration::from_secs(1));
        let here = pair.home.log.frames(Codec::Vp8, HERE);
        prop_assert_eq!(here.len(), pair.home.frames.len());
        let there = pair.log.frames(Codec::Vp8, THERE);
        prop_assert!(here.ends_with(&there) && !there.is_empty());
    }
}

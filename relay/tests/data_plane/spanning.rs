//! One room on several shards: the camera on the first, viewers on all.

use std::time::{Duration, SystemTime};

use latchkey_relay::shard::Shards;
use latchkey_relay::shard::command::CommandError;
use latchkey_relay::shard::command::join::{JoinError, Role};
use latchkey_relay::shard::counters::events::{Event, Gauge};
use latchkey_relay::shard::counters::packets::{Direction, DropReason, PacketKind};
use latchkey_relay::shard::end::EndReason;
use latchkey_wire::codec::Codec;

use crate::camera::Camera;
use crate::client::{Client, Join, ask, run, run_for, start};
use crate::{counters, nothing_more_comes, publisher, viewer, viewer_on, vp8};

fn two() -> Shards {
    start(|config| config.shards = 2)
}

fn payloads(client: &Client) -> Vec<Vec<u8>> {
    let mut packets = client.received.clone();
    packets.sort_by_key(|packet| packet.sequence);
    assert!(packets.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1), "without a gap");
    packets.into_iter().map(|packet| packet.payload).collect()
}

#[test]
fn viewers_of_all_shards_see_the_same_from_the_kept_key_frame_on() {
    let shards = start(|config| config.shards = 3);
    let mut camera = vp8();
    let (mut publisher, mut sent) = publisher(&shards, &mut camera);
    let mut viewers: Vec<Client> = Vec::new();
    for (device, shard) in [0, 1, 2, 1].into_iter().enumerate() {
        let mut others: Vec<_> = viewers.iter_mut().chain([&mut publisher]).collect();
        let joined = viewer_on(&shards, shard, 2 + device as u8, &mut others);
        viewers.push(joined);
    }
    for _ in 0..30 {
        let frame = camera.frame(false, 9_000);
        publisher.send(&frame);
        sent.extend(frame);
        let mut all: Vec<_> = viewers.iter_mut().chain([&mut publisher]).collect();
        run_for(&mut all, Duration::from_millis(5));
    }
    let mut all: Vec<_> = viewers.iter_mut().chain([&mut publisher]).collect();
    let complete =
        |clients: &mut [&mut Client]| clients[..4].iter().all(|viewer| viewer.received.len() >= sent.len());
    assert!(run(&mut all, complete), "everybody gets everything");
    let expected: Vec<_> = sent.iter().map(|packet| packet.payload.clone()).collect();
    for viewer in &viewers {
        assert!(payloads(viewer) == expected);
    }
    assert_eq!(publisher.key_frames_wanted, 0, "no new key frame was needed");
    let each = shards.handles().iter().map(|handle| handle.counters().snapshot()).collect::<Vec<_>>();
    let out: Vec<_> = each
        .iter()
        .map(|tally| tally.packets(Direction::Out, PacketKind::Video) / sent.len() as u64)
        .collect();
    assert_eq!(out, [1, 2, 1], "each shard serves its own");
    assert!(each[0].event(Event::HandedOn) >= 300 * 2, "once per shard, not per viewer");
    assert_eq!(each.iter().map(|tally| tally.dropped(DropReason::QueueFull)).sum::<u64>(), 0);
}

#[test]
fn a_viewer_on_another_shard_reaches_the_camera_with_its_wish_for_a_key_frame() {
    let shards = two();
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut viewer = viewer_on(&shards, 1, 2, &mut [&mut publisher]);
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| clients[1].received.len() > 10));
    let asked = run(&mut [&mut publisher, &mut viewer], |clients| {
        clients[1].want_key_frame();
        clients[0].key_frames_wanted > 0
    });
    assert!(asked);
}

#[test]
fn a_room_spans_shards_through_a_restart_of_its_camera() {
    let shards = two();
    let mut camera = vp8();
    let (mut old, first) = publisher(&shards, &mut camera);
    let mut here = viewer(&shards, 2, &mut [&mut old]);
    let mut there = viewer_on(&shards, 1, 3, &mut [&mut old, &mut here]);
    let both = |count: usize| {
        move |clients: &mut [&mut Client]| clients[1..].iter().all(|viewer| viewer.received.len() >= count)
    };
    assert!(run(&mut [&mut old, &mut here, &mut there], both(first.len())));
    assert_eq!(ask(shards.handles()[0].leave(old.session)), Ok(()));
    let late = Join::new(Role::View, 4);
    let refused = Client::join_from(&shards, &shards.handles()[1], &shards.handles()[0], &late);
    assert_eq!(refused.err(), Some(JoinError::NoPublisher), "nobody publishes now");
    let mut second = Camera::new(Codec::Vp8, 99);
    let (mut new, sent) = publisher(&shards, &mut second);
    assert!(run(&mut [&mut new, &mut here, &mut there], both(first.len() + sent.len())));
    assert_eq!(payloads(&there), payloads(&here), "numbers go on, and both see all of the new one");
}

#[test]
fn a_room_ends_on_all_shards() {
    let shards = start(|config| {
        config.shards = 2;
        config.limits.publisher_grace = Duration::from_millis(200);
    });
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let viewer = viewer_on(&shards, 1, 2, &mut [&mut publisher]);
    assert_eq!(ask(shards.handles()[0].leave(publisher.session)), Ok(()));
    let seen = counters(&shards, |tally| tally.sessions_ended(EndReason::PublisherGone) > 0);
    assert_eq!(seen.sessions_ended(EndReason::PublisherGone), 1);
    assert_eq!(
        ask(shards.handles()[1].leave(viewer.session)),
        Err(CommandError::Ended(EndReason::PublisherGone))
    );
    assert_eq!(counters(&shards, |tally| tally.gauge(Gauge::Viewers) == 0).gauge(Gauge::Viewers), 0);
}

#[test]
fn other_media_ends_viewers_on_all_shards() {
    let shards = two();
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let viewer = viewer_on(&shards, 1, 2, &mut [&mut publisher]);
    let sound = Join { codec: Codec::Opus, ..Join::new(Role::Publish, 1) };
    Client::join(&shards, &shards.handles()[0], &sound).unwrap();
    let seen = counters(&shards, |tally| tally.sessions_ended(EndReason::MediaChanged) > 0);
    assert_eq!(seen.sessions_ended(EndReason::MediaChanged), 1);
    assert_eq!(
        ask(shards.handles()[1].leave(viewer.session)),
        Err(CommandError::Ended(EndReason::MediaChanged))
    );
}

#[test]
fn a_cut_device_gets_nothing_more_on_any_shard() {
    let shards = two();
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut cut = viewer_on(&shards, 1, 2, &mut [&mut publisher]);
    let mut stays = viewer_on(&shards, 1, 3, &mut [&mut publisher, &mut cut]);
    assert!(run(&mut [&mut publisher, &mut cut, &mut stays], |clients| {
        clients[1..].iter().all(|client| client.received.len() > 10)
    }));
    let (room, now) = (Join::new(Role::View, 2), SystemTime::now());
    let ended: usize =
        shards.handles().iter().map(|handle| ask(handle.cut(room.room, room.device, now)).unwrap()).sum();
    assert_eq!(ended, 1);
    nothing_more_comes((&mut publisher, &mut camera), &mut cut, &mut stays);
}

#[test]
fn a_shard_whose_last_viewer_left_gets_no_more_packets() {
    let shards = two();
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut viewer = viewer_on(&shards, 1, 2, &mut [&mut publisher]);
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| clients[1].received.len() > 10));
    assert_eq!(ask(shards.handles()[1].leave(viewer.session)), Ok(()));
    // A command on the home's queue comes behind what its branch said before.
    run_for(&mut [&mut publisher], Duration::from_millis(200));
    let before = counters(&shards, |_| true).event(Event::HandedOn);
    for _ in 0..10 {
        publisher.send(&camera.frame(false, 5_000));
    }
    let taken = counters(&shards, |tally| tally.packets(Direction::In, PacketKind::Video) >= 70);
    assert!(taken.packets(Direction::In, PacketKind::Video) >= 70);
    assert_eq!(taken.event(Event::HandedOn), before);
    let again = viewer_on(&shards, 1, 3, &mut [&mut publisher]);
    assert!(again.connected);
}

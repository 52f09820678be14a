//! Sessions: who may come, who is ended and why, and what survives.

use std::time::{Duration, SystemTime};

use latchkey_relay::shard::command::join::{JoinError, Role};
use latchkey_relay::shard::command::{CommandError, PublishedTrack};
use latchkey_relay::shard::counters::events::{Event, Gauge};
use latchkey_relay::shard::counters::packets::DropReason;
use latchkey_relay::shard::end::EndReason;
use latchkey_relay::transport::fingerprint::Fingerprint;
use latchkey_wire::codec::{Codec, MediaKind};

use crate::camera::Camera;
use crate::client::{Client, Join, ask, run, run_for, start};
use crate::{counters, nothing_more_comes, publisher, viewer, vp8};

#[test]
fn a_room_has_one_publisher_and_viewers_need_one() {
    let shards = start(|_| {});
    let handle = &shards.handles()[0];
    let room = Join::new(Role::View, 2).room;
    assert_eq!(Client::join(&shards, handle, &Join::new(Role::View, 2)).err(), Some(JoinError::NoPublisher));
    assert_eq!(ask(handle.tracks_of(room)), Ok(None));
    let publisher = Client::join(&shards, handle, &Join::new(Role::Publish, 1)).unwrap();
    let published = vec![PublishedTrack { kind: MediaKind::Video, codec: Codec::Vp8 }];
    assert_eq!(ask(handle.tracks_of(room)), Ok(Some(published)));
    assert_eq!(Client::join(&shards, handle, &Join::new(Role::Publish, 9)).err(), Some(JoinError::RoomTaken));
    let other_codec = Join { codec: Codec::Opus, ..Join::new(Role::View, 2) };
    assert_eq!(Client::join(&shards, handle, &other_codec).err(), Some(JoinError::NoCommonMedia));
    assert_eq!(ask(handle.leave(publisher.session)), Ok(()));
    assert_eq!(ask(handle.leave(publisher.session)), Err(CommandError::Ended(EndReason::Left)));
    assert_eq!(Client::join(&shards, handle, &Join::new(Role::View, 2)).err(), Some(JoinError::NoPublisher));
    let expired = Join { session: Duration::ZERO, ..Join::new(Role::Publish, 1) };
    assert_eq!(Client::join(&shards, handle, &expired).err(), Some(JoinError::Expired));
    handle.drain();
    assert_eq!(Client::join(&shards, handle, &Join::new(Role::Publish, 1)).err(), Some(JoinError::Draining));
}

#[test]
fn a_cut_device_gets_nothing_more_and_its_grants_are_void() {
    let shards = start(|_| {});
    let handle = &shards.handles()[0];
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut cut = viewer(&shards, 2, &mut [&mut publisher]);
    let mut stays = viewer(&shards, 3, &mut [&mut publisher]);
    let watching = |clients: &mut [&mut Client]| clients[1..].iter().all(|client| client.received.len() > 10);
    assert!(run(&mut [&mut publisher, &mut cut, &mut stays], watching));
    let room = Join::new(Role::View, 2);
    let before = SystemTime::now();
    assert_eq!(ask(handle.cut(room.room, room.device, before)), Ok(1));
    nothing_more_comes((&mut publisher, &mut camera), &mut cut, &mut stays);
    assert!(cut.over, "the peer was told by close_notify");
    assert_eq!(ask(handle.leave(cut.session)), Err(CommandError::Ended(EndReason::CutOff)));
    let older = Join { granted_at: before - Duration::from_secs(5), ..Join::new(Role::View, 2) };
    assert_eq!(Client::join(&shards, handle, &older).err(), Some(JoinError::CutOff));
    let newer = Join { granted_at: before + Duration::from_secs(5), ..Join::new(Role::View, 2) };
    assert!(Client::join(&shards, handle, &newer).is_ok());
}

#[test]
fn plain_media_is_refused_with_the_reason() {
    let (ends, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let shards = start(|config| config.ends = Some(ends));
    let handle = &shards.handles()[0];
    let mut camera = vp8();
    camera.plain = true;
    let mut publisher = Client::join(&shards, handle, &Join::new(Role::Publish, 1)).unwrap();
    let mut viewer = Client::join(&shards, handle, &Join::new(Role::View, 2)).unwrap();
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| clients.iter().all(|client| client.connected)));
    let closed = run(&mut [&mut publisher, &mut viewer], |clients| {
        clients[0].over || {
            clients[0].send(&camera.frame(true, 1_000));
            false
        }
    });
    assert!(closed, "the publisher is told");
    assert_eq!(ask(handle.leave(publisher.session)), Err(CommandError::Ended(EndReason::NotSealed)));
    let end = ended.try_recv().unwrap();
    assert_eq!((end.session, end.reason), (publisher.session, EndReason::NotSealed));
    assert!(end.detail.unwrap().contains("not sealed"));
    run_for(&mut [&mut viewer], Duration::from_millis(50));
    assert!(viewer.received.is_empty(), "nothing of it went out");
}

#[test]
fn a_certificate_that_the_offer_did_not_name_gets_no_keys() {
    let (ends, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let shards = start(|config| config.ends = Some(ends));
    let handle = &shards.handles()[0];
    let impostor = Join { fingerprint: Some(Fingerprint([9; 32])), ..Join::new(Role::Publish, 1) };
    let mut impostor = Client::join(&shards, handle, &impostor).unwrap();
    let mut end = None;
    run(&mut [&mut impostor], |_| {
        end = ended.try_recv().ok();
        end.is_some()
    });
    assert_eq!(end.unwrap().reason, EndReason::FingerprintMismatch);
    assert_eq!(counters(&shards, |_| true).event(Event::DtlsConnected), 0, "it never got keys");
}

#[test]
fn a_restarted_publisher_goes_on_for_the_same_viewers() {
    let shards = start(|_| {});
    let mut camera = vp8();
    let (mut old, first) = publisher(&shards, &mut camera);
    let mut viewer = viewer(&shards, 2, &mut [&mut old]);
    assert!(run(&mut [&mut old, &mut viewer], |clients| clients[1].received.len() >= first.len()));
    let before = viewer.received.len();
    let mut second = Camera::new(Codec::Vp8, 99);
    let (mut new, sent) = publisher(&shards, &mut second);
    assert_eq!(ask(shards.handles()[0].leave(old.session)), Err(CommandError::Ended(EndReason::Replaced)));
    assert!(run(&mut [&mut new, &mut viewer], |clients| clients[1].received.len() >= before + sent.len()));
    let mut packets = viewer.received;
    packets.sort_by_key(|packet| packet.sequence);
    assert!(packets.windows(2).all(|pair| pair[1].sequence == pair[0].sequence + 1), "numbers go on");
    let fresh = packets[before..].iter().map(|packet| &packet.payload);
    assert!(
        fresh.eq(sent.iter().map(|packet| &packet.payload)),
        "and what comes is the new publisher's, all of it"
    );
}

#[test]
fn a_publisher_back_with_other_media_ends_its_viewers() {
    let shards = start(|_| {});
    let handle = &shards.handles()[0];
    let mut camera = vp8();
    let (mut old, _) = publisher(&shards, &mut camera);
    let viewer = viewer(&shards, 2, &mut [&mut old]);
    let sound = Join { codec: Codec::Opus, ..Join::new(Role::Publish, 1) };
    Client::join(&shards, handle, &sound).unwrap();
    assert_eq!(ask(handle.leave(viewer.session)), Err(CommandError::Ended(EndReason::MediaChanged)));
}

#[test]
fn silence_ends_sessions_and_frees_their_rooms() {
    let shards = start(|config| {
        // Long enough for a slow machine to connect at all.
        config.limits.connect_timeout = Duration::from_secs(5);
        config.limits.consent_timeout = Duration::from_secs(5);
        config.limits.publisher_grace = Duration::from_millis(300);
    });
    let handle = &shards.handles()[0];
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut viewer = viewer(&shards, 2, &mut [&mut publisher]);
    let never = Client::join(&shards, handle, &Join::new(Role::View, 3)).unwrap();
    // From here on the publisher is dead and the third client never checks.
    let seen = counters(&shards, |tally| {
        viewer.step();
        tally.sessions_ended(EndReason::IceFailed) > 0
            && tally.sessions_ended(EndReason::ConsentExpired) > 0
            && tally.gauge(Gauge::Viewers) == 0
    });
    assert_eq!(seen.sessions_ended(EndReason::IceFailed), 1);
    assert!(seen.sessions_ended(EndReason::ConsentExpired) >= 1);
    assert_eq!(ask(handle.leave(never.session)), Err(CommandError::Ended(EndReason::IceFailed)));
    assert_eq!((seen.gauge(Gauge::Rooms), seen.gauge(Gauge::Viewers)), (0, 0));
}

#[test]
fn a_viewer_behind_a_moving_nat_is_followed() {
    let shards = start(|_| {});
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut viewer = viewer(&shards, 2, &mut [&mut publisher]);
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| clients[1].received.len() >= 20));
    viewer.rebind();
    let had = viewer.received.len();
    let resumed = run(&mut [&mut publisher, &mut viewer], |clients| {
        clients[0].send(&camera.frame(false, 1_000));
        clients[1].received.len() > had + 50
    });
    assert!(resumed, "media goes to the new port");
}

#[test]
fn a_publisher_that_floods_is_held_to_its_rate() {
    let shards = start(|config| config.limits.publisher_packets_per_second = 100);
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    for _ in 0..100 {
        publisher.send(&camera.frame(false, 5_000));
    }
    let seen = counters(&shards, |tally| tally.dropped(DropReason::RateLimit) > 100);
    assert!(seen.dropped(DropReason::RateLimit) > 100);
}

#[test]
fn stopping_tells_every_peer() {
    let shards = start(|_| {});
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut viewer = viewer(&shards, 2, &mut [&mut publisher]);
    let handle = shards.handles()[0].clone();
    shards.stop();
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| clients.iter().all(|client| client.over)));
    assert_eq!(handle.counters().snapshot().sessions_ended(EndReason::Shutdown), 2);
    assert_eq!(ask(handle.leave(publisher.session)), Err(CommandError::Unavailable));
}

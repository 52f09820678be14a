//! The data plane as a whole: shards on loopback, str0m clients, forgers and strangers.

#![allow(clippy::unwrap_used, missing_docs)]

mod camera;
mod client;
mod pauses;

mod hostile;
mod layers;
mod media;
mod sessions;
mod spanning;

use std::time::{Duration, Instant};

use latchkey_relay::shard::Shards;
use latchkey_relay::shard::command::join::Role;
use latchkey_relay::shard::counters::Tally;
use latchkey_wire::codec::Codec;

use crate::camera::Camera;
use crate::client::{Client, Join, LIMIT, Packet, run, run_for};

/// A publisher that is connected and whose media the relay has accepted; the packets sent so far come with it.
fn publisher(shards: &Shards, camera: &mut Camera) -> (Client, Vec<Packet>) {
    let mut publisher = Client::join(shards, &shards.handles()[0], &Join::new(Role::Publish, 1)).unwrap();
    assert!(run(&mut [&mut publisher], |clients| clients[0].connected), "the publisher connects");
    let mut sent = Vec::new();
    for i in 0..10 {
        let frame = camera.frame(i == 0, 2500);
        publisher.send(&frame);
        sent.extend(frame);
    }
    (publisher, sent)
}

/// A viewer of the usual room that is connected.
fn viewer(shards: &Shards, device: u8, others: &mut [&mut Client]) -> Client {
    viewer_on(shards, 0, device, others)
}

/// A viewer on any shard of the usual room, whose publisher is on the first one.
fn viewer_on(shards: &Shards, shard: usize, device: u8, others: &mut [&mut Client]) -> Client {
    let (handle, home) = (&shards.handles()[shard], &shards.handles()[0]);
    let mut viewer = Client::join_from(shards, handle, home, &Join::new(Role::View, device)).unwrap();
    let until = Instant::now() + LIMIT;
    while !viewer.connected && Instant::now() < until {
        others.iter_mut().for_each(|other| other.step());
        viewer.step();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(viewer.connected, "the viewer connects");
    viewer
}

/// Sends on to the usual room after a device was cut: the one that stays gets packets, the cut one none.
fn nothing_more_comes((publisher, camera): (&mut Client, &mut Camera), cut: &mut Client, stays: &mut Client) {
    // What was on the way arrives, and after that nothing.
    run_for(&mut [publisher, cut, stays], Duration::from_millis(50));
    let (had, others) = (cut.received.len(), stays.received.len());
    for _ in 0..20 {
        publisher.send(&camera.frame(false, 2_000));
        run_for(&mut [publisher, cut, stays], Duration::from_millis(5));
    }
    assert!(run(&mut [publisher, stays], |clients| clients[1].received.len() > others + 20));
    assert_eq!(cut.received.len(), had);
}

/// All shards' counters, once they satisfy `done` or time is up.
fn counters(shards: &Shards, mut done: impl FnMut(&Tally) -> bool) -> Tally {
    let until = Instant::now() + LIMIT;
    loop {
        let mut total = Tally::default();
        shards.handles().iter().for_each(|handle| total.merge(&handle.counters().snapshot()));
        if done(&total) || Instant::now() > until {
            return total;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn vp8() -> Camera {
    Camera::new(Codec::Vp8, 7)
}

//! Abuse, each kind with its figure: a flood from a valid camera, reflection by STUN, racing ClientHellos, forged media.
//!
//! In a few seconds each; the flood lasts longer with `LATCHKEY_SOAK=1`.

#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../data_plane/camera.rs"]
#[allow(dead_code, reason = "the data plane's tests use all of it")]
mod camera;
#[path = "../data_plane/client.rs"]
#[allow(dead_code, reason = "the data plane's tests use all of it")]
mod client;
#[path = "../data_plane/pauses.rs"]
#[allow(dead_code, reason = "the data plane's tests use all of it")]
mod pauses;

mod flood;
mod forged;
mod hello;
mod stun;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use latchkey_relay::shard::Shards;
use latchkey_relay::shard::command::join::Role;
use latchkey_relay::shard::counters::Tally;
use latchkey_relay::shard::traffic::RoomFigures;
use latchkey_wire::codec::Codec;
use latchkey_wire::id::{DeviceHandle, RoomId};

use crate::camera::Camera;
use crate::client::{Client, Join, LIMIT, ask, run};

/// Whether the long runs are wanted.
fn soak() -> bool {
    std::env::var_os("LATCHKEY_SOAK").is_some()
}

fn room(number: u8) -> RoomId {
    RoomId::new([number; 16])
}

/// A device of a room that joins it.
fn join(role: Role, number: u8, device: u8) -> Join {
    Join { room: room(number), device: DeviceHandle::new([device; 16]), ..Join::new(role, device) }
}

/// A camera and one viewer of a room of its own, both connected and with a picture.
fn pair(shards: &Shards, number: u8) -> (Camera, Client, Client) {
    let mut camera = Camera::new(Codec::Vp8, u64::from(number));
    let handle = &shards.handles()[0];
    let mut publisher = Client::join(shards, handle, &join(Role::Publish, number, 2 * number)).unwrap();
    assert!(run(&mut [&mut publisher], |clients| clients[0].connected), "the camera connects");
    for i in 0..10 {
        publisher.send(&camera.frame(i == 0, 2_500));
    }
    let mut viewer = Client::join(shards, handle, &join(Role::View, number, 2 * number + 1)).unwrap();
    let watching = run(&mut [&mut publisher, &mut viewer], |clients| clients[1].received.len() >= 10);
    assert!(watching, "the viewer has a picture");
    (camera, publisher, viewer)
}

/// The counters, once they satisfy `done` or time is up.
fn counters(shards: &Shards, mut done: impl FnMut(&Tally) -> bool) -> Tally {
    let until = Instant::now() + LIMIT;
    loop {
        let tally = shards.handles()[0].counters().snapshot();
        if done(&tally) || Instant::now() > until {
            return tally;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the shard says of each room, by the number of [`room`].
fn figures(shards: &Shards, number: u8) -> RoomFigures {
    let rooms = ask(shards.handles()[0].rooms()).unwrap();
    rooms.into_iter().find(|figures| figures.room == room(number)).expect("the room is there")
}

/// Somebody without a session.
fn stranger(shards: &Shards) -> UdpSocket {
    let to = shards.local_addr();
    let socket = UdpSocket::bind((to.ip(), 0)).unwrap();
    socket.connect(to).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    socket
}

/// The bytes of all that comes until nothing does.
fn received_by(socket: &UdpSocket) -> usize {
    std::iter::from_fn(|| socket.recv(&mut [0; 2048]).ok()).sum()
}

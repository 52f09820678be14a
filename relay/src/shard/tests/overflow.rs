//! A ring between two shards that is full: what finds no room is counted, and asked for again.

use super::*;
use crate::shard::counters::events::Event;

fn turn(worker: &mut Worker, now: Instant) {
    worker.take_over(now);
    worker.do_what_is_due(now);
    worker.outbox.flush();
    worker.send_gathered();
}

/// The media sequence numbers that came, sorted.
fn received(receiver: &mut Receiver, socket: &Socket, opener: &mut Opener, ssrc: u32) -> Vec<u16> {
    let mut got = Vec::new();
    while receiver.receive(socket).unwrap() > 0 {
        for datagram in receiver.datagrams() {
            let media = datagram.bytes[8..12] == ssrc.to_be_bytes();
            if !(200..208).contains(&datagram.bytes[1]) && opener.open(datagram.bytes).is_ok() && media {
                got.push(u16::from_be_bytes([datagram.bytes[2], datagram.bytes[3]]));
            }
        }
    }
    got.sort_unstable();
    got
}

#[test]
fn what_finds_the_ring_full_is_counted_and_repaired_from_the_home() {
    let mut workers = workers(2);
    let (first, second) = workers.split_at_mut(1);
    let (home, branch) = (&mut first[0], &mut second[0]);
    let publisher = SocketAddr::from(([127, 0, 0, 1], 9));
    admit(home, 1, Role::Publish, 1, publisher);
    let (mut camera, mut now) = (Camera::new(1), Instant::now());
    for index in 0..10 {
        feed(home, publisher, &mut camera.frame(index == 0), now);
        now += FRAME;
    }
    let (socket, address) = bind();
    let tracks = home.rooms.at(0).unwrap().outline();
    admit_from(branch, Some(Home { shard: 0, tracks }), 1, Role::View, 20, address);
    for _ in 0..20 {
        turn(home, now);
        turn(branch, now);
        now += Duration::from_millis(5);
    }
    // The branch's thread does not run for a while, and its ring fills.
    for port in 0..1000 {
        home.neighbours.announce(SocketAddr::from(([10, 0, 0, 1], port)), true);
    }
    let dropped = |worker: &Worker| worker.outbox.tally.dropped(DropReason::QueueFull);
    let event = |worker: &Worker, event| worker.outbox.tally.event(event);
    let (before, handed) = (dropped(home), event(home, Event::HandedOn));
    let key_frames = event(home, Event::PliOut);
    for _ in 0..3 {
        feed(home, publisher, &mut camera.frame(false), now);
        now += FRAME;
    }
    let lost = dropped(home) - before;
    assert!(lost >= 27, "{lost} packets found no room");
    assert_eq!(event(home, Event::HandedOn), handed);
    turn(branch, now);
    feed(home, publisher, &mut camera.frame(false), now);
    for _ in 0..50 {
        turn(branch, now);
        turn(home, now);
        now += Duration::from_millis(5);
    }
    turn(branch, now);
    let mut opener = Opener::new(&master(20));
    let got = received(&mut Receiver::new(), &socket, &mut opener, 1020);
    assert!(got.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1)), "nothing is missing: {got:?}");
    assert!(got.len() as u64 >= 14 * 9, "{} packets", got.len());
    assert_eq!(event(home, Event::PliOut), key_frames, "and no key frame was needed");
}

#[test]
fn a_fault_at_home_ends_the_room_on_every_shard() {
    let mut workers = workers(2);
    let (first, second) = workers.split_at_mut(1);
    let (home, branch) = (&mut first[0], &mut second[0]);
    admit(home, 1, Role::Publish, 1, SocketAddr::from(([127, 0, 0, 1], 9)));
    let tracks = home.rooms.at(0).unwrap().outline();
    admit_from(branch, Some(Home { shard: 0, tracks }), 1, Role::View, 20, bind().1);
    let now = Instant::now();
    turn(branch, now);
    turn(home, now);
    assert_eq!(home.rooms.at(0).unwrap().branches().len(), 1);
    home.guarded(0, now, |_| panic!("a fault for the test"));
    turn(home, now);
    turn(branch, now);
    assert_eq!(branch.outbox.tally.sessions_ended(EndReason::Fault), 1);
    assert!(branch.rooms.find(&RoomId::new([1; 16])).is_none());
}

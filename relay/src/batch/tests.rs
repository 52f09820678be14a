//! Batches over real sockets on loopback.

#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use super::*;

const PATIENCE: Duration = Duration::from_millis(50);

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn open(options: &SocketOptions) -> Socket {
    Socket::bind(loopback(), options).unwrap()
}

/// Everything that arrives until `count` datagrams are there (or the test has plainly failed).
fn collect(socket: &Socket, count: usize) -> Vec<(Vec<u8>, Route, Option<SystemTime>)> {
    let (mut receiver, waker) = (Receiver::new(), Waker::new().unwrap());
    let mut all = Vec::new();
    let start = Instant::now();
    while all.len() < count && start.elapsed() < Duration::from_secs(30) {
        socket.wait(&waker, Some(Duration::from_millis(100)));
        receiver.receive(socket).unwrap();
        all.extend(receiver.datagrams().map(|d| (d.bytes.to_vec(), d.route, d.received)));
    }
    all
}

fn fill(arena: &mut SendArena, to: SocketAddr, sizes: &[usize]) {
    for (i, size) in sizes.iter().enumerate() {
        let route = Route { remote: to, local: None };
        arena.reserve(&route, *size).unwrap().fill(i as u8);
    }
}

#[test]
fn trains_arrive_as_the_datagrams_they_were_made_of() {
    for send_offload in [true, false] {
        for receive_offload in [true, false] {
            let options = SocketOptions { send_offload, receive_offload, ..SocketOptions::default() };
            let (from, to) = (open(&options), open(&options));
            let mut arena = SendArena::new();
            let sizes = [1000, 1000, 1000, 400, 1000, 1000, 1200, 7];
            fill(&mut arena, to.local_addr().unwrap(), &sizes);
            let done = arena.flush(&from, PATIENCE);
            assert_eq!((done.packets, done.dropped), (sizes.len(), 0));
            assert_eq!(done.trains, if from.sends_trains() { 3 } else { sizes.len() });
            let got = collect(&to, sizes.len());
            assert_eq!(got.len(), sizes.len());
            for (i, (bytes, route, received)) in got.iter().enumerate() {
                assert_eq!(*bytes, vec![i as u8; sizes[i]], "datagram {i}");
                assert_eq!(route.remote, from.local_addr().unwrap());
                let age = received.unwrap().elapsed().unwrap_or_default();
                assert!(age < Duration::from_secs(30), "the kernel's stamp is of now: {age:?}");
            }
        }
    }
}

#[test]
fn a_full_arena_asks_for_a_flush_and_long_trains_are_cut() {
    let (from, to) = (open(&SocketOptions::default()), open(&SocketOptions::default()));
    let route = Route { remote: to.local_addr().unwrap(), local: None };
    let mut arena = SendArena::new();
    for _ in 0..SendArena::PACKETS {
        assert!(arena.reserve(&route, 1100).is_some());
    }
    assert!(arena.is_full() && arena.reserve(&route, 1100).is_none());
    let done = arena.flush(&from, PATIENCE);
    assert_eq!(done.packets, SendArena::PACKETS);
    assert!(arena.is_empty() && arena.reserve(&route, SendArena::MAX_DATAGRAM + 1).is_none());
    let got = collect(&to, SendArena::PACKETS);
    assert!(got.iter().all(|(bytes, _, _)| bytes.len() == 1100));
    assert_eq!(got.len(), SendArena::PACKETS);
}

#[test]
fn undoing_leaves_the_train_as_it_was() {
    let (from, to) = (open(&SocketOptions::default()), open(&SocketOptions::default()));
    let mut arena = SendArena::new();
    let sizes = [500, 500, 100];
    fill(&mut arena, to.local_addr().unwrap(), &sizes);
    arena.undo_last();
    fill(&mut arena, to.local_addr().unwrap(), &[500]);
    assert_eq!(arena.flush(&from, PATIENCE).packets, 3);
    let lengths: Vec<_> = collect(&to, 3).into_iter().map(|(bytes, _, _)| bytes.len()).collect();
    assert_eq!(lengths, [500, 500, 500]);
    fill(&mut arena, to.local_addr().unwrap(), &[9]);
    arena.undo_last();
    arena.undo_last();
    assert!(arena.is_empty());
    assert_eq!(arena.flush(&from, PATIENCE), Flushed::default());
}

#[test]
fn one_dual_stack_socket_serves_both_families_and_answers_from_the_asked_address() {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let Ok(both) = Socket::bind(any, &SocketOptions::default()) else {
        println!("no IPv6 here: not tested");
        return;
    };
    let port = both.local_addr().unwrap().port();
    let clients = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
    for client in clients {
        let Ok(peer) = Socket::bind(client, &SocketOptions::default()) else { continue };
        // 127.0.0.2 is ours too: the kernel alone would answer from 127.0.0.1.
        let asked = if client.is_ipv4() { Ipv4Addr::new(127, 0, 0, 2).into() } else { client.ip() };
        let mut arena = SendArena::new();
        fill(&mut arena, SocketAddr::new(asked, port), &[3, 3]);
        arena.flush(&peer, PATIENCE);
        let got = collect(&both, 2);
        let route = got[0].1;
        assert_eq!(route, Route { remote: peer.local_addr().unwrap(), local: Some(asked) });
        for _ in 0..2 {
            arena.reserve(&route, 5).unwrap().fill(9);
        }
        assert_eq!(arena.flush(&both, PATIENCE).packets, 2);
        let answers = collect(&peer, 2);
        assert_eq!(answers.len(), 2);
        assert_eq!(answers[0].1.remote, SocketAddr::new(asked, port));
    }
}

#[test]
fn an_empty_datagram_is_seen() {
    let to = open(&SocketOptions::default());
    let from = std::net::UdpSocket::bind(loopback()).unwrap();
    from.send_to(&[], to.local_addr().unwrap()).unwrap();
    let got = collect(&to, 1);
    assert_eq!(got.len(), 1);
    assert_eq!((got[0].0.len(), got[0].1.remote), (0, from.local_addr().unwrap()));
}

#[test]
fn unreachable_peers_cost_only_their_own_packets() {
    let (from, to) = (open(&SocketOptions::default()), open(&SocketOptions::default()));
    let mut arena = SendArena::new();
    // Port 0 is never sendable.
    fill(&mut arena, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &[10, 10]);
    fill(&mut arena, to.local_addr().unwrap(), &[20, 20]);
    let done = arena.flush(&from, PATIENCE);
    assert_eq!(done.packets, 2);
    assert_eq!(done.dropped, 2);
    assert_eq!(collect(&to, 2).len(), 2);
}

#[test]
fn dropped_datagrams_are_counted() {
    let options = SocketOptions { receive_buffer: 4096, ..SocketOptions::default() };
    let (from, to) = (open(&SocketOptions::default()), open(&options));
    let mut arena = SendArena::new();
    for _ in 0..10 {
        fill(&mut arena, to.local_addr().unwrap(), &[1000; 100]);
        arena.flush(&from, PATIENCE);
    }
    let mut receiver = Receiver::new();
    while receiver.receive(&to).unwrap() > 0 {}
    // The count comes with the next datagram.
    fill(&mut arena, to.local_addr().unwrap(), &[1]);
    arena.flush(&from, PATIENCE);
    to.wait(&Waker::new().unwrap(), Some(Duration::from_secs(30)));
    receiver.receive(&to).unwrap();
    assert!(receiver.kernel_drops() > 0);
}

#[test]
fn a_waker_ends_a_wait() {
    let socket = open(&SocketOptions::default());
    let waker = Waker::new().unwrap();
    let other = waker.clone();
    let thread = std::thread::spawn(move || other.wake());
    let ready = socket.wait(&waker, Some(Duration::from_secs(30)));
    thread.join().unwrap();
    assert_eq!(ready, Ready { datagrams: false, woken: true });
    let ready = socket.wait(&waker, Some(Duration::from_millis(1)));
    assert_eq!(ready, Ready::default());
}

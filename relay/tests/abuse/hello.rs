//! The ClientHello race: bad hellos that arrive before a client's own must not end its handshake.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latchkey_relay::shard::Shards;
use latchkey_relay::shard::command::join::Role;
use latchkey_relay::shard::counters::events::Event;
use latchkey_relay::shard::counters::packets::DropReason;
use latchkey_relay::shard::end::EndReason;

use crate::client::{Client, LIMIT, ask, run, start};
use crate::{counters, join, pair, received_by, stranger};

const HELLOS_PER_SECOND: usize = 1_000;
const JOINS: usize = 1_000;
const QUIET_JOINS: usize = 300;
/// Clients that join at the same time.
const AT_ONCE: usize = 10;

#[test]
fn a_thousand_bad_hellos_a_second_fail_no_join() {
    let shards = start(|_| {});
    let (_, mut publisher, _viewer) = pair(&shards, 1);
    let (quiet, failed_before) = join_many(&shards, &mut publisher, QUIET_JOINS);
    let (over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (began, mut took) = (Instant::now(), Duration::ZERO);
    let (beside, failed) = std::thread::scope(|scope| {
        scope.spawn(|| send_hellos(&shards, &over, &sent));
        let joined = join_many(&shards, &mut publisher, JOINS);
        took = began.elapsed();
        over.store(true, Ordering::Relaxed);
        joined
    });
    let sent = sent.load(Ordering::Relaxed);
    println!(
        "{JOINS} joins beside {:.0} bad hellos a second: {failed} failed; connected after {}, without them {}",
        sent as f64 / took.as_secs_f64(),
        quantiles(&beside),
        quantiles(&quiet)
    );
    assert_eq!((failed_before, failed), (0, 0));
    assert_eq!((quiet.len(), beside.len()), (QUIET_JOINS, JOINS));
    let tally = counters(&shards, |tally| tally.dropped(DropReason::UnknownPeer) >= sent as u64);
    assert!(tally.dropped(DropReason::UnknownPeer) >= sent as u64, "every one of them is counted");
    assert_eq!(tally.sessions_ended(EndReason::DtlsFailed), 0);
    assert_eq!(tally.event(Event::DtlsConnected) as usize, 2 + QUIET_JOINS + JOINS);
}

/// The harder race: whoever forges the client's own address.
#[test]
fn a_bad_hello_from_the_clients_own_address_ends_nothing() {
    let shards = start(|_| {});
    let (_, mut publisher, _viewer) = pair(&shards, 1);
    let (mut sent, mut joined) = (0, 0);
    for device in 0..20 {
        let mut client =
            Client::join(&shards, &shards.handles()[0], &join(Role::View, 1, 100 + device)).unwrap();
        let over = AtomicBool::new(false);
        let (forger, relay) = (client.socket.try_clone().unwrap(), client.relay());
        sent += std::thread::scope(|scope| {
            let forging = scope.spawn(|| forge(&forger, relay, &over));
            run(&mut [&mut client, &mut publisher], |clients| clients[0].connected || clients[0].over);
            over.store(true, Ordering::Relaxed);
            forging.join().unwrap()
        });
        joined += usize::from(client.connected);
        ask(shards.handles()[0].leave(client.session)).unwrap();
    }
    println!("{joined} of 20 joins went through {sent} bad hellos from the clients' own addresses");
    assert_eq!(joined, 20);
    assert_eq!(counters(&shards, |_| true).sessions_ended(EndReason::DtlsFailed), 0);
}

/// Sends bad hellos from a client's own address, before, between and after its own datagrams.
fn forge(socket: &UdpSocket, relay: SocketAddr, over: &AtomicBool) -> usize {
    let mut sent = 0;
    while !over.load(Ordering::Relaxed) {
        let hello = if sent % 4 == 3 { garbage_hello() } else { bad_hello(sent as u8) };
        socket.send_to(&hello, relay).unwrap();
        sent += 1;
        // Within what one address may send of DTLS; more would be a flood, which is another matter.
        std::thread::sleep(Duration::from_micros(if sent < 100 { 10 } else { 4_000 }));
    }
    sent
}

/// Lets so many viewers connect and leave, some at a time; returns how long each took, and how many did not get in.
fn join_many(shards: &Shards, publisher: &mut Client, joins: usize) -> (Vec<Duration>, usize) {
    let handle = &shards.handles()[0];
    let (mut took, mut failed, mut begun) = (Vec::new(), 0, 0);
    let mut joining: Vec<(Instant, Client)> = Vec::new();
    while begun < joins || !joining.is_empty() {
        while begun < joins && joining.len() < AT_ONCE {
            let device = 100 + (begun % 100) as u8;
            let began = Instant::now();
            joining.push((began, Client::join(shards, handle, &join(Role::View, 1, device)).unwrap()));
            begun += 1;
        }
        publisher.step();
        for at in (0..joining.len()).rev() {
            let (began, client) = &mut joining[at];
            client.step();
            let gave_up = client.over || began.elapsed() > LIMIT;
            if client.connected || gave_up {
                if gave_up {
                    failed += 1;
                } else {
                    took.push(began.elapsed());
                }
                let left = ask(handle.leave(client.session));
                assert!(left.is_ok() || gave_up, "{left:?}");
                joining.swap_remove(at);
            }
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    (took, failed)
}

/// Sends bad hellos from several addresses at a steady pace.
fn send_hellos(shards: &Shards, over: &AtomicBool, sent: &AtomicUsize) {
    let sockets: Vec<_> = (0..4).map(|_| stranger(shards)).collect();
    let began = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let due = (began.elapsed().as_secs_f64() * HELLOS_PER_SECOND as f64) as usize;
        for number in sent.load(Ordering::Relaxed)..due {
            sockets[number % sockets.len()].send(&bad_hello(number as u8)).unwrap();
            sent.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(sockets.iter().all(|socket| received_by(socket) == 0), "they are not answered");
}

/// A ClientHello that offers nothing but the cipher that does not encrypt, and no extension.
fn bad_hello(number: u8) -> Vec<u8> {
    let mut body = vec![0xFE, 0xFD];
    body.extend([number; 32]);
    // No session, no cookie, two suites with NULL encryption, no compression, no extension.
    body.extend([0, 0, 0, 4, 0x00, 0x00, 0xC0, 0x06, 1, 0, 0, 0]);
    hello(&body)
}

/// One that cannot be read at all.
fn garbage_hello() -> Vec<u8> {
    hello(&[0xFF; 45])
}

fn hello(body: &[u8]) -> Vec<u8> {
    let len = body.len() as u8;
    let record = [22, 0xFE, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, len + 12];
    let handshake = [1, 0, 0, len, 0, 0, 0, 0, 0, 0, 0, len];
    [&record[..], &handshake, body].concat()
}

fn quantiles(took: &[Duration]) -> String {
    let mut took = took.to_vec();
    took.sort_unstable();
    let at =
        |share: usize| took.get((took.len() * share / 100).min(took.len() - 1)).copied().unwrap_or_default();
    format!("p50 {:.0?} p99 {:.0?}", at(50), at(99))
}

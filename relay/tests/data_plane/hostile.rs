//! Garbage, forgers and strangers: nothing panics, nothing is answered, nothing changes, everything is counted.

use std::net::UdpSocket;
use std::time::Duration;

use latchkey_relay::shard::Shards;
use latchkey_relay::shard::command::join::Role;
use latchkey_relay::shard::counters::Tally;
use latchkey_relay::shard::counters::packets::DropReason;

use crate::client::{Client, Join, run, start};
use crate::{counters, publisher, viewer, vp8};

/// A stranger on loopback.
fn stranger(shards: &Shards) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(shards.local_addr()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    socket
}

fn is_silent(socket: &UdpSocket) -> bool {
    socket.recv(&mut [0; 2048]).is_err()
}

/// Whether the relay still serves: a new viewer gets the room's picture.
fn assert_alive(shards: &Shards, publisher: &mut Client) {
    let mut late = viewer(shards, 50, &mut [publisher]);
    assert!(
        run(&mut [publisher, &mut late], |clients| clients[1].received.len() > 10),
        "the relay still serves"
    );
}

#[test]
fn garbage_is_counted_and_not_answered() {
    let shards = start(|_| {});
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let socket = stranger(&shards);
    let mut noise = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise
    };
    let before = counters(&shards, |_| true);
    let total = 4_000;
    for i in 0..total {
        let len = (random() % 300) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| random() as u8).collect();
        if let Some(first) = bytes.first_mut() {
            // As often as not something that looks like one of our protocols.
            *first = [0, 1, 20, 22, 23, 63, 128, 144, 191, random() as u8][i % 10];
        }
        socket.send(&bytes).unwrap();
        if i % 50 == 0 {
            publisher.step();
        }
    }
    let drops = |tally: &Tally| {
        DropReason::ALL.iter().map(|reason| tally.dropped(*reason) - before.dropped(*reason)).sum::<u64>()
    };
    let seen = counters(&shards, |tally| drops(tally) >= total as u64);
    assert_eq!(drops(&seen), total as u64, "each one is counted once");
    assert!(seen.dropped(DropReason::Malformed) > 500 && seen.dropped(DropReason::UnknownPeer) > 500);
    assert!(is_silent(&socket));
    assert_alive(&shards, &mut publisher);
}

#[test]
fn cut_off_packets_of_a_real_peer_do_no_harm() {
    let shards = start(|_| {});
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut viewer = viewer(&shards, 2, &mut [&mut publisher]);
    let record = [22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 9, 0, 40, 1, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 28];
    let check = [
        0, 1, 0, 8, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 6, 0, 4, b'a', b':',
        b'b', b'c',
    ];
    let rtp = [0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0xBE, 0xDE, 0xFF, 0xFF, 1, 2, 3, 4];
    let rtcp = [0x81, 201, 0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    // From the peers' own addresses, so that it gets as far as it can.
    for client in [&publisher, &viewer] {
        for whole in [&record[..], &check, &rtp, &rtcp] {
            for len in 0..=whole.len() {
                client.socket.send_to(&whole[..len], client.relay()).unwrap();
            }
        }
    }
    let had = viewer.received.len();
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| {
        clients[0].send(&camera.frame(false, 1_000));
        clients[1].received.len() > had + 20
    }));
    let seen = counters(&shards, |tally| tally.dropped(DropReason::Malformed) > 100);
    assert!(seen.dropped(DropReason::Malformed) > 100 && seen.dropped(DropReason::Auth) == 0);
}

#[test]
fn a_check_with_a_wrong_password_gets_no_answer_and_moves_nothing() {
    use is::stun::{StunMessage, TransId};

    let shards = start(|_| {});
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut joined = Client::join(&shards, &shards.handles()[0], &Join::new(Role::View, 2)).unwrap();
    let relay_ufrag = joined.rtc.direct_api().local_ice_credentials().ufrag;
    assert!(run(&mut [&mut publisher, &mut joined], |clients| clients[1].connected));
    let socket = stranger(&shards);
    let hmac = |key: &[u8], parts: &[&[u8]]| {
        let mut context = aws_lc_rs::hmac::Context::with_key(&aws_lc_rs::hmac::Key::new(
            aws_lc_rs::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            key,
        ));
        parts.iter().for_each(|part| context.update(part));
        <[u8; 20]>::try_from(context.sign().as_ref()).unwrap()
    };
    let before = counters(&shards, |_| true);
    let users = [
        // The right user name is not secret on the path; the password is.
        format!("{}:{}", joined.relay_ufrag(), relay_ufrag),
        format!("{}:someone", joined.relay_ufrag()),
        "Anobody:someone".to_owned(),
    ];
    for user in &users {
        for _ in 0..10 {
            let mut bytes = [0; 400];
            let message = StunMessage::binding_request(user, TransId::new(), true, 1, u32::MAX, true);
            let len = message.to_bytes(Some(b"not the password of the answer"), &mut bytes, hmac).unwrap();
            socket.send(&bytes[..len]).unwrap();
        }
    }
    let seen = counters(&shards, |tally| {
        tally.dropped(DropReason::Auth) >= before.dropped(DropReason::Auth) + 20
            && tally.dropped(DropReason::UnknownPeer) >= before.dropped(DropReason::UnknownPeer) + 10
    });
    assert_eq!(seen.dropped(DropReason::Auth) - before.dropped(DropReason::Auth), 20);
    assert!(is_silent(&socket), "a stranger gets no answer");
    // DTLS from an address without a check is not heard either.
    socket.send(&[22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]).unwrap();
    assert!(is_silent(&socket));
    let had = joined.received.len();
    assert!(
        run(&mut [&mut publisher, &mut joined], |clients| {
            clients[0].send(&camera.frame(false, 500));
            clients[1].received.len() > had + 10
        }),
        "media still goes to the real viewer"
    );
    assert!(is_silent(&socket));
}

//! The relay is no mirror: answers are hardly longer than what they answer, and strangers get none.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime};

use is::stun::{StunMessage, TransId};
use latchkey_relay::shard::Shards;
use latchkey_relay::shard::command::join::{
    ExtensionMap, Feedback, JoinAccepted, JoinRequest, MediaLeg, RemoteParams, Role,
};
use latchkey_relay::shard::counters::packets::{Direction, DropReason, PacketKind};
use latchkey_relay::transport::fingerprint::Fingerprint;
use latchkey_wire::codec::Codec;
use latchkey_wire::codec::MediaKind;
use latchkey_wire::id::DeviceHandle;

use crate::client::{ask, start};
use crate::{counters, received_by, room, stranger};

/// The shortest that ICE allows, which makes the shortest request.
const UFRAG: &str = "abcd";

#[test]
fn an_answer_is_at_most_a_fifth_longer_than_its_request() {
    for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let shards = start(|config| config.bind = SocketAddr::new(ip, 0));
        let accepted = join(&shards);
        let socket = stranger(&shards);
        let mut worst = 0.0_f64;
        let requests = [
            ("the shortest", shortest(&accepted)),
            ("a usual check", check(&accepted, true, &accepted.pwd)),
            ("a conflict of roles", check(&accepted, false, &accepted.pwd)),
        ];
        for (what, request) in requests {
            socket.send(&request).unwrap();
            let answer =
                socket.recv(&mut [0; 2048]).unwrap_or_else(|_| panic!("{what} over {ip}: no answer"));
            let ratio = answer as f64 / request.len() as f64;
            println!("{what} over {ip}: {} bytes, answered with {answer} ({ratio:.2} times)", request.len());
            worst = worst.max(ratio);
        }
        assert!(worst <= 1.2, "{ip}: {worst:.2} times");
        // A flood of good checks is answered up to the session's limit, and never with more than came.
        let flood: Vec<_> = (0..2_000).map(|_| check(&accepted, true, &accepted.pwd)).collect();
        let reader = socket.try_clone().unwrap();
        let reading = std::thread::spawn(move || received_by(&reader));
        for (at, request) in flood.iter().enumerate() {
            socket.send(request).unwrap();
            if at % 50 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let sent: usize = flood.iter().map(Vec::len).sum();
        let answered = reading.join().unwrap();
        let ratio = answered as f64 / sent as f64;
        println!("2,000 good checks over {ip}: {sent} bytes, answered with {answered} ({ratio:.2} times)");
        assert!(answered > 0 && ratio <= 1.2);
        assert!(counters(&shards, |_| true).dropped(DropReason::RateLimit) > 0, "the flood met the limit");
    }
}

#[test]
fn strangers_get_nothing() {
    let shards = start(|_| {});
    let accepted = join(&shards);
    let nobody = JoinAccepted { ufrag: "AAAAAAAA".to_owned(), ..accepted.clone() };
    let good = check(&accepted, true, &accepted.pwd);
    let mut changed = good.clone();
    let name = changed.windows(UFRAG.len()).position(|bytes| bytes == UFRAG.as_bytes()).unwrap();
    changed[name] = b'z';
    // MESSAGE-INTEGRITY is behind all that it covers, 24 bytes, and then comes only the fingerprint.
    let without_integrity = {
        let mut bytes = good[..good.len() - 32].to_vec();
        let len = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&len.to_be_bytes());
        bytes
    };
    let bare = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
    let requests = [
        ("an unknown user fragment", check(&nobody, true, &accepted.pwd), DropReason::UnknownPeer),
        ("a wrong password", check(&accepted, true, "not what the answer said at all"), DropReason::Auth),
        ("a changed user name", changed, DropReason::Auth),
        ("no integrity", without_integrity, DropReason::Malformed),
        ("a bare binding request, as to a public STUN server", bare, DropReason::Malformed),
    ];
    for (what, request, reason) in requests {
        let socket = stranger(&shards);
        let before = counters(&shards, |_| true);
        let count = 1_000;
        for at in 0..count {
            socket.send(&request).unwrap();
            if at % 50 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let risen = before.dropped(reason) + count;
        let after = counters(&shards, |tally| tally.dropped(reason) >= risen);
        let answered = received_by(&socket);
        println!("{what}: {} bytes, answered with {answered}", request.len() * count as usize);
        assert_eq!((answered, after.dropped(reason)), (0, risen), "{what}");
        let out = |tally: &latchkey_relay::shard::counters::Tally| {
            tally.packets(Direction::Out, PacketKind::Transport)
        };
        assert_eq!(out(&after), out(&before), "{what}: nothing goes anywhere else either");
    }
    // The control: the same message, as it should be.
    let socket: UdpSocket = stranger(&shards);
    socket.send(&good).unwrap();
    assert!(received_by(&socket) > 0, "a good check is answered");
}

/// A session that never goes on to DTLS.
fn join(shards: &Shards) -> JoinAccepted {
    let leg = MediaLeg {
        mid: "0".to_owned(),
        kind: MediaKind::Video,
        codec: Some(Codec::Vp8),
        payload_type: 96,
        rtx_payload_type: None,
        extensions: ExtensionMap::default(),
        remote_ssrc: None,
        remote_rtx_ssrc: None,
        local_ssrc: 1,
        local_rtx_ssrc: 2,
        feedback: Feedback::default(),
        layers: Vec::new(),
        most_bits_per_second: None,
    };
    let remote = RemoteParams {
        ufrag: UFRAG.to_owned(),
        pwd: "a password of the right length".to_owned(),
        fingerprint: Fingerprint([1; 32]),
        candidates: Vec::new(),
    };
    let request = JoinRequest {
        room: room(1),
        device: DeviceHandle::new([1; 16]),
        role: Role::Publish,
        granted_at: SystemTime::now(),
        session_expires: SystemTime::now() + Duration::from_secs(600),
        remote,
        extmap_allow_mixed: false,
        media: vec![leg],
    };
    ask(shards.handles()[0].join(request)).unwrap()
}

/// A check as clients send it.
fn check(accepted: &JoinAccepted, controlling: bool, password: &str) -> Vec<u8> {
    let user = format!("{}:{UFRAG}", accepted.ufrag);
    let message = StunMessage::binding_request(&user, TransId::new(), controlling, 1, 100, controlling);
    let mut bytes = [0; 400];
    let len = message.to_bytes(Some(password.as_bytes()), &mut bytes, hmac).unwrap();
    bytes[..len].to_vec()
}

/// Nothing but what the relay insists on: user name, priority, integrity.
fn shortest(accepted: &JoinAccepted) -> Vec<u8> {
    let user = format!("{}:{UFRAG}", accepted.ufrag);
    let mut bytes = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[9; 12]].concat();
    bytes.extend([0, 6]);
    bytes.extend((user.len() as u16).to_be_bytes());
    bytes.extend(user.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes.extend([0, 0x24, 0, 4, 0, 0, 0, 1]);
    let with_integrity = (bytes.len() - 20 + 24) as u16;
    bytes[2..4].copy_from_slice(&with_integrity.to_be_bytes());
    let tag = hmac(accepted.pwd.as_bytes(), &[&bytes]);
    bytes.extend([0, 8, 0, 20]);
    bytes.extend(tag);
    bytes
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    use aws_lc_rs::hmac::{Context, HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key};

    let mut context = Context::with_key(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().try_into().unwrap()
}

//! Shards without threads: what they send, what a forwarded packet allocates, and what a fault of ours leaves standing.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use latchkey_relay_core::RoomConfig;
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::envelope::{self, EnvelopeBuilder};
use latchkey_wire::id::{DeviceHandle, RoomId};
use latchkey_wire::payload::{self, Payloads};
use latchkey_wire::sframe_header::{self, SframeHeader};

use crate::batch::{Receiver, Route, Socket, SocketOptions, Waker};
use crate::shard::command::join::{
    ExtensionMap, Feedback, JoinAccepted, JoinRequest, MediaLeg, RemoteParams, Role,
};
use crate::shard::command::{Command, Home};
use crate::shard::counters::packets::{Direction, DropReason, PacketKind};
use crate::shard::end::EndReason;
use crate::shard::limits::Limits;
use crate::shard::neighbours;
use crate::shard::peer::PeerKey;
use crate::shard::worker::{Setup, Worker};
use crate::srtp::{MasterKey, Opener, Plain, Sealer, SrtpProfile};
use crate::transport::certificate::Certificate;
use crate::transport::dtls::{Identity, Keys};
use crate::transport::fingerprint::Fingerprint;

mod overflow;
mod rounds;
mod steady;

fn worker() -> Worker {
    workers(1).remove(0)
}

/// Shards that know each other.
fn workers(count: usize) -> Vec<Worker> {
    let certificate = Certificate::generate().unwrap();
    let profiles = [SrtpProfile::Aes128Gcm];
    let setup = Setup {
        limits: Limits::default(),
        room_config: RoomConfig::default(),
        identity: Identity::new(&certificate, &profiles).unwrap(),
        cname: "test".to_owned(),
        ends: None,
        #[cfg(feature = "test-tap")]
        tap: None,
        #[cfg(feature = "test-tap")]
        meddler: None,
    };
    let wakers: Vec<_> = (0..count).map(|_| Waker::new().unwrap()).collect();
    let parts = neighbours::connect(&wakers).into_iter().zip(wakers).enumerate();
    let workers = parts
        .map(|(index, (neighbours, waker))| Worker::new(index, setup.clone(), bind().0, neighbours, waker).0);
    workers.collect()
}

fn master(seed: u8) -> MasterKey {
    MasterKey::new(SrtpProfile::Aes128Gcm, &[seed; 16], &[seed; 12]).unwrap()
}

/// Lets a peer in as if ICE and DTLS were done, at `address`; it receives with `master(seed)`.
fn admit(worker: &mut Worker, room: u8, role: Role, seed: u8, address: SocketAddr) -> PeerKey {
    admit_from(worker, None, room, role, seed, address)
}

/// As [`admit`], into a room that may have its publisher elsewhere.
fn admit_from(
    worker: &mut Worker,
    home: Option<Home>,
    room: u8,
    role: Role,
    seed: u8,
    address: SocketAddr,
) -> PeerKey {
    let accepted = join_from(worker, home, request(room, role, seed));
    let key = worker.by_session[&accepted.session];
    let peer = worker.peers.get_mut(key).unwrap();
    peer.route = Some(Route { remote: address, local: None });
    peer.key(&Keys { profile: SrtpProfile::Aes128Gcm, receive: master(100 + seed), send: master(seed) });
    worker.by_address.insert(address, key);
    worker.view(key, Instant::now());
    key
}

/// A join with one video section, numbered by `seed`.
fn request(room: u8, role: Role, seed: u8) -> JoinRequest {
    let leg = MediaLeg {
        mid: "0".to_owned(),
        kind: MediaKind::Video,
        codec: Some(Codec::Vp8),
        payload_type: 96,
        rtx_payload_type: Some(97),
        extensions: ExtensionMap { mid: Some(1), transport_cc: Some(NUMBER), ..ExtensionMap::default() },
        remote_ssrc: None,
        remote_rtx_ssrc: None,
        local_ssrc: 1000 + u32::from(seed),
        local_rtx_ssrc: 2000 + u32::from(seed),
        feedback: Feedback { nack: true, pli: true, transport_cc: true, pause: false },
        layers: Vec::new(),
        most_bits_per_second: None,
    };
    JoinRequest {
        room: RoomId::new([room; 16]),
        device: DeviceHandle::new([seed; 16]),
        role,
        granted_at: SystemTime::now(),
        session_expires: SystemTime::now() + Duration::from_secs(3600),
        remote: RemoteParams {
            ufrag: "peer".to_owned(),
            pwd: "password".to_owned(),
            fingerprint: Fingerprint([0; 32]),
            candidates: Vec::new(),
        },
        extmap_allow_mixed: true,
        media: vec![leg],
    }
}

fn join(worker: &mut Worker, request: JoinRequest) -> JoinAccepted {
    join_from(worker, None, request)
}

fn join_from(worker: &mut Worker, home: Option<Home>, request: JoinRequest) -> JoinAccepted {
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    worker.command(Command::Join { request: Box::new(request), home, reply }, Instant::now());
    answer.try_recv().unwrap().unwrap()
}

/// Sealed packets of one frame of a publisher admitted with `seed`.
struct Camera {
    sealer: Sealer,
    envelope: EnvelopeBuilder,
    counter: u64,
    sequence: u64,
}

impl Camera {
    fn new(seed: u8) -> Self {
        Self {
            sealer: Sealer::new(&master(100 + seed)),
            envelope: EnvelopeBuilder::new(Codec::Vp8),
            counter: 0,
            sequence: 1,
        }
    }

    fn frame(&mut self, key: bool) -> Vec<Vec<u8>> {
        let clear: &[u8] = match key {
            true => &[0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01, 0x00],
            false => &[0x11, 0x02, 0x00, 0x55],
        };
        let (mut envelope, mut wire, mut header) = (Vec::new(), Vec::new(), [0; sframe_header::MAX_LEN]);
        self.envelope.build(key, clear, &mut envelope).unwrap();
        let len = SframeHeader::write(0x8000_0001_0000_0000 >> 8, self.counter, &mut header);
        self.counter += 1;
        envelope::join(Codec::Vp8, &envelope, &[&header[..len], &[0xA5; 9_000]].concat(), &mut wire);
        let mut payloads = Payloads::new();
        payload::split(Codec::Vp8, &wire, key, 1000, &mut payloads).unwrap();
        let count = payloads.len();
        let packets = payloads.iter().enumerate().map(|(i, payload)| {
            let index = self.sequence + i as u64;
            let mut header = vec![0x90, if i + 1 == count { 0xE0 } else { 0x60 }];
            header.extend((index as u16).to_be_bytes());
            header.extend((self.counter as u32 * 3000).to_be_bytes());
            header.extend(9u32.to_be_bytes());
            let [high, low] = (index as u16).to_be_bytes();
            header.extend([0xBE, 0xDE, 0, 1, NUMBER << 4 | 1, high, low, 0]);
            let mut sealed = vec![0; header.len() + payload.len() + self.sealer.overhead()];
            let plain = Plain { header: &header, prefix: &[], payload, ssrc: 9, index };
            self.sealer.seal(&plain, &mut sealed).unwrap();
            sealed
        });
        let packets = packets.collect();
        self.sequence += count as u64;
        packets
    }
}

/// Feeds the packets of one frame. Joining viewers are paced, so that time must pass from frame to frame.
fn feed(worker: &mut Worker, from: SocketAddr, packets: &mut [Vec<u8>], now: Instant) {
    for packet in packets {
        worker.datagram(packet, Route { remote: from, local: None }, Some(SystemTime::now()), now);
    }
    worker.forward_pending(now);
}

fn bind() -> (Socket, SocketAddr) {
    let socket = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &SocketOptions::default()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn what_viewers_get_is_sealed_for_each_of_them() {
    let mut worker = worker();
    let publisher = SocketAddr::from(([127, 0, 0, 1], 9));
    admit(&mut worker, 1, Role::Publish, 1, publisher);
    let viewers: Vec<_> = (10..13u8).map(|seed| (seed, bind())).collect();
    for (seed, (_, address)) in &viewers {
        admit(&mut worker, 1, Role::View, *seed, *address);
    }
    let (mut camera, start) = (Camera::new(1), Instant::now());
    for i in 0..40 {
        feed(&mut worker, publisher, &mut camera.frame(i == 0), start + FRAME * i);
    }
    for (seed, (socket, _)) in &viewers {
        let (mut opener, mut foreign) = (Opener::new(&master(*seed)), Opener::new(&master(*seed + 1)));
        let (mut receiver, mut opened) = (Receiver::new(), 0);
        while receiver.receive(socket).unwrap() > 0 {
            for datagram in receiver.datagrams() {
                assert!(foreign.open(&mut datagram.bytes.to_vec()).is_err());
                let len = opener.open(datagram.bytes).unwrap();
                assert_eq!(datagram.bytes[8..12], (1000 + u32::from(*seed)).to_be_bytes());
                assert!(len > 500);
                opened += 1;
            }
        }
        assert!(opened >= 350, "{opened} of about 400");
    }
}

#[test]
fn a_fault_in_one_room_ends_that_room_only() {
    let mut worker = worker();
    let (bad, good) = (SocketAddr::from(([127, 0, 0, 1], 9)), SocketAddr::from(([127, 0, 0, 1], 10)));
    let doomed = admit(&mut worker, 1, Role::Publish, 1, bad);
    let stays = admit(&mut worker, 2, Role::Publish, 2, good);
    let place = worker.peers.get(doomed).unwrap().room;
    let now = Instant::now();
    worker.guarded(place, now, |worker| {
        // As if it happened between reserving and sealing.
        let route = worker.peers.get(stays).unwrap().route.unwrap();
        worker.outbox.arena.reserve(&route, 100).unwrap().fill(7);
        panic!("a fault for the test");
    });
    assert!(worker.peers.get(doomed).is_none() && worker.peers.get(stays).is_some());
    assert_eq!(worker.outbox.tally.sessions_ended(EndReason::Fault), 1);
    assert!(
        worker.rooms.find(&RoomId::new([1; 16])).is_none()
            && worker.rooms.find(&RoomId::new([2; 16])).is_some()
    );
    // What was told to the doomed peer may wait there, but nothing for the other.
    let (socket, address) = bind();
    worker.peers.get_mut(stays).unwrap().route = Some(Route { remote: address, local: None });
    worker.outbox.flush();
    assert_eq!(Receiver::new().receive(&socket).unwrap(), 0);
    feed(&mut worker, good, &mut Camera::new(2).frame(true), now);
    assert!(worker.outbox.tally.packets(Direction::In, PacketKind::Video) > 0);
    feed(&mut worker, bad, &mut Camera::new(1).frame(true), now);
    assert!(worker.outbox.tally.dropped(DropReason::UnknownPeer) > 0);
}

#[test]
fn an_address_in_use_cannot_be_taken_by_another_session() {
    use crate::transport::ice::credentials::{Credentials, hmac_sha1};
    use is::stun::{StunMessage, TransId};

    let mut worker = worker();
    let hers = SocketAddr::from(([127, 0, 0, 1], 9));
    let mine = SocketAddr::from(([127, 0, 0, 1], 10));
    let check = |worker: &mut Worker, to: &JoinAccepted, from: SocketAddr| {
        let mut bytes = [0; 300];
        let user = format!("{}:peer", to.ufrag);
        let message = StunMessage::binding_request(&user, TransId::new(), true, 1, 100, true);
        let len = message.to_bytes(Some(to.pwd.as_bytes()), &mut bytes, hmac_sha1).unwrap();
        worker.datagram(&mut bytes[..len], Route { remote: from, local: None }, None, Instant::now());
    };
    let her_session = join(&mut worker, request(1, Role::Publish, 1));
    let my_session = join(&mut worker, request(2, Role::Publish, 2));
    assert_ne!(her_session.ufrag, my_session.ufrag);
    check(&mut worker, &her_session, hers);
    check(&mut worker, &my_session, mine);
    assert_eq!(worker.by_address.len(), 2);
    let owner = worker.by_address[&hers];
    check(&mut worker, &my_session, hers);
    assert_eq!(worker.by_address[&hers], owner, "a check with a forged source takes nothing");
    assert_eq!(worker.outbox.tally.dropped(DropReason::Policy), 1);

    // An ICE restart: new credentials work from a new address, the old ones are void then.
    let renewed = restart(&mut worker, &my_session);
    let elsewhere = SocketAddr::from(([127, 0, 0, 1], 11));
    check(&mut worker, &my_session, mine);
    assert_eq!(worker.outbox.tally.dropped(DropReason::UnknownPeer), 0, "until then the old ones hold");
    check(&mut worker, &renewed, elsewhere);
    let key = worker.by_session[&my_session.session];
    assert_eq!(worker.peers.get(key).unwrap().route.unwrap().remote, elsewhere);
    check(&mut worker, &my_session, mine);
    assert_eq!(worker.outbox.tally.dropped(DropReason::UnknownPeer), 1, "the old ones are void");
    assert!(Credentials::random(0).unwrap().ufrag != renewed.ufrag);
}

fn restart(worker: &mut Worker, accepted: &JoinAccepted) -> JoinAccepted {
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    let command = Command::IceRestart {
        session: accepted.session,
        ufrag: "peer".to_owned(),
        pwd: "another password".to_owned(),
        reply,
    };
    worker.command(command, Instant::now());
    answer.try_recv().unwrap().unwrap()
}

/// Id of the extension with transport-wide numbers.
const NUMBER: u8 = 2;
const FRAME: Duration = Duration::from_micros(33_333);

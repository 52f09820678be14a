//! What is published arrives at every viewer, unchanged and in order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use latchkey_relay::shard::command::join::Role;
use latchkey_relay::shard::counters::events::Event;
use latchkey_relay::shard::counters::packets::{Direction, PacketKind};
use latchkey_relay::srtp::SrtpProfile;
use latchkey_wire::codec::Codec;

use crate::camera::Camera;
use crate::client::{Client, Join, Packet, ask, run, run_for, start};
use crate::{counters, publisher, viewer, vp8};

fn payloads(packets: &[Packet]) -> Vec<Vec<u8>> {
    packets.iter().map(|packet| packet.payload.clone()).collect()
}

fn received(client: &Client) -> Vec<Vec<u8>> {
    let mut packets = client.received.clone();
    packets.sort_by_key(|packet| packet.sequence);
    packets.into_iter().map(|packet| packet.payload).collect()
}

#[test]
fn every_viewer_gets_every_packet_with_both_profiles() {
    for profile in [SrtpProfile::Aes128Gcm, SrtpProfile::Aes128CmSha1] {
        let shards = start(|config| config.srtp_profiles = vec![profile]);
        let mut camera = vp8();
        let (mut publisher, mut sent) = publisher(&shards, &mut camera);
        let mut first = viewer(&shards, 2, &mut [&mut publisher]);
        let mut second = viewer(&shards, 3, &mut [&mut publisher, &mut first]);
        for _ in 0..30 {
            let frame = camera.frame(false, 9_000);
            publisher.send(&frame);
            sent.extend(frame);
            run_for(&mut [&mut publisher, &mut first, &mut second], Duration::from_millis(5));
        }
        let all = payloads(&sent);
        let complete = run(&mut [&mut publisher, &mut first, &mut second], |clients| {
            clients[1..].iter().all(|c| c.received.len() >= all.len())
        });
        assert!(
            complete,
            "{profile:?}: {} and {} of {}",
            first.received.len(),
            second.received.len(),
            all.len()
        );
        assert!(
            received(&first) == all && received(&second) == all,
            "payload bytes are the same for every viewer"
        );
        let mut sequences: Vec<_> = first.received.iter().map(|packet| packet.sequence).collect();
        sequences.sort_unstable();
        assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "numbered without a gap");
        let markers = first.received.iter().filter(|packet| packet.marker).count();
        assert_eq!(markers, 40, "one per frame");
        let seen = counters(&shards, |tally| {
            tally.packets(Direction::Out, PacketKind::Video) >= 2 * all.len() as u64
        });
        assert_eq!(seen.packets(Direction::In, PacketKind::Video), all.len() as u64);
        assert_eq!(seen.event(Event::DtlsConnected), 3);
        assert!(seen.forward_latency().iter().sum::<u64>() > 0 && seen.join_time().iter().sum::<u64>() == 2);
        let per_train =
            seen.packets(Direction::Out, PacketKind::Video) as f64 / seen.event(Event::Trains) as f64;
        println!("{}: {per_train:.1} packets in a train", profile.label());
    }
}

#[test]
fn a_joining_viewer_gets_a_picture_without_a_new_key_frame() {
    let shards = start(|_| {});
    let mut camera = vp8();
    let (mut publisher, sent) = publisher(&shards, &mut camera);
    let mut late = viewer(&shards, 2, &mut [&mut publisher]);
    // Nothing more is sent: all of it comes from what the room kept.
    assert!(run(&mut [&mut publisher, &mut late], |clients| clients[1].received.len() >= sent.len()));
    assert!(received(&late) == payloads(&sent));
    assert_eq!(publisher.key_frames_wanted, 0);
}

#[test]
fn sound_is_forwarded_too() {
    let shards = start(|_| {});
    let mut camera = Camera::new(Codec::Opus, 3);
    let join = |role, device| Join { codec: Codec::Opus, ..Join::new(role, device) };
    let handle = &shards.handles()[0];
    let mut publisher = Client::join(&shards, handle, &join(Role::Publish, 1)).unwrap();
    let mut listener = Client::join(&shards, handle, &join(Role::View, 2)).unwrap();
    assert!(run(&mut [&mut publisher, &mut listener], |clients| clients
        .iter()
        .all(|client| client.connected)));
    let heard = run(&mut [&mut publisher, &mut listener], |clients| {
        clients[0].send(&camera.frame(true, 120));
        clients[1].received.len() >= 20
    });
    assert!(heard);
    let seen = counters(&shards, |tally| tally.packets(Direction::Out, PacketKind::Audio) >= 20);
    assert!(seen.packets(Direction::Out, PacketKind::Audio) >= 20);
}

#[test]
fn a_viewer_asks_for_a_key_frame_and_the_publisher_hears_it() {
    let shards = start(|_| {});
    let mut camera = vp8();
    let (mut publisher, _) = publisher(&shards, &mut camera);
    let mut viewer = viewer(&shards, 2, &mut [&mut publisher]);
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| clients[1].received.len() >= 10));
    let heard = run(&mut [&mut publisher, &mut viewer], |clients| {
        clients[1].want_key_frame();
        clients[0].send(&camera.frame(false, 500));
        clients[0].key_frames_wanted > 0
    });
    assert!(heard);
    assert!(counters(&shards, |tally| tally.event(Event::PliIn) > 0).event(Event::PliOut) > 0);
}

#[test]
fn lost_packets_are_repeated() {
    let shards = start(|_| {});
    let mut camera = vp8();
    let (mut publisher, mut sent) = publisher(&shards, &mut camera);
    let mut viewer = viewer(&shards, 2, &mut [&mut publisher]);
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| clients[1].received.len() >= 20));
    for round in 0..20 {
        let frame = camera.frame(false, 4_000);
        publisher.send(&frame);
        sent.extend(frame);
        if round % 4 == 0 {
            // What arrives now is lost on the way to the viewer.
            std::thread::sleep(Duration::from_millis(5));
            let mut lost = [0; 2048];
            let _ = viewer.socket.recv(&mut lost);
        }
        run_for(&mut [&mut publisher, &mut viewer], Duration::from_millis(5));
    }
    let all = payloads(&sent);
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| clients[1].received.len() >= all.len()));
    assert!(received(&viewer) == all);
    let seen = counters(&shards, |tally| tally.event(Event::RtxPackets) > 0);
    assert!(seen.event(Event::NackedPackets) > 0 && seen.event(Event::RtxPackets) > 0);
}

#[test]
fn several_shards_on_one_port_serve_a_room_together() {
    let shards = start(|config| config.shards = 3);
    let mut camera = vp8();
    // The kernel chooses the socket by the client's port; the room is on the first shard.
    let (mut publisher, mut sent) = publisher(&shards, &mut camera);
    let mut viewers: Vec<Client> = Vec::new();
    for device in 2..10 {
        let joined = viewer(&shards, device, &mut [&mut publisher]);
        viewers.push(joined);
    }
    for _ in 0..10 {
        let frame = camera.frame(false, 3_000);
        publisher.send(&frame);
        sent.extend(frame);
        let mut all: Vec<&mut Client> = viewers.iter_mut().collect();
        run_for(&mut all, Duration::from_millis(5));
    }
    let expected = payloads(&sent);
    let mut all: Vec<&mut Client> = std::iter::once(&mut publisher).chain(&mut viewers).collect();
    assert!(run(&mut all, |clients| clients[1..]
        .iter()
        .all(|client| client.received.len() >= expected.len())));
    assert!(viewers.iter().all(|viewer| received(viewer) == expected));
    let seen = counters(&shards, |tally| tally.event(Event::HandedOver) > 0);
    println!("handed over: {}", seen.event(Event::HandedOver));
    assert_eq!(ask(shards.handles()[1].tracks_of(Join::new(Role::View, 2).room)), Ok(None));
}

#[test]
fn one_port_serves_both_address_families() {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    if std::net::UdpSocket::bind(any).is_err() {
        println!("no IPv6 here: not tested");
        return;
    }
    let shards = start(|config| config.bind = any);
    let handle = &shards.handles()[0];
    let at = |ip: IpAddr, role, device| Join { relay: Some(ip), ..Join::new(role, device) };
    let mut publisher =
        Client::join(&shards, handle, &at(Ipv6Addr::LOCALHOST.into(), Role::Publish, 1)).unwrap();
    let mut viewer = Client::join(&shards, handle, &at(Ipv4Addr::LOCALHOST.into(), Role::View, 2)).unwrap();
    let mut camera = vp8();
    let mut sent = 0;
    let seen = run(&mut [&mut publisher, &mut viewer], |clients| {
        if clients.iter().all(|client| client.connected) {
            clients[0].send(&camera.frame(sent == 0, 1_000));
            sent += 1;
        }
        clients[1].received.len() >= 30
    });
    assert!(seen, "{} of {sent}", viewer.received.len());
}

//! Forged media: none of it is forwarded, and none of it changes anything.

use std::time::{Duration, Instant};

use latchkey_relay::shard::counters::Tally;
use latchkey_relay::shard::counters::events::{Event, Gauge};
use latchkey_relay::shard::counters::packets::{Direction, DropReason, PacketKind};
use latchkey_relay::srtp::{MasterKey, Plain, Sealer, SrtpProfile};

use str0m::rtp::RtpWrite;
use str0m::{Input, Output};

use crate::client::{Client, Packet, run, run_for, start};
use crate::{counters, figures, pair, stranger};

/// Of each kind.
const FORGED: usize = 2_500;

#[test]
fn ten_thousand_forged_packets_change_nothing() {
    let shards = start(|_| {});
    let (mut camera, mut publisher, mut viewer) = pair(&shards, 1);
    // Genuine packets as they were on the wire, to be changed and repeated.
    let mut genuine = Vec::new();
    for _ in 0..20 {
        send_seen(&mut publisher, &camera.frame(false, 3_000), &mut genuine);
        run_for(&mut [&mut publisher, &mut viewer], Duration::from_millis(5));
    }
    assert!(genuine.len() >= 60, "{} packets were seen on the wire", genuine.len());
    run_for(&mut [&mut publisher, &mut viewer], Duration::from_millis(200));

    let socket = stranger(&shards);
    let own = publisher.socket.try_clone().unwrap();
    let wrong = Sealer::new(&MasterKey::new(SrtpProfile::Aes128Gcm, &[5; 16], &[6; 12]).unwrap());
    let ssrc = *publisher.ssrc;
    let (had, before, room_before) =
        (viewer.received.len(), counters(&shards, |_| true), figures(&shards, 1));
    for number in 0..FORGED {
        let packet = &genuine[number % genuine.len()];
        let mut bent = packet.clone();
        // Each bit of the header, the payload and the tag in turn; the first byte tells protocols apart.
        let bit = 8 + (number * 37) % (bent.len() * 8 - 8);
        bent[bit / 8] ^= 1 << (bit % 8);
        let kinds = [
            sealed(&wrong, ssrc, number as u64),
            // Other sources, which must not be remembered.
            sealed(&wrong, 1_000 + number as u32, 1),
            bent,
            packet.clone(),
        ];
        for (kind, bytes) in kinds.iter().enumerate() {
            // The half from the camera's own address; a repetition from there is the hardest to tell.
            if number % 2 == 0 || kind == 3 {
                own.send_to(bytes, shards.local_addr())
            } else {
                socket.send(bytes)
            }
            .unwrap();
        }
        if number % 20 == 0 {
            run_for(&mut [&mut publisher, &mut viewer], Duration::from_millis(1));
        }
    }
    let total = 4 * FORGED as u64;
    let rise = |tally: &Tally, reason| tally.dropped(reason) - before.dropped(reason);
    let all = |tally: &Tally| DropReason::ALL.iter().map(|reason| rise(tally, *reason)).sum::<u64>();
    let after = counters(&shards, |tally| all(tally) >= total);
    run_for(&mut [&mut publisher, &mut viewer], Duration::from_millis(100));
    let room_after = figures(&shards, 1);
    println!(
        "{total} forged packets: {} forwarded; dropped for {}",
        room_after.traffic.packets_out - room_before.traffic.packets_out,
        DropReason::ALL.map(|reason| format!("{} {}", reason.label(), rise(&after, reason))).join(", ")
    );
    assert_eq!(all(&after), total, "each is dropped once");
    assert!(rise(&after, DropReason::Replay) >= FORGED as u64, "repetitions are known as such");
    assert!(rise(&after, DropReason::Auth) > FORGED as u64 / 2);
    assert_eq!(rise(&after, DropReason::UnknownPeer), 3 * FORGED as u64 / 2);
    assert_eq!(rise(&after, DropReason::RateLimit), 0, "they take nothing from what the camera may send");
    assert_eq!(viewer.received.len(), had);
    assert_eq!((room_after.live, room_after.viewers), (room_before.live, room_before.viewers));
    assert_eq!(room_after.traffic, room_before.traffic, "the room has not seen any of it");
    for kind in [PacketKind::Video, PacketKind::Audio] {
        for direction in Direction::ALL {
            assert_eq!(
                after.packets(direction, kind),
                before.packets(direction, kind),
                "{direction:?} {kind:?}"
            );
        }
    }
    for gauge in [Gauge::Rooms, Gauge::Publishers, Gauge::Viewers, Gauge::Connecting] {
        assert_eq!(after.gauge(gauge), before.gauge(gauge), "{gauge:?}");
    }
    for event in [Event::NackOut, Event::PliOut, Event::SessionOpened, Event::SessionsLimited] {
        assert_eq!(after.event(event), before.event(event), "{event:?}");
    }
    // The control: the camera itself goes on where it was, and what it sends is forwarded.
    let frame = camera.frame(false, 3_000);
    publisher.send(&frame);
    assert!(run(&mut [&mut publisher, &mut viewer], |clients| clients[1].received.len() >= had + frame.len()));
    let good = figures(&shards, 1).traffic.packets_in - room_before.traffic.packets_in;
    println!("the control: {good} good packets, {good} forwarded");
    assert_eq!(good, frame.len() as u64);
}

/// An RTP packet of a key that nobody agreed on.
fn sealed(sealer: &Sealer, ssrc: u32, index: u64) -> Vec<u8> {
    let mut header = vec![0x80, 0xE0];
    header.extend((index as u16).to_be_bytes());
    header.extend((index as u32 * 3_000).to_be_bytes());
    header.extend(ssrc.to_be_bytes());
    let plain = Plain { header: &header, prefix: &[], payload: &[7; 300], ssrc, index };
    let mut bytes = vec![0; header.len() + 300 + sealer.overhead()];
    sealer.seal(&plain, &mut bytes).unwrap();
    bytes
}

/// Sends packets and shows what they are on the wire.
fn send_seen(client: &mut Client, packets: &[Packet], wire: &mut Vec<Vec<u8>>) {
    for packet in packets {
        let now = Instant::now();
        let (pt, sequence) = (packet.payload_type.into(), packet.sequence.into());
        let write = RtpWrite::new(pt, sequence, packet.timestamp, now, packet.payload.clone());
        client.rtc.direct_api().stream_tx(&client.ssrc).unwrap().write_rtp(write.marker(packet.marker));
        client.rtc.handle_input(Input::Timeout(now)).unwrap();
        loop {
            match client.rtc.poll_output().unwrap() {
                Output::Transmit(transmit) => {
                    client.socket.send_to(&transmit.contents, transmit.destination).unwrap();
                    wire.extend(Some(transmit.contents.to_vec()).filter(|bytes| is_media(bytes)));
                }
                Output::Event(_) => {}
                Output::Timeout(_) => break,
            }
        }
    }
}

/// RTP, and not RTCP (RFC 5761).
fn is_media(bytes: &[u8]) -> bool {
    bytes.len() > 500 && bytes[0] >> 6 == 2 && !(192..=223).contains(&bytes[1])
}

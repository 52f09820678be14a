//! str0m, a WebRTC implementation that no other part of this project uses, publishes and views through the relay over
//! WHIP and WHEP; and publishers without end-to-end encryption are shown out with a reason.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::grant::Scope;
use latchkey_wire::payload::{self, Payloads};
use reqwest::Method;
use support::House;
use support::peer::{Peer, run};
use support::sealed::{Track, bitstream, household, open_all};

#[tokio::test]
async fn sealed_frames_of_every_codec_go_through_and_open() {
    for video in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let house = House::new().await;
        let (mut sealer, mut opener) = household();
        let started = Instant::now();
        let (mut camera, session) = Peer::join(&house, Scope::Publish, &[video, Codec::Opus]).await;
        assert_eq!(camera.chosen[&MediaKind::Video].0, video);
        let (mut phone, _) = Peer::join(&house, Scope::View, &Codec::ALL).await;
        run(&mut [&mut camera, &mut phone], "connecting", |peers| peers.iter().all(|peer| peer.connected))
            .await;
        let connected = started.elapsed();

        let (mut pictures, mut sounds) = (Track::new(video), Track::new(Codec::Opus));
        let (mut sent, mut heard) = (Vec::new(), Vec::new());
        let mut next = Instant::now();
        run(&mut [&mut camera, &mut phone], "90 frames of each kind", |peers| {
            if sent.len() < 90 && Instant::now() >= next {
                next += Duration::from_millis(10);
                for (track, kept) in [(&mut pictures, &mut sent), (&mut sounds, &mut heard)] {
                    let frame = track.next(&mut sealer);
                    peers[0].send(track.codec.kind(), frame.timestamp, &frame.payloads);
                    kept.push(frame.plain);
                }
            }
            let frames =
                |kind| peers[1].packets.iter().filter(|packet| packet.kind == kind && packet.marker).count();
            frames(MediaKind::Video) >= 90 && frames(MediaKind::Audio) >= 90 - PROBATION
        })
        .await;

        for (codec, sent) in [(video, &sent), (Codec::Opus, &heard)] {
            let opened: Vec<Vec<u8>> =
                open_all(&mut opener, codec, &phone.packets).into_iter().map(|(_, plain)| plain).collect();
            // The first ones of a track are looked at before any is forwarded; pictures wait meanwhile, sound does not.
            let missed = if codec == Codec::Opus { sent.len() - opened.len() } else { 0 };
            assert!(missed <= PROBATION, "{codec}: {missed} frames missed");
            assert!(opened == sent[missed..], "{codec}: every frame is what the camera sealed");
        }
        assert_eq!(sealer.aead_calls(), 180, "each frame is sealed once");
        println!("{video}: both connected after {} ms", connected.as_millis());
        assert_eq!(session.send(&house, Method::DELETE).await.status(), 200);
        house.relay.shutdown().await;
    }
}

#[tokio::test]
async fn a_viewer_that_comes_later_starts_with_a_key_frame() {
    let house = House::new().await;
    let (mut sealer, mut opener) = household();
    let (mut camera, _) = Peer::join(&house, Scope::Publish, &[Codec::Vp8]).await;
    run(&mut [&mut camera], "connecting", |peers| peers[0].connected).await;
    let mut track = Track::new(Codec::Vp8);
    let mut sent = Vec::new();
    for _ in 0..45 {
        let frame = track.next(&mut sealer);
        camera.send(MediaKind::Video, frame.timestamp, &frame.payloads);
        sent.push(frame.plain);
    }
    let (mut phone, _) = Peer::join(&house, Scope::View, &[Codec::Vp8]).await;
    let mut next = Instant::now();
    run(&mut [&mut camera, &mut phone], "a picture", |peers| {
        if Instant::now() >= next {
            next += Duration::from_millis(33);
            let frame = track.next(&mut sealer);
            peers[0].send(MediaKind::Video, frame.timestamp, &frame.payloads);
            sent.push(frame.plain);
        }
        peers[1].packets.iter().filter(|packet| packet.marker).count() >= 20
    })
    .await;
    let opened = open_all(&mut opener, Codec::Vp8, &phone.packets);
    let first = sent.iter().position(|plain| *plain == opened[0].1).unwrap();
    assert_eq!(first % 30, 0, "frame {first} is a key frame");
    for (plain, (_, opened)) in sent[first..].iter().zip(&opened) {
        assert!(plain == opened, "nothing is missing after it");
    }
    house.relay.shutdown().await;
}

/// It sends no media, so that it learns its round trip by the answer to its own time only (RFC 3611 sections 4.4 and 4.5).
#[tokio::test]
async fn a_viewer_learns_its_round_trip() {
    let house = House::new().await;
    let (mut sealer, _) = household();
    let (mut camera, _) = Peer::join(&house, Scope::Publish, &[Codec::Vp8]).await;
    let (mut phone, _) = Peer::join(&house, Scope::View, &[Codec::Vp8]).await;
    let (mut track, mut next) = (Track::new(Codec::Vp8), Instant::now());
    run(&mut [&mut camera, &mut phone], "a round trip", |peers| {
        if peers[0].connected && Instant::now() >= next {
            next += Duration::from_millis(33);
            let frame = track.next(&mut sealer);
            peers[0].send(MediaKind::Video, frame.timestamp, &frame.payloads);
        }
        peers[1].round_trip.is_some()
    })
    .await;
    println!("the viewer's round trip: {:?}", phone.round_trip.unwrap());
    house.relay.shutdown().await;
}

#[tokio::test]
async fn one_cameras_viewers_are_served_by_every_shard() {
    const PHONES: usize = 12;
    let house = House::with(|config| config.shards = 2).await;
    let (mut sealer, mut opener) = household();
    let (mut camera, _) = Peer::join(&house, Scope::Publish, &[Codec::Vp8, Codec::Opus]).await;
    let mut phones = Vec::new();
    for _ in 0..PHONES {
        phones.push(Peer::join(&house, Scope::View, &Codec::ALL).await.0);
    }
    let mut peers: Vec<_> = [&mut camera].into_iter().chain(&mut phones).collect();
    let (mut pictures, mut sounds) = (Track::new(Codec::Vp8), Track::new(Codec::Opus));
    let (mut sent, mut next) = (Vec::new(), Instant::now());
    run(&mut peers, "60 frames of each kind", |peers| {
        if peers.iter().all(|peer| peer.connected) && Instant::now() >= next {
            next += Duration::from_millis(10);
            for track in [&mut pictures, &mut sounds] {
                let frame = track.next(&mut sealer);
                peers[0].send(track.codec.kind(), frame.timestamp, &frame.payloads);
                sent.extend(frame.payloads);
            }
        }
        let frames = |peer: &Peer, kind| {
            peer.packets.iter().filter(|packet| packet.kind == kind && packet.marker).count()
        };
        let kinds = [MediaKind::Video, MediaKind::Audio];
        peers[1..].iter().all(|phone| kinds.iter().all(|kind| frames(phone, *kind) >= 60))
    })
    .await;
    for phone in &phones {
        for kind in [MediaKind::Video, MediaKind::Audio] {
            let mut got: Vec<_> = phone.packets.iter().filter(|packet| packet.kind == kind).collect();
            got.sort_by_key(|packet| packet.sequence);
            let first = sent.iter().position(|payload| *payload == got[0].payload).unwrap();
            let of_kind =
                sent[first..].iter().filter(|payload| (payload.len() < 300) == (kind == MediaKind::Audio));
            assert!(got.iter().zip(of_kind).all(|(got, sent)| got.payload == *sent), "nothing is missing");
        }
    }
    for codec in [Codec::Vp8, Codec::Opus] {
        let last = phones.last().expect("there are some");
        assert!(open_all(&mut opener, codec, &last.packets).len() >= 60, "every frame opens");
    }
    let rooms: serde_json::Value =
        house.http.get(house.ops("/rooms")).send().await.unwrap().json().await.unwrap();
    assert_eq!(rooms["rooms"][0]["viewers"], PHONES);
    assert_eq!(rooms["rooms"][0]["shards"], serde_json::json!([0, 1]));
    assert!(house.metric("relay_handed_on_packets_total").await >= 120.0, "once per packet, not per phone");
    house.relay.shutdown().await;
}

#[tokio::test]
async fn ipv6_works_like_ipv4_and_one_socket_serves_both() {
    for (bind, public) in [("[::1]:0", None), ("[::]:0", Some("::1")), ("[::]:0", Some("127.0.0.1"))] {
        let house = House::with(|config| {
            config.bind = bind.parse().unwrap();
            config.public_address = public.into_iter().map(|address| address.parse().unwrap()).collect();
        })
        .await;
        let (mut sealer, mut opener) = household();
        let (mut camera, _) = Peer::join(&house, Scope::Publish, &[Codec::Vp8]).await;
        let (mut phone, _) = Peer::join(&house, Scope::View, &[Codec::Vp8]).await;
        let mut track = Track::new(Codec::Vp8);
        run(&mut [&mut camera, &mut phone], "a picture", |peers| {
            if peers.iter().all(|peer| peer.connected) {
                let frame = track.next(&mut sealer);
                peers[0].send(MediaKind::Video, frame.timestamp, &frame.payloads);
            }
            peers[1].packets.iter().filter(|packet| packet.marker).count() >= 10
        })
        .await;
        let opened = open_all(&mut opener, Codec::Vp8, &phone.packets);
        assert!(opened.len() >= 10, "{bind} {public:?}");
        house.relay.shutdown().await;
    }
}

#[tokio::test]
async fn publishers_without_end_to_end_encryption_are_shown_out_with_a_reason() {
    for codec in Codec::ALL {
        let house = House::new().await;
        let (mut camera, session) = Peer::join(&house, Scope::Publish, &[codec]).await;
        run(&mut [&mut camera], "connecting", |peers| peers[0].connected).await;
        let mut number = 0;
        let mut ended = None;
        let until = Instant::now() + support::LIMIT;
        while ended.is_none() {
            assert!(Instant::now() < until, "{codec} in clear is still there");
            camera.send(codec.kind(), 90_000 + number * 3_000, &in_clear(codec, number));
            number += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            let shown = session.send(&house, Method::GET).await;
            if shown.status() != 200 {
                ended = Some(support::problem(shown).await);
            }
        }
        let why = ended.unwrap();
        assert_eq!(
            (why.status, why.code.as_str(), why.reason.as_deref()),
            (410, "frames-not-sealed", Some("not_sealed"))
        );
        assert!(
            why.detail.contains(&codec.to_string()) && why.detail.contains("SFrame"),
            "{codec}: {}",
            why.detail
        );
        println!("{codec}: {}", why.detail);
        house.metric_reaches("relay_session_end_total{reason=\"not_sealed\"}", 1.0).await;
        assert_eq!(house.relay.sessions(), 0);
        assert!(!house.relay.is_live(support::ROOM).await);
        house.relay.shutdown().await;
    }
}

/// Frames of a track that the relay looks at before it forwards any.
const PROBATION: usize = 8;

/// The payloads of a frame as any WebRTC client sends it.
fn in_clear(codec: Codec, number: u32) -> Vec<Vec<u8>> {
    let key = number.is_multiple_of(30);
    let frame = bitstream(codec, key, number);
    if codec == Codec::Av1 {
        // One OBU element without its size field (AV1 RTP specification, section 4.4); keys begin a sequence.
        return vec![[&[if key { 0x18 } else { 0x10 }, 0x30][..], &frame[2..900]].concat()];
    }
    let mut payloads = Payloads::new();
    payload::split(codec, &frame, key, 1_040, &mut payloads).unwrap();
    payloads.iter().map(<[u8]>::to_vec).collect()
}

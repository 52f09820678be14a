//! Only sealed media is forwarded: plaintext of any codec is refused by name before a byte of it goes out.

#![allow(clippy::unwrap_used)]

mod simulation;

use latchkey_relay_core::{DropReason, Event, TrackId};
use latchkey_wire::codec::Codec;
use latchkey_wire::rtp::RtpHeader;
use latchkey_wire::shape::{FRAMES_TO_SETTLE, Refusal};
use simulation::{Camera, Scene};

const VIEWER: u64 = 1;

/// A codec, how its plaintext is refused, and its packets.
type Plain = (Codec, Refusal, fn(usize) -> Vec<u8>);

#[test]
fn nothing_goes_out_before_the_shape_is_settled() {
    for codec in Codec::ALL {
        let mut scene = Scene::new(Camera::new(codec, 1));
        scene.join(VIEWER);
        for index in 0..FRAMES_TO_SETTLE {
            assert_eq!(scene.log.sent.len(), 0, "{codec}");
            scene.frame(index == 0, 100);
        }
        scene.frame(false, 100);
        assert!(!scene.log.media(VIEWER).is_empty(), "{codec}");
        assert_eq!(accepted(&scene), 1, "{codec}");
        assert_eq!(scene.room.refusal(scene.track), None);
    }
}

#[test]
fn plaintext_is_refused_by_name() {
    let plain: [Plain; 5] = [
        (Codec::H264, Refusal::NoEnvelope, |index| match index {
            0 => vec![0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF, 0xE5, 0xC0],
            _ => [vec![0x41, 0x9A, 0x21, 0x6C, 0x45], vec![0x5A; 300]].concat(),
        }),
        (Codec::Vp8, Refusal::NoEnvelope, |index| match index {
            0 => [vec![0x10, 0x50, 0x42, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01], vec![0x5A; 300]]
                .concat(),
            _ => [vec![0x10, 0x51, 0x12, 0x00], vec![0x5A; 300]].concat(),
        }),
        (Codec::Vp9, Refusal::KeyId, |_| [vec![0x0C, 0x82, 0x49, 0x83, 0x42], vec![0x5A; 300]].concat()),
        (Codec::Av1, Refusal::NoEnvelope, |_| {
            [vec![0x18, 0x0A, 0x0B, 0, 0, 0, 0x24], vec![0x5A; 300]].concat()
        }),
        (Codec::Opus, Refusal::KeyId, |_| [vec![0x78], vec![0x5A; 80]].concat()),
    ];
    for (codec, expected, payload) in plain {
        let mut scene = Scene::new(Camera::new(codec, 2));
        scene.join(VIEWER);
        for index in 0..200 {
            let packet = bare_packet(&scene.camera, index as u16, &payload(index));
            scene.deliver(&[packet]);
        }
        assert_eq!(scene.log.sent.len(), 0, "{codec}: not a packet goes out");
        let refusal = scene.room.refusal(scene.track).unwrap_or_else(|| panic!("{codec} is not refused"));
        let refused = Event::TrackRefused { track: scene.track, reason: refusal };
        assert_eq!(scene.events.iter().filter(|event| **event == refused).count(), 1, "{codec}: named once");
        assert!(refusal.to_string().contains("not sealed"), "{codec}: {refusal}");
        assert!(scene.room.take_stats().dropped(DropReason::Unsealed) > 100, "{codec}: counted");
        assert_eq!(refusal, expected, "{codec}");
    }
}

#[test]
fn a_publisher_that_stops_sealing_is_cut_off_at_that_packet() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 3));
    scene.join(VIEWER);
    scene.open();
    let before = scene.log.sent.len();
    let sequence = scene.camera.sequence;
    let plain = [vec![0x10, 0x51, 0x12, 0x00], vec![0x5A; 300]].concat();
    let packet = bare_packet(&scene.camera, sequence, &plain);
    scene.deliver(&[packet]);
    scene.frame(true, 300);
    assert_eq!(scene.log.sent.len(), before);
    assert_eq!(scene.room.refusal(scene.track), Some(Refusal::NoEnvelope));
}

#[test]
fn another_publisher_is_judged_anew() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 4));
    scene.join(VIEWER);
    let packet = bare_packet(&scene.camera, 0, &[0x10, 0x51, 0x12, 0x00, 0x5A]);
    scene.deliver(&[packet]);
    assert!(scene.room.refusal(scene.track).is_some());
    scene.camera = Camera::new(Codec::Vp8, 5);
    scene.room.replace(scene.track, scene.camera.params()).unwrap();
    assert_eq!(scene.room.refusal(scene.track), None);
    scene.open();
    assert!(!scene.log.media(VIEWER).is_empty());
}

#[test]
fn garbage_is_dropped_and_counted() {
    let mut scene = Scene::new(Camera::new(Codec::H264, 6));
    assert_eq!(scene.room.ingest(&[], scene.now), Err(DropReason::Malformed));
    assert_eq!(scene.room.ingest(&[0x80; 11], scene.now), Err(DropReason::Malformed));
    let mut packet = scene.camera.frame(true, 40).packets.remove(0);
    packet[1] = 77;
    assert_eq!(scene.room.ingest(&packet, scene.now), Err(DropReason::UnknownTrack));
    packet[1] = simulation::MEDIA_PT;
    assert_eq!(scene.room.ingest(&packet, scene.now), Ok(TrackId(0)));
    packet.extend(vec![0; 4000]);
    packet[3] = packet[3].wrapping_add(1);
    assert_eq!(scene.room.ingest(&packet, scene.now), Err(DropReason::TooLarge));
    let stats = scene.room.take_stats();
    let counted = DropReason::ALL.map(|reason| stats.dropped(reason));
    assert_eq!(counted.iter().sum::<u64>(), 4);
    assert_eq!(stats.dropped(DropReason::Malformed), 2);
    let labels: std::collections::BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.label()).collect();
    assert_eq!(labels.len(), DropReason::ALL.len());
}

fn bare_packet(camera: &Camera, sequence_number: u16, payload: &[u8]) -> Vec<u8> {
    let header = RtpHeader {
        marker: true,
        payload_type: simulation::MEDIA_PT,
        sequence_number,
        timestamp: camera.timestamp.wrapping_add(u32::from(sequence_number) * 3000),
        ssrc: camera.ssrc,
    };
    let mut packet = vec![0; 12];
    let _ = header.write(false, &mut packet).unwrap();
    packet.extend(payload);
    packet
}

fn accepted(scene: &Scene) -> usize {
    scene.events.iter().filter(|event| matches!(event, Event::TrackAccepted { .. })).count()
}

//! RTCP reports: each leg's sender report matches its own time line, and the publisher hears how its packets arrive.

#![allow(clippy::unwrap_used)]

mod simulation;

use std::time::Duration;

use latchkey_relay_core::{Event, SenderReport, SubscriberId};
use latchkey_wire::codec::Codec;
use latchkey_wire::rtcp::ReceptionReport;
use simulation::{Camera, Scene};

#[test]
fn every_leg_gets_a_report_each_second_on_its_own_time_line() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 1));
    (0..25).for_each(|viewer| scene.join(viewer));
    scene.open();
    let (ntp, timestamp, at) = (0xE000_0000_8000_0000, scene.camera.timestamp, scene.now);
    scene.room.sender_report(scene.camera.ssrc, ntp, timestamp, at);
    scene.log.reports.clear();
    (0..90).for_each(|_| scene.frame(false, 300));
    for viewer in 0..25 {
        let reports: Vec<&SenderReport> =
            scene.log.reports.iter().filter(|report| report.subscriber == SubscriberId(viewer)).collect();
        assert!((2..=3).contains(&reports.len()), "{} reports in three seconds", reports.len());
        let offset = viewer as u32 * 1_000_003;
        for report in &reports {
            assert_eq!(report.ssrc, simulation::media_ssrc(viewer));
            let passed = report.ntp - ntp;
            let ticks = (u128::from(passed) * 90_000) >> 32;
            let expected = timestamp.wrapping_add(offset).wrapping_add(ticks as u32);
            assert!(
                report.rtp_timestamp.wrapping_sub(expected).wrapping_add(2) <= 4,
                "same instant in both clocks"
            );
        }
        let last = reports.last().unwrap();
        assert!(last.packets > 0 && last.packets as usize <= scene.log.media(viewer).len());
        let octets: usize = scene.log.media(viewer).iter().map(|sent| sent.view().payload().len()).sum();
        assert!(last.octets > 0 && last.octets as usize <= octets);
    }
}

#[test]
fn capture_times_serve_until_the_publisher_reports() {
    let mut scene = Scene::new(Camera::new(Codec::Av1, 2));
    scene.join(1);
    scene.open();
    scene.pass(Duration::from_secs(1));
    let report = scene.log.reports.last().copied().unwrap();
    let stamped = report.rtp_timestamp.wrapping_sub(1_000_003);
    assert!((report.ntp >> 32) as u32 > scene.camera.timestamp.wrapping_sub(3000 * 10));
    let since = stamped.wrapping_sub(scene.camera.timestamp);
    assert!(since < 90_000 * 2, "just now on the camera's time line");
}

#[test]
fn a_leg_that_has_sent_nothing_reports_nothing() {
    let mut scene = Scene::new(Camera::new(Codec::H264, 3));
    scene.join(1);
    scene.pass(Duration::from_secs(5));
    assert_eq!(scene.log.reports, []);
}

#[test]
fn the_publisher_hears_about_loss() {
    let mut scene = Scene::new(Camera::new(Codec::Vp8, 4));
    scene.open();
    scene.pass(Duration::from_secs(1));
    scene.events.clear();
    let mut sent = 0;
    for _ in 0..40 {
        let mut packets = scene.make_frame(false, 1500);
        sent += packets.len();
        packets.remove(3);
        scene.deliver(&packets);
        scene.pass(simulation::FRAME);
    }
    scene.pass(Duration::from_secs(1));
    let reports: Vec<ReceptionReport> = scene
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Reception { report, .. } => Some(*report),
            _ => None,
        })
        .collect();
    let last = reports.last().unwrap();
    assert_eq!(last.ssrc, scene.camera.ssrc);
    assert_eq!(last.total_lost, 40);
    assert_eq!(last.highest_sequence_number as u16, scene.camera.sequence.wrapping_sub(1));
    let share = 256 * 40 / sent as u32;
    assert!(reports.iter().any(|report| u32::from(report.fraction_lost).abs_diff(share) <= 8));
}

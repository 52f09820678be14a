//! Where a relay can stand: on IPv6, on both families at once, behind the NAT of a home or a container's.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

#[path = "../support/mod.rs"]
mod support;

mod families;
mod nat;
mod network;

use std::path::Path;
use std::time::{Duration, Instant};

use latchkey_loadtest::household::{Device, is};
use latchkey_loadtest::process::Process;
use latchkey_loadtest::server::Server;

use crate::support::{LIMIT, clip};

/// Frames that a viewer must open before it counts as watching.
const FRAMES: u64 = 50;

/// Starts a camera with the clip and returns it once it sends.
fn sending(camera: &Device, dir: &Path) -> Process {
    let mut process = camera.camera(dir, &[&clip().to_string_lossy()]).expect("the camera starts");
    process
        .wait_for("that it sends", LIMIT, |event| is(event, "sending").then_some(()))
        .expect("the camera sends");
    process
}

/// Lets a viewer open [`FRAMES`] frames and returns how long that took.
fn watch(viewer: &Device, camera: &Device, dir: &Path) -> Duration {
    let begin = Instant::now();
    let mut process =
        viewer.view(dir, &camera.id, &["--frames", &FRAMES.to_string()]).expect("a viewer starts");
    let mut opened = 0;
    process
        .wait_for("that it has its frames", LIMIT, |event| {
            if is(event, "stats") {
                opened = event["opened_video"].as_u64().expect("a number of frames");
                let mut failed = event["failed"].as_object().expect("reasons with their numbers").clone();
                // What the camera sealed before it let this viewer in stays shut, as it should.
                failed.remove("unknown_epoch");
                assert!(failed.is_empty(), "frames that do not open: {failed:?}");
            }
            is(event, "ended").then_some(())
        })
        .expect("the viewer has its frames");
    assert_eq!(process.wait(LIMIT).expect("the viewer ends"), Some(0));
    assert!(opened >= FRAMES, "{opened} frames");
    begin.elapsed()
}

/// The addresses that the server's answers name, as its log tells them.
fn candidates(server: &mut Server) -> String {
    let log = std::fs::read_to_string(server.process().log()).expect("the server's log");
    let line =
        log.lines().rev().find(|line| line.contains("relay runs")).expect("the relay says that it runs");
    line.split("candidates").nth(1).expect("it says where").to_owned()
}

//! What runs: shown while it runs, stopped by Ctrl-C and by a service manager, read by a player.

use std::process::{Command, Stdio};

use latchkey_api::device_list::Role;

use crate::clips::clip;
use crate::program::{Running, aside, copy_device, ended, household, latchkey, start};

#[tokio::test(flavor = "multi_thread")]
async fn camera_and_viewer_tell_each_step_and_stop_in_order() {
    let house = household(&[(Role::Camera, "door")]).await;
    let (ada, door) = (house.home("ada"), house.home("door"));
    aside(move || {
        let clip = clip();
        for signal in ["INT", "TERM"] {
            let camera = Running::start(&door, &["camera", "--source", clip.to_str().unwrap()]);
            println!("{}", camera.err("sealing"));
            println!("{}", camera.err("first frame"));
            let viewer = Running::start(&ada, &["view", "door"]);
            println!("{}", viewer.err("first frame"));
            let (status, said) = viewer.signal(signal);
            assert_eq!(status, Some(0), "{signal}: {said}");
            assert!(said.contains("failed 0"), "{said}");
            let (status, said) = camera.signal(signal);
            assert_eq!(status, Some(0), "{signal}: {said}");
            assert!(said.lines().last().unwrap().contains("stopped"), "{said}");
        }
        // Without a camera there is nothing to see, which is no good end.
        let viewer = Running::start(&ada, &["view", "door"]);
        viewer.err("the camera is not sending now");
        let (status, said) = viewer.signal("INT");
        assert_eq!(status, Some(1), "{said}");
        let last = said.lines().last().unwrap();
        println!("{last}");
        assert!(last.contains("no picture: the camera is not sending now; check that"), "{last}");
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_behind_a_pipe_knows_the_picture() {
    let house = household(&[(Role::Camera, "door")]).await;
    let (ada, door) = (house.home("ada"), house.home("door"));
    aside(move || {
        let camera = Running::start(&door, &["camera", "--source", clip().to_str().unwrap()]);
        camera.err("first frame");
        let mut viewer = start(latchkey(&ada, &["view", "door", "--out", "-"]).stderr(Stdio::null()));
        let mut player = Command::new("ffprobe");
        player
            .args(["-loglevel", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0"])
            .args(["-analyzeduration", "1000000", "-probesize", "20000", "-i", "-"])
            .stdin(viewer.stdout.take().unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let playing = start(&mut player);
        // It keeps its end of the pipe, and the viewer would never learn that its reader has gone.
        drop(player);
        let player = playing.wait_with_output().unwrap();
        let seen = String::from_utf8(player.stdout).unwrap();
        println!("ffprobe: {seen}");
        assert!(seen.starts_with("h264,"), "{seen} {}", String::from_utf8_lossy(&player.stderr));
        assert!(ended(&mut viewer).success(), "a player that is closed is an ordinary end");
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_never_sent_has_failed() {
    let house = household(&[(Role::Camera, "door")]).await;
    let dir = tempfile::tempdir().unwrap();
    let door = dir.path().join("door");
    std::fs::create_dir(&door).unwrap();
    copy_device(&house.home("door"), &door);
    house.close().await;
    aside(move || {
        let clip = clip();
        let words = ["camera", "--source", clip.to_str().unwrap(), "--duration", "5"];
        let (status, _, said) = Running::start(&door, &words).end();
        let last = said.lines().last().unwrap();
        println!("{last}");
        assert_eq!(status, Some(1), "{said}");
        assert!(last.contains("nothing was sent: the server at"), "{said}");
        assert!(!said.contains("os error"), "{said}");
    })
    .await;
}

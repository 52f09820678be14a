//! A camera given away, with the commands: its old owner opens nothing after, its new owner opens.
//!
//! That the new owner opens nothing from before is shown in the tests of `latchkey-e2ee`, frame by frame.

use latchkey::camera::{Camera, CameraConfig, CameraHandle};
use latchkey::source::spec::SourceSpec;
use latchkey::viewer::{Ended, Viewer, ViewerConfig};
use latchkey_api::device_list::Role;

use crate::command::said;
use crate::house::{House, LIMIT, clip, eventually};

async fn camera(house: &House) -> CameraHandle {
    let camera =
        Camera::start(CameraConfig::new(house.home("door"), SourceSpec::file(clip()))).await.unwrap();
    eventually("the camera seals", || camera.stats().aead_calls > 5).await;
    camera
}

#[tokio::test(flavor = "multi_thread")]
async fn after_transfer_and_reset_the_old_owner_opens_nothing_and_the_new_one_watches() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    let running = camera(&house).await;
    let viewer = |name: &str, stop_after| {
        let mut config = ViewerConfig::new(house.home(name), "door");
        config.stop_after = stop_after;
        config
    };

    // Control: before the transfer the old owner opens.
    let watching = Viewer::start(viewer("ada", Some(20))).await.unwrap();
    assert_eq!(tokio::time::timeout(LIMIT, watching.wait()).await, Ok(Ended::Enough));
    let control_old = watching.stats().opened_video;
    watching.stop().await;

    said(&house.home("ada"), &["camera", "transfer", "door"]).await;
    running.stop().await;
    said(&house.home("door"), &["camera", "reset", "--yes"]).await;
    assert!(!house.home("door").join("device.vault").exists());

    // A new household on the same server pairs it.
    house.found("mia").await;
    house.add("mia", Role::Camera, "door").await;
    let running = camera(&house).await;
    // The old owner does not find it, whatever it kept.
    let old = Viewer::start(viewer("ada", Some(1))).await;
    let old_after = match old {
        Ok(watching) => {
            let _ = tokio::time::timeout(std::time::Duration::from_secs(3), watching.wait()).await;
            let opened = watching.stats().opened_video + watching.stats().opened_audio;
            watching.stop().await;
            opened
        }
        Err(error) => {
            println!("the old owner: {error}");
            0
        }
    };
    let watching = Viewer::start(viewer("mia", Some(20))).await.unwrap();
    assert_eq!(tokio::time::timeout(LIMIT, watching.wait()).await, Ok(Ended::Enough));
    let control_new = watching.stats().opened_video;
    watching.stop().await;
    running.stop().await;
    println!("handover: old_before={control_old} old_after={old_after} new_after={control_new}");
    assert_eq!(old_after, 0);
    assert!(control_old > 0 && control_new > 0);
    house.close().await;
}

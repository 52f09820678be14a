//! `devices`: the table, removing with the camera's record, changing, renaming, and what is refused.

use latchkey::camera::{Camera, CameraConfig};
use latchkey::event::Event;
use latchkey::home;
use latchkey::source::spec::SourceSpec;
use latchkey_api::device_list::Role;

use crate::command::{objects, refused, said};
use crate::house::{House, LIMIT, clip, eventually};

/// The newest list version that this device has, by the server.
async fn version(house: &House, name: &str) -> u64 {
    let mut home = home::look(&house.home(name)).unwrap();
    let signaling = home.signaling();
    home.refresh(&signaling).await.unwrap();
    home.list().unwrap().version
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_waits_for_the_cameras_record_and_all_are_told() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house.add("ada", Role::Viewer, "bob").await;
    let camera =
        Camera::start(CameraConfig::new(house.home("door"), SourceSpec::file(clip()))).await.unwrap();
    let mut events = camera.events();
    eventually("the camera seals", || camera.stats().aead_calls > 5).await;

    let seen = objects(&house.home("ada"), &["devices", "remove", "bob", "--wait", "30s"]).await;
    println!("{seen:#?}");
    assert_eq!(seen[0]["event"], "removed");
    let changed = seen.iter().find(|object| object["event"] == "camera_changed_keys").unwrap();
    assert_eq!(changed["camera"], "door");
    println!("removal: record after {} ms", changed["ms"]);
    assert!(seen.iter().all(|object| object["event"] != "removal_pending" && object["event"] != "alarm"));

    let told = async {
        loop {
            if let Event::Notice(notice) = events.recv().await.unwrap()
                && notice.code == "device-removed"
            {
                return notice;
            }
        }
    };
    let notice = tokio::time::timeout(LIMIT, told).await.unwrap();
    assert_eq!(notice.text, "\"ada\" removed \"bob\" (viewer) from the household");
    camera.stop().await;

    // A camera that is off: said so, and no failure.
    house.add("ada", Role::Viewer, "eve").await;
    let seen = objects(&house.home("ada"), &["devices", "remove", "eve", "--wait", "1s"]).await;
    let pending = seen.iter().find(|object| object["event"] == "removal_pending").unwrap();
    assert_eq!(pending["camera"], "door");
    let sentence = refused(&house.home("bob"), &["devices", "remove", "ada"], "", 1).await;
    assert!(sentence.contains("it was removed from the household"), "{sentence}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_are_shown_changed_and_renamed() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house.add("ada", Role::Viewer, "bob").await;
    let ada = house.home("ada");

    said(&ada, &["devices", "change", "bob", "--rights", "see,talk", "--cameras", "door", "--until", "3d"])
        .await;
    said(&ada, &["devices", "rename", "bob", "Bob's phone"]).await;
    let table = said(&ada, &["devices"]).await;
    assert!(table.contains("Bob's phone") && table.contains("see talk") && table.contains("UTC"), "{table}");
    let seen = objects(&ada, &["devices"]).await;
    let devices = seen[0]["devices"].as_array().unwrap();
    let bob = devices.iter().find(|device| device["name"] == "Bob's phone").unwrap();
    assert_eq!(bob["rights"], serde_json::json!(["see", "talk"]));
    assert_eq!(bob["cameras"], serde_json::json!(["door"]));
    assert_eq!((&bob["added_by"], &bob["added_in"]), (&"this device".into(), &3.into()));
    said(&ada, &["devices", "change", "Bob's phone", "--cameras", "all", "--until", "never"]).await;
    let seen = objects(&ada, &["devices"]).await;
    let bob =
        seen[0]["devices"].as_array().unwrap().iter().find(|device| device["role"] == "viewer").unwrap();
    assert!(bob.get("not_after").is_none() && bob.get("cameras").is_none(), "{bob}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_one_sentence_and_nothing_is_lost() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    house.add("ada", Role::Viewer, "bob").await;
    let (ada, bob) = (house.home("ada"), house.home("bob"));
    let before = version(&house, "ada").await;
    for (home, args, part) in [
        (&ada, vec!["devices", "remove", "nobody"], "there is"),
        (&ada, vec!["devices", "remove", "ada"], "last admin"),
        (&bob, vec!["devices", "remove", "door"], "only an admin"),
        (&ada, vec!["devices", "change", "door", "--rights", "see"], "is a camera"),
        (&ada, vec!["devices", "change", "ada", "--until", "3d"], "admins may use all cameras"),
        (&ada, vec!["devices", "change", "bob"], "--rights"),
        (&ada, vec!["devices", "change", "bob", "--until", "soon"], "write it like"),
        (&ada, vec!["devices", "change", "bob", "--until", "1999-01-01"], "not in the future"),
        (&ada, vec!["devices", "change", "bob", "--cameras", "garden"], "no camera is called"),
        (&ada, vec!["devices", "change", "bob", "--rights", "see,none"], "none"),
        (&ada, vec!["devices", "rename", "bob", "bob"], "already"),
        (&ada, vec!["devices", "rename", "bob", &"x".repeat(400)], "name"),
        (&ada, vec!["camera", "transfer", "bob"], "no camera is called"),
        (&bob, vec!["camera", "reset", "--yes"], "no camera but a viewer"),
        (&house.home("door"), vec!["camera", "reset"], "--yes"),
    ] {
        let sentence = refused(home, &args, "", 2).await;
        assert!(sentence.contains(part), "{args:?}: {sentence}");
    }
    assert_eq!(version(&house, "ada").await, before, "no list was signed");
    house.close().await;
}

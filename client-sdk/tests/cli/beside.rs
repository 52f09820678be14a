//! Two commands on one device's folder at once: the second only looks, and still sees what the cameras do.

use std::path::Path;

use latchkey_api::device_list::Role;
use serde_json::Value;

use crate::clips::clip;
use crate::program::{Running, aside, household, latchkey, run};

/// Removes a device; returns the cameras that have changed their keys since.
fn removed(home: &Path, name: &str) -> Vec<String> {
    let output = run(&mut latchkey(home, &["--json", "devices", "remove", name, "--wait", "25s"]));
    let said = String::from_utf8(output.stdout).unwrap();
    println!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let objects = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut changed = Vec::new();
    for object in objects {
        let event = object["event"].as_str().unwrap();
        assert!(!["alarm", "removal_pending"].contains(&event), "{object}");
        if event == "camera_changed_keys" {
            changed.push(object["camera"].as_str().unwrap().to_owned());
        }
    }
    changed.sort_unstable();
    changed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_sees_cameras_change_their_keys_beside_a_command_that_follows_none_or_one() {
    let devices =
        [(Role::Camera, "door"), (Role::Camera, "yard"), (Role::Viewer, "bob"), (Role::Viewer, "eve")];
    let house = household(&devices).await;
    let home = |name| house.home(name);
    let (ada, door, yard, new) = (home("ada"), home("door"), home("yard"), home("new"));
    aside(move || {
        let clip = clip();
        let cameras = [door, yard].map(|home| {
            let camera = Running::start(&home, &["--json", "camera", "--source", clip.to_str().unwrap()]);
            camera.out("first_frame");
            camera
        });

        // It holds the folder for as long as it waits, and follows no camera's group.
        let inviting = Running::start(&ada, &["invite", "--role", "viewer", "--name", "dan"]);
        let code = inviting.out("latchkey1-");
        assert_eq!(removed(&ada, "bob"), ["door", "yard"]);
        let mut joining = Running::start(&new, &["join", "-"]);
        joining.answer(&code);
        let (status, _, said) = joining.end();
        assert_eq!(status, Some(0), "{said}");
        assert_eq!(inviting.end().0, Some(0));

        // It holds the folder and follows one of two groups. What the look before has read came to it all the same.
        let viewing = Running::start(&ada, &["--json", "view", "door"]);
        viewing.out("first_frame_opened");
        assert_eq!(removed(&ada, "eve"), ["door", "yard"]);
        assert_eq!(viewing.signal("INT").0, Some(0));

        // Nobody else holds it.
        assert_eq!(removed(&ada, "dan"), ["door", "yard"]);
        for camera in cameras {
            assert_eq!(camera.signal("INT").0, Some(0));
        }
    })
    .await;
    house.close().await;
}

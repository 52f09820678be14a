//! The doctor: each step with its time or its reason, whatever is wrong.

use std::path::Path;

use latchkey_api::device_list::Role;
use serde_json::Value;

use crate::clips::clip;
use crate::program::{Running, aside, copy_device, household, latchkey, run};

/// The lines of a report, in their order.
const STEPS: [&str; 11] = [
    "device",
    "signed in at the server",
    "clock",
    "device list",
    "let in by the relay",
    "path to the relay (ICE)",
    "hop secured (DTLS)",
    "first packet",
    "frame key known",
    "first frame",
    "camera's signed record",
];

/// Runs the doctor for people and for machines; returns its code and how each step stands, in the order of [`STEPS`].
fn examine(home: &Path) -> (Option<i32>, [&'static str; 11], String) {
    let output = run(&mut latchkey(home, &["doctor", "--patience", "12"]));
    let told = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    println!("{told}{said}");
    let titles = told.lines().filter(|line| !line[..8].trim().is_empty()).filter_map(|line| line.get(8..34));
    let titles: Vec<&str> = titles.map(str::trim_end).filter(|title| STEPS.contains(title)).collect();
    let failed_early = told.contains("FAIL");
    assert!(!failed_early || titles == STEPS, "every step in its order: {titles:?}");
    let states = STEPS.map(|step| {
        let mut lines =
            told.lines().filter(|line| line.get(8..34).is_some_and(|title| title.trim_end() == step));
        let line = lines.next().unwrap_or_else(|| panic!("{step} is missing in\n{told}"));
        assert!(lines.next().is_none(), "{step} stands twice in\n{told}");
        let timed = line.contains(" ms");
        match line[..8].trim() {
            "ok" if timed => "ok",
            "FAIL" if timed => "FAIL",
            "-" if line.ends_with("not reached") => "-",
            "-" if line.ends_with("not tried") => "not tried",
            _ => panic!("{line}"),
        }
    });
    let failed = states.contains(&"FAIL");
    assert_eq!(output.status.success(), !failed, "{told}");
    assert_eq!(said.lines().count(), usize::from(failed), "one sentence: {said}");
    assert!(!told.contains("os error") && !said.contains("os error"), "{told}{said}");

    let output_json = run(&mut latchkey(home, &["doctor", "--json", "--patience", "12"]));
    let lines = String::from_utf8(output_json.stdout).unwrap();
    let objects: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let steps = objects.iter().filter(|object| object["event"] == "doctor");
    assert_eq!(steps.clone().filter(|object| object["ok"] == true).count(), count(&states, "ok"), "{lines}");
    assert_eq!(
        steps.filter(|object| object["reason"].is_string()).count(),
        count(&states, "FAIL"),
        "{lines}"
    );
    assert_eq!(output_json.status.code(), output.status.code());
    (output.status.code(), states, told)
}

fn count(states: &[&str], wanted: &str) -> usize {
    states.iter().filter(|state| **state == wanted).count()
}

#[test]
fn a_folder_without_a_device() {
    let dir = tempfile::tempdir().unwrap();
    let (code, states, told) = examine(&dir.path().join("nobody"));
    assert_eq!(code, Some(2));
    assert_eq!(states, ["FAIL", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-"]);
    assert!(told.contains("latchkey join"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_is_on_and_off_and_a_device_that_was_never_let_in() {
    let house = household(&[(Role::Camera, "door")]).await;
    let (ada, door) = (house.home("ada"), house.home("door"));
    aside(move || {
        let (code, states, told) = examine(&ada);
        assert_eq!(code, Some(1));
        assert_eq!(states, ["ok", "ok", "ok", "ok", "FAIL", "-", "-", "-", "FAIL", "-", "-"]);
        assert!(told.contains("the camera is not sending now"), "{told}");
        assert!(told.contains("has not let this device into its group yet"), "{told}");
        assert_eq!(told.matches("has not let").count(), 1, "said once: {told}");

        let (code, states, told) = examine(&door);
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(states[..7], ["ok"; 7]);
        assert_eq!(states[7..], ["not tried"; 4], "a camera's doctor sends nothing");

        let camera = Running::start(&door, &["camera", "--source", clip().to_str().unwrap()]);
        camera.err("first frame");
        let (code, states, told) = examine(&ada);
        assert_eq!(code, Some(0));
        assert_eq!(states, ["ok"; 11]);
        assert!(told.contains("keys locked by the key file") && told.contains("on device list 2"), "{told}");

        let (code, states, told) = examine(&door);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("running in another process") && states[4] == "not tried", "{told}");
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down() {
    let house = household(&[(Role::Camera, "door")]).await;
    let dir = tempfile::tempdir().unwrap();
    for name in ["ada", "door"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        copy_device(&house.home(name), &dir.path().join(name));
    }
    house.close().await;
    aside(move || {
        for name in ["ada", "door"] {
            let (code, states, told) = examine(&dir.path().join(name));
            assert_eq!(code, Some(1));
            assert_eq!(states, ["ok", "FAIL", "-", "-", "-", "-", "-", "-", "-", "-", "-"]);
            assert!(told.contains("does not answer") && told.contains("check the address"), "{told}");
        }
    })
    .await;
}

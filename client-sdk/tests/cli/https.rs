//! Over HTTPS by a household CA: a real camera and viewer with `--ca`, and the doctor that looks from outside.

use std::net::UdpSocket;
use std::path::Path;

use latchkey_api::device_list::Role;
use serde_json::Value;

use crate::clips::clip;
use crate::program::{
    Running, aside, dead_address, household_over_https, latchkey, refused, refused_with, run,
};

const WAYS: [&str; 6] = ["name", "tcp", "tls", "http", "websocket", "media"];

/// What the doctor found of each way, in the order of [`WAYS`]: open, shut or not tried; its code and its lines for people.
fn look(words: &[&str]) -> (Option<i32>, [Option<bool>; 6], String) {
    let nowhere = Path::new("/nonexistent/home");
    let doctor = |more: &[&str]| {
        let words = [&["doctor", "--patience", "10", "--from-outside"], words, more].concat();
        run(&mut latchkey(nowhere, &words))
    };
    let output = doctor(&[]);
    let told = String::from_utf8(output.stdout).unwrap();
    println!("{told}{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(doctor(&["--json"]).stdout).unwrap();
    let objects: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = WAYS.map(|way| {
        let mut of_way = objects.iter().filter(|object| object["event"] == "outside" && object["way"] == way);
        let object = of_way.next().unwrap_or_else(|| panic!("{way} is missing in\n{lines}"));
        assert!(of_way.next().is_none(), "{way} stands twice in\n{lines}");
        object["open"].as_bool()
    });
    let shut = found.contains(&Some(false));
    assert_eq!(output.status.code(), Some(i32::from(shut)), "{told}");
    assert_eq!(told.contains("what to do:"), shut, "what is shut comes with what to do: {told}");
    (output.status.code(), found, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_is_watched_by_who_trusts_the_household_ca() {
    let (house, ca) = household_over_https(&[(Role::Camera, "door")], |_| {}).await;
    assert!(house.url().starts_with("https://"), "{}", house.url());
    let (ada, door) = (house.home("ada"), house.home("door"));
    aside(move || {
        let (ca, clip) = (ca.to_str().unwrap(), clip());
        let camera = Running::start(&door, &["--ca", ca, "camera", "--source", clip.to_str().unwrap()]);
        println!("{}", camera.err("first frame"));
        let mut viewing = latchkey(&ada, &["view", "door", "--frames", "30"]);
        let output = run(viewing.env("LATCHKEY_CA", ca));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains("failed 0"), "{said}");

        let sentence = refused_with(1, &ada, &["household", "export"]);
        assert!(
            sentence.contains("nobody whom this machine trusts") && sentence.contains("--ca"),
            "{sentence}"
        );
        let sentence = refused(&ada, &["--ca", "/nonexistent/ca.crt", "devices"]);
        assert!(sentence.contains("cannot read the CA certificate /nonexistent/ca.crt"), "{sentence}");
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_outside_everything_is_open_or_said_to_be_shut() {
    let (house, ca) = household_over_https(&[], |_| {}).await;
    let url = house.url().to_owned();
    aside(move || {
        let ca = ca.to_str().unwrap();
        let (code, found, told) = look(&[&url, "--ca", ca]);
        assert_eq!((code, found), (Some(0), [Some(true); 6]), "{told}");
        assert!(told.contains("days more") && told.contains("sees this machine as 127.0.0.1"), "{told}");

        let (code, found, told) = look(&[&url]);
        assert_eq!((code, found[2], found[5]), (Some(1), Some(false), None), "{told}");
        assert!(told.contains("nobody whom this machine trusts vouches"), "{told}");

        let (_, found, told) = look(&[&url.replace("https://", "http://")]);
        assert_eq!(found, [Some(true), Some(true), None, Some(true), Some(true), Some(true)], "{told}");

        let (_, found, told) = look(&[&format!("https://{}", dead_address())]);
        assert_eq!(found, [Some(true), Some(false), None, None, None, None], "{told}");
        assert!(told.contains("is closed"), "{told}");

        for wrong in ["cam.example.org", "ftp://cam.example.org"] {
            let sentence = refused(Path::new("/nonexistent/home"), &["doctor", "--from-outside", wrong]);
            assert!(sentence.contains("write it like https://"), "{sentence}");
        }
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_media_port_that_is_not_forwarded_is_named() {
    // Nobody answers there, as behind a router without a rule for the port.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let named = address.to_string().parse().unwrap();
    let (house, ca) = household_over_https(&[], |config| config.public_address = vec![named]).await;
    let url = house.url().to_owned();
    aside(move || {
        let (code, found, told) = look(&[&url, "--ca", ca.to_str().unwrap()]);
        assert_eq!(code, Some(1));
        assert_eq!(
            found,
            [Some(true), Some(true), Some(true), Some(true), Some(true), Some(false)],
            "{told}"
        );
        assert!(told.contains(&format!("no answer from {address}")), "{told}");
        assert!(told.contains(&format!("forward UDP {}", address.port())), "{told}");
    })
    .await;
    house.close().await;
}

//! For programs: with `--json`, standard output is one JSON object per line and nothing else.

use std::path::Path;

use serde_json::Value;

use crate::clips::clip;
use crate::house::House;
use crate::program::{Running, aside, latchkey, run};

/// Every line as an object with its event's name.
fn objects(text: &str) -> Vec<Value> {
    let objects: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
        .collect();
    assert!(!objects.is_empty(), "nothing was said");
    for object in &objects {
        assert!(object["event"].is_string(), "{object}");
    }
    objects
}

fn said(home: &Path, words: &[&str]) -> Vec<Value> {
    let output = run(latchkey(home, words).arg("--json"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{words:?}: {said}");
    assert_eq!(said, "", "{words:?} has nothing to say to a person");
    objects(&String::from_utf8(output.stdout).unwrap())
}

fn has(objects: &[Value], event: &str) -> bool {
    objects.iter().any(|object| object["event"] == event)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_speaks_json_and_nothing_else() {
    let house = House::open().await;
    let (ada, door, url) = (house.home("ada"), house.home("door"), house.url().to_owned());
    let film = house.home("film.h264");
    aside(move || {
        let created = said(&ada, &["household", "create", "--name", "Ada", "--server", &url]);
        assert_eq!(created[0]["words"].as_str().unwrap().split(' ').count(), 12);

        let inviting =
            Running::start(&ada, &["--json", "invite", "--role", "camera", "--name", "Front door"]);
        let invite = objects(&inviting.out("latchkey1-")).remove(0);
        let joined = said(&door, &["join", invite["code"].as_str().unwrap()]);
        assert_eq!((&joined[0]["name"], &joined[0]["role"]), (&"Front door".into(), &"camera".into()));
        let (status, out, err) = inviting.end();
        assert_eq!((status, err.as_str()), (Some(0), ""));
        assert_eq!(objects(&out)[0]["device"], joined[0]["device"]);

        let clip = clip();
        let send = ["camera", "--json", "--source", clip.to_str().unwrap()];
        let camera = Running::start(&door, &send);
        let introduced = objects(&camera.out("\"camera\"")).remove(0);
        assert_eq!(introduced["video"], "H264");
        objects(&camera.out("first_frame"));

        let devices = said(&ada, &["devices"]);
        let devices = devices[0]["devices"].as_array().unwrap();
        let front = devices.iter().find(|device| device["name"] == "Front door").unwrap();
        assert_eq!((&front["role"], &front["live"]), (&"camera".into(), &true.into()));

        let viewed = said(&ada, &["view", "Front door", "--frames", "20", "--out", film.to_str().unwrap()]);
        for event in ["step", "first_frame_opened", "stats", "ended"] {
            assert!(has(&viewed, event), "{event} is missing in {viewed:?}");
        }
        assert!(std::fs::metadata(&film).unwrap().len() > 0);

        // With the media on standard output the objects go to standard error.
        let output =
            run(&mut latchkey(&ada, &["--json", "view", "Front door", "--frames", "5", "--out", "-"]));
        assert_eq!(output.stdout[..4], [0, 0, 0, 1]);
        assert!(has(&objects(&String::from_utf8(output.stderr).unwrap()), "first_frame_opened"));

        let examined = said(&ada, &["doctor"]);
        assert_eq!(examined.iter().filter(|object| object["ok"] == true).count(), 11, "{examined:?}");
        assert_eq!(camera.signal("INT").0, Some(0));

        let sent = said(&door, &["camera", "--source", clip.to_str().unwrap(), "--duration", "8"]);
        for event in ["camera", "step", "sending", "ended"] {
            assert!(has(&sent, event), "{event} is missing in {sent:?}");
        }
        // A refusal is a sentence on standard error; standard output stays machine-readable.
        let output = run(&mut latchkey(&door, &["--json", "camera", "--source", "/nonexistent.mp4"]));
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    })
    .await;
    house.close().await;
}

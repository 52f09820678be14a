//! A household on the command line: founded with a code where the server asks for one, exported, deleted.

use std::path::Path;

use latchkey_api::device_list::Role;
use latchkey_api::export::Export;
use serde_json::Value;

use crate::house::House;
use crate::program::{Running, aside, household, latchkey, one_sentence, refused, refused_by, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs what must go well with `--json`; returns its last object.
fn told(home: &Path, words: &[&str]) -> Value {
    let output = run(&mut latchkey(home, &[&["--json"], words].concat()));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
    serde_json::from_str(String::from_utf8(output.stdout).unwrap().lines().last().unwrap()).unwrap()
}

/// Founds a household with the program; returns its id, and leaves its words in the file.
fn founded(home: &Path, url: &str, words: &Path) -> String {
    let create = ["household", "create", "--server", url, "--name", "Ada", "--words-file", text(words)];
    told(home, &create)["household"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_a_code_founds_one_household_for_it() {
    let (house, code) = House::open_for_a_code().await;
    let (ada, bob, url) = (house.home("ada"), house.home("bob"), house.url().to_owned());
    aside(move || {
        let file = |name: &str, text: &str| {
            let path = ada.with_file_name(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (good, bad) = (file("code", &format!("\n {code}\n")), file("other", "AAAA-AAAA\n"));
        let empty = file("empty", "\n");
        let create = ["household", "create", "--server", &url, "--name", "Ada"];
        let (good, bad, empty) = (text(&good), text(&bad), text(&empty));
        let nowhere = ada.with_file_name("nowhere");
        let with = |path| [&create[..], &["--invite-code-file", path]].concat();

        let sentence = refused(&ada, &create);
        assert!(sentence.contains("--invite-code-file"), "{sentence}");
        let sentence = refused(&ada, &with(bad));
        assert!(sentence.contains("code"), "{sentence}");
        let sentence = refused(&ada, &with(empty));
        assert!(sentence.contains("is empty"), "{sentence}");
        let sentence = refused(&ada, &with(text(&nowhere)));
        assert!(sentence.contains("cannot read the invite code"), "{sentence}");
        assert!(!ada.exists(), "nothing is left of what was refused");

        assert_eq!(told(&ada, &with(good))["event"], "household_created");
        let sentence = refused(&bob, &with(good));
        assert!(sentence.contains("code"), "{sentence}");
        assert_eq!(told(&ada, &["devices"])["devices"].as_array().unwrap().len(), 1);
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_takes_home_all_that_the_server_has() {
    let house = household(&[(Role::Viewer, "bob")]).await;
    let (ada, bob, file) = (house.home("ada"), house.home("bob"), house.home("all.json"));
    aside(move || {
        let output = run(&mut latchkey(&ada, &["household", "export"]));
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let shown: Export = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(shown.lists.len(), 2);

        let object = told(&ada, &["household", "export", "--out", text(&file)]);
        assert_eq!((&object["event"], &object["lists"]), (&"household_exported".into(), &2.into()));
        let written = std::fs::read(&file).unwrap();
        assert_eq!(object["bytes"], written.len());
        let kept: Export = serde_json::from_slice(&written).unwrap();
        assert_eq!((kept.lists, kept.household), (shown.lists, shown.household));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let sentence = refused(&ada, &["household", "export", "--out", text(&file)]);
        assert!(sentence.contains("exists already"), "{sentence}");
        assert_eq!(std::fs::read(&file).unwrap(), written, "nothing is written over");
        for words in [&["household", "export"][..], &["household", "delete", "--yes"]] {
            let sentence = refused(&bob, words);
            assert!(sentence.contains("only an admin"), "{sentence}");
        }
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_deletes_the_household_and_only_on_purpose() {
    let house = House::open().await;
    let (ada, url) = (house.home("ada"), house.url().to_owned());
    aside(move || {
        let id = founded(&ada, &url, &ada.with_file_name("words"));
        let sentence = refused(&ada, &["household", "delete"]);
        assert!(sentence.contains("nothing was deleted") && sentence.contains("--yes"), "{sentence}");
        let sentence = refused(&ada, &["household", "delete", "--yes", "--server", &url]);
        assert!(sentence.contains("--words"), "{sentence}");
        assert_eq!(told(&ada, &["devices"])["list_version"], 1);

        let object = told(&ada, &["household", "delete", "--yes"]);
        assert_eq!(
            (&object["event"], object["household"].as_str()),
            (&"household_deleted".into(), Some(&*id))
        );
        let again = run(&mut latchkey(&ada, &["household", "delete", "--yes"]));
        assert_eq!(again.status.code(), Some(1));
        one_sentence(&String::from_utf8(again.stderr).unwrap());
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_twelve_words_delete_the_household_without_any_device() {
    let house = House::open().await;
    let (ada, nobody, url) = (house.home("ada"), house.home("nobody"), house.url().to_owned());
    aside(move || {
        let words = ada.with_file_name("words");
        let id = founded(&ada, &url, &words);
        let delete = ["--json", "household", "delete", "--yes", "--server", &url];
        let with = |file: &str| latchkey(&nobody, &[&delete[..], &["--words-file", file]].concat());

        let wrong = ada.with_file_name("wrong");
        std::fs::write(&wrong, "abandon ".repeat(11) + "about\n").unwrap();
        let sentence = refused_by(2, &nobody, &mut with(text(&wrong)));
        assert!(sentence.contains("no household of these words"), "{sentence}");
        std::fs::write(&wrong, "eleven words are none\n").unwrap();
        refused_by(2, &nobody, &mut with(text(&wrong)));
        let sentence = refused(&nobody, &["household", "delete", "--words-file", text(&words)]);
        assert!(sentence.contains("--server"), "{sentence}");
        let unasked = &delete[1..3];
        let words_in = ["--server", &url, "--words-file", text(&words)];
        let sentence = refused(&nobody, &[unasked, &words_in].concat());
        assert!(sentence.contains("--yes"), "{sentence}");

        let mut deleting = Running::start(&nobody, &[&delete[..], &["--words-file", "-"]].concat());
        deleting.answer(std::fs::read_to_string(&words).unwrap().trim());
        let line: Value = serde_json::from_str(&deleting.out("household_deleted")).unwrap();
        assert_eq!(line["household"].as_str(), Some(&*id));
        assert_eq!(deleting.end().0, Some(0));
        assert!(!nobody.exists(), "it needs no folder and makes none");
        let sentence = refused_by(2, &nobody, &mut with(text(&words)));
        assert!(sentence.contains("no household of these words"), "{sentence}");
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_changes_the_household_while_the_same_device_watches() {
    let house = household(&[(Role::Camera, "door"), (Role::Viewer, "bob")]).await;
    let (ada, door) = (house.home("ada"), house.home("door"));
    aside(move || {
        let clip = crate::clips::clip();
        let _camera = Running::start(&door, &["camera", "--source", text(&clip)]);
        let watching = Running::start(&ada, &["--json", "view", "door"]);
        watching.out("first_frame_opened");

        assert_eq!(told(&ada, &["devices", "rename", "bob", "Robert"])["event"], "changed");
        let changed = told(&ada, &["devices", "remove", "Robert"]);
        assert_eq!((&changed["event"], &changed["camera"]), (&"camera_changed_keys".into(), &"door".into()));
        // The one that watches learns it from the server and goes on.
        let notice: Value = serde_json::from_str(&watching.out("device-removed")).unwrap();
        assert_eq!((&notice["event"], &notice["list_version"]), (&"notice".into(), &5.into()));
        watching.out("epoch_record");
        watching.out("\"stats\"");
        assert_eq!(watching.signal("INT").0, Some(0));
        assert_eq!(told(&ada, &["devices"])["devices"].as_array().unwrap().len(), 2);
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_is_given_away_while_it_runs_says_so_and_ends() {
    let house = household(&[(Role::Camera, "door")]).await;
    let (ada, door) = (house.home("ada"), house.home("door"));
    aside(move || {
        let clip = crate::clips::clip();
        let camera = Running::start(&door, &["camera", "--source", text(&clip)]);
        camera.err("first frame");
        assert_eq!(told(&ada, &["camera", "transfer", "door"])["event"], "camera_transferred");
        let (code, _, said) = camera.end();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.lines().last().unwrap().contains("was removed from its household"), "{said}");
        assert_eq!(told(&door, &["camera", "reset", "--yes"])["event"], "camera_reset");
        assert!(!door.join("device.vault").exists(), "nothing of it leaves with the camera");
    })
    .await;
    house.close().await;
}

//! Devices that are none, are something else, are held, damaged or not let in; codes that are no good.

use std::path::Path;
use std::time::Duration;

use latchkey::home;
use latchkey::household::{self, Invitation, JoinError};
use latchkey_api::device_list::Role;

use crate::clips::clip;
use crate::program::{
    Running, aside, copy_device, household, latchkey, no_child_starts, no_child_starts_meanwhile, refused,
    refused_beside, refused_with, run,
};

/// Every command that needs a device.
const ON_A_DEVICE: [&[&str]; 5] = [
    &["invite", "--role", "viewer", "--name", "Bob"],
    &["camera", "--source", "/nonexistent/clip.mp4"],
    &["view", "door"],
    &["devices"],
    &["doctor"],
];

#[test]
fn a_folder_without_a_device_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for words in ON_A_DEVICE.iter().filter(|words| words[0] != "doctor") {
        for home in [dir.path(), &absent, &file] {
            let sentence = refused(home, words);
            assert!(sentence.contains("latchkey join") && sentence.contains("--home"), "{sentence}");
        }
    }
    assert!(!absent.exists(), "looking makes no folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_something_else_damaged_or_held_is_said() {
    let house = household(&[(Role::Camera, "door"), (Role::Viewer, "bob")]).await;
    let (ada, door, bob) = (house.home("ada"), house.home("door"), house.home("bob"));
    let (copy, url) = (house.home("copy"), house.url().to_owned());
    aside(move || {
        let clip = clip();
        let send = ["camera", "--source", clip.to_str().unwrap()];
        assert!(refused(&door, &["view", "door"]).contains("a camera cannot watch"));
        for viewer in [&ada, &bob] {
            assert!(refused(viewer, &send).contains("this device is not a camera"));
        }
        for other in [&bob, &door] {
            let sentence = refused(other, &["invite", "--role", "viewer", "--name", "Eve"]);
            assert!(sentence.contains("only an admin"), "{sentence}");
        }
        let sentence = refused(&bob, &["view", "garden"]);
        assert!(sentence.contains("no camera is called \"garden\"; there is door"), "{sentence}");
        for name in ["", "  ", "a\nb", "\u{1b}[2J"] {
            let sentence = refused(&ada, &["invite", "--role", "viewer", "--name", name]);
            assert!(sentence.contains("write a name"), "{sentence}");
        }
        let long = "x".repeat(5000);
        let sentence = refused(&ada, &["invite", "--role", "viewer", "--name", &long]);
        assert!(sentence.contains("name cannot be used"), "{sentence}");

        // Neither a new household nor a joining device is put over one that is there.
        let sentence = refused(&ada, &["household", "create", "--name", "x", "--server", &url]);
        assert!(sentence.contains("already holds a device"), "{sentence}");

        let held = {
            let _alone = no_child_starts();
            home::open(&door).unwrap()
        };
        let sentence = refused(&door, &send);
        assert!(sentence.contains("in use by another latchkey process"), "{sentence}");
        // Looking is allowed beside it.
        assert!(run(&mut latchkey(&door, &["devices"])).status.success());
        drop(held);

        damaged(&bob, &copy);
    })
    .await;
    house.close().await;
}

/// Each kind of damage to a vault, and every command on it.
fn damaged(good: &Path, copy: &Path) {
    let bytes = std::fs::read(good.join("device.vault")).unwrap();
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    std::fs::create_dir_all(copy).unwrap();
    for damage in [flipped, bytes[..bytes.len() / 2].to_vec(), Vec::new(), b"something else".to_vec()] {
        std::fs::write(copy.join("device.vault"), damage).unwrap();
        for words in ON_A_DEVICE.iter().filter(|words| words[0] != "doctor") {
            let sentence = refused(copy, words);
            assert!(sentence.contains("is damaged") && sentence.contains("backup"), "{sentence}");
        }
        let code = "latchkey1-AAAA";
        refused(copy, &["join", code]);
        let sentence =
            refused(copy, &["household", "create", "--name", "x", "--server", "http://127.0.0.1:1"]);
        assert!(sentence.contains("already holds a device"), "even a damaged one: {sentence}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_are_no_good_leave_nothing_behind() {
    let house = household(&[]).await;
    let (ada, new) = (house.home("ada"), house.home("new"));
    let spare = house.home("spare");
    aside(move || {
        for (code, said) in [
            ("", "not an invite code"),
            ("hello", "not an invite code"),
            ("LATCHKEY1-AAAA", "not an invite code"),
            ("latchkey1-", "cut off"),
            ("latchkey1-AAAA", "cut off"),
            ("latchkey1-!!!!", "cut off"),
        ] {
            let sentence = refused(&new, &["join", code]);
            assert!(sentence.contains(said), "{said} is not in: {sentence}");
        }
        let mut inviting = Running::start(&ada, &["invite", "--role", "viewer", "--name", "Bob"]);
        let code = inviting.out("latchkey1-");
        // Cut anywhere before the server's address, or with a letter that cannot be.
        for cut in [20, 60, 90] {
            let sentence = refused(&new, &["join", &code[..cut]]);
            assert!(sentence.contains("cut off or changed"), "{sentence}");
        }
        assert!(!new.exists());

        // Broken over lines by a terminal or a letter, it is still whole.
        let (front, back) = code.split_at(70);
        let mut joining = Running::start(&new, &["join", "-"]);
        joining.answer(&format!("{front}\n   {back}"));
        let (status, _, said) = joining.end();
        assert_eq!(status, Some(0), "{said}");
        assert!(said.contains("has joined as viewer \"Bob\""), "{said}");
        inviting.err("has joined");
        drop(inviting);

        let sentence = refused(&spare, &["join", &code]);
        assert!(
            sentence.contains("has been used already: ask for a new code (`latchkey invite`)"),
            "{sentence}"
        );
        let sentence = refused(&new, &["join", &code]);
        assert!(sentence.contains("already holds a device"), "{sentence}");
        assert!(!spare.exists(), "nothing is left behind");

        // An invite that was stopped: the code leads nowhere, and whoever waits may stop, too.
        inviting = Running::start(&ada, &["invite", "--role", "viewer", "--name", "Eve"]);
        let code = inviting.out("latchkey1-");
        let (status, said) = inviting.signal("INT");
        assert_eq!(status, Some(1));
        assert!(said.contains("nobody has joined"), "{said}");
        let mut joining = Running::start(&spare, &["join", "-"]);
        joining.answer(&code);
        while !spare.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let (status, said) = joining.signal("INT");
        assert_eq!(status, Some(1));
        assert!(said.contains("ask for a new code"), "{said}");
        assert!(!spare.exists(), "nothing is left behind");
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_nobody_answers_and_a_server_that_is_gone_are_said() {
    let house = household(&[]).await;
    let alone = no_child_starts_meanwhile().await;
    let ada = home::open(&house.home("ada")).unwrap();
    let invitation = Invitation::new(&ada, Role::Viewer, "Bob").unwrap();
    let code = invitation.code().reveal();
    // As after its ten minutes: no admin looks into the mailbox any more.
    let joined =
        household::join(&house.home("late"), &code.parse().unwrap(), Duration::from_millis(700)).await;
    let error = joined.err().unwrap();
    assert_eq!(error, JoinError::NoAnswer);
    assert!(error.to_string().contains("ask for a new one"), "{error}");
    assert!(!house.home("late").exists(), "nothing is left behind");

    drop((ada, alone));
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("ada");
    std::fs::create_dir(&kept).unwrap();
    copy_device(&house.home("ada"), &kept);
    let code = code.to_string();
    let new = dir.path().join("new");
    house.close().await;
    aside(move || {
        for (home, words) in
            [(&new, &["join", &code][..]), (&kept, &["invite", "--role", "viewer", "--name", "Eve"])]
        {
            let sentence = refused_with(1, home, words);
            assert!(sentence.contains("does not answer") && sentence.contains("check"), "{sentence}");
        }
        assert!(!new.exists(), "nothing is left behind");
        // The list as it was last seen is better than nothing.
        let output = run(&mut latchkey(&kept, &["devices"]));
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8(output.stdout).unwrap().contains("ada"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(crate::program::one_sentence(&said).contains("as last seen"), "{said}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_removed_is_told() {
    let house = household(&[(Role::Camera, "door"), (Role::Viewer, "bob")]).await;
    let alone = no_child_starts_meanwhile().await;
    house.remove("ada", "bob").await;
    house.remove("ada", "door").await;
    drop(alone);
    let (bob, door) = (house.home("bob"), house.home("door"));
    aside(move || {
        let clip = clip();
        for (home, words) in [
            (&bob, &["view", "door", "--duration", "20"][..]),
            (&door, &["camera", "--duration", "20", "--source", clip.to_str().unwrap()]),
        ] {
            let output = run(&mut latchkey(home, words));
            let said = String::from_utf8(output.stderr).unwrap();
            let last = said.lines().last().unwrap();
            println!("{:?}  {last}", output.status.code());
            assert_ne!(output.status.code(), Some(0), "{said}");
            assert!(last.contains("removed") || last.contains("ask an admin"), "{said}");
        }
        let output = run(&mut latchkey(&bob, &["doctor", "--patience", "12"]));
        let told = String::from_utf8(output.stdout).unwrap();
        println!("{told}");
        assert!(told.contains("FAIL  signed in at the server"), "{told}");
        assert!(told.contains("this device was removed") && told.contains("ask an admin"), "{told}");
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_cannot_be_written_are_said_and_what_was_there_stays() {
    let house = household(&[(Role::Camera, "door")]).await;
    let (ada, door, folder) = (house.home("ada"), house.home("door"), house.home("out"));
    aside(move || {
        std::fs::create_dir(&folder).unwrap();
        let precious = folder.join("film.mp4");
        std::fs::write(&precious, "precious").unwrap();
        let folder_name = folder.to_str().unwrap();
        for (out, said) in [
            ("/nonexistent/a.h264", "its folder does not exist"),
            (folder_name, "it is a folder"),
            ("/proc/latchkey.h264", "may write"),
            (precious.to_str().unwrap(), "*.h264"),
        ] {
            let sentence = refused(&ada, &["view", "door", "--out", out]);
            assert!(sentence.contains(said) && sentence.contains(out), "{said} is not in: {sentence}");
        }
        assert_eq!(std::fs::read(&precious).unwrap(), b"precious");

        let clip = clip();
        let camera = Running::start(&door, &["camera", "--source", clip.to_str().unwrap()]);
        camera.err("first frame");
        // What the picture is shows only when it comes; by then the steps have been said.
        let wrong = folder.join("film.ivf");
        std::fs::write(&wrong, "precious").unwrap();
        for (out, said) in [(wrong.to_str().unwrap(), "name the file *.h264"), ("/dev/full", "No space left")]
        {
            let output = run(&mut latchkey(&ada, &["view", "door", "--out", out, "--duration", "20"]));
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{told}");
            let sentence = crate::program::one_sentence(told.lines().last().unwrap());
            assert!(sentence.contains(said) && sentence.contains(out), "{said} is not in: {sentence}");
        }
        assert_eq!(std::fs::read(&wrong).unwrap(), b"precious");
        let sentence =
            refused_beside(2, &mut latchkey(&door, &["camera", "--source", clip.to_str().unwrap()]));
        assert!(sentence.contains("in use by another latchkey process"), "{sentence}");
    })
    .await;
    house.close().await;
}

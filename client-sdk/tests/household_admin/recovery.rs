//! `recover`: twelve words make a new device admin; wrong ones change nothing.

use latchkey::home;
use latchkey::household;
use latchkey_api::device_list::Role;

use crate::command::{refused, run_with, said};
use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn twelve_words_bring_the_household_back_and_every_device_tells_it() {
    let house = House::open().await;
    let (_, phrase) = household::create(&house.home("ada"), house.url(), "ada").await.unwrap();
    house.add("ada", Role::Viewer, "bob").await;
    let new = house.home("new");
    let args = ["recover", "--server", house.url(), "--name", "Ada's new phone", "--words-file", "-"];
    let output = run_with(&new, &args, &format!("{}\n", phrase.words())).await;
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("No longer on the list: ada"), "the names are back too: {text}");
    assert!(!text.contains(phrase.words()));

    let table = said(&new, &["devices"]).await;
    assert!(
        table.contains("Ada's new phone") && table.contains("bob") && !table.contains("\nada "),
        "{table}"
    );
    // Each device is told, also at its next start.
    for _ in 0..2 {
        let told = said(&house.home("bob"), &["devices"]).await;
        assert!(told.contains("RECOVERED with its twelve words"), "{told}");
    }
    let sentence = refused(&house.home("ada"), &["devices", "remove", "bob"], "", 1).await;
    assert!(sentence.contains("it was removed from the household"), "{sentence}");
    // The new admin is one: it can invite.
    house.add("new", Role::Camera, "door").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn admins_stay_when_asked_to() {
    let house = House::open().await;
    let (_, phrase) = household::create(&house.home("ada"), house.url(), "ada").await.unwrap();
    let args = ["recover", "--server", house.url(), "--name", "second", "--keep-admins", "--words-file", "-"];
    let output = run_with(&house.home("new"), &args, phrase.words()).await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let home = home::look(&house.home("new")).unwrap();
    let admins = home.list().unwrap().devices.iter().filter(|entry| entry.role == Role::Admin).count();
    assert_eq!(admins, 2);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words_are_said_precisely_and_change_nothing() {
    let house = House::open().await;
    let (_, phrase) = household::create(&house.home("ada"), house.url(), "ada").await.unwrap();
    let new = house.home("new");
    let mut words: Vec<&str> = phrase.words().split(' ').collect();
    words[4] = "latchkey";
    let unknown = words.join(" ");
    let foreign = "abandon ".repeat(11) + "about";
    let checksum = "abandon ".repeat(12);
    for (words, part) in [
        (unknown.as_str(), "word 5 is not one of the list"),
        (checksum.as_str(), "together they are not"),
        ("abandon about", "these are 2"),
        (foreign.as_str(), "knows no household of these words"),
    ] {
        let args = ["recover", "--server", house.url(), "--name", "x", "--words-file", "-"];
        let sentence = refused(&new, &args, words, 2).await;
        assert!(sentence.contains(part), "{sentence}");
        assert!(!new.join("device.vault").exists(), "nothing is left behind");
    }
    let args = ["recover", "--server", house.url(), "--name", "x", "--words-file", "/nowhere/words"];
    assert!(refused(&new, &args, "", 2).await.contains("/nowhere/words"));
    let args = ["recover", "--server", house.url(), "--name", "x"];
    assert!(refused(&new, &args, "", 2).await.contains("--words-file"));
    let mut ada = home::open(&house.home("ada")).unwrap();
    let signaling = ada.signaling();
    ada.refresh(&signaling).await.unwrap();
    assert_eq!(ada.list().unwrap().version, 1);
    house.close().await;
}

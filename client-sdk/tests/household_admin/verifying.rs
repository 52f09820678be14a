//! `verify` and `safety-number`: good against an honest server; what a server does wrong is found.

use latchkey_api::device_list::Role;

use crate::command::{objects, refused, run_with, said};
use crate::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn devices_of_a_household_show_one_number_and_others_another() {
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Viewer, "bob").await;
    let (ada, bob) = (house.home("ada"), house.home("bob"));
    let one = objects(&ada, &["safety-number"]).await.remove(0);
    let other = objects(&bob, &["safety-number"]).await.remove(0);
    assert_eq!(one["digits"], other["digits"]);
    assert_eq!(one["digits"].as_array().unwrap().len(), 12);

    let image = house.home("number.png");
    let shown = said(&bob, &["safety-number", "--qr-png", image.to_str().unwrap()]).await;
    assert!(shown.contains(one["digits"][0].as_str().unwrap()), "{shown}");
    let same = said(&ada, &["safety-number", "--compare", image.to_str().unwrap()]).await;
    assert!(same.contains("the same"), "{same}");

    // A newer list, and another household.
    house.add("ada", Role::Viewer, "eve").await;
    let older = said(&ada, &["safety-number", "--compare", image.to_str().unwrap()]).await;
    assert!(older.contains("has only seen device list 2"), "{older}");
    let elsewhere = House::open().await;
    elsewhere.found("mia").await;
    let foreign = objects(&elsewhere.home("mia"), &["safety-number"]).await.remove(0);
    let text = foreign["qr"].as_str().unwrap();
    let sentence = refused(&ada, &["safety-number", "--compare", text], "", 1).await;
    assert!(sentence.contains("NOT the same"), "{sentence}");
    let sentence = refused(&ada, &["safety-number", "--compare", "hello"], "", 2).await;
    assert!(sentence.contains("neither"), "{sentence}");
    elsewhere.close().await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_server_is_found_good_and_one_that_rolls_back_is_not() {
    let mut house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Viewer, "bob").await;
    let ada = house.home("ada");
    let text = said(&ada, &["verify"]).await;
    assert!(text.contains("Nothing is wrong") && text.contains("without a gap"), "{text}");

    // The server as it is now, then a removal, then the server as it was.
    let (data, copy) = (house.home("server"), house.home("server-before"));
    house.pause_server().await;
    copy_dir(&data, &copy);
    house.restart_server().await;
    said(&ada, &["devices", "remove", "bob", "--wait", "0s"]).await;
    said(&ada, &["verify"]).await;
    house.pause_server().await;
    std::fs::remove_dir_all(&data).unwrap();
    copy_dir(&copy, &data);
    house.restart_server().await;

    let output = run_with(&ada, &["--json", "verify"], "").await;
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let wrong: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["verdict"] == "wrong")
        .map(|finding| finding["check"].as_str().unwrap())
        .collect();
    println!("{report:#}");
    assert_eq!(wrong, ["server-lists", "server-log"]);
    let sentence = refused(&ada, &["devices", "rename", "ada", "Ada"], "", 1).await;
    assert!(sentence.contains("ALARM") && sentence.contains("only up to 2"), "{sentence}");
    house.close().await;
}

fn copy_dir(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

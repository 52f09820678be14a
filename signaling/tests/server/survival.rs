//! The binary: what it survives, how it starts and ends, and what it says of mistakes.

use std::time::{Duration, Instant};

use latchkey_api::group::{GroupMessages, MessageAccepted, PostCommit};
use latchkey_api::list::Lists;
use latchkey_api::problem::ProblemCode;
use reqwest::StatusCode;

use crate::client::Client;
use crate::home::Home;
use crate::mls;
use crate::process::{Process, run};

/// Everything that was answered with 201 is there after `kill -9`, once and in order, and the token still counts.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(folder.path(), "127.0.0.1:0").await;
    let home = Home::new();
    let base = process.ready.signaling_url.clone();
    let listen = base.trim_start_matches("http://").to_owned();
    let client = Client::new(&base);
    assert_eq!(client.post("/v1/households", &home.registration()).await.status, StatusCode::CREATED);
    let mut camera = client.signed_in(&home, &home.camera).await;
    let group = home.group();
    let path = format!("/v1/groups/{group}/commits");
    let mut accepted = Vec::new();
    for round in 0..5 {
        let killing = Instant::now() + Duration::from_millis(40 + 35 * round);
        let poster = {
            let (camera, path) = (camera.clone(), path.clone());
            let mut epoch = accepted.len() as u64;
            tokio::spawn(async move {
                let mut done = Vec::new();
                loop {
                    let commit = mls::commit(group, epoch);
                    let body =
                        PostCommit { epoch, commit: commit.clone().into(), welcomes: vec![], list: None };
                    let sent = camera.http.post(format!("{}{path}", camera.base)).json(&body);
                    let sent = sent.bearer_auth(camera.token.as_ref().unwrap()).send().await;
                    match sent {
                        Ok(answer) if answer.status() == StatusCode::CREATED => {
                            match answer.json::<MessageAccepted>().await {
                                Ok(answer) => assert_eq!(answer.seq, epoch + 1),
                                Err(_) => return done,
                            }
                            done.push(commit);
                            epoch += 1;
                        }
                        Ok(answer) => panic!("{}", answer.status()),
                        Err(_) => return done,
                    }
                }
            })
        };
        tokio::time::sleep_until(killing.into()).await;
        process.kill();
        let answered = poster.await.unwrap();
        accepted.extend(answered);
        let began = Instant::now();
        process = Process::start(folder.path(), &listen).await;
        println!("round {round}: {} commits answered, back after {:?}", accepted.len(), began.elapsed());
        camera = Client { http: Client::new(&base).http, ..camera };

        // One more may have been stored whose answer was lost; nothing answered may be missing.
        let mut stored = Vec::new();
        loop {
            let page = format!("/v1/groups/{group}/messages?after={}", stored.len());
            let page: GroupMessages = camera.get(&page).await.ok(StatusCode::OK);
            stored.extend(page.messages);
            if !page.more {
                break;
            }
        }
        assert!((accepted.len()..=accepted.len() + 1).contains(&stored.len()));
        for (at, message) in stored.iter().enumerate() {
            assert_eq!((message.seq, message.epoch), (at as u64 + 1, at as u64));
            if let Some(commit) = accepted.get(at) {
                assert_eq!(&message.message.0, commit);
            }
        }
        accepted = stored.into_iter().map(|message| message.message.0).collect();
        let lists: Lists = camera.get("/v1/lists").await.ok(StatusCode::OK);
        assert_eq!(lists.lists.len(), 1);
    }
    assert!(accepted.len() >= 5, "commits were made: {}", accepted.len());
    let last = accepted.len() as u64 - 1;
    let again =
        PostCommit { epoch: last, commit: mls::commit(group, last).into(), welcomes: vec![], list: None };
    camera.post(&path, &again).await.problem(ProblemCode::EpochTaken);
}

#[tokio::test]
async fn it_says_where_it_is_and_ends_in_order_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path(), "127.0.0.1:0").await;
    let ready = process.ready.clone();
    assert_eq!(Client::new(&ready.signaling_url).get("/livez").await.status, StatusCode::OK);
    assert_eq!(Client::new(&ready.ops_url).get("/readyz").await.status, StatusCode::OK);
    let metrics = Client::new(&ready.ops_url).get("/metrics").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(metrics.contains("signal_ws_connections") && metrics.contains("relay_"), "{metrics}");
    let door = Client::new(&ready.door_url).get("/whep/AAAAAAAAAAAAAAAAAAAAAA").await;
    assert_ne!(door.status, StatusCode::NOT_FOUND, "the door is there");
    let (status, said) = process.terminate().await;
    assert!(status.success(), "{status}");
    for place in [&ready.signaling_url, &ready.media, &ready.ops_url] {
        assert_eq!(
            said.lines().filter(|line| line.contains(place.as_str())).count().min(1),
            1,
            "{place} in\n{said}"
        );
    }
    let what: Vec<&str> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(what, ["signaling", "door", "media", "ops", "open", "web"], "a line for each: {said}");
    assert!(said.contains("(for this machine alone, browsers included)"), "{said}");
}

#[test]
fn mistakes_are_one_sentence_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    std::fs::write(&file, "public_uri = \"x\"\n").unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().to_string();
    let data = folder.path().join("data");
    let not_a_folder = folder.path().join("file");
    std::fs::write(&not_a_folder, "x").unwrap();
    let [file, data, not_a_folder] = [&file, &data, &not_a_folder].map(|path| path.to_str().unwrap());
    for (arguments, word) in [
        (vec!["--config", file], "did you mean \"public_url\"?"),
        (vec!["--config", "/nonexistent.toml"], "cannot read the configuration"),
        (vec!["--public-url", "cam.example.org"], "write it with its scheme"),
        (vec!["--listen", &busy, "--data-dir", data], "cannot listen on"),
        (vec!["--data-dir", not_a_folder, "--listen", "127.0.0.1:0"], "cannot use the data folder"),
        (vec!["--open-rate", "0"], "write a number above 0"),
        (vec!["--nonsense"], "--nonsense"),
    ] {
        let out = run(&arguments);
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn help_teaches_and_print_config_is_a_file_it_takes() {
    let help = run(&["--help"]);
    let said = String::from_utf8(help.stdout).unwrap();
    for word in
        ["--data-dir", "--public-url", "--public-address", "--ready-file", "LATCHKEY_SERVER_LISTEN", "9601"]
    {
        assert!(said.contains(word), "{word}");
    }
    let printed = run(&["--print-config", "--shards", "3"]);
    assert!(printed.status.success());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    std::fs::write(&file, &printed.stdout).unwrap();
    let again = run(&["--print-config", "--config", file.to_str().unwrap()]);
    assert_eq!(again.stdout, printed.stdout);
    assert!(String::from_utf8(again.stdout).unwrap().contains("shards = 3"));
}

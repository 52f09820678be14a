//! `latchkey-relay top` against a relay in which something is seen.
#![allow(clippy::unwrap_used)]

mod support;

use std::process::Output;
use std::time::{Duration, Instant};

use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::grant::Scope;
use serde_json::Value;
use support::peer::{Peer, run};
use support::sealed::{Track, household};
use support::{House, LIMIT, ROOM};

async fn top(words: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_latchkey-relay"));
    command.arg("top").args(words).env_remove("LATCHKEY_RELAY_OPS").kill_on_drop(true);
    tokio::time::timeout(LIMIT, command.output()).await.expect("top ends").unwrap()
}

#[tokio::test]
async fn a_room_is_shown_with_its_rates() {
    let house = House::new().await;
    let (mut sealer, _) = household();
    let mut track = Track::new(Codec::Vp8);
    let (mut publisher, _) = Peer::join(&house, Scope::Publish, &[Codec::Vp8]).await;
    let (mut viewer, _) = Peer::join(&house, Scope::View, &[Codec::Vp8]).await;
    run(&mut [&mut publisher, &mut viewer], "both connect", |peers| peers.iter().all(|peer| peer.connected))
        .await;
    let ops = house.relay.ops_addr().unwrap().to_string();
    let url = format!("http://{ops}/");
    let looks =
        async { (top(&["--ops", &ops, "--once", "--json"]).await, top(&["--ops", &url, "--once"]).await) };
    tokio::pin!(looks);
    let (json, table) = loop {
        let frame = track.next(&mut sealer);
        publisher.send(MediaKind::Video, frame.timestamp, &frame.payloads);
        let sent = Instant::now();
        let mut peers = [&mut publisher, &mut viewer];
        let step = run(&mut peers, "a frame's time", |_| sent.elapsed() > Duration::from_millis(33));
        tokio::select! {
            looks = &mut looks => break looks,
            () = step => {}
        }
    };
    let (json, table) = (text(json), text(table));
    println!("{table}");
    let view: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json.lines().count(), 1);
    let room = &view["rooms"][0];
    assert_eq!(room["room"], ROOM.to_string());
    assert_eq!((room["viewers"].as_u64(), room["live"].as_bool()), (Some(1), Some(true)));
    for way in ["received", "sent"] {
        let rate = room[way]["packets_per_second"].as_f64().unwrap();
        assert!(rate > 1.0 && rate < 10_000.0, "{way}: {rate}");
    }
    assert!(room["p99_us"].is_u64() || room["p99_us"]["above"].is_u64(), "{room}");
    assert!(table.contains(&ROOM.to_string()) && table.contains("1 camera, 1 viewer"), "{table}");
    assert!(!table.contains('\x1b'), "a file gets no control codes");
}

#[tokio::test]
async fn mistakes_are_one_sentence_and_code_2() {
    let house = House::new().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let door = house.relay.door_addr().unwrap().to_string();
    let cases = [
        (nobody, "Is the relay running"),
        (door, "is not the ops port"),
        ("9600".to_owned(), "ADDRESS:PORT"),
    ];
    for (ops, said) in cases {
        let output = top(&["--ops", &ops, "--once"]).await;
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{ops}: {words}");
        assert!(words.contains(said) && words.lines().count() == 1, "{ops}: {words}");
    }
    let help = text(top(&["--help"]).await);
    for word in ["--once --json", "How to read it", "p99", "LATCHKEY_RELAY_OPS", "opaque"] {
        assert!(help.contains(word), "{word} in\n{help}");
    }
}

fn text(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

//! What the ops port tells: metrics as Prometheus wants them and as `relay/docs/metrics.md` lists them, shards and rooms in JSON.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::grant::Scope;
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::peer::{Peer, run};
use support::sealed::{Track, household};
use support::{House, LIMIT, ROOM, Session};

/// One family of a scrape or of the table.
#[derive(Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

#[tokio::test]
async fn the_table_and_the_scrape_agree() {
    let (house, _peers) = watched().await;
    let scraped = families(&house.metrics().await);
    let table = table(include_str!("../docs/metrics.md"));
    for (name, family) in &scraped {
        assert_eq!(table.get(name), Some(family), "{name} in relay/docs/metrics.md");
    }
    let scraped: Vec<_> = scraped.keys().collect();
    assert_eq!(table.keys().collect::<Vec<_>>(), scraped, "the table lists nothing else");
}

#[tokio::test]
async fn the_scrape_keeps_the_rules_of_prometheus() {
    let (house, _peers) = watched().await;
    let text = house.metrics().await;
    for (name, Family { kind, help, .. }) in families(&text) {
        assert!(name.starts_with("relay_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(help.ends_with('.'), "{name}: {help}");
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        let words: Vec<_> = name.split('_').collect();
        for word in [
            "ms",
            "us",
            "milliseconds",
            "minutes",
            "kb",
            "kilobytes",
            "percent",
            "counter",
            "gauge",
            "histogram",
        ] {
            assert!(!words.contains(&word), "{name} has {word} in it");
        }
        for suffix in ["_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(suffix), "{name}");
        }
    }
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        println!("promtool is not installed (Debian: prometheus): its own check is left out");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let said = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr).into_owned() + &String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success() && words.trim().is_empty(), "promtool check metrics: {words}");
    println!("promtool check metrics: clean, {} families", families(&text).len());
}

#[tokio::test]
async fn no_series_names_a_room_a_device_a_session_or_an_address() {
    let (house, peers) = watched().await;
    let text = house.metrics().await;
    let session = peers.session.url.rsplit('/').next().unwrap();
    let secrets =
        [ROOM.to_string(), support::CAMERA.to_string(), support::PHONE.to_string(), session.to_owned()];
    for secret in secrets.iter().map(String::as_str).chain(["127.0.0.1"]) {
        assert!(!text.contains(secret), "{secret} is in the metrics");
    }
}

#[tokio::test]
async fn shards_and_rooms_are_told_to_the_operator() {
    let (house, _peers) = watched().await;
    let shards = get(&house, "/shards").await;
    assert_eq!(shards["draining"], false);
    let shard = &shards["shards"][0];
    assert_eq!((&shard["rooms"], &shard["viewers"], &shard["connecting"]), (&json!(1), &json!(1), &json!(0)));
    assert!(shard["sent"]["bytes"].as_u64().unwrap() > 10_000, "{shard}");
    assert_eq!(shard["dropped"]["rate_limit"], 0);
    let rooms = get(&house, "/rooms").await;
    let room = &rooms["rooms"][0];
    assert_eq!(room["room"], ROOM.to_string());
    assert_eq!((&room["live"], &room["viewers"], &room["shards"]), (&json!(true), &json!(1), &json!([0])));
    assert!(room["received"]["packets"].as_u64().unwrap() > 10, "{room}");
    assert!(room["sent"]["packets"].as_u64().unwrap() > 10, "{room}");
    let bounds = rooms["latency_bounds_us"].as_array().unwrap().len();
    let cells = room["latency"].as_array().unwrap();
    assert_eq!(cells.len(), bounds + 1);
    assert!(cells.iter().map(|cell| cell.as_u64().unwrap()).sum::<u64>() > 0);
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 1);
    house.http.post(house.ops("/drain")).send().await.unwrap();
    assert_eq!(get(&house, "/shards").await["draining"], true);
}

#[tokio::test]
async fn a_room_on_two_shards_is_told_as_one() {
    let house = House::with(|config| config.shards = 2).await;
    let (mut sealer, _) = household();
    let mut track = Track::new(Codec::Vp8);
    let (mut publisher, _) = Peer::join(&house, Scope::Publish, &[Codec::Vp8]).await;
    let mut viewers = Vec::new();
    for _ in 0..VIEWERS {
        viewers.push(Peer::join(&house, Scope::View, &[Codec::Vp8]).await.0);
    }
    let mut peers: Vec<_> = std::iter::once(&mut publisher).chain(&mut viewers).collect();
    run(&mut peers, "all connect", |peers| peers.iter().all(|peer| peer.connected)).await;
    let mut sent = 0;
    run(&mut peers, "everybody has media", |peers| {
        if sent < 100 {
            let frame = track.next(&mut sealer);
            peers[0].send(MediaKind::Video, frame.timestamp, &frame.payloads);
            sent += 1;
        }
        peers[1..].iter().all(|peer| peer.packets.len() > 50)
    })
    .await;
    let rooms = get(&house, "/rooms").await;
    assert_eq!(rooms["rooms"].as_array().unwrap().len(), 1, "{rooms}");
    let room = &rooms["rooms"][0];
    assert_eq!(
        (&room["live"], &room["viewers"], &room["shards"]),
        (&json!(true), &json!(VIEWERS), &json!([0, 1])),
        "{room}"
    );
    let packets = |way: &str| room[way]["packets"].as_u64().unwrap();
    assert!(
        packets("sent") > 50 * VIEWERS && packets("received") > 50 && packets("received") < 500,
        "{room}"
    );
    let shards = get(&house, "/shards").await;
    let viewers: u64 =
        shards["shards"].as_array().unwrap().iter().map(|shard| shard["viewers"].as_u64().unwrap()).sum();
    assert_eq!(viewers, VIEWERS, "{shards}");
    let load = house.metric("relay_load_ratio").await;
    assert!((0.0..=1.0).contains(&load), "{load}");
    assert!(house.metrics().await.contains("relay_shard_cpu_seconds_total{shard=\"1\"}"));
}

#[tokio::test]
async fn a_camera_over_its_limit_is_named() {
    let house = House::with(|config| config.limits.max_publisher_packets_per_second = 100).await;
    let (mut sealer, _) = household();
    let mut track = Track::new(Codec::Vp8);
    let (mut publisher, _) = Peer::join(&house, Scope::Publish, &[Codec::Vp8]).await;
    run(&mut [&mut publisher], "it connects", |peers| peers[0].connected).await;
    for _ in 0..100 {
        let frame = track.next(&mut sealer);
        publisher.send(MediaKind::Video, frame.timestamp, &frame.payloads);
    }
    house.metric_reaches("relay_rate_limited_packets_total{what=\"media\",limit=\"packets\"}", 50.0).await;
    assert_eq!(house.metric("relay_limited_sessions_total").await, 1.0);
    let limited = get(&house, "/rooms").await["rooms"][0]["over_limit"].as_u64().unwrap();
    assert!(limited >= 50, "the room is named with {limited} packets");
    assert!(house.metric("relay_packets_dropped_total{reason=\"rate_limit\"}").await >= 50.0);
    assert_eq!(house.relay.sessions(), 1, "it is held, not thrown out");
}

#[tokio::test]
async fn a_viewer_tells_once_when_it_had_its_picture() {
    let house = House::new().await;
    let camera = house.publish().await;
    let phone = house.view().await;
    let count = "relay_first_frame_seconds_count{transport=\"webrtc\"}";
    let tell = async |url: &str, body: Value| {
        house.http.post(format!("{url}/first-frame")).json(&body).send().await.unwrap().status()
    };
    assert_eq!(house.metric(count).await, 0.0);
    assert_eq!(tell(&phone.url, json!({ "after_ms": 81 })).await, StatusCode::NO_CONTENT);
    assert_eq!(tell(&phone.url, json!({ "after_ms": 9_000 })).await, StatusCode::NO_CONTENT);
    assert_eq!(house.metric(count).await, 1.0, "the first word counts");
    assert_eq!(house.metric("relay_first_frame_seconds_sum{transport=\"webrtc\"}").await, 0.081);
    for wrong in
        [json!({ "after_ms": -1 }), json!({ "after_ms": 86_400_000 }), json!({ "after": 1 }), json!([])]
    {
        assert_eq!(tell(&phone.url, wrong.clone()).await, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(
        tell(&camera.url, json!({ "after_ms": 81 })).await,
        StatusCode::NOT_FOUND,
        "a publisher sees nothing"
    );
    let plain =
        house.http.post(format!("{}/first-frame", phone.url)).body("{\"after_ms\":1}").send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(house.metric(count).await, 1.0);
}

/// Somebody publishes and somebody views.
struct Watched {
    _publisher: Peer,
    _viewer: Peer,
    session: Session,
}

/// A relay in which something is seen, so that every family has a series.
async fn watched() -> (House, Watched) {
    let house = House::new().await;
    let (mut sealer, _) = household();
    let mut track = Track::new(Codec::Vp8);
    let (mut publisher, _) = Peer::join(&house, Scope::Publish, &[Codec::Vp8]).await;
    let (mut viewer, session) = Peer::join(&house, Scope::View, &[Codec::Vp8]).await;
    run(&mut [&mut publisher, &mut viewer], "both connect", |peers| peers.iter().all(|peer| peer.connected))
        .await;
    let forwarded = "relay_forward_latency_seconds_count{transport=\"webrtc\"}";
    let until = Instant::now() + LIMIT;
    while house.metric(forwarded).await < 30.0 {
        assert!(Instant::now() < until, "nothing is forwarded");
        let frame = track.next(&mut sealer);
        publisher.send(MediaKind::Video, frame.timestamp, &frame.payloads);
        let now = Instant::now();
        run(&mut [&mut publisher, &mut viewer], "a moment", |_| now.elapsed() > Duration::from_millis(10))
            .await;
    }
    (house, Watched { _publisher: publisher, _viewer: viewer, session })
}

async fn get(house: &House, path: &str) -> Value {
    let answer = house.http.get(house.ops(path)).timeout(LIMIT).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    // Counters are published once per round of the shard's loop.
    tokio::time::sleep(Duration::from_millis(5)).await;
    answer.json().await.unwrap()
}

/// The families of a scrape, with the labels of their series but `le`.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.entry(name.to_owned()).or_default().help = help.to_owned();
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            families.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else if let Some((series, labels)) = line.split_once('{') {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end));
            let name = base.filter(|base| families.contains_key(*base)).unwrap_or(series);
            let names = labels
                .split("\",")
                .filter_map(|label| label.split_once('='))
                .map(|(name, _)| name.to_owned());
            families.get_mut(name).unwrap().labels.extend(names.filter(|name| name != "le"));
        }
    }
    families
}

/// The rows of the tables in the document: name, type, labels, meaning.
fn table(document: &str) -> BTreeMap<String, Family> {
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `relay_"));
    let rows = rows.map(|row| {
        let cells: Vec<_> = row.trim_end().trim_end_matches('|').split(" | ").map(str::trim).collect();
        let [name, kind, labels, help] = cells[..] else { panic!("four cells in {row}") };
        let labels =
            labels.split(", ").map(|label| label.trim_matches('`').to_owned()).filter(|label| label != "-");
        let family = Family { kind: kind.to_owned(), help: help.to_owned(), labels: labels.collect() };
        (format!("relay_{}", name.trim_end_matches('`')), family)
    });
    rows.collect()
}

/// More than one shard would take for itself.
const VIEWERS: u64 = 12;

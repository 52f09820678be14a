//! A native device behind the face, driven over standard input: the counterpart of the tests that run in node.
//!
//! Each line in is `{"id", "page", "call", "with"}`, each line out `{"id", "reply"}`, `{"id", "fault"}` or
//! `{"page", "event"}`. Beside the calls of the face there are `serve`, `seal` and `open`.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/house/mod.rs"]
mod house;

use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};

use house::{House, Page};
use latchkey_household::camera::sealing::Fate;
use latchkey_household::camera::signed_sealer::Plain;
use latchkey_household::viewer::opening::Verdict;
use latchkey_wire::codec::Codec;
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let house = House::open().await;
    let mut pages: HashMap<String, Page> = HashMap::new();
    let (lines_tx, mut lines) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines_tx.send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        let ask: Value = serde_json::from_str(&line).unwrap();
        let name = ask["page"].as_str().unwrap_or_default().to_owned();
        let page = pages.entry(name).or_insert_with(Page::new).clone();
        let url = house.url();
        tokio::spawn(async move {
            let said = answer(&page, &url, &ask).await;
            let mut out = std::io::stdout().lock();
            writeln!(out, "{said}").unwrap();
            out.flush().unwrap();
        });
    }
    house.close().await;
}

async fn answer(page: &Page, url: &str, ask: &Value) -> Value {
    let (id, call, with) = (&ask["id"], ask["call"].as_str().unwrap(), &ask["with"]);
    match call {
        "serve" => json!({ "id": id, "reply": { "url": url } }),
        "seal" => json!({ "id": id, "reply": seal(page, with) }),
        "open" if with.get("wire").is_some() => json!({ "id": id, "reply": open(page, with) }),
        "events" => json!({ "id": id, "reply": page.events() }),
        _ => match page.ask(call, with.clone()).await {
            Ok(reply) => json!({ "id": id, "reply": reply }),
            Err(fault) => json!({ "id": id, "fault": fault }),
        },
    }
}

fn number(with: &Value, name: &str) -> u32 {
    u32::try_from(with[name].as_u64().unwrap()).unwrap()
}

fn codec(with: &Value) -> Codec {
    Codec::from_code(u8::try_from(number(with, "codec")).unwrap()).unwrap()
}

fn seal(page: &Page, with: &Value) -> Value {
    let camera = page.device().camera_session(number(with, "session")).unwrap();
    let data = hex::decode(with["data"].as_str().unwrap()).unwrap();
    let frame = Plain { codec: codec(with), key: with["key"].as_bool().unwrap(), temporal: 0, data: &data };
    let mut wire = String::new();
    match camera.seal(0, frame, |bytes| wire = hex::encode(bytes)) {
        Fate::Send => json!({ "wire": wire }),
        other => json!({ "fate": format!("{other:?}") }),
    }
}

fn open(page: &Page, with: &Value) -> Value {
    let watch = page.device().watch_session(number(with, "session")).unwrap();
    let wire = hex::decode(with["wire"].as_str().unwrap()).unwrap();
    let mut plain = String::new();
    match watch.open(codec(with), &wire, |bytes| plain = hex::encode(bytes)) {
        Verdict::Show => json!({ "plain": plain }),
        other => json!({ "verdict": format!("{other:?}") }),
    }
}

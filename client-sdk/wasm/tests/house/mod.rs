//! A real server in this process, and devices that keep nothing longer than it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use latchkey_household::vault::Rest;
use latchkey_household::vault::memory::Memory;
use latchkey_household::vault::records::to_bytes;
use latchkey_signaling::{Registration, Server, ServerConfig, make_invite_code};
use latchkey_wasm::device::Device;
use latchkey_wasm::face::event::Event;
use latchkey_wasm::face::{Fault, Reply, Request};
use latchkey_wasm::host::Host;
use serde_json::{Value, json};

/// A limit for what must happen at all; nothing is judged by its speed.
pub const LIMIT: Duration = Duration::from_secs(30);

pub struct House {
    server: Server,
    _dir: tempfile::TempDir,
}

impl House {
    pub async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(ServerConfig::loopback(dir.path().join("server"))).await.unwrap();
        Self { server, _dir: dir }
    }

    /// A server whose operator hands out invite codes.
    pub async fn by_invitation() -> (Self, String) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = ServerConfig::loopback(dir.path().join("server"));
        config.registration = Registration::Invite;
        let server = Server::start(config.clone()).await.unwrap();
        let code = make_invite_code(&config, 1, 1).await.unwrap();
        (Self { server, _dir: dir }, code.text().to_string())
    }

    pub fn url(&self) -> String {
        self.server.urls().signaling.clone()
    }

    pub async fn close(self) {
        self.server.shutdown().await;
    }
}

/// A page with its worker: calls in JSON, and what it was told.
#[derive(Clone)]
pub struct Page {
    device: Device,
    told: Arc<Told>,
    rest: Arc<Memory>,
}

#[derive(Default)]
struct Told {
    events: Mutex<Vec<Value>>,
    retries: Mutex<Vec<u32>>,
}

impl Host for Told {
    fn tell(&self, event: Event) {
        self.events.lock().unwrap().push(serde_json::to_value(&event).unwrap());
    }

    fn retry(&self, session: u32) {
        self.retries.lock().unwrap().push(session);
    }
}

impl Page {
    pub fn new() -> Self {
        Self::with(Arc::default(), None)
    }

    fn with(rest: Arc<Memory>, stored: Option<&[u8]>) -> Self {
        let told = Arc::new(Told::default());
        let host = Arc::clone(&told) as Arc<dyn Host>;
        let device = Device::new(host, Arc::clone(&rest) as Arc<dyn Rest>, stored).unwrap();
        Self { device, told, rest }
    }

    /// The same browser after a reload.
    pub fn reloaded(self) -> Self {
        let stored = to_bytes(&self.rest.look().unwrap());
        drop(self.device);
        Self::with(self.rest, Some(&stored))
    }

    pub fn keeps_nothing(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    pub async fn ask(&self, call: &str, with: Value) -> Result<Value, Fault> {
        let request: Request = serde_json::from_value(json!({ call: with })).unwrap();
        let reply: Reply = self.device.call(request).await?;
        Ok(serde_json::to_value(reply).unwrap())
    }

    pub async fn call(&self, call: &str, with: Value) -> Value {
        self.ask(call, with).await.unwrap_or_else(|fault| panic!("{call}: {fault:?}"))
    }

    /// Waits until it was told something that `wanted` picks, and returns that.
    pub async fn told<T>(&self, what: &str, wanted: impl Fn(&Value) -> Option<T>) -> T {
        self.eventually(what, || self.told.events.lock().unwrap().iter().find_map(&wanted)).await
    }

    pub async fn eventually<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = found() {
                println!("{what}: after {} ms", began.elapsed().as_millis());
                return found;
            }
            let events = self.told.events.lock().unwrap().len();
            assert!(
                began.elapsed() < LIMIT,
                "{what} did not come about; {events} events: {:#?}",
                self.told.events
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Everything it was told.
    pub fn events(&self) -> Vec<Value> {
        self.told.events.lock().unwrap().clone()
    }

    pub fn retries(&self) -> usize {
        self.told.retries.lock().unwrap().len()
    }

    /// Founds a household.
    pub async fn found(&self, server: &str, name: &str) -> Vec<String> {
        let words = self.call("prepareHousehold", json!({ "server": server, "deviceName": name })).await;
        self.call("found", json!({ "inviteCode": null })).await;
        serde_json::from_value(words["words"].clone()).unwrap()
    }

    /// Lets `new` in by the code that it shows.
    pub async fn let_in(&self, server: &str, new: &Self, role: &str, name: &str) -> String {
        let kind = if role == "camera" { "camera" } else { "viewer" };
        let shown = new.call("arrive", json!({ "server": server, "kind": kind, "by": "code" })).await;
        let terms = json!({ "role": role, "name": name, "rights": null, "cameras": null, "days": null });
        let met = self.call("letIn", json!({ "shown": shown["shown"], "terms": terms })).await;
        assert_eq!(met, json!({ "is": "sure", "kind": kind }));
        self.call("confirm", json!({})).await;
        let admitted = self.call("admit", json!({})).await;
        new.told("listed", |event| (event["stage"]["is"] == "listed").then_some(())).await;
        admitted["device"].as_str().unwrap().to_owned()
    }
}

/// Encoded frames that a packetiser would take, one key frame and one other of each codec, by the codec's number.
pub fn encoded_frames() -> Vec<(u8, bool, Vec<u8>)> {
    let h264_key = "0000000167 42c01e da0280b7fe2240 0000000168 ce3c80 0000000165 888421a0".replace(' ', "");
    let frames = [
        (0, true, h264_key.as_str()),
        (0, false, "00000001419a02040000000000000301"),
        (1, true, "d0dc019d012a4001b400aabbccdd"),
        (1, false, "310203040506"),
        (2, true, "824983420013f00ef6"),
        (2, false, "860040929c"),
        (3, true, "0a0b0000000424c6ab9fffe640320210001234"),
        (3, false, "32023000"),
        (4, true, "fcfffe0102"),
        (4, true, "fc0a0b0c"),
    ];
    frames.into_iter().map(|(codec, key, text)| (codec, key, hex::decode(text).unwrap())).collect()
}

//! A relay on loopback, its signer, and a plain HTTP client: what every test at the door needs.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test binary uses a part")]

mod descriptor;
pub mod film;
pub mod peer;
pub mod sealed;

use std::time::{Duration, SystemTime};

use latchkey_relay::{GrantKey, Relay, RelayConfig};
use latchkey_wire::grant::{Grant, GrantSigner, Scope};
use latchkey_wire::id::{DeviceHandle, RoomId};
use reqwest::{Method, Response, StatusCode};

pub const PUBLISHER: &str = include_str!("../offers/webrtc-rs-publisher.sdp");
pub const VIEWER: &str = include_str!("../offers/webrtc-rs-viewer.sdp");
pub const ROOM: RoomId = RoomId::new([7; 16]);
pub const CAMERA: DeviceHandle = DeviceHandle::new([1; 16]);
pub const PHONE: DeviceHandle = DeviceHandle::new([2; 16]);
pub const SDP: &str = "application/sdp";
pub const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// How long anything may take before a test counts it as dead.
pub const LIMIT: Duration = Duration::from_secs(30);

/// A relay with one believed signer.
pub struct House {
    pub relay: Relay,
    pub signer: GrantSigner,
    pub http: reqwest::Client,
}

impl House {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut RelayConfig)) -> Self {
        let signer = GrantSigner::from_seed("signer-1", &[42; 32]).unwrap();
        let mut config = RelayConfig::loopback();
        config.grant_keys.push(GrantKey { kid: "signer-1".to_owned(), public: signer.public_key() });
        change(&mut config);
        let relay = Relay::start(config).await.unwrap();
        let http = reqwest::Client::builder().timeout(LIMIT).no_proxy().build().unwrap();
        Self { relay, signer, http }
    }

    /// A grant of the true signer for `ROOM`, changed by `change`.
    pub fn grant(&self, device: DeviceHandle, scope: Scope, change: impl FnOnce(&mut Grant)) -> String {
        let mut grant = grant(device, scope);
        change(&mut grant);
        self.signer.sign(&grant).unwrap()
    }

    pub fn publish_grant(&self) -> String {
        self.grant(CAMERA, Scope::Publish, |_| {})
    }

    pub fn view_grant(&self) -> String {
        self.grant(PHONE, Scope::View, |_| {})
    }

    pub fn door(&self, path: &str) -> String {
        format!("http://{}{path}", self.relay.door_addr().unwrap())
    }

    pub fn ops(&self, path: &str) -> String {
        format!("http://{}{path}", self.relay.ops_addr().unwrap())
    }

    /// Posts an offer as a client does.
    pub async fn join(&self, path: &str, grant: &str, offer: &str) -> Response {
        let request = self.http.post(self.door(path)).header("Content-Type", SDP).bearer_auth(grant);
        request.body(offer.to_owned()).send().await.unwrap()
    }

    pub async fn publish(&self) -> Session {
        let response = self.join(&format!("/whip/{ROOM}"), &self.publish_grant(), PUBLISHER).await;
        Session::of(self, response).await
    }

    pub async fn view(&self) -> Session {
        let response = self.join(&format!("/whep/{ROOM}"), &self.view_grant(), VIEWER).await;
        Session::of(self, response).await
    }

    pub async fn metrics(&self) -> String {
        self.http.get(self.ops("/metrics")).send().await.unwrap().text().await.unwrap()
    }

    /// The value of one series, 0 when there is none.
    pub async fn metric(&self, series: &str) -> f64 {
        let metrics = self.metrics().await;
        let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits for a counter of the shards, which they publish now and then.
    pub async fn metric_reaches(&self, series: &str, value: f64) {
        let waiting = async {
            while self.metric(series).await < value {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, waiting)
            .await
            .unwrap_or_else(|_| panic!("{series} never reached {value}"));
    }
}

/// A session as its client sees it.
pub struct Session {
    pub url: String,
    pub etag: String,
    pub answer: String,
}

impl Session {
    pub async fn of(house: &House, response: Response) -> Self {
        let status = response.status();
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (location, etag) = (header("location"), header("etag"));
        assert_eq!(header("content-type").as_deref().filter(|_| status.is_success()).unwrap_or(SDP), SDP);
        let answer = response.text().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        Self { url: house.door(&location.unwrap()), etag: etag.unwrap(), answer }
    }

    pub async fn patch(&self, house: &House, if_match: Option<&str>, fragment: &str) -> Response {
        let mut request =
            house.http.patch(&self.url).header("Content-Type", FRAGMENT).body(fragment.to_owned());
        if let Some(tag) = if_match {
            request = request.header("If-Match", tag);
        }
        request.send().await.unwrap()
    }

    pub async fn send(&self, house: &House, method: Method) -> Response {
        house.http.request(method, &self.url).send().await.unwrap()
    }

    /// Waits until the session has ended, and returns the problem that says why.
    pub async fn end(&self, house: &House) -> Problem {
        let waiting = async {
            loop {
                let response = self.send(house, Method::GET).await;
                if response.status() != StatusCode::OK {
                    return problem(response).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.expect("the session ends within the limit")
    }
}

/// A problem document.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    pub code: String,
    pub detail: String,
    pub reason: Option<String>,
    pub retry_after: Option<String>,
}

/// Reads a problem and checks its shape (RFC 9457).
pub async fn problem(response: Response) -> Problem {
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
    let retry_after = header("retry-after");
    let body: serde_json::Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    let code = text("code").unwrap();
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], format!("urn:latchkey:problem:{code}"));
    assert!(text("title").is_some_and(|title| !title.is_empty()));
    Problem { status, code, detail: text("detail").unwrap(), reason: text("reason"), retry_after }
}

pub fn grant(device: DeviceHandle, scope: Scope) -> Grant {
    let now = SystemTime::now();
    let mut token_id = [0; 16];
    getrandom::fill(&mut token_id).unwrap();
    Grant {
        audience: "latchkey".to_owned(),
        room: ROOM,
        scopes: vec![scope],
        device,
        token_id,
        issued_at: now,
        expires_at: now + Duration::from_secs(60),
        session_expires_at: now + Duration::from_secs(3600),
    }
}

pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

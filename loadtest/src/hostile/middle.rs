//! A man in the middle for signaling and the relay's door: passes everything on, and lies where a rule says so.
//!
//! Devices dial it and sign its name; the real server takes loopback names for its own, so it stands exactly where
//! an operator stands. Rules see requests and answers in plain, and know which device a token was given to.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{RequestExt as _, Router};
use latchkey_api::auth::{SignIn, SignedIn};
use latchkey_api::event::Event;
use latchkey_api::id::DeviceId;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::hostile::exchange::{Ask, Reply};
use crate::hostile::sockets;

/// What a rule does with a request.
#[derive(Debug)]
pub enum Then {
    /// The next rule, in the end the real server, answers it.
    Pass,
    /// This is the answer; the real server never sees the request.
    Answer(Reply),
    /// Nobody answers it.
    Silence,
}

/// A server in the middle; ends when dropped.
pub struct Middle {
    url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// Takes its rule away when dropped.
#[must_use = "the lie ends when this is dropped"]
pub struct Lie {
    number: u64,
    shared: Arc<Shared>,
}

type OnAsk = Box<dyn Fn(&mut Ask) -> Then + Send + Sync>;
type OnReply = Box<dyn Fn(&Ask, &mut Reply) + Send + Sync>;
type OnEvent = Box<dyn Fn(DeviceId, &Event) -> bool + Send + Sync>;

enum Rule {
    Ask(OnAsk),
    Reply(OnReply),
    Event(OnEvent),
}

/// What the requests in flight share.
pub(super) struct Shared {
    /// Host and port of the real server.
    pub(super) upstream: String,
    http: reqwest::Client,
    rules: Mutex<Vec<(u64, Arc<Rule>)>>,
    next_rule: AtomicU64,
    callers: Mutex<HashMap<String, DeviceId>>,
    pub(super) injected: broadcast::Sender<(DeviceId, Event)>,
}

impl Middle {
    /// Stands before the server at `upstream` (`http://127.0.0.1:port`), on a free port of loopback.
    ///
    /// # Errors
    /// What the system says when no port can be had, or the HTTP client cannot be made.
    pub async fn start(upstream: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(io::Error::other)?;
        let shared = Arc::new(Shared {
            upstream: upstream.trim_start_matches("http://").trim_end_matches('/').to_owned(),
            http,
            rules: Mutex::default(),
            next_rule: AtomicU64::new(0),
            callers: Mutex::default(),
            injected: broadcast::Sender::new(64),
        });
        let app = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move {
            // An error here ends the tests that still talk to it.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, shared, task })
    }

    /// The address to dial instead of the server's.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks `rule` about every request, before the real server sees it; it may change it.
    pub fn on_ask(&self, rule: impl Fn(&mut Ask) -> Then + Send + Sync + 'static) -> Lie {
        self.add(Rule::Ask(Box::new(rule)))
    }

    /// Shows `rule` every answer of the real server, before the device sees it; it may change it.
    pub fn on_reply(&self, rule: impl Fn(&Ask, &mut Reply) + Send + Sync + 'static) -> Lie {
        self.add(Rule::Reply(Box::new(rule)))
    }

    /// Asks `rule` whether an event may go to a device.
    pub fn on_event(&self, rule: impl Fn(DeviceId, &Event) -> bool + Send + Sync + 'static) -> Lie {
        self.add(Rule::Event(Box::new(rule)))
    }

    /// Sends a device an event of the middle's own, over each of its sockets.
    pub fn tell(&self, device: DeviceId, event: Event) {
        // A device without a socket reads everything when it comes back.
        let _ = self.shared.injected.send((device, event));
    }

    fn add(&self, rule: Rule) -> Lie {
        let number = self.shared.next_rule.fetch_add(1, Ordering::Relaxed);
        lock(&self.shared.rules).push((number, Arc::new(rule)));
        Lie { number, shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Middle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Lie {
    fn drop(&mut self) {
        lock(&self.shared.rules).retain(|(number, _)| *number != self.number);
    }
}

impl Shared {
    /// The device to which the bearer token in `headers` was given.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Option<DeviceId> {
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        lock(&self.callers).get(token).copied()
    }

    /// Whether an event may go to a device.
    pub(super) fn lets_through(&self, device: DeviceId, event: &Event) -> bool {
        self.rules().iter().all(|rule| match rule.as_ref() {
            Rule::Event(rule) => rule(device, event),
            _ => true,
        })
    }

    fn rules(&self) -> Vec<Arc<Rule>> {
        lock(&self.rules).iter().map(|(_, rule)| Arc::clone(rule)).collect()
    }

    async fn pass_on(&self, ask: &Ask) -> Result<Reply, reqwest::Error> {
        let mark = if ask.query.is_empty() { "" } else { "?" };
        let url = format!("http://{}{}{mark}{}", self.upstream, ask.path, ask.query);
        let request = self.http.request(ask.method.clone(), url).headers(ask.headers.clone());
        let response = request.body(ask.body.clone()).send().await?;
        let (status, mut headers) = (response.status(), response.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        headers.remove(header::CONNECTION);
        let body = response.bytes().await?;
        Ok(Reply { status, headers, body })
    }

    /// Remembers to whom a token was given.
    fn note_sign_in(&self, ask: &Ask, reply: &Reply) {
        if ask.is("POST", "/v1/auth/session")
            && let (Some(asked), Some(given)) = (ask.json::<SignIn>(), reply.json::<SignedIn>())
        {
            lock(&self.callers).insert(given.token, asked.device);
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, mut request: Request) -> Response {
    if request.uri().path() == "/v1/events" {
        let headers = request.headers().clone();
        return match request.extract_parts::<WebSocketUpgrade>().await {
            Ok(upgrade) => sockets::open(shared, headers, upgrade).await,
            Err(refused) => refused.into_response(),
        };
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut ask = Ask {
        device: shared.caller(&parts.headers),
        method: parts.method,
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        body,
    };
    let rules = shared.rules();
    for rule in &rules {
        let Rule::Ask(rule) = rule.as_ref() else { continue };
        match rule(&mut ask) {
            Then::Pass => {}
            Then::Answer(reply) => return respond(reply),
            Then::Silence => {
                tokio::time::sleep(SILENCE).await;
                return StatusCode::GATEWAY_TIMEOUT.into_response();
            }
        }
    }
    let Ok(mut reply) = shared.pass_on(&ask).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    shared.note_sign_in(&ask, &reply);
    for rule in &rules {
        if let Rule::Reply(rule) = rule.as_ref() {
            rule(&ask, &mut reply);
        }
    }
    respond(reply)
}

fn respond(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Longest body that is passed on: a commit with many welcomes.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// How long a request without answer is held: longer than any client waits.
const SILENCE: Duration = Duration::from_secs(120);

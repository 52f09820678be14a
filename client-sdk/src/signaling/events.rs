//! The event socket: connects, reads hints, and comes back by itself when it breaks.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use latchkey_api::event::Event;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, connect_async_tls_with_config};

use crate::reach::{host_of, without_numbers};
use crate::signaling::{Signaling, SignalingError};
use crate::trust;

/// What the event socket tells.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SignalUpdate {
    /// The socket is open: read once what may have been missed.
    Connected,
    /// A hint from the server.
    Event(Event),
    /// The socket is closed; it is being opened again.
    Disconnected(SignalingError),
}

/// Updates of one device, until dropped.
#[derive(Debug)]
pub struct EventStream {
    updates: mpsc::Receiver<SignalUpdate>,
    task: JoinHandle<()>,
}

impl EventStream {
    /// Waits for the next update. May be dropped while it waits: no update is lost.
    ///
    /// Returns `None` when the runtime shuts down.
    pub async fn next(&mut self) -> Option<SignalUpdate> {
        self.updates.recv().await
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Signaling {
    /// Opens the event socket and keeps it open.
    pub fn events(&self) -> EventStream {
        let (sender, updates) = mpsc::channel(UPDATE_QUEUE);
        let task = tokio::spawn(keep_open(self.clone(), sender));
        EventStream { updates, task }
    }

    async fn read_socket(&self, updates: &mpsc::Sender<SignalUpdate>) -> SignalingError {
        let request = match self.socket_request().await {
            Ok(request) => request,
            Err(error) => return error,
        };
        let connector = match self.connector() {
            Ok(connector) => connector,
            Err(error) => return error,
        };
        let connect = connect_async_tls_with_config(request, None, false, Some(connector));
        let socket = match timeout(CONNECT_LIMIT, connect).await {
            Ok(Ok((socket, _))) => socket,
            Ok(Err(error)) => return self.socket_error(&error).await,
            Err(_) => return self.lost("no reply in time"),
        };
        if updates.send(SignalUpdate::Connected).await.is_err() {
            return self.lost("nobody listens");
        }
        let (mut out, mut incoming) = socket.split();
        loop {
            // The server pings every 10 s; the library answers pings when it is polled or flushed.
            let message = match timeout(SILENCE_LIMIT, incoming.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return self.lost(&without_numbers(&error.to_string())),
                Ok(None) => return self.lost("the server closed the connection"),
                Err(_) => return self.lost("no sign of life from the server"),
            };
            match message {
                Message::Text(text) => {
                    let event = serde_json::from_str(&text).unwrap_or(Event::Unknown);
                    if updates.send(SignalUpdate::Event(event)).await.is_err() {
                        return self.lost("nobody listens");
                    }
                }
                Message::Ping(_) => {
                    if let Err(error) = out.flush().await {
                        return self.lost(&without_numbers(&error.to_string()));
                    }
                }
                Message::Close(_) => return self.lost("the server closed the connection"),
                _ => {}
            }
        }
    }

    /// The WebSocket believes the same certificates as the requests do.
    fn connector(&self) -> Result<Connector, SignalingError> {
        if self.server().url().scheme() != "https" {
            return Ok(Connector::Plain);
        }
        let tls = trust::tls().map_err(|error| SignalingError::NoTls(error.to_string()))?;
        Ok(Connector::Rustls(Arc::new(tls)))
    }

    async fn socket_request(&self) -> Result<tungstenite::handshake::client::Request, SignalingError> {
        let token = self.token().await?;
        let mut url = self
            .server()
            .url()
            .join("v1/events")
            .map_err(|error| SignalingError::BadReply(error.to_string()))?;
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).map_err(|()| SignalingError::BadAddress(host_of(self.server().url())))?;
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|error| SignalingError::BadReply(error.to_string()))?;
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.as_str()))
            .map_err(|_| SignalingError::BadReply("its token is not text".to_owned()))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, bearer);
        Ok(request)
    }

    async fn socket_error(&self, error: &tungstenite::Error) -> SignalingError {
        match error {
            tungstenite::Error::Http(response) => {
                if response.status() == tungstenite::http::StatusCode::UNAUTHORIZED {
                    *self.inner.token.lock().await = None;
                }
                let body = response.body().as_deref().unwrap_or_default();
                crate::signaling::refusal(response.status().as_u16(), None, body)
            }
            other => self.lost(&without_numbers(&other.to_string())),
        }
    }

    fn lost(&self, reason: &str) -> SignalingError {
        SignalingError::Unreachable { host: host_of(self.server().url()), reason: reason.to_owned() }
    }
}

async fn keep_open(signaling: Signaling, updates: mpsc::Sender<SignalUpdate>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = tokio::time::Instant::now();
        let error = signaling.read_socket(&updates).await;
        if updates.send(SignalUpdate::Disconnected(error)).await.is_err() {
            return;
        }
        if began.elapsed() > LASTED {
            pause = FIRST_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Updates that may wait for the owner.
const UPDATE_QUEUE: usize = 64;
/// How long opening the socket may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Silence after which the server counts as gone: it pings every 10 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(25);
/// First and longest wait before the socket is opened again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A socket that lasted this long starts the waits anew.
const LASTED: Duration = Duration::from_secs(10);

//! What the server has to tell: hints to come and read, over a socket that comes back by itself when it breaks.

use std::time::Duration;

use latchkey_api::event::Event;
use tokio::sync::mpsc;
use web_time::Instant;

use crate::clock::{sleep, timeout};
use crate::reach::host_of;
use crate::signaling::socket::Socket;
use crate::signaling::{Signaling, SignalingError};
use crate::task::{Task, spawn};

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
    task: Task,
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
        let task = spawn(keep_open(self.clone(), sender));
        EventStream { updates, task }
    }

    /// Opens the socket and reads it until it breaks; returns why.
    async fn read_socket(&self, updates: &mpsc::Sender<SignalUpdate>) -> SignalingError {
        let mut socket = match timeout(CONNECT_LIMIT, Socket::open(self)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return error,
            Err(_) => return self.lost("no reply in time"),
        };
        if updates.send(SignalUpdate::Connected).await.is_err() {
            return self.lost("nobody listens");
        }
        loop {
            let text = match timeout(SILENCE_LIMIT, socket.next()).await {
                Ok(Ok(text)) => text,
                Ok(Err(reason)) => return self.lost(&reason),
                Err(_) => return self.lost("no sign of life from the server"),
            };
            let Some(text) = text else { continue };
            let event = serde_json::from_str(&text).unwrap_or(Event::Unknown);
            // It says that the server is there, and nothing else.
            if event == Event::Alive {
                continue;
            }
            if updates.send(SignalUpdate::Event(event)).await.is_err() {
                return self.lost("nobody listens");
            }
        }
    }

    pub(super) fn lost(&self, reason: &str) -> SignalingError {
        SignalingError::Unreachable { host: host_of(self.server().url()), reason: reason.to_owned() }
    }
}

async fn keep_open(signaling: Signaling, updates: mpsc::Sender<SignalUpdate>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
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
/// Silence after which the server counts as gone: it gives a sign of life every 10 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(25);
/// First and longest wait before the socket is opened again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A socket that lasted this long starts the waits anew.
const LASTED: Duration = Duration::from_secs(10);

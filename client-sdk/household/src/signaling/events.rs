//! What the server has to tell: hints to come and read, over a socket that comes back by itself when it breaks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use latchkey_api::event::Event;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
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

/// Updates of one device, until dropped. All streams of one [`Signaling`] share one socket, which is open for as long as
/// there is one of them.
pub struct EventStream {
    updates: mpsc::Receiver<SignalUpdate>,
    /// Updates found no room.
    missed: Arc<AtomicBool>,
    _feed: Arc<Feed>,
}

/// The one socket of a device, and who listens to it.
pub(super) struct Feed {
    listeners: Arc<Listeners>,
    task: Task,
}

#[derive(Default)]
struct Listeners(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    /// The socket is open now.
    open: bool,
    listeners: Vec<Listener>,
}

struct Listener {
    updates: mpsc::Sender<SignalUpdate>,
    missed: Arc<AtomicBool>,
}

impl EventStream {
    /// Waits for the next update. May be dropped while it waits: no update is lost. Whoever takes them too slowly is told
    /// [`SignalUpdate::Connected`] in place of those that found no room.
    ///
    /// Returns `None` when the runtime shuts down.
    pub async fn next(&mut self) -> Option<SignalUpdate> {
        if let Ok(update) = self.updates.try_recv() {
            return Some(update);
        }
        // It is set only while the queue is full, so it is seen here before the next wait.
        if self.missed.swap(false, Ordering::AcqRel) {
            return Some(SignalUpdate::Connected);
        }
        self.updates.recv().await
    }
}

impl std::fmt::Debug for EventStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Feed {
    fn begin(signaling: Signaling) -> Self {
        let listeners = Arc::new(Listeners::default());
        let task = spawn(keep_open(signaling, Arc::clone(&listeners)));
        Self { listeners, task }
    }
}

impl Listeners {
    /// Adds one; where the socket is open already it hears so at once.
    fn add(&self) -> (mpsc::Receiver<SignalUpdate>, Arc<AtomicBool>) {
        let (sender, updates) = mpsc::channel(UPDATE_QUEUE);
        let listener = Listener { updates: sender, missed: Arc::default() };
        let missed = Arc::clone(&listener.missed);
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.open {
            listener.tell(&SignalUpdate::Connected);
        }
        heard.listeners.push(listener);
        (updates, missed)
    }

    fn tell(&self, update: &SignalUpdate) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match update {
            SignalUpdate::Connected => heard.open = true,
            SignalUpdate::Disconnected(_) => heard.open = false,
            SignalUpdate::Event(_) => {}
        }
        heard.listeners.retain(|listener| listener.tell(update));
    }
}

impl Listener {
    /// Returns whether it is still there.
    fn tell(&self, update: &SignalUpdate) -> bool {
        match self.updates.try_send(update.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed.store(true, Ordering::Release);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

impl Signaling {
    /// Listens to the event socket: opens it where this is the first to listen, and keeps it open.
    pub fn events(&self) -> EventStream {
        let mut open = self.inner.feed.lock().unwrap_or_else(PoisonError::into_inner);
        let feed = open.upgrade().unwrap_or_else(|| {
            let feed = Arc::new(Feed::begin(self.clone()));
            *open = Arc::downgrade(&feed);
            feed
        });
        drop(open);
        let (updates, missed) = feed.listeners.add();
        EventStream { updates, missed, _feed: feed }
    }

    /// Opens the socket and reads it until it breaks; returns why.
    async fn read_socket(&self, listeners: &Listeners) -> SignalingError {
        let mut socket = match timeout(CONNECT_LIMIT, Socket::open(self)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(error)) => return error,
            Err(_) => return self.lost("no reply in time"),
        };
        listeners.tell(&SignalUpdate::Connected);
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
            listeners.tell(&SignalUpdate::Event(event));
        }
    }

    pub(super) fn lost(&self, reason: &str) -> SignalingError {
        SignalingError::Unreachable { host: host_of(self.server().url()), reason: reason.to_owned() }
    }
}

async fn keep_open(signaling: Signaling, listeners: Arc<Listeners>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let began = Instant::now();
        let error = signaling.read_socket(&listeners).await;
        listeners.tell(&SignalUpdate::Disconnected(error));
        if began.elapsed() > LASTED {
            pause = FIRST_PAUSE;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Updates that may wait for one listener.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(version: u64) -> SignalUpdate {
        SignalUpdate::Event(Event::List { version })
    }

    #[tokio::test]
    async fn all_hear_all_and_who_is_slow_is_told_to_read_again() {
        let listeners = Arc::new(Listeners::default());
        let idle = async { std::future::pending::<()>().await };
        let feed = Arc::new(Feed { listeners: Arc::clone(&listeners), task: spawn(idle) });
        let stream = || {
            let (updates, missed) = listeners.add();
            EventStream { updates, missed, _feed: Arc::clone(&feed) }
        };
        let (mut quick, mut slow, gone) = (stream(), stream(), stream());
        drop(gone);
        listeners.tell(&SignalUpdate::Connected);
        assert_eq!(quick.next().await, Some(SignalUpdate::Connected));
        let mut late = stream();
        assert_eq!(late.next().await, Some(SignalUpdate::Connected), "it is open already");
        for version in 0..100 {
            listeners.tell(&hint(version));
            assert_eq!(quick.next().await, Some(hint(version)), "another's slowness is not its own");
        }
        for _ in 0..UPDATE_QUEUE {
            slow.next().await;
        }
        assert_eq!(slow.next().await, Some(SignalUpdate::Connected), "the rest found no room");
        listeners.tell(&hint(100));
        assert_eq!(slow.next().await, Some(hint(100)));
        assert_eq!(listeners.0.lock().unwrap_or_else(PoisonError::into_inner).listeners.len(), 3);
    }
}

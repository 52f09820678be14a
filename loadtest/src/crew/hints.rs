//! The event socket of a household: by it its cameras learn that there is another list.

use std::time::Duration;

use latchkey::signaling::{EventStream, SignalUpdate};
use latchkey_api::event::Event;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::crew::device::Device;

/// One socket, opened at the first change and kept.
#[derive(Default)]
pub(in crate::crew) struct Hints {
    socket: Mutex<Option<EventStream>>,
}

impl Hints {
    /// Sees to it that the socket is open, so that the next hint comes; gives up after 5 s.
    pub(in crate::crew) async fn listen(&self, device: &Device) {
        let mut socket = self.socket.lock().await;
        let is_new = socket.is_none();
        let events = socket.get_or_insert_with(|| device.signaling.events());
        let mut open = !is_new;
        // What is left of changes before tells whether it is still open.
        while let Ok(Some(update)) = timeout(Duration::ZERO, events.next()).await {
            open = still_open(&update, open);
        }
        let opened = async {
            while !open && let Some(update) = events.next().await {
                open = still_open(&update, open);
            }
        };
        // A server that has no socket for us is told of when the hint is missing.
        let _ = timeout(OPENING, opened).await;
    }

    /// Waits for the hint that the list has this version, or for a reason to look; returns whether one came within 5 s.
    pub(in crate::crew) async fn list(&self, version: u64) -> bool {
        let mut socket = self.socket.lock().await;
        let Some(events) = socket.as_mut() else { return false };
        let told = async {
            loop {
                match events.next().await {
                    Some(SignalUpdate::Event(Event::List { version: now })) if now >= version => return true,
                    // It was cut off and is back: who comes back reads once what was missed.
                    Some(SignalUpdate::Connected) => return true,
                    Some(_) => {}
                    None => return false,
                }
            }
        };
        timeout(PATIENCE, told).await.unwrap_or(false)
    }
}

fn still_open(update: &SignalUpdate, open: bool) -> bool {
    match update {
        SignalUpdate::Connected => true,
        SignalUpdate::Disconnected(_) => false,
        _ => open,
    }
}

/// How long a socket may take to open.
const OPENING: Duration = Duration::from_secs(5);
/// How long a hint may take; cameras look by themselves then.
const PATIENCE: Duration = Duration::from_secs(5);

//! Keeps the camera connected to a relay: a fresh grant each time, again and again until stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use latchkey_api::id::DeviceId;
use latchkey_api::session::SessionScope;
use latchkey_household::backoff::Backoff;
use latchkey_household::event::Teller;
use latchkey_household::signaling::Signaling;
use latchkey_household::story::Step;
use latchkey_wire::codec::Codec;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::door::relay_door;
use crate::transport::webrtc::Publisher;
use crate::transport::{LinkEvent, TransportError};

/// The connection of the moment, `None` while there is none.
pub(super) type Line = watch::Receiver<Option<Arc<Publisher>>>;

/// What a link needs.
pub(super) struct Link {
    pub(super) signaling: Signaling,
    pub(super) camera: DeviceId,
    pub(super) codecs: Vec<Codec>,
    pub(super) teller: Arc<Teller>,
    pub(super) counters: Arc<LinkCounters>,
    pub(super) stop: CancellationToken,
}

/// What a link counts.
#[derive(Default)]
pub(super) struct LinkCounters {
    pub(super) reconnects: AtomicU64,
    pub(super) key_frames_wanted: AtomicU64,
}

impl Link {
    /// Runs until stopped; the connection of the moment shows in `line`.
    pub(super) async fn run(self, line: watch::Sender<Option<Arc<Publisher>>>) {
        let mut backoff = Backoff::new();
        while !self.stop.is_cancelled() {
            let lost = tokio::select! {
                lost = self.connect_once(&line, &mut backoff) => lost,
                () = self.stop.cancelled() => break,
            };
            line.send_replace(None);
            if let Some(reason) = lost {
                self.counters.reconnects.fetch_add(1, Ordering::Relaxed);
                self.teller.again_from(Step::Relay, &reason);
            }
            tokio::select! {
                () = backoff.wait() => {}
                () = self.stop.cancelled() => break,
            }
        }
        let last = line.send_replace(None);
        if let Some(publisher) = last {
            publisher.close().await;
        }
    }

    /// One connection from grant to end. Returns why it was lost, or nothing when there was none.
    async fn connect_once(
        &self,
        line: &watch::Sender<Option<Arc<Publisher>>>,
        backoff: &mut Backoff,
    ) -> Option<String> {
        let opened = match self.signaling.open_session(self.camera, SessionScope::Publish).await {
            Ok(opened) => opened,
            Err(error) => {
                self.teller.trying(Step::Signalling, &error.to_string());
                self.teller.trying(Step::Relay, &error.to_string());
                return None;
            }
        };
        self.teller.done(Step::Signalling);
        let (publisher, mut events) = match self.knock(opened).await {
            Ok(connected) => connected,
            Err(error) => {
                self.teller.trying(Step::Relay, &error.to_string());
                return None;
            }
        };
        self.teller.done(Step::Relay);
        let publisher = Arc::new(publisher);
        let secured = timeout(SECURED_LIMIT, self.until_secured(&mut events)).await;
        if !matches!(secured, Ok(true)) {
            let open = self.teller.story().open_step().unwrap_or(Step::Ice);
            let reason = format!("no answer over UDP within {} s", SECURED_LIMIT.as_secs());
            self.teller.trying(open, &reason);
            publisher.close().await;
            return None;
        }
        backoff.reset();
        line.send_replace(Some(Arc::clone(&publisher)));
        let reason = self.until_lost(&mut events).await;
        line.send_replace(None);
        publisher.close().await;
        Some(reason)
    }

    async fn knock(
        &self,
        opened: latchkey_api::session::SessionOpened,
    ) -> Result<(Publisher, mpsc::UnboundedReceiver<LinkEvent>), TransportError> {
        let door = relay_door(opened, SessionScope::Publish)?;
        let http = self.signaling.server().http().clone();
        Publisher::connect(http, door, &self.codecs).await
    }

    async fn until_secured(&self, events: &mut mpsc::UnboundedReceiver<LinkEvent>) -> bool {
        while let Some(event) = events.recv().await {
            match event {
                LinkEvent::PathFound => {
                    self.teller.done(Step::Ice);
                }
                LinkEvent::Secured => {
                    self.teller.done(Step::Ice);
                    self.teller.done(Step::Dtls);
                    return true;
                }
                LinkEvent::Closed => return false,
                _ => {}
            }
        }
        false
    }

    async fn until_lost(&self, events: &mut mpsc::UnboundedReceiver<LinkEvent>) -> String {
        while let Some(event) = events.recv().await {
            match event {
                LinkEvent::KeyFrameWanted(_) => {
                    self.counters.key_frames_wanted.fetch_add(1, Ordering::Relaxed);
                }
                LinkEvent::Interrupted => return "the relay does not answer any more".to_owned(),
                LinkEvent::Closed => return "the relay closed the connection".to_owned(),
                _ => {}
            }
        }
        "the connection ended".to_owned()
    }
}

/// How long ICE and DTLS may take together.
const SECURED_LIMIT: Duration = Duration::from_secs(10);

//! Makes wire frames of encoded frames: envelope, seal, signature. For whatever packetises by itself, such as a browser.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::envelope::{self, EnvelopeBuilder};
use tokio::sync::watch;
use web_time::Instant;

use crate::camera::SenderKeys;
use crate::camera::hold::Hold;
use crate::camera::publish::Publishing;
use crate::camera::signed_sealer::{Plain, SignedSealer, layer_number};
use crate::event::{Event, Teller};
use crate::stats::{CameraStats, RateWindow};
use crate::story::Step;

/// The sealer of one running camera. Each layer of a picture has its own key and counter.
pub struct Sealing {
    sealer: SignedSealer,
    keys: watch::Receiver<Option<Arc<SenderKeys>>>,
    hold: watch::Receiver<Hold>,
    teller: Arc<Teller>,
    /// By track number: each has parameter sets of its own, and begins with a key frame.
    layers: BTreeMap<u8, Layer>,
    envelope: Vec<u8>,
    sframe: Vec<u8>,
    wire: Vec<u8>,
    /// Since when a commit of this camera is without an answer.
    changing_since: Option<Instant>,
    stopped: bool,
    stats: CameraStats,
    window: RateWindow,
}

struct Layer {
    envelopes: EnvelopeBuilder,
    codec: Codec,
    wants_key: bool,
}

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// [`Sealing::wire`] goes to the relay.
    Send,
    /// The server has a commit of this camera and has not answered: it can be tried again, before any later frame.
    Wait,
    /// It is left out; the next one that can be sent is a key frame.
    Drop,
}

impl Sealing {
    /// Takes the sealer out of a running camera; `None` the second time.
    #[must_use]
    pub fn of(publishing: &mut Publishing, now: Instant) -> Option<Self> {
        Some(Self {
            sealer: publishing.take_sealer()?,
            keys: publishing.keys(),
            hold: publishing.hold(),
            teller: Arc::clone(publishing.teller()),
            layers: BTreeMap::new(),
            envelope: Vec::new(),
            sframe: Vec::new(),
            wire: Vec::new(),
            changing_since: None,
            stopped: false,
            stats: CameraStats::default(),
            window: RateWindow::begin(now),
        })
    }

    /// Seals a frame, captured at `captured`, of a layer counted from 0. Layers that no relay takes are left out.
    pub fn seal(&mut self, layer: u32, frame: Plain<'_>, captured: SystemTime, now: Instant) -> Fate {
        let Some(layer) = layer_number(frame.codec.kind(), layer) else {
            self.stats.dropped += 1;
            return Fate::Drop;
        };
        if self.is_changing(now) {
            return Fate::Wait;
        }
        if self.is_stopped() {
            return self.dropped(layer);
        }
        if !self.sealer.is_ready() || self.keys.has_changed().unwrap_or(false) {
            self.take_keys();
        }
        let track = self.layers.entry(layer).or_insert_with(|| Layer::new(frame.codec));
        if track.codec != frame.codec {
            *track = Layer::new(frame.codec);
        }
        let is_video = frame.codec.kind() == MediaKind::Video;
        if track.wants_key && is_video && !frame.key {
            return self.dropped(layer);
        }
        if let Err(error) = track.envelopes.build(frame.key, frame.data, &mut self.envelope) {
            self.teller.note(format!("a frame was left out: {error}"));
            return self.dropped(layer);
        }
        match self.sealer.seal_in(layer, frame, captured, &self.envelope, &mut self.sframe) {
            Ok(Some(_)) => {}
            Ok(None) => {
                self.teller.trying(Step::KeyKnown, "this camera's group has no keys yet");
                return self.dropped(layer);
            }
            Err(error) => {
                self.teller.note(format!("a frame could not be sealed: {error}"));
                return self.dropped(layer);
            }
        }
        track.wants_key = false;
        envelope::join(frame.codec, &self.envelope, &self.sframe, &mut self.wire);
        self.count(is_video);
        Fate::Send
    }

    /// The frame sealed last; only after [`Fate::Send`].
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.wire
    }

    /// The figures, once a second; nothing in between.
    pub fn figures(&mut self, now: Instant) -> Option<CameraStats> {
        let (fps, bits_per_second) = self.window.turn(now)?;
        self.stats.fps = fps;
        self.stats.bits_per_second = bits_per_second;
        self.stats.aead_calls = self.sealer.aead_calls();
        (self.stats.epoch, self.stats.session) = self.sealer.place();
        Some(self.stats.clone())
    }

    /// A server that leaves a commit without an answer stops no picture for longer than [`LONGEST_HOLD`].
    fn is_changing(&mut self, now: Instant) -> bool {
        if !self.hold.borrow().changing {
            self.changing_since = None;
            return false;
        }
        let since = *self.changing_since.get_or_insert(now);
        now.saturating_duration_since(since) < LONGEST_HOLD
    }

    /// Whether nothing may be sealed, because a guest whose time is over still holds the keys.
    fn is_stopped(&mut self) -> bool {
        let overdue = self.hold.borrow().is_overdue();
        if overdue != self.stopped {
            self.stopped = overdue;
            // Whoever comes back in begins with a key frame.
            self.layers.values_mut().for_each(|layer| layer.wants_key = true);
            self.teller.tell(if overdue {
                let reason =
                    "a guest's time is over and the server does not take the change that shuts it out";
                Event::SealingStopped { reason: reason.to_owned() }
            } else {
                Event::SealingGoesOn
            });
        }
        overdue
    }

    fn take_keys(&mut self) {
        let Some(keys) = self.keys.borrow_and_update().clone() else { return };
        match self.sealer.take(&keys) {
            Ok(()) => {
                self.teller.done(Step::KeyKnown);
            }
            Err(error) => self.teller.note(error.to_string()),
        }
    }

    fn dropped(&mut self, layer: u8) -> Fate {
        self.stats.dropped += 1;
        if let Some(layer) = self.layers.get_mut(&layer) {
            layer.wants_key = true;
        }
        Fate::Drop
    }

    fn count(&mut self, is_video: bool) {
        self.window.count(self.wire.len(), is_video);
        if is_video {
            self.stats.sent_video += 1;
        } else {
            self.stats.sent_audio += 1;
        }
        self.teller.done(Step::FirstPacket);
        self.teller.done(Step::FirstFrame);
    }
}

impl Layer {
    fn new(codec: Codec) -> Self {
        Self { envelopes: EnvelopeBuilder::new(codec), codec, wants_key: true }
    }
}

impl std::fmt::Debug for Sealing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealing").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}

/// As the camera of the command line.
const LONGEST_HOLD: Duration = Duration::from_secs(1);

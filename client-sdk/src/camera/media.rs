//! The camera's hot path: one frame in, one seal, packets out.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use latchkey_household::camera::SenderKeys;
use latchkey_household::camera::hold::Hold;
use latchkey_household::camera::signed_sealer::{Plain, SignedSealer, track_number};
use latchkey_household::event::{Event, Teller};
use latchkey_household::observer::{FrameObserver, WireFrame as ObservedFrame};
use latchkey_household::stats::{CameraStats, RateWindow};
use latchkey_household::story::Step;
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::envelope;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::camera::feed::Feed;
use crate::camera::link::{Line, LinkCounters};
use crate::camera::track::Track;
use crate::camera::{CameraConfig, SharedStats};
use crate::frame::MediaFrame;
use crate::packetizer::WireFrame;
use crate::source::Source;
use crate::transport::OutgoingPacket;
use crate::transport::webrtc::Publisher;

/// What the media task listens to.
pub(super) struct Channels {
    /// Keys of the epoch in force.
    pub(super) keys: watch::Receiver<Option<Arc<SenderKeys>>>,
    /// Whether frames may be sealed with those keys now.
    pub(super) hold: watch::Receiver<Hold>,
    /// Relay connection of the moment.
    pub(super) line: Line,
}

/// Reads, seals, sends.
pub(super) struct Media {
    source: Feed,
    channels: Channels,
    sealer: SignedSealer,
    tracks: Vec<Track>,
    publisher: Option<Arc<Publisher>>,
    buffers: Buffers,
    observer: Option<Arc<dyn FrameObserver>>,
    teller: Arc<Teller>,
    stats: SharedStats,
    counters: Arc<LinkCounters>,
    window: RateWindow,
    /// The server leaves the camera without an answer; frames are not held for it any more.
    gave_up: bool,
    /// Nothing is sealed now.
    stopped: bool,
}

#[derive(Default)]
struct Buffers {
    envelope: Vec<u8>,
    sframe: Vec<u8>,
    wire: Vec<u8>,
    packets: Vec<OutgoingPacket>,
}

impl Media {
    pub(super) fn new(
        source: Box<dyn Source>,
        config: CameraConfig,
        channels: Channels,
        sealer: SignedSealer,
        teller: Arc<Teller>,
        stats: SharedStats,
        counters: Arc<LinkCounters>,
    ) -> Self {
        Self {
            source: Feed::new(source, config.source, config.source_options, Arc::clone(&teller)),
            channels,
            sealer,
            tracks: Vec::new(),
            publisher: None,
            buffers: Buffers::default(),
            observer: config.observer,
            teller,
            stats,
            counters,
            window: RateWindow::begin(Instant::now()),
            gave_up: false,
            stopped: false,
        }
    }

    /// Runs until stopped; returns why when the source is over.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Option<String> {
        for note in self.source.notes() {
            self.teller.note(note);
        }
        // A file begins with its key frame: better sent than dropped while the relay is still being found.
        tokio::select! {
            _ = timeout(HEAD_START, self.channels.line.wait_for(Option::is_some)) => {}
            () = stop.cancelled() => return None,
        }
        self.channels.line.mark_changed();
        loop {
            let frame = tokio::select! {
                frame = self.source.next() => frame,
                Ok(()) = self.channels.keys.changed() => {
                    self.take_keys();
                    continue;
                }
                () = stop.cancelled() => return None,
            };
            let Some(frame) = frame else {
                return Some("the source has ended".to_owned());
            };
            tokio::select! {
                () = self.send(&frame) => {}
                () = stop.cancelled() => return None,
            }
            self.tell_figures();
        }
    }

    async fn send(&mut self, frame: &MediaFrame) {
        self.wait_for_keys().await;
        if self.is_stopped() {
            return self.drop_frame();
        }
        self.follow_line();
        self.follow_keys();
        let Some(publisher) = self.publisher.clone() else {
            return self.drop_frame();
        };
        let Some(sealed) = self.seal(frame, &publisher) else {
            return self.drop_frame();
        };
        let mut packets = std::mem::take(&mut self.buffers.packets);
        let count = packets.len() as u64;
        for packet in packets.drain(..) {
            if publisher.send(frame.track, packet).await.is_err() {
                break;
            }
        }
        self.buffers.packets = packets;
        self.teller.done(Step::FirstPacket);
        self.teller.done(Step::FirstFrame);
        self.count(frame.track, sealed, count);
    }

    /// Holds a frame while the server has a commit of this camera and has not answered, so that nothing is sealed for somebody
    /// who was removed. A server that leaves it without an answer stops no picture: after [`LONGEST_HOLD`] frames go on in the
    /// epoch that is known.
    async fn wait_for_keys(&mut self) {
        if !self.channels.hold.borrow().changing {
            self.gave_up = false;
        } else if !self.gave_up {
            let settled = self.channels.hold.wait_for(|hold| !hold.changing);
            self.gave_up = timeout(LONGEST_HOLD, settled).await.is_err();
        }
    }

    /// Whether nothing may be sealed, because a guest whose time is over still holds the keys; tells it when it changes. The
    /// sealer stays as it is.
    fn is_stopped(&mut self) -> bool {
        let overdue = self.channels.hold.borrow().is_overdue();
        if overdue != self.stopped {
            self.stopped = overdue;
            if overdue {
                // Whoever comes back in begins with a key frame.
                for track in &mut self.tracks {
                    track.wants_key = true;
                }
            }
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

    /// Seals and packetises; returns the wire frame's length, or nothing for a frame that is not sent.
    fn seal(&mut self, frame: &MediaFrame, publisher: &Publisher) -> Option<usize> {
        let at = self.track(frame.codec, publisher)?;
        let track = self.tracks.get_mut(at)?;
        if track.wants_key && !frame.key {
            return None;
        }
        let Buffers { envelope, sframe, wire, packets } = &mut self.buffers;
        if let Err(error) = track.envelopes.build(frame.key, &frame.data, envelope) {
            self.teller.note(format!("a frame of the source was left out: {error}"));
            return None;
        }
        let captured = SystemTime::now();
        let plain = Plain { codec: frame.codec, key: frame.key, temporal: 0, data: &frame.data };
        let sealed = match self.sealer.seal(plain, captured, envelope, sframe) {
            Ok(sealed) => sealed?,
            Err(error) => {
                self.teller.note(format!("a frame could not be sealed: {error}"));
                return None;
            }
        };
        envelope::join(frame.codec, envelope, sframe, wire);
        if let Some(observer) = &self.observer {
            observer.sealed(&ObservedFrame::new(
                track_number(frame.track),
                sealed.kid.value(),
                sealed.ctr,
                wire,
            ));
        }
        let outgoing = WireFrame {
            wire,
            key: frame.key,
            pts: frame.pts,
            captured: captured.duration_since(UNIX_EPOCH).unwrap_or_default(),
            geometry: frame.geometry,
        };
        packets.clear();
        if let Err(error) = track.packetizer.packetize(outgoing, packets) {
            self.teller.note(format!("a frame could not be sent: {error}"));
            return None;
        }
        track.wants_key = false;
        Some(wire.len())
    }

    /// Takes up a new connection: each track moves over and begins there with a key frame.
    fn follow_line(&mut self) {
        if !self.channels.line.has_changed().unwrap_or(false) {
            return;
        }
        self.publisher = self.channels.line.borrow_and_update().clone();
        if let Some(publisher) = &self.publisher {
            for track in &mut self.tracks {
                track.move_to(publisher);
            }
        }
    }

    /// Takes up new keys: this very frame is sealed with them.
    fn follow_keys(&mut self) {
        if self.sealer.is_ready() && !self.channels.keys.has_changed().unwrap_or(false) {
            return;
        }
        self.take_keys();
    }

    fn take_keys(&mut self) {
        let Some(keys) = self.channels.keys.borrow_and_update().clone() else {
            return;
        };
        if let Err(error) = self.sealer.take(&keys) {
            self.teller.note(error.to_string());
        }
    }

    fn track(&mut self, codec: Codec, publisher: &Publisher) -> Option<usize> {
        if let Some(at) = self.tracks.iter().position(|track| track.codec == codec) {
            return Some(at);
        }
        // The relay was offered one codec of each kind.
        if self.tracks.iter().any(|track| track.codec.kind() == codec.kind()) {
            return None;
        }
        let mut track = Track::new(codec)?;
        track.move_to(publisher);
        self.tracks.push(track);
        Some(self.tracks.len() - 1)
    }

    fn drop_frame(&self) {
        self.stats(|stats| stats.dropped += 1);
    }

    fn count(&mut self, kind: MediaKind, bytes: usize, packets: u64) {
        self.window.count(bytes, kind == MediaKind::Video);
        let calls = self.sealer.aead_calls();
        let (epoch, session) = self.sealer.place();
        self.stats(|stats| {
            match kind {
                MediaKind::Video => stats.sent_video += 1,
                MediaKind::Audio => stats.sent_audio += 1,
            }
            stats.packets += packets;
            stats.aead_calls = calls;
            stats.epoch = epoch;
            stats.session = session;
        });
    }

    fn tell_figures(&mut self) {
        let Some((fps, bits_per_second)) = self.window.turn(Instant::now()) else {
            return;
        };
        let reconnects = self.counters.reconnects.load(Ordering::Relaxed);
        let key_frames_wanted = self.counters.key_frames_wanted.load(Ordering::Relaxed);
        self.stats(|stats| {
            stats.fps = fps;
            stats.bits_per_second = bits_per_second;
            stats.reconnects = reconnects;
            stats.key_frames_wanted = key_frames_wanted;
        });
        let now = self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.teller.tell(Event::Sending(now));
    }

    fn stats(&self, change: impl FnOnce(&mut CameraStats)) {
        change(&mut self.stats.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// How long frames are held for the answer to a commit.
const LONGEST_HOLD: Duration = Duration::from_secs(1);
/// How long the first frame is held for the first connection.
const HEAD_START: Duration = Duration::from_secs(2);

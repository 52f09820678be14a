//! One viewer's copy of one source: its numbers, its ids, how far it has come.

mod cursor;
mod filter;
mod layers;
mod params;
mod repair;
mod run;

use std::time::{Duration, Instant};

use latchkey_wire::extension::PlayoutDelay;

use crate::config::RoomConfig;
use crate::header::LegExtensions;
use crate::id::{SubscriberId, TrackId};
use crate::munger::{Line, Munger};
use crate::pace::Chunk;
use crate::rate::{Rate, TokenBucket};
use crate::selector::Selector;
use crate::sink::{OutgoingKind, SenderReport, Sink};
use crate::subscription::filter::Filter;
use crate::track::Track;
use crate::tracks::Tracks;
use crate::train::Train;

pub(crate) use layers::Level;
pub use params::{Origin, RtxParams, SubscriptionParams};

/// One leg of one viewer.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The first track of its source: what the viewer subscribed to.
    source: TrackId,
    /// The one whose packets it gets now.
    track: TrackId,
    subscriber: SubscriberId,
    ssrc: u32,
    payload_type: u8,
    kind: OutgoingKind,
    extensions: LegExtensions,
    selector: Selector,
    filter: Filter,
    munger: Munger,
    /// The source has several simulcast layers.
    layered: bool,
    /// See [`wanted_bits_per_second`](Self::wanted_bits_per_second).
    wanted: u64,
    noted_level: Option<Level>,
    stage: Stage,
    /// A packet was sent.
    started: bool,
    /// Everything before this position was sent, has a number kept for it, or was left out.
    cursor: u64,
    /// Packets since going live that tell the viewer to keep its usual playout delay again.
    settling: u16,
    /// Sequence number of the packet sent last.
    sequence: u16,
    /// Timestamp on its track's line of the packet looked at last, sent or left out: what is missing before it is no newer.
    timestamp: u32,
    /// Frame number sent last, when the source is layered.
    frame_number: u16,
    /// When packets were sent last.
    sent_at: Instant,
    /// The packet looked at last was its picture's last.
    picture_ended: bool,
    /// Since when packets wait for the pacer without a break.
    held_since: Option<Instant>,
    rtx: Option<Rtx>,
    key_frames: TokenBucket,
    packets: u32,
    octets: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Until a key frame is there.
    Waiting,
    /// Behind the publisher; goes on in paced chunks.
    CatchingUp,
    /// Gets every packet at once.
    Live,
}

#[derive(Debug)]
struct Rtx {
    params: RtxParams,
    next: u64,
    budget: TokenBucket,
}

impl Subscription {
    pub(crate) fn new(
        subscriber: SubscriberId,
        track: &Track,
        params: &SubscriptionParams,
        (config, now): (&RoomConfig, Instant),
    ) -> Self {
        let repairs = f64::from(config.repairs_per_second.max(1));
        let line = Line { track: track.id(), timestamp: params.origin.timestamp, frame_number: 0 };
        let asked_in = config.key_frame_viewer_interval.as_secs_f64();
        Self {
            source: track.id(),
            track: track.id(),
            subscriber,
            ssrc: params.ssrc,
            payload_type: params.payload_type,
            kind: if track.is_video() { OutgoingKind::Video } else { OutgoingKind::Audio },
            extensions: LegExtensions::new(&params.extensions, params.mid),
            selector: Selector::new(track.id(), params.most_bits_per_second),
            filter: Filter::new(),
            munger: Munger::new(params.origin.sequence, line),
            layered: false,
            wanted: 0,
            noted_level: None,
            stage: Stage::Waiting,
            started: false,
            cursor: 0,
            settling: 0,
            sequence: 0,
            timestamp: 0,
            frame_number: 0,
            sent_at: now,
            picture_ended: true,
            held_since: None,
            rtx: params.rtx.map(|rtx| Rtx {
                params: rtx,
                next: u64::from(params.origin.rtx_sequence & 0x7FFF),
                budget: TokenBucket::new(Rate::per_second(repairs)),
            }),
            key_frames: TokenBucket::new(Rate { per_second: asked_in.recip(), burst: KEY_FRAMES_AT_ONCE }),
            packets: 0,
            octets: 0,
        }
    }

    /// The first track of its source.
    pub(crate) fn source(&self) -> TrackId {
        self.source
    }

    /// The track whose packets it gets now.
    pub(crate) fn track(&self) -> TrackId {
        self.track
    }

    /// It is of video.
    pub(crate) fn is_video(&self) -> bool {
        self.kind == OutgoingKind::Video
    }

    /// The leg's media SSRC.
    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// A packet went out on this leg.
    pub(crate) fn has_started(&self) -> bool {
        self.started
    }

    /// Its packets carry transport-wide numbers.
    pub(crate) fn has_number(&self) -> bool {
        self.extensions.has_number()
    }

    /// Takes one key-frame request from the viewer's budget; false when it asks too often.
    pub(crate) fn take_key_frame_request(&mut self, now: Instant) -> bool {
        self.key_frames.take(1.0, now)
    }

    /// Only a key frame can help this leg.
    pub(crate) fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// The leg is behind the publisher and wants more chunks.
    pub(crate) fn is_catching_up(&self) -> bool {
        self.stage == Stage::CatchingUp
    }

    /// Says whether the leg can start now, without waiting for a key frame that is still to come.
    pub(crate) fn can_start(&self, tracks: &Tracks, now: Instant, config: &RoomConfig) -> bool {
        !self.is_video() || self.start(tracks, now, config).is_some()
    }

    /// Sends what there is for this leg. A leg that catches up takes its part of `chunk`.
    pub(crate) fn forward<S: Sink>(
        &mut self,
        tracks: &Tracks,
        (now, config): (Instant, &RoomConfig),
        chunk: &mut Chunk,
        train: &mut Train<'_, S>,
    ) {
        let Some(track) = self.position_cursor(tracks, now, config) else { return };
        self.forward_all_late(tracks, track, train);
        self.skip_when_late(track, (now, config), train);
        if train.is_paced() && self.stage == Stage::CatchingUp {
            // The pacer says how fast, and costs those who are not behind nothing.
            self.stage = Stage::Live;
        }
        let until = match self.stage {
            Stage::CatchingUp => {
                let behind = track.end().saturating_sub(self.cursor);
                self.cursor + chunk.take(behind, track.arrived_since_chunk())
            }
            _ => track.end(),
        };
        self.forward_run(track, until, now, train);
        let track = self.cross(tracks, track, now, train);
        self.note_held(track, now);
        if self.stage == Stage::CatchingUp && self.cursor == track.end() {
            self.stage = Stage::Live;
            self.settling = SETTLING_PACKETS;
        }
    }

    /// Goes on with what waited for the pacer, between two batches.
    pub(crate) fn forward_held<S: Sink>(
        &mut self,
        tracks: &Tracks,
        (now, config): (Instant, &RoomConfig),
        train: &mut Train<'_, S>,
    ) {
        if self.stage != Stage::Live {
            return;
        }
        let Some(track) = self.position_cursor(tracks, now, config) else { return };
        self.skip_when_late(track, (now, config), train);
        self.forward_run(track, track.end(), now, train);
        let track = self.cross(tracks, track, now, train);
        self.note_held(track, now);
    }

    /// Makes this leg's sender report; `None` before the first packet, or when the publisher's clock is not known.
    pub(crate) fn report(&self, tracks: &Tracks, now: Instant) -> Option<SenderReport> {
        let line = self.munger.line();
        let (ntp, timestamp) = tracks.find(line.track)?.source_clock(now).filter(|_| self.started)?;
        Some(SenderReport {
            subscriber: self.subscriber,
            ssrc: self.ssrc,
            ntp,
            rtp_timestamp: timestamp.wrapping_add(line.timestamp),
            packets: self.packets,
            octets: self.octets,
        })
    }

    /// Sends what came late, also of a layer that was left.
    fn forward_all_late<S: Sink>(&mut self, tracks: &Tracks, track: &Track, train: &mut Train<'_, S>) {
        if !self.layered {
            track.late().iter().for_each(|&position| self.forward_late(track, position, train));
            return;
        }
        let order = tracks.source(self.source).map_or(&[][..], |source| source.order());
        for track in order.iter().filter_map(|id| tracks.find(*id)) {
            track.late().iter().for_each(|&position| self.forward_late(track, position, train));
        }
    }

    fn playout_delay(&self) -> Option<PlayoutDelay> {
        match self.stage {
            Stage::CatchingUp => Some(PlayoutDelay::NONE),
            _ if self.settling > 0 => Some(USUAL_PLAYOUT_DELAY),
            _ => None,
        }
    }
}

/// Receivers keep the last playout delay they were told, so after the catch-up they are told libwebrtc's own again.
const USUAL_PLAYOUT_DELAY: PlayoutDelay = PlayoutDelay { min: Duration::ZERO, max: Duration::from_secs(10) };
/// More than a paced leg sends at a time.
const MOST_PACED: u64 = 64;
/// Enough packets that some frame's first one among them arrives.
const SETTLING_PACKETS: u16 = 256;
/// Key-frame requests that one viewer may make in a row.
const KEY_FRAMES_AT_ONCE: f64 = 3.0;

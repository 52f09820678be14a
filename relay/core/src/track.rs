//! One published track: its publisher's packets, kept where every leg reads them, and what is asked of the publisher.

mod branch;
mod intake;
mod layer;
mod params;
mod reading;

use std::time::Instant;

use latchkey_wire::codec::MediaKind;
use latchkey_wire::dependency_descriptor::Reader;
use latchkey_wire::rtcp::ReceptionReport;
use latchkey_wire::shape::{Refusal, ShapeCheck};

use crate::config::RoomConfig;
use crate::event::{Event, MissingPackets};
use crate::gop::GopCache;
use crate::header::Widest;
use crate::history::History;
use crate::id::TrackId;
use crate::keyframe::KeyFrames;
use crate::news::News;
use crate::pause::Pause;
use crate::rates::Rates;
use crate::report::{Reception, SourceClock};
use crate::timeline::Timeline;
use crate::track::branch::Outflow;
use crate::upstream::Missing;

pub use params::TrackParams;

/// One track of a room.
#[derive(Debug)]
pub(crate) struct Track {
    id: TrackId,
    params: TrackParams,
    ssrc: Option<u32>,
    rtx_ssrc: Option<u32>,
    state: State,
    layers: Reader,
    rates: Rates,
    pause: Pause,
    shape: ShapeCheck,
    timeline: Timeline,
    history: History,
    gop: GopCache,
    key_frames: KeyFrames,
    missing: Missing,
    reception: Reception,
    clock: SourceClock,
    /// Legs on this track.
    watchers: usize,
    /// A branch has legs on it.
    watched_elsewhere: bool,
    /// What the home was told last.
    watched: bool,
    /// What the branches were told last; in a branch, what the home said.
    paused: bool,
    /// One past the newest position that came, for finding gaps.
    seen: u64,
    /// Where the present publisher's forwarded packets begin.
    begin: u64,
    /// One past the newest packet that may be forwarded.
    end: u64,
    /// `end` when viewers that are behind got their last chunk.
    end_at_chunk: u64,
    batch: Batch,
    /// The packets come from the room's home, not from a publisher.
    follows: bool,
    outflow: Outflow,
}

/// What came since the last forwarding; precomputed for all legs.
#[derive(Debug)]
struct Batch {
    /// Where new packets begin: the track's end at the last forwarding.
    from: u64,
    /// Packets that came below `from`.
    late: Vec<u64>,
    /// Longest extension values from `from` on.
    widest: Widest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No publisher.
    Vacant,
    /// Its first frames are being looked at.
    Holding,
    /// Packets go out.
    Forwarding,
    /// Not sealed media; final for this publisher.
    Refused(Refusal),
}

impl Track {
    /// Makes a track whose publisher is about to send.
    pub(crate) fn new(id: TrackId, params: TrackParams, config: &RoomConfig) -> Self {
        let (packets, bytes) = match params.codec.kind() {
            MediaKind::Video => (config.video_packets, config.video_bytes),
            MediaKind::Audio => (config.audio_packets, config.audio_bytes),
        };
        let clock_rate = params.codec.clock_rate();
        let history = History::new(packets, bytes);
        Self {
            id,
            params,
            ssrc: params.ssrc,
            rtx_ssrc: params.rtx_ssrc,
            state: State::Holding,
            layers: Reader::new(),
            rates: Rates::new(),
            pause: Pause::new(),
            shape: ShapeCheck::new(params.codec),
            timeline: Timeline::new(clock_rate, history.capacity()),
            history,
            gop: GopCache::default(),
            key_frames: KeyFrames::new(config.key_frame_request_interval, config.key_frame_longest_gap),
            missing: Missing::new(config.reorder_tolerance),
            reception: Reception::new(clock_rate),
            clock: SourceClock::new(clock_rate),
            watchers: 0,
            watched_elsewhere: false,
            watched: false,
            paused: false,
            seen: 0,
            begin: 0,
            end: 0,
            end_at_chunk: 0,
            batch: Batch { from: 0, late: Vec::with_capacity(MOST_LATE), widest: Widest::default() },
            follows: false,
            outflow: Outflow::default(),
        }
    }

    /// Another publisher takes over with the same codec; legs go on.
    pub(crate) fn replace(&mut self, params: TrackParams) {
        self.params = params;
        self.ssrc = params.ssrc;
        self.rtx_ssrc = params.rtx_ssrc;
        self.timeline.restart();
        self.begin_stretch(self.timeline.end());
    }

    /// The publisher went away; legs wait for the next one.
    pub(crate) fn vacate(&mut self) {
        self.state = State::Vacant;
        self.missing.clear();
        self.gop.clear();
    }

    /// The publisher's sender report.
    pub(crate) fn sender_report(&mut self, ntp: u64, timestamp: u32, now: Instant) {
        self.reception.sender_report(ntp, now);
        if let Some(offset) = self.timeline.timestamp_offset() {
            self.clock.reported(ntp, timestamp.wrapping_add(offset), now);
        }
    }

    /// A leg cannot go on without a key frame.
    pub(crate) fn want_key_frame(&mut self, now: Instant, news: &mut News) {
        let coming = self.state == State::Holding && self.gop.position().is_some();
        if self.is_video() && !coming {
            self.key_frames.want();
            self.ask(now, news);
        }
    }

    /// Legs on this track.
    pub(crate) fn watchers(&self) -> usize {
        self.watchers
    }

    /// A leg came or went.
    pub(crate) fn set_watchers(&mut self, watchers: usize) {
        self.watchers = watchers;
    }

    /// Sends what is due to the publisher.
    pub(crate) fn ask(&mut self, now: Instant, news: &mut News) {
        let Some(ssrc) = self.ssrc.filter(|_| matches!(self.state, State::Holding | State::Forwarding))
        else {
            return;
        };
        let (track, timeline, follows) = (self.id, &self.timeline, self.follows);
        let mut missing = MissingPackets::new();
        self.missing.due(now, |position| {
            // The home is asked by the low bits of the position.
            missing.push(if follows { position as u16 } else { timeline.sequence(position) });
            if missing.is_full() {
                news.packets_missing(track, ssrc, std::mem::replace(&mut missing, MissingPackets::new()));
            }
        });
        if !missing.as_slice().is_empty() {
            news.packets_missing(track, ssrc, missing);
        }
        if self.is_video() && self.key_frames.request(self.watchers > 0, now) {
            news.stats.key_frame_requests_sent += 1;
            news.event(Event::KeyFrameWanted { track, ssrc });
        }
    }

    /// Makes the receiver report for the publisher.
    pub(crate) fn reception(&mut self, now: Instant) -> Option<ReceptionReport> {
        let ssrc = self.ssrc.filter(|_| self.state != State::Vacant)?;
        self.reception.report(ssrc, now)
    }

    /// Every leg has seen what came; the next batch begins, and after a chunk (or while nobody needs one) the next chunk.
    pub(crate) fn end_batch(&mut self, chunk_ends: bool) {
        if chunk_ends {
            self.end_at_chunk = self.end;
        }
        self.batch.from = self.end;
        self.batch.late.clear();
        self.batch.widest = Widest::default();
        self.outflow.end_batch();
    }

    /// When [`ask`](Self::ask) has a gap to ask about.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.missing.next_due()
    }

    pub(crate) fn id(&self) -> TrackId {
        self.id
    }

    pub(crate) fn params(&self) -> &TrackParams {
        &self.params
    }

    pub(crate) fn is_video(&self) -> bool {
        self.params.codec.kind() == MediaKind::Video
    }

    pub(crate) fn is_vacant(&self) -> bool {
        self.state == State::Vacant
    }

    /// Why the publisher was refused, if it was.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        match self.state {
            State::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Says whether the publisher's sender report is about this track.
    pub(crate) fn is_source(&self, ssrc: u32) -> bool {
        self.ssrc == Some(ssrc) && self.state != State::Vacant
    }

    pub(crate) fn clock_rate(&self) -> u32 {
        self.params.codec.clock_rate()
    }

    pub(crate) fn rates(&self) -> &Rates {
        &self.rates
    }

    /// NTP time and timestamp on the track's line at `now`.
    pub(crate) fn source_clock(&self, now: Instant) -> Option<(u64, u32)> {
        self.clock.at(now).filter(|_| self.state == State::Forwarding)
    }
}

/// Late packets remembered per batch.
const MOST_LATE: usize = 1024;

//! How a leg chooses among the layers of its source, where it begins, and how it goes over from one to another.

use std::time::{Duration, Instant};

use latchkey_wire::dependency_descriptor::{Layer, Mandatory};

use crate::bandwidth::Estimate;
use crate::config::RoomConfig;
use crate::history::Found;
use crate::id::TrackId;
use crate::munger::Line;
use crate::selector::Keep;
use crate::subscription::{Stage, Subscription};
use crate::timeline::ticks;
use crate::track::Track;
use crate::tracks::Tracks;

/// How much of its source a leg gets: the rung, then the frames of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level {
    /// 0 for the smallest picture.
    pub(crate) rung: usize,
    /// `None` for key frames only.
    pub(crate) temporal: Option<u8>,
}

impl Subscription {
    /// What the viewer's path carries, all its legs together.
    pub(crate) fn on_estimate(&mut self, estimate: &Estimate) {
        self.selector.take_estimate(estimate);
    }

    /// Bits per second that the path must carry for the next layer up; 0 when the leg has everything.
    pub(crate) fn wanted_bits_per_second(&self) -> u64 {
        self.wanted
    }

    /// It is to get key frames only.
    pub(crate) fn starves(&self) -> bool {
        self.selector.aim().keep == Keep::KeyFrames
    }

    /// It gets key frames only, while more comes from its publisher.
    pub(crate) fn is_kept_waiting(&self, tracks: &Tracks, now: Instant) -> bool {
        self.starves() && self.is_fed(tracks, now)
    }

    /// Chooses anew, ten times a second, beside legs of the viewer that take `others` bits a second. Returns the track of
    /// which it needs a key frame for what it chose.
    pub(crate) fn decide(&mut self, tracks: &Tracks, others: u64, now: Instant) -> Option<TrackId> {
        let source = tracks.source(self.source).filter(|_| self.is_video())?;
        self.layered = source.order().len() > 1;
        let ladder = source.ladder();
        let live = self.stage == Stage::Live;
        let aim = self.selector.aim();
        let is_settled = live && self.track == aim.track && self.filter.is_settled();
        self.selector.decide(ladder, others, is_settled, now);
        self.wanted = if self.is_fed(tracks, now) { self.selector.wanted(ladder) } else { 0 };
        let aim = self.selector.aim();
        if aim.track == self.track {
            self.filter.aim(aim.keep);
            return (live && self.filter.wants_key_frame()).then_some(self.track);
        }
        let goes_down = ladder.place(aim.track, 0) < ladder.place(self.track, 0);
        if goes_down && let Keep::Layer(layer) = self.filter.keep() {
            // Until the smaller picture's key frame comes.
            self.filter.aim(match aim.keep {
                Keep::Layer(_) => Keep::Layer(Layer { temporal: 0, ..layer }),
                Keep::KeyFrames => Keep::KeyFrames,
            });
        }
        live.then_some(aim.track)
    }

    /// What the leg gets now; `None` before its first packet.
    pub(crate) fn level(&self, tracks: &Tracks) -> Option<Level> {
        let ladder = tracks.source(self.source).filter(|_| self.started && self.is_video())?.ladder();
        let (spatial, temporal) = match self.filter.keep() {
            Keep::Layer(layer) => (layer.spatial, Some(layer.temporal)),
            Keep::KeyFrames => (0, None),
        };
        let rung = ladder.place(self.track, spatial)?;
        Some(Level { rung, temporal: temporal.map(|layer| layer.min(ladder.rungs()[rung].temporal)) })
    }

    /// Returns the level when it is another one than at the last call.
    pub(crate) fn changed_level(&mut self, tracks: &Tracks) -> Option<(Level, Level)> {
        let level = self.level(tracks)?;
        let before = self.noted_level.replace(level).filter(|before| *before != level)?;
        Some((before, level))
    }

    /// The track that it is to get.
    pub(crate) fn chosen(&self) -> TrackId {
        self.selector.aim().track
    }

    /// Bits a second that it takes from the viewer's path, when that is not for the selector to choose.
    pub(crate) fn takes(&self, tracks: &Tracks) -> Option<u64> {
        let track = tracks.find(self.track).filter(|track| !track.is_video())?;
        Some(track.rates().bits_per_second(Layer::TOP))
    }

    /// The tracks that it sends, and is about to.
    pub(crate) fn watched(&self) -> [TrackId; 2] {
        [self.track, self.selector.aim().track]
    }

    /// Something comes of what it sends.
    fn is_fed(&self, tracks: &Tracks, now: Instant) -> bool {
        tracks.find(self.track).is_some_and(|track| track.rates().is_live(now))
    }

    /// Where the leg may begin: on the layer chosen, or if that has no picture yet on another, for something to be seen.
    pub(super) fn start(&self, tracks: &Tracks, now: Instant, config: &RoomConfig) -> Option<(TrackId, u64)> {
        let chosen = self.selector.aim().track;
        if let Some(start) = self.start_on(tracks.find(chosen)?, now, config) {
            return Some((chosen, start));
        }
        let order = tracks.source(self.source).filter(|_| self.layered)?.order();
        let at = order.iter().position(|id| *id == chosen).unwrap_or(0);
        let others = order[..at].iter().rev().chain(&order[at..]);
        others.filter_map(|id| Some((*id, self.start_on(tracks.find(*id)?, now, config)?))).next()
    }

    fn start_on(&self, track: &Track, now: Instant, config: &RoomConfig) -> Option<u64> {
        if !track.is_video() {
            return track.live_from().filter(|start| *start >= self.cursor);
        }
        let start = track.gop_start(now, config.gop_age)?;
        if self.layered && (!track.rates().is_live(now) || track.is_held_back()) {
            // A picture of before its pause.
            return None;
        }
        let not_before = if track.id() == self.track {
            start >= self.cursor
        } else {
            !self.started || track.gop_at().is_some_and(|at| at > self.sent_at)
        };
        not_before.then_some(start)
    }

    /// Where the leg may go over to the layer chosen: at its key frame of this moment, with the present picture complete.
    pub(super) fn crossing(&self, tracks: &Tracks, now: Instant) -> Option<(TrackId, u64)> {
        let aim = self.selector.aim().track;
        if aim == self.track || self.stage != Stage::Live {
            return None;
        }
        let track = tracks.find(aim)?;
        let start = track.gop_start(now, FRESH)?;
        let age = now.saturating_duration_since(track.gop_at()?);
        (self.picture_ended || age >= FRESH / 2).then_some((aim, start))
    }

    /// Has the next packet be one of another track: numbers, timestamps and frame numbers go on.
    pub(super) fn go_over(&mut self, to: TrackId, position: u64, tracks: &Tracks, now: Instant) {
        let line = self.munger.line();
        if to != line.track
            && let Some(track) = tracks.find(to)
        {
            let line = if self.started {
                self.line_on(track, position, tracks, now)
            } else {
                Line { track: to, ..line }
            };
            self.munger.set_line(line);
        }
        self.track = to;
        let aim = self.selector.aim();
        self.filter.restart(if aim.track == to { aim.keep } else { Keep::Layer(Layer::TOP) });
    }

    fn line_on(&self, to: &Track, position: u64, tracks: &Tracks, now: Instant) -> Line {
        let (timestamp, frame_number) = match to.find(position) {
            Found::Packet(facts, parts) => {
                (facts.timestamp, Mandatory::read(parts.dependency_descriptor).map(|read| read.frame_number))
            }
            Found::Missing | Found::Gone => return Line { track: to.id(), ..self.munger.line() },
        };
        let newest = self.timestamp.wrapping_add(self.munger.line().timestamp);
        let passed = ticks(now.saturating_duration_since(self.sent_at), to.clock_rate());
        let expected = newest.wrapping_add(passed);
        let by_clock = self.by_clock(to, timestamp, tracks, now);
        let sane = |at: &u32| (at.wrapping_sub(expected) as i32).unsigned_abs() < to.clock_rate() / 2;
        let aligned = by_clock.filter(sane).unwrap_or(expected);
        let earliest = newest.wrapping_add(to.clock_rate() / 1000);
        let at = if (aligned.wrapping_sub(earliest) as i32) < 0 { earliest } else { aligned };
        Line {
            track: to.id(),
            timestamp: at.wrapping_sub(timestamp),
            frame_number: frame_number
                .map_or(0, |number| self.frame_number.wrapping_add(1).wrapping_sub(number)),
        }
    }

    /// The timestamp on the leg's line of what was captured with `timestamp` of another track, by the publisher's clock.
    fn by_clock(&self, to: &Track, timestamp: u32, tracks: &Tracks, now: Instant) -> Option<u32> {
        let (ntp_here, here) = tracks.find(self.track)?.source_clock(now)?;
        let (ntp_there, there) = to.source_clock(now)?;
        let apart = ntp_here.wrapping_sub(ntp_there) as i64;
        let apart = ((i128::from(apart) * i128::from(to.clock_rate())) >> 32) as u32;
        let present = here.wrapping_add(self.munger.line().timestamp).wrapping_sub(apart);
        Some(present.wrapping_add(timestamp.wrapping_sub(there)))
    }
}

/// A key frame that began longer ago would take the viewer back in time.
const FRESH: Duration = Duration::from_millis(40);

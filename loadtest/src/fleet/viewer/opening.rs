//! Whole frames are opened, or a sample of them is, and tell which they are and how old.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::open::{FrameOpener, OpenError};
use latchkey_wire::codec::Codec;
use latchkey_wire::{envelope, payload};

use crate::fleet::content::Stamp;
use crate::fleet::viewer::assembly::Whole;
use crate::fleet::viewer::desk::Bench;
use crate::fleet::viewer::numbers::Numbers;
use crate::measure::tally::ViewerTally;

/// How frames come.
pub enum Frames {
    /// Sealed end to end; further keys follow with the epochs.
    Sealed(EpochKeys),
    /// As the camera's encoder made them: for servers that cannot carry sealed ones.
    Plain,
}

impl std::fmt::Debug for Frames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sealed(_) => "Sealed(..)",
            Self::Plain => "Plain",
        })
    }
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Opened.
    Opened,
    /// Whole, and not of the sample that is opened.
    NotOfTheSample,
    /// It did not open, or it opened and should not have.
    Refused,
    /// Its keys have not come yet.
    NoKeys,
}

/// Opens the frames of one viewer.
pub(crate) struct Opening {
    codec: Codec,
    opener: Option<FrameOpener>,
    begun: Instant,
    /// One frame in so many is opened.
    one_in: u32,
    turn: u32,
    pace: Option<Pace>,
    pub(crate) numbers: Numbers,
    /// Frames whose epoch's keys have not come yet.
    waiting: VecDeque<(Instant, Whole)>,
    removed: Option<Removed>,
    /// When the first packet came: frames from before are out of the server's memory, and their age tells nothing of it.
    live_from_ns: Option<u64>,
}

/// The frame that was opened last, and what the ones after it are told by.
#[derive(Clone, Copy)]
struct Pace {
    timestamp: u32,
    number: u64,
    /// RTP ticks from one frame to the next, once two were opened.
    ticks: Option<f64>,
}

#[derive(Clone, Copy)]
struct Removed {
    /// The last epoch that the device has keys of.
    epoch: u64,
    at_ns: u64,
}

impl Opening {
    /// One frame in `one_in` is opened, beginning after `turn` others.
    pub(crate) fn new(codec: Codec, frames: Frames, one_in: u32, turn: u32, now: Instant) -> Self {
        let opener = match frames {
            Frames::Plain => None,
            Frames::Sealed(keys) => {
                let mut opener = FrameOpener::new();
                opener.add_epoch(keys, Duration::ZERO);
                Some(opener)
            }
        };
        let one_in = one_in.max(1);
        Self {
            codec,
            opener,
            begun: now,
            one_in,
            turn: turn % one_in,
            pace: None,
            numbers: Numbers::default(),
            waiting: VecDeque::new(),
            removed: None,
            live_from_ns: None,
        }
    }

    /// A packet came at this moment.
    pub(crate) fn note_arrival(&mut self, arrival_ns: u64) {
        self.live_from_ns.get_or_insert(arrival_ns);
    }

    /// Takes the keys of another epoch and returns the frames that have waited for keys.
    pub(crate) fn add_keys(&mut self, keys: EpochKeys, now: Instant) -> Vec<Whole> {
        if let Some(opener) = &mut self.opener {
            let since = now.saturating_duration_since(self.begun);
            opener.add_epoch(keys, since);
            opener.retire_epochs(since, KEPT);
        }
        self.waiting.drain(..).map(|(_, whole)| whole).collect()
    }

    /// From now on nothing may open any more.
    pub(crate) fn remove(&mut self, now: SystemTime) {
        let epoch = self.opener.as_ref().and_then(FrameOpener::newest_epoch).unwrap_or(u64::MAX);
        self.removed = Some(Removed { epoch, at_ns: Stamp::nanoseconds(now) });
        self.waiting.clear();
    }

    /// Keeps a frame until its keys come.
    pub(crate) fn keep(&mut self, whole: Whole, now: Instant, tally: &mut ViewerTally) {
        self.forget_old(now, tally);
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
            tally.frames_refused += 1;
        }
        self.waiting.push_back((now, whole));
    }

    /// Counts frames whose keys never came as refused.
    pub(crate) fn forget_old(&mut self, now: Instant, tally: &mut ViewerTally) {
        let is_old = |since: Instant| now.saturating_duration_since(since) > KEYS_WITHIN;
        while self.waiting.front().is_some_and(|(since, _)| is_old(*since)) {
            self.waiting.pop_front();
            tally.frames_refused += 1;
        }
    }

    /// Opens a frame, or counts it by its time where it is not of the sample.
    pub(crate) fn whole(
        &mut self,
        whole: &Whole,
        now: Instant,
        bench: &mut Bench,
        tally: &mut ViewerTally,
    ) -> Outcome {
        self.turn += 1;
        if let Some(number) = self.told_by_time(whole.timestamp).filter(|_| self.turn < self.one_in) {
            self.numbers.opened(number, now, tally);
            return Outcome::NotOfTheSample;
        }
        match self.read(whole, bench) {
            Ok(read) => {
                self.turn = 0;
                if self.is_forbidden(&read) {
                    tally.opened_by_removed += 1;
                    return Outcome::Refused;
                }
                self.count(&read, whole, now, bench, tally);
                Outcome::Opened
            }
            Err(Unread::NoKeys) if self.removed.is_some() => Outcome::Refused,
            Err(Unread::NoKeys) => Outcome::NoKeys,
            Err(Unread::Refused) => {
                tally.frames_refused += u64::from(self.removed.is_none());
                Outcome::Refused
            }
        }
    }

    fn read(&mut self, whole: &Whole, bench: &mut Bench) -> Result<Read, Unread> {
        let payloads = whole.pieces.iter().map(|piece| &*piece.payload);
        payload::assemble(self.codec, payloads, &mut bench.wire).map_err(|_| Unread::Refused)?;
        let Some(opener) = &mut self.opener else {
            // In clear only its stamp shows that a frame is what the camera made.
            let stamp = Stamp::read_from(&bench.wire).ok_or(Unread::Refused)?;
            return Ok(Read { stamp: Some(stamp), epoch: None });
        };
        let parts = envelope::split(self.codec, &bench.wire, &mut bench.scratch);
        let parts = parts.map_err(|_| Unread::Refused)?;
        match opener.open(parts.sframe, parts.envelope, &mut bench.picture) {
            Ok(opened) => Ok(Read { stamp: Stamp::read_from(&bench.picture), epoch: Some(opened.epoch) }),
            Err(OpenError::UnknownEpoch) => Err(Unread::NoKeys),
            Err(_) => Err(Unread::Refused),
        }
    }

    fn is_forbidden(&self, read: &Read) -> bool {
        self.removed.is_some_and(|removed| {
            read.epoch.is_some_and(|epoch| epoch > removed.epoch)
                || read.stamp.is_some_and(|stamp| stamp.born_ns > removed.at_ns)
        })
    }

    fn count(
        &mut self,
        read: &Read,
        whole: &Whole,
        now: Instant,
        bench: &mut Bench,
        tally: &mut ViewerTally,
    ) {
        let Some(stamp) = read.stamp else {
            // Of a camera that is not of the fleet: authentic, but nameless.
            tally.frames_expected += 1;
            tally.frames_opened += 1;
            return;
        };
        self.numbers.opened(stamp.number, now, tally);
        self.keep_pace(whole.timestamp, stamp.number);
        if self.live_from_ns.is_none_or(|live_from| stamp.born_ns < live_from) {
            return;
        }
        let mut last_ns = 0;
        for piece in &whole.pieces {
            let index = (piece.sequence - whole.place.first).min(u64::from(u16::MAX)) as u16;
            let age_ns = piece.arrival_ns.saturating_sub(stamp.packet_born_ns(index));
            bench.window.packet_latency.record(age_ns / 1000);
            last_ns = last_ns.max(piece.arrival_ns);
        }
        let left_ns = stamp.packet_born_ns(stamp.packets.saturating_sub(1));
        bench.window.frame_latency.record(last_ns.saturating_sub(left_ns) / 1000);
    }

    /// The number that a frame of this time has, seen from the one opened last.
    fn told_by_time(&self, timestamp: u32) -> Option<u64> {
        let pace = self.pace?;
        let ticks = f64::from(timestamp.wrapping_sub(pace.timestamp) as i32);
        let frames = (ticks / pace.ticks?).round() as i64;
        pace.number.checked_add_signed(frames)
    }

    fn keep_pace(&mut self, timestamp: u32, number: u64) {
        let measured = self.pace.and_then(|before| {
            let ticks = timestamp.wrapping_sub(before.timestamp) as i32;
            let frames = number.wrapping_sub(before.number) as i64;
            let ticks = f64::from(ticks) / frames as f64;
            // Over a whole second it is exact; over less only as long as nothing better is known.
            (frames > 0 && ticks > 0.0 && frames < 1000).then_some(ticks).or(before.ticks)
        });
        self.pace = Some(Pace { timestamp, number, ticks: measured });
    }
}

struct Read {
    stamp: Option<Stamp>,
    epoch: Option<u64>,
}

enum Unread {
    NoKeys,
    Refused,
}

/// How long the keys of an epoch that is over are kept.
const KEPT: Duration = Duration::from_secs(10);
/// How long a frame waits for its keys, and how many do.
const KEYS_WITHIN: Duration = Duration::from_secs(3);
const MOST_WAITING: usize = 128;

//! Which layer a leg is to get: as much as the viewer wishes and its path carries, and in doubt key frames rather than nothing.
//!
//! ```text
//!                         the estimate is below what is sent: at once
//! all of the source ──▶ a smaller picture ──▶ fewer frames of the smallest ──▶ key frames only
//!                   ◀──                   ◀──                             ◀──
//!      one rung at a time: when the estimate has room to spare, or when the path shows no limit; each after a wait that
//!      doubles when the rung could not be kept
//! ```

use std::time::{Duration, Instant};

use latchkey_wire::dependency_descriptor::Layer;

use crate::bandwidth::Estimate;
use crate::id::TrackId;
use crate::ladder::Ladder;

/// What a leg is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aim {
    /// Of which simulcast layer.
    pub(crate) track: TrackId,
    pub(crate) keep: Keep,
}

/// Which frames of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// What this layer needs.
    Layer(Layer),
    /// Key frames.
    KeyFrames,
}

/// Decides for one leg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selector {
    /// Bits a second that the viewer wants at most.
    wish: u64,
    path: Path,
    aim: Aim,
    /// Not before then a rung up.
    up_after: Option<Instant>,
    /// How long the next wait is.
    wait: Duration,
    /// When it last went up.
    went_up: Option<Instant>,
}

/// What is known of the viewer's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// Nothing: it gives no feedback.
    Unknown,
    /// So many bits a second are left for this leg.
    Carries(u64),
    /// It held nothing up of what was sent; so many bits a second are sure.
    Clear(u64),
}

impl Selector {
    /// Wants everything that a source has within `wish` bits a second.
    pub(crate) fn new(track: TrackId, wish: Option<u64>) -> Self {
        Self {
            wish: wish.unwrap_or(u64::MAX),
            path: Path::Unknown,
            aim: Aim { track, keep: Keep::Layer(Layer::TOP) },
            up_after: None,
            wait: SHORTEST_WAIT,
            went_up: None,
        }
    }

    /// What the leg is to send.
    pub(crate) fn aim(&self) -> Aim {
        self.aim
    }

    /// Takes an estimate of the viewer's path.
    pub(crate) fn take_estimate(&mut self, estimate: &Estimate) {
        let bits = estimate.bits_per_second;
        self.path = if estimate.limited_by_source { Path::Clear(bits) } else { Path::Carries(bits) };
    }

    /// Decides anew. The viewer's other legs take `others` bits a second. `is_settled`: what was aimed at is being sent, so
    /// that the estimate speaks of it.
    pub(crate) fn decide(&mut self, ladder: &Ladder, others: u64, is_settled: bool, now: Instant) {
        let rungs = ladder.rungs();
        let highest = self.highest(ladder);
        let at = self.place(ladder);
        let path = match self.path {
            Path::Unknown => Path::Unknown,
            Path::Carries(bits) => Path::Carries(bits.saturating_sub(others)),
            Path::Clear(bits) => Path::Clear(bits.saturating_sub(others)),
        };
        let (place, temporal) = match path {
            Path::Unknown => (highest, self.temporal_within(ladder, highest)),
            Path::Carries(bits) => {
                let fits = rungs[..=highest].iter().rposition(|rung| rung.full() <= bits.min(self.wish));
                match fits {
                    Some(place) => (place, Some(rungs[place].temporal)),
                    None => (0, self.least(ladder, bits).min(self.temporal_within(ladder, 0))),
                }
            }
            Path::Clear(bits) => {
                let sure = rungs[..=highest].iter().rposition(|rung| rung.full() <= bits).unwrap_or(0);
                let next =
                    if self.aim.keep == Keep::KeyFrames || !self.is_full(ladder, at) { at } else { at + 1 };
                let place = next.max(sure).min(highest);
                (place, self.temporal_within(ladder, place))
            }
        };
        let wanted = (place, temporal);
        let present = (at, self.temporal(ladder, at));
        if wanted < present {
            self.go_down(temporal, now);
        } else if wanted > present && !self.may_go_up(ladder, path, wanted, is_settled, now) {
            // What is aimed at may have another name by now: a new publisher has other layers.
            return self.set(ladder, at, present.1);
        } else if wanted == present {
            self.rest(now);
        }
        self.set(ladder, wanted.0, wanted.1);
    }

    /// Bits a second that the path must carry for the next rung up; 0 at the highest that the viewer wishes.
    pub(crate) fn wanted(&self, ladder: &Ladder) -> u64 {
        let at = self.place(ladder);
        let next = if self.is_full(ladder, at) { at + 1 } else { at };
        let rung = ladder.rungs()[..=self.highest(ladder)].get(next);
        rung.map_or(0, |rung| (rung.full() as f64 * ROOM_TO_SPARE) as u64 + 1)
    }

    /// The highest rung within the viewer's wish.
    fn highest(&self, ladder: &Ladder) -> usize {
        ladder.rungs().iter().rposition(|rung| rung.full() <= self.wish).unwrap_or(0)
    }

    fn set(&mut self, ladder: &Ladder, place: usize, temporal: Option<u8>) {
        let rung = &ladder.rungs()[place];
        let largest = ladder.place(rung.track, u8::MAX) == Some(place);
        let spatial = if largest { Layer::TOP.spatial } else { rung.spatial };
        let keep = match temporal {
            None => Keep::KeyFrames,
            // All there is, also when the source gets more layers.
            Some(temporal) if temporal >= rung.temporal => Keep::Layer(Layer { spatial, ..Layer::TOP }),
            Some(temporal) => Keep::Layer(Layer { spatial, temporal }),
        };
        self.aim = Aim { track: rung.track, keep };
    }

    fn place(&self, ladder: &Ladder) -> usize {
        let spatial = match self.aim.keep {
            Keep::Layer(layer) => layer.spatial,
            Keep::KeyFrames => 0,
        };
        ladder.place(self.aim.track, spatial).unwrap_or(0)
    }

    /// The temporal layer aimed at; `None` for key frames only.
    fn temporal(&self, ladder: &Ladder, at: usize) -> Option<u8> {
        match self.aim.keep {
            Keep::Layer(layer) => Some(layer.temporal.min(ladder.rungs()[at].temporal)),
            Keep::KeyFrames => None,
        }
    }

    fn is_full(&self, ladder: &Ladder, at: usize) -> bool {
        self.temporal(ladder, at) == Some(ladder.rungs()[at].temporal)
    }

    /// The temporal layer that the viewer's wish leaves; a wish is no reason for less than the base layer.
    fn temporal_within(&self, ladder: &Ladder, place: usize) -> Option<u8> {
        Some(ladder.rungs()[place].fitting(self.wish).unwrap_or(0))
    }

    /// What fits of the smallest picture. When its base layer nearly fits that is sent: estimates swing, and frames that are
    /// late now and then are more than key frames.
    fn least(&self, ladder: &Ladder, bits: u64) -> Option<u8> {
        let rung = &ladder.rungs()[0];
        let nearly = if self.aim.keep == Keep::KeyFrames { NEARLY_AGAIN } else { NEARLY };
        let fits = rung.bits_per_second[0] as f64 <= nearly * bits as f64;
        rung.fitting(bits).or(fits.then_some(0))
    }

    fn may_go_up(
        &mut self,
        ladder: &Ladder,
        path: Path,
        (place, temporal): (usize, Option<u8>),
        is_settled: bool,
        now: Instant,
    ) -> bool {
        if path == Path::Unknown {
            return true;
        }
        let rung = &ladder.rungs()[place];
        let needs = rung.bits_per_second[usize::from(temporal.unwrap_or(0))];
        let is_base = self.aim.keep == Keep::KeyFrames && (place, temporal) == (0, Some(0));
        let room = if is_base { NEARLY_AGAIN.recip() } else { ROOM_TO_SPARE };
        if let Path::Carries(bits) = path
            && (bits as f64) < needs as f64 * room
        {
            return false;
        }
        let after = *self.up_after.get_or_insert(now + self.wait);
        if !is_settled || now < after {
            return false;
        }
        self.went_up = Some(now);
        self.up_after = Some(now + self.wait);
        true
    }

    fn go_down(&mut self, to: Option<u8>, now: Instant) {
        if self.went_up.take().is_some_and(|up| now.saturating_duration_since(up) < KEPT) {
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
        }
        let wait = if to.is_none() { self.wait.min(LONGEST_WAIT_FOR_BASE) } else { self.wait };
        self.up_after = Some(now + wait);
    }

    /// What was reached is kept: after a while it counts as such, and the next wait is short again.
    fn rest(&mut self, now: Instant) {
        if self.went_up.is_some_and(|up| now.saturating_duration_since(up) >= KEPT) {
            (self.went_up, self.wait) = (None, SHORTEST_WAIT);
        }
    }
}

/// An estimate must be so much above what a rung takes before a leg goes up to it.
const ROOM_TO_SPARE: f64 = 1.15;
/// The base layer is left when it takes so many times what the path carries, and sent again when it takes no more than so
/// many times: an estimate swings between a path's rate and 0.85 of it, and of a probe 0.9 is believed.
const NEARLY: f64 = 1.3;
const NEARLY_AGAIN: f64 = 1.11;
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
/// With key frames only there is nothing to lose.
const LONGEST_WAIT_FOR_BASE: Duration = Duration::from_secs(4);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A rung left sooner than this was too high.
const KEPT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;

//! How much is lost: the bound of draft-ietf-rmcat-gcc-02 section 6.

use std::time::{Duration, Instant};

/// What a stretch of packets says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Hardly any loss.
    Clean,
    /// Some: no reason to send less, nor more.
    Some,
    /// This part of them was lost: the path is full.
    Heavy(f64),
}

/// Counts what came and what did not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    lost: u32,
    total: u32,
    since: Option<Instant>,
    verdict: Verdict,
}

impl Loss {
    pub(super) fn new() -> Self {
        Self { lost: 0, total: 0, since: None, verdict: Verdict::Clean }
    }

    pub(super) fn received(&mut self) {
        self.total += 1;
    }

    pub(super) fn lost(&mut self) {
        self.lost += 1;
        self.total += 1;
    }

    /// What the last whole stretch says.
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Ends a stretch when it is long enough; then what it says.
    pub(super) fn judge(&mut self, now: Instant) -> Option<Verdict> {
        let since = *self.since.get_or_insert(now);
        if self.total < FEWEST || now.saturating_duration_since(since) < STRETCH {
            return None;
        }
        let part = f64::from(self.lost) / f64::from(self.total);
        *self = Self { since: Some(now), verdict: Verdict::of(part), ..Self::new() };
        Some(self.verdict)
    }
}

impl Verdict {
    /// What it means that this part was lost.
    pub(super) fn of(part: f64) -> Self {
        match part {
            part if part > HEAVY => Self::Heavy(part.min(1.0)),
            part if part > CLEAN => Self::Some,
            _ => Self::Clean,
        }
    }
}

const STRETCH: Duration = Duration::from_millis(200);
const FEWEST: u32 = 20;
const CLEAN: f64 = 0.02;
const HEAVY: f64 = 0.10;

//! How much is lost, and whether that says anything: what a path loses anyway (Wi-Fi) does not come back by sending less.
//!
//! While packets wait, loss is a queue that overflows, and the bound of draft-ietf-rmcat-gcc-02 section 6 holds for what goes
//! beyond the usual. While nothing waits, up to a quarter is taken for the path's own and left to repair.

use std::time::{Duration, Instant};

/// What a stretch of packets says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// Hardly any loss.
    Clean,
    /// As much as the path loses anyway: no reason to send less.
    Usual,
    /// More than that: no reason to send less, nor more.
    Some,
    /// This part of them was lost although nothing waits: more than repair makes good.
    Much(f64),
    /// This part of them was lost, beyond the usual: the path is full.
    Heavy(f64),
}

/// Counts what came and what did not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    lost: u32,
    total: u32,
    since: Option<Instant>,
    /// Lost part of about the last second in which nothing waited.
    recent: Mean,
    /// Lost part of about the last ten.
    usual: Mean,
    verdict: Verdict,
}

/// A part of packets that follows what is fresh.
#[derive(Clone, Copy, Debug)]
struct Mean {
    weight: f64,
    part: f64,
}

impl Loss {
    pub(super) fn new() -> Self {
        Self {
            lost: 0,
            total: 0,
            since: None,
            recent: Mean::new(),
            usual: Mean::new(),
            verdict: Verdict::Clean,
        }
    }

    pub(super) fn received(&mut self) {
        self.total += 1;
    }

    pub(super) fn lost(&mut self) {
        self.lost += 1;
        self.total += 1;
    }

    /// What was taken for lost was only overtaken.
    pub(super) fn came_after_all(&mut self) {
        self.lost = self.lost.saturating_sub(1);
    }

    /// Nothing of it speaks against sending more. What was long ago says nothing about now.
    pub(super) fn allows_more(&self, now: Instant) -> bool {
        let is_old = self.since.is_some_and(|since| now.saturating_duration_since(since) >= STALE);
        match self.verdict {
            Verdict::Clean | Verdict::Usual => true,
            _ => is_old && f64::from(self.lost) <= MOST_USUAL * f64::from(self.total),
        }
    }

    /// The part that the path loses anyway, of what is sent now.
    pub(super) fn usual(&self) -> f64 {
        self.usual.part.min(self.recent.part).min(MOST_USUAL)
    }

    /// Ends a stretch when it is long enough; then what it says. `waits`: packets wait on their way.
    pub(super) fn judge(&mut self, waits: bool, now: Instant) -> Option<Verdict> {
        let since = *self.since.get_or_insert(now);
        if self.total < FEWEST || now.saturating_duration_since(since) < STRETCH {
            return None;
        }
        let passed = now.saturating_duration_since(since).as_secs_f64();
        let part = f64::from(self.lost) / f64::from(self.total);
        let total = f64::from(self.total);
        // Few packets can all be lost by chance.
        let full = waits || part > MOST_LOST + total.sqrt().recip();
        if !full {
            self.recent.add(part, (total / 150.0).max(passed / 2.0));
            self.usual.add(part.min(MOST_USUAL), (total / 1_500.0).max(passed / 20.0));
        }
        (self.lost, self.total, self.since) = (0, 0, Some(now));
        self.verdict = if full {
            let usual = self.usual();
            // Three of twenty are lost by chance where one in twenty is usual.
            let chance = CHANCE * (usual.max(CLEAN) * (1.0 - usual) / total).sqrt();
            Verdict::of((part - usual).max(0.0), HEAVY + chance)
        } else {
            match self.recent.part {
                recent if recent > MOST_USUAL && self.recent.weight >= KNOWN => Verdict::Much(recent),
                recent if recent <= CLEAN => Verdict::Clean,
                recent if recent <= self.usual.part + MORE => Verdict::Usual,
                _ => Verdict::Some,
            }
        };
        Some(self.verdict)
    }
}

impl Verdict {
    /// What a receiver report means that says that this part was lost; whether anything waited is not known.
    pub(super) fn reported(part: f64) -> Self {
        Self::of(part, MOST_USUAL)
    }

    fn of(part: f64, heavy: f64) -> Self {
        match part {
            part if part > heavy => Self::Heavy(part.min(1.0)),
            part if part > CLEAN => Self::Some,
            _ => Self::Clean,
        }
    }
}

impl Mean {
    fn new() -> Self {
        Self { weight: 0.0, part: 0.0 }
    }

    fn add(&mut self, part: f64, fresh: f64) {
        let fresh = fresh.min(1.0);
        self.weight += (1.0 - self.weight) * fresh;
        self.part += (part - self.part) * (fresh / self.weight);
    }
}

const STRETCH: Duration = Duration::from_millis(200);
const FEWEST: u32 = 20;
/// A verdict counts for so long without another.
const STALE: Duration = Duration::from_millis(1_500);
const CLEAN: f64 = 0.02;
const HEAVY: f64 = 0.10;
/// So many standard deviations more than the usual may be by chance.
const CHANCE: f64 = 2.0;
/// More than this is no way of a path: repair asked for again and again costs more than it brings.
const MOST_USUAL: f64 = 0.28;
/// A mean of less than this part of its time may be chance: of the first thirty packets of a path that loses a fifth, a third.
const KNOWN: f64 = 0.6;
/// So much is a path that is full, whatever its delay says: its queue may be too short to be seen.
const MOST_LOST: f64 = 0.5;
/// So far above the usual is the usual: stretches are short.
const MORE: f64 = 0.05;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    /// What is said after so many seconds of 250 packets, of which every `every`th is lost.
    fn after(loss: &mut Loss, now: &mut Instant, seconds: u32, every: u32, waits: bool) -> Verdict {
        for packet in 0..seconds * 250 {
            if packet % every == 0 {
                loss.lost();
            } else {
                loss.received();
            }
            *now += Duration::from_millis(4);
            let _ = loss.judge(waits, *now);
        }
        loss.verdict
    }

    #[test]
    fn what_a_path_loses_anyway_is_no_reason_and_what_a_full_queue_loses_is() {
        let (mut loss, mut now) = (Loss::new(), Instant::now());
        assert_eq!(after(&mut loss, &mut now, 2, 100, false), Verdict::Clean);
        assert_eq!(after(&mut loss, &mut now, 1, 5, false), Verdict::Some, "more than before");
        assert_eq!(after(&mut loss, &mut now, 20, 5, false), Verdict::Usual);
        assert!((loss.usual() - 0.2).abs() < 0.02, "{}", loss.usual());
        assert_eq!(after(&mut loss, &mut now, 2, 5, true), Verdict::Clean, "nothing beyond the usual");
        assert!(matches!(after(&mut loss, &mut now, 1, 2, true), Verdict::Heavy(part) if part > 0.2));
        assert!(matches!(after(&mut loss, &mut now, 3, 3, false), Verdict::Much(part) if part < 0.5));
        assert!(matches!(after(&mut loss, &mut now, 1, 1, false), Verdict::Heavy(part) if part > 0.5));
    }

    #[test]
    fn the_first_packets_do_not_say_that_it_is_much() {
        let (mut loss, mut now) = (Loss::new(), Instant::now());
        let mut verdicts = Vec::new();
        for packet in 0..180 {
            if packet % 5 < 2 {
                loss.lost();
            } else {
                loss.received();
            }
            now += Duration::from_millis(8);
            verdicts.extend(loss.judge(false, now));
        }
        assert_eq!(verdicts.first(), Some(&Verdict::Some), "two fifths of the first stretch");
        assert!(matches!(verdicts.last(), Some(Verdict::Much(_))), "after 1.4 s: {verdicts:?}");
    }
}

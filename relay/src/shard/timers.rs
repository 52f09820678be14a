//! One heap of deadlines for everything on a shard that waits: peers and rooms, not a ticker for each.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The peer at this place.
    Peer(u32),
    /// The room at this place.
    Room(u32),
    /// The publisher at this place is to be told how its packets came.
    Arrivals(u32),
}

/// Deadlines, earliest first. Entries may be stale: who pops one asks its owner what is really due, and sets it anew.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Timer)>>,
}

/// The deadline that an owner has in the heap; kept by the owner, so that it does not enter twice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Armed(Option<Instant>);

impl Timers {
    /// Makes sure that `timer` is popped at `deadline` at the latest.
    pub(super) fn arm(&mut self, timer: Timer, deadline: Instant, armed: &mut Armed) {
        if armed.0.is_none_or(|earlier| deadline < earlier) {
            armed.0 = Some(deadline);
            self.heap.push(Reverse((deadline, timer)));
        }
    }

    /// Takes one that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Timer, Instant)> {
        let Reverse((deadline, _)) = self.heap.peek()?;
        if *deadline > now {
            return None;
        }
        self.heap.pop().map(|Reverse((deadline, timer))| (timer, deadline))
    }

    /// The earliest deadline, and whose it is.
    pub(super) fn next(&self) -> Option<(Timer, Instant)> {
        self.heap.peek().map(|Reverse((deadline, timer))| (*timer, *deadline))
    }
}

impl Armed {
    /// Whether this is the deadline in the heap that counts.
    pub(super) fn is_at(&self, deadline: Instant) -> bool {
        self.0 == Some(deadline)
    }

    /// Whether the popped entry is the one that counts; it then has to be armed anew.
    pub(super) fn fired(&mut self, deadline: Instant) -> bool {
        let counts = self.0 == Some(deadline);
        if counts {
            self.0 = None;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_owner_fires_once_at_its_earliest_deadline() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let (mut timers, mut armed) = (Timers::default(), Armed::default());
        timers.arm(Timer::Peer(1), at(50), &mut armed);
        timers.arm(Timer::Peer(1), at(90), &mut armed);
        timers.arm(Timer::Peer(1), at(20), &mut armed);
        assert_eq!(timers.next(), Some((Timer::Peer(1), at(20))));
        assert_eq!(timers.pop_due(at(10)), None);
        let mut fired = Vec::new();
        while let Some((timer, deadline)) = timers.pop_due(at(100)) {
            if armed.fired(deadline) {
                fired.push((timer, deadline));
            }
        }
        assert_eq!(fired, [(Timer::Peer(1), at(20))]);
        assert_eq!(timers.next(), None);
    }
}

//! When which viewer's time wants to pass: a heap that is told of every change and is touched by few.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Timers by slot. A moment that moves later stays in the heap as it was and is looked at again when it comes.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, usize)>>,
    /// The entry of each slot that counts; others are stale.
    armed: Vec<Option<Instant>>,
}

impl Timers {
    /// Sees to it that a slot comes up at `due` at the latest.
    pub(crate) fn arm(&mut self, slot: usize, due: Instant) {
        if self.armed.len() <= slot {
            self.armed.resize(slot + 1, None);
        }
        if self.armed[slot].is_none_or(|armed| due < armed) {
            self.armed[slot] = Some(due);
            self.heap.push(Reverse((due, slot)));
        }
    }

    /// Forgets a slot.
    pub(crate) fn disarm(&mut self, slot: usize) {
        if let Some(armed) = self.armed.get_mut(slot) {
            *armed = None;
        }
    }

    /// Returns a slot whose moment has come, and forgets it.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<usize> {
        while let Some(Reverse((due, slot))) = self.heap.peek().copied()
            && due <= now
        {
            self.heap.pop();
            if self.armed[slot] == Some(due) {
                self.armed[slot] = None;
                return Some(slot);
            }
        }
        None
    }

    /// Returns when the next slot comes up.
    pub(crate) fn next(&mut self) -> Option<Instant> {
        while let Some(Reverse((due, slot))) = self.heap.peek().copied() {
            if self.armed[slot] == Some(due) {
                return Some(due);
            }
            self.heap.pop();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn slots_come_up_in_time_and_once() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut timers = Timers::default();
        assert_eq!((timers.next(), timers.pop(at(100))), (None, None));
        timers.arm(2, at(30));
        timers.arm(0, at(20));
        timers.arm(0, at(25));
        timers.arm(2, at(10));
        timers.arm(5, at(15));
        timers.disarm(5);
        assert_eq!(timers.next(), Some(at(10)));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(30)), Some(2));
        assert_eq!(timers.pop(at(30)), Some(0));
        assert_eq!(timers.pop(at(100)), None, "what moved earlier does not come up twice");
        assert_eq!(timers.next(), None);
    }
}

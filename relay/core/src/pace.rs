//! How fast viewers that are behind get what they lack: in chunks, a fair number of packets each.

use std::time::{Duration, Instant};

use crate::config::RoomConfig;

/// Says when the next chunk is due. There is one pace for the whole room, so a crowd costs one timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    per_viewer: u64,
    per_room: u64,
    interval: Duration,
    next_due: Option<Instant>,
}

/// What may go out in one forwarding to viewers that are behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    due: bool,
    per_viewer: u64,
    left: u64,
}

impl Pace {
    pub(crate) fn new(config: &RoomConfig) -> Self {
        Self {
            per_viewer: config.catch_up_packets as u64,
            per_room: config.catch_up_room_packets as u64,
            interval: config.catch_up_interval,
            next_due: None,
        }
    }

    /// Somebody is behind from now on.
    pub(crate) fn start(&mut self, now: Instant) {
        self.next_due.get_or_insert(now);
    }

    /// When the next chunk is due; `None` while nobody is behind.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.next_due
    }

    /// Begins a forwarding, with the next chunk if it is due.
    pub(crate) fn begin(&self, now: Instant) -> Chunk {
        let due = self.next_due.is_some_and(|due| due <= now);
        Chunk { due, per_viewer: self.per_viewer, left: self.per_room }
    }

    /// Ends it.
    pub(crate) fn end(&mut self, chunk: Chunk, somebody_is_behind: bool, now: Instant) {
        self.next_due = match self.next_due {
            _ if !somebody_is_behind => None,
            Some(due) if !chunk.due => Some(due),
            _ => Some(now + self.interval),
        };
    }
}

impl Chunk {
    /// A chunk goes out in this forwarding.
    pub(crate) fn is_due(&self) -> bool {
        self.due
    }

    /// Returns how many packets a viewer may have that is `behind` by so many, when `arrived` came since the last chunk.
    /// Even in a crowd that uses up the room's share it is more than arrived, so that everyone comes nearer.
    pub(crate) fn take(&mut self, behind: u64, arrived: u64) -> u64 {
        if !self.due {
            return 0;
        }
        let least = arrived + 1;
        let taken = self.per_viewer.min(self.left).max(least).min(behind);
        self.left = self.left.saturating_sub(taken);
        taken
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    #[test]
    fn chunks_are_spaced_and_shared() {
        let start = Instant::now();
        let mut pace = Pace::new(&RoomConfig::default());
        assert!(!pace.begin(start).is_due());
        pace.start(start);
        let mut chunk = pace.begin(start);
        let taken: Vec<u64> = (0..60).map(|_| chunk.take(500, 3)).collect();
        assert_eq!(taken[..50], [20; 50]);
        assert_eq!(taken[50..], [4; 10], "nobody falls back");
        assert_eq!(chunk.take(2, 3), 2);
        pace.end(chunk, true, start);
        assert_eq!(pace.begin(start).take(500, 3), 0, "not before its time");
        assert_eq!(pace.next_due(), Some(start + Duration::from_millis(5)));
        pace.end(chunk, false, start);
        assert_eq!(pace.next_due(), None);
    }
}

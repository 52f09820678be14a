//! What legs read of a track: its packets by position, and where they may begin.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::header::Widest;
use crate::history::Found;
use crate::track::{State, Track};

impl Track {
    pub(crate) fn begin(&self) -> u64 {
        self.begin
    }

    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Packets that viewers behind must get in their next chunk only to stay as far behind as they are.
    pub(crate) fn arrived_since_chunk(&self) -> u64 {
        self.end - self.end_at_chunk
    }

    pub(crate) fn late(&self) -> &[u64] {
        &self.batch.late
    }

    #[inline]
    pub(crate) fn find(&self, position: u64) -> Found<'_> {
        self.history.find(position)
    }

    /// Where a leg that joins live begins; `None` while nothing may be forwarded.
    pub(crate) fn live_from(&self) -> Option<u64> {
        (self.state == State::Forwarding).then_some(self.batch.from.max(self.begin))
    }

    /// Where a leg may begin with a picture.
    pub(crate) fn gop_start(&self, now: Instant, age: Duration) -> Option<u64> {
        let start = self.gop.start(&self.history, now, age)?;
        (self.state == State::Forwarding && start < self.end).then_some(start)
    }

    /// When the newest key frame began.
    pub(crate) fn gop_at(&self) -> Option<Instant> {
        self.gop.at()
    }

    /// Longest extension values among some packets; known beforehand for those of the batch.
    pub(crate) fn widest(&self, positions: Range<u64>) -> Widest {
        if positions.start >= self.batch.from {
            return self.batch.widest;
        }
        let mut widest = Widest::default();
        for position in positions {
            if let Found::Packet(_, parts) = self.history.find(position) {
                widest.include(&parts);
            }
        }
        widest
    }
}

//! Frames of an epoch whose keys are on their way: kept for two seconds and four megabytes, no more.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use latchkey_wire::codec::Codec;
use web_time::Instant;

/// A frame that waits for its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingFrame {
    /// How it is encoded.
    pub codec: Codec,
    /// As it came.
    pub wire: Bytes,
    /// RTP timestamp, counted on.
    pub timestamp: u64,
}

/// Waiting frames in the order they came.
#[derive(Debug, Default)]
pub struct Waiting {
    frames: VecDeque<(Instant, WaitingFrame)>,
    bytes: usize,
}

impl Waiting {
    /// Keeps a frame; returns how many older ones had to go to make room.
    pub fn keep(&mut self, frame: WaitingFrame, now: Instant) -> u64 {
        self.bytes += frame.wire.len();
        self.frames.push_back((now, frame));
        let mut gone = 0;
        while self.bytes > MOST_BYTES && self.drop_oldest() {
            gone += 1;
        }
        gone
    }

    /// Lets go of frames that have waited too long; returns how many.
    pub fn expire(&mut self, now: Instant) -> u64 {
        let mut gone = 0;
        while self.frames.front().is_some_and(|(since, _)| now.duration_since(*since) >= LONGEST_WAIT)
            && self.drop_oldest()
        {
            gone += 1;
        }
        gone
    }

    /// Takes all frames out, oldest first.
    pub fn take(&mut self) -> Vec<WaitingFrame> {
        self.bytes = 0;
        self.frames.drain(..).map(|(_, frame)| frame).collect()
    }

    /// Returns whether none waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn drop_oldest(&mut self) -> bool {
        let oldest = self.frames.pop_front();
        self.bytes -= oldest.as_ref().map_or(0, |(_, frame)| frame.wire.len());
        oldest.is_some()
    }
}

const LONGEST_WAIT: Duration = Duration::from_secs(2);
const MOST_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize, timestamp: u64) -> WaitingFrame {
        WaitingFrame { codec: Codec::Vp8, wire: Bytes::from(vec![0; len]), timestamp }
    }

    #[test]
    fn two_seconds_and_four_megabytes_and_no_more() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        for number in 0..4 {
            assert_eq!(waiting.keep(frame(1 << 20, number), now), 0);
        }
        assert_eq!(waiting.keep(frame(1, 4), now + Duration::from_secs(1)), 1, "the oldest makes room");
        assert_eq!(waiting.expire(now + Duration::from_millis(1999)), 0);
        assert_eq!(waiting.expire(now + Duration::from_secs(2)), 3);
        let left: Vec<u64> = waiting.take().into_iter().map(|frame| frame.timestamp).collect();
        assert_eq!(left, [4]);
        assert!(waiting.is_empty());
        assert_eq!(waiting.keep(frame(5 << 20, 9), now), 1, "too large alone");
        assert!(waiting.is_empty());
    }
}

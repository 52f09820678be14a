//! Those who watched before the storm: what it does to them.

use std::time::SystemTime;

use hdrhistogram::Histogram;
use str0m::rtp::RtpPacket;

use super::audience::{Clock, Eyes, Frames};
use super::histogram;

/// What one watcher has seen in both windows.
pub(super) struct Watcher {
    frames: Frames,
    seen: Watched,
}

/// What watchers have seen. Latencies are of the last packet of each frame, in microseconds.
pub(super) struct Watched {
    /// Latencies before the storm.
    pub(super) steady: Histogram<u64>,
    /// Latencies in the storm.
    pub(super) storm: Histogram<u64>,
    /// Packets of both windows.
    pub(super) packets: u64,
}

impl Watcher {
    /// Returns one that has seen nothing.
    pub(super) fn new() -> Self {
        Self { frames: Frames::default(), seen: Watched::default() }
    }
}

impl Eyes for Watcher {
    fn packet(&mut self, packet: &RtpPacket, arrival: SystemTime, clock: &Clock<'_>) {
        let Some(frame) = self.frames.of(packet, clock).filter(|frame| *frame >= clock.steady) else {
            return;
        };
        self.seen.packets += 1;
        if packet.header.marker
            && let Some(age) = clock.births.age(frame, arrival)
        {
            let window = if frame < clock.storm { &mut self.seen.steady } else { &mut self.seen.storm };
            window.saturating_record(age);
        }
    }
}

impl Default for Watched {
    fn default() -> Self {
        Self { steady: histogram(), storm: histogram(), packets: 0 }
    }
}

impl Watched {
    /// Adds what a watcher saw.
    pub(super) fn add(&mut self, watcher: &Watcher) {
        self.steady.add(&watcher.seen.steady).expect("all have the same bounds");
        self.storm.add(&watcher.seen.storm).expect("all have the same bounds");
        self.packets += watcher.seen.packets;
    }
}

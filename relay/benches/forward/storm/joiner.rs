//! Those who join in the storm: when they see a first picture, and when they see what is there now.

use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use latchkey_e2ee::open::FrameOpener;
use str0m::rtp::RtpPacket;

use super::audience::{Clock, Eyes, Frames};
use super::histogram;
use crate::viewers::open;

/// A picture no older than this is live, in microseconds.
const LIVE: u64 = 150_000;

/// One who joins.
pub(super) struct Joiner {
    asked: SystemTime,
    /// Opens every frame until one is live.
    opener: Option<FrameOpener>,
    frames: Frames,
    parts: Vec<Vec<u8>>,
    first: Option<Duration>,
    live: Option<Duration>,
    failed: u64,
    packets: u64,
    /// Lowest and highest extended sequence number.
    numbers: Option<(u64, u64)>,
}

/// What joiners have seen. Times are from the moment at which the grant is posted, in microseconds.
pub(super) struct Joined {
    /// To the last packet of the first frame that opened.
    pub(super) first: Histogram<u64>,
    /// To the last packet of the first opened frame that was live.
    pub(super) live: Histogram<u64>,
    /// Frames that did not open until then.
    pub(super) failed: u64,
    /// Packets they got.
    pub(super) packets: u64,
    /// Packets they lack.
    pub(super) lost: u64,
}

impl Joiner {
    /// Returns one that posts its grant at `asked`.
    pub(super) fn new(opener: FrameOpener, asked: SystemTime) -> Self {
        Self {
            asked,
            opener: Some(opener),
            frames: Frames::default(),
            parts: Vec::new(),
            first: None,
            live: None,
            failed: 0,
            packets: 0,
            numbers: None,
        }
    }

    fn frame_ends(&mut self, frame: Option<u32>, arrival: SystemTime, clock: &Clock<'_>) {
        let Some(opener) = &mut self.opener else { return };
        let opened = open(opener, &self.parts);
        self.parts.clear();
        if !opened {
            self.failed += 1;
            return;
        }
        let waited = arrival.duration_since(self.asked).unwrap_or_default();
        self.first.get_or_insert(waited);
        if frame.and_then(|frame| clock.births.age(frame, arrival)).is_some_and(|age| age <= LIVE) {
            self.live = Some(waited);
            self.opener = None;
        }
    }
}

impl Eyes for Joiner {
    fn packet(&mut self, packet: &RtpPacket, arrival: SystemTime, clock: &Clock<'_>) {
        let number = *packet.seq_no;
        let (lowest, highest) = self.numbers.unwrap_or((number, number));
        self.numbers = Some((lowest.min(number), highest.max(number)));
        self.packets += 1;
        let frame = self.frames.of(packet, clock);
        if self.opener.is_some() {
            self.parts.push(packet.payload.to_vec());
            if packet.header.marker {
                self.frame_ends(frame, arrival, clock);
            }
        }
    }
}

impl Default for Joined {
    fn default() -> Self {
        Self { first: histogram(), live: histogram(), failed: 0, packets: 0, lost: 0 }
    }
}

impl Joined {
    /// Adds what one saw.
    pub(super) fn add(&mut self, joiner: &Joiner) {
        for (waited, all) in [(joiner.first, &mut self.first), (joiner.live, &mut self.live)] {
            if let Some(waited) = waited {
                all.saturating_record(waited.as_micros() as u64);
            }
        }
        self.failed += joiner.failed;
        self.packets += joiner.packets;
        let numbered = joiner.numbers.map_or(0, |(lowest, highest)| highest - lowest + 1);
        self.lost += numbered.saturating_sub(joiner.packets);
    }
}

//! What a room gathers for its shell while it works: counters, and events in a queue.

use std::collections::VecDeque;

use crate::event::{Event, MissingPackets};
use crate::id::TrackId;
use crate::stats::Stats;

/// Counters and events. The queue keeps its memory, so that a busy room allocates nothing.
#[derive(Debug)]
pub(crate) struct News {
    pub(crate) stats: Stats,
    events: VecDeque<Event>,
}

impl News {
    pub(crate) fn new() -> Self {
        Self { stats: Stats::default(), events: VecDeque::with_capacity(EVENTS_AT_ONCE) }
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn packets_missing(&mut self, track: TrackId, ssrc: u32, missing: MissingPackets) {
        self.stats.nacks_sent += missing.as_slice().len() as u64;
        self.event(Event::PacketsMissing { track, ssrc, missing });
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

/// More than one call usually causes; the queue grows when it must.
const EVENTS_AT_ONCE: usize = 64;

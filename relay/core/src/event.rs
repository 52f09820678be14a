//! What a room asks of its shell besides sending to viewers: RTCP towards the publisher, and news about tracks and viewers.

use std::time::Duration;

use latchkey_wire::rtcp::ReceptionReport;
use latchkey_wire::shape::Refusal;

use crate::id::{SubscriberId, TrackId};

/// Taken from [`Room::poll_event`](crate::room::Room::poll_event) after every call that may have caused one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Ask the publisher for a key frame: RTCP PLI about `ssrc`.
    KeyFrameWanted {
        /// Which track.
        track: TrackId,
        /// The publisher's media SSRC.
        ssrc: u32,
    },
    /// A key frame begins that the publisher was asked for.
    KeyFrameCame {
        /// Which track.
        track: TrackId,
        /// Time from the first request that it answers.
        after: Duration,
    },
    /// Ask the publisher to repeat packets: RTCP generic NACK (RFC 4585 6.2.1) about `ssrc`.
    PacketsMissing {
        /// Which track.
        track: TrackId,
        /// The publisher's media SSRC.
        ssrc: u32,
        /// What is missing: the publisher's sequence numbers; in a branch, names for the home's
        /// [`hand_again`](crate::room::Room::hand_again).
        missing: MissingPackets,
    },
    /// Nobody watches a simulcast layer: ask the publisher to pause it, by RTCP PAUSE (RFC 7728 section 8.2) about `ssrc`.
    PauseWanted {
        /// Which track.
        track: TrackId,
        /// The publisher's media SSRC.
        ssrc: u32,
        /// Names the pause.
        pause_id: u16,
    },
    /// Somebody is to watch it again: RTCP RESUME (RFC 7728 section 8.3) about `ssrc`.
    ResumeWanted {
        /// Which track.
        track: TrackId,
        /// The publisher's media SSRC.
        ssrc: u32,
        /// Names the pause that is over.
        pause_id: u16,
    },
    /// In a branch: whether somebody here watches a track has changed. Tell the home, for
    /// [`set_watched_elsewhere`](crate::room::Room::set_watched_elsewhere).
    WatchChanged {
        /// Which track.
        track: TrackId,
        /// Somebody does.
        watched: bool,
    },
    /// A layer of a source is held back by a pause, or is no longer: nothing comes of it, but it would for whoever wants it.
    /// Tell the branches, for [`set_paused_at_home`](crate::room::Room::set_paused_at_home).
    PauseChanged {
        /// Which track.
        track: TrackId,
        /// It is held back.
        paused: bool,
    },
    /// Tell the publisher how its packets arrive: RTCP receiver report, about once a second per track.
    Reception {
        /// Which track.
        track: TrackId,
        /// The report block.
        report: ReceptionReport,
    },
    /// The track's first frames have the shape of sealed media; it is forwarded from now on.
    TrackAccepted {
        /// Which track.
        track: TrackId,
    },
    /// The publisher does not send sealed media. Nothing of it is forwarded; close its session and name the reason.
    TrackRefused {
        /// Which track.
        track: TrackId,
        /// What was wrong with its frames.
        reason: Refusal,
    },
    /// The first packet of a track went out to a viewer.
    ViewingStarted {
        /// Which viewer.
        subscriber: SubscriberId,
        /// Which track.
        track: TrackId,
        /// Where the picture came from.
        from: StartedFrom,
    },
}

/// Where a viewer's first packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartedFrom {
    /// The key frame that the track had kept.
    GopCache,
    /// The live stream: a key frame that arrived while the viewer waited, or the next audio packet.
    Live,
}

/// Up to [`MissingPackets::CAPACITY`] sequence numbers of the publisher, ascending in sequence order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MissingPackets {
    sequences: [u16; MissingPackets::CAPACITY],
    len: u8,
}

impl MissingPackets {
    /// Most sequence numbers one event names; more missing packets give more events.
    pub const CAPACITY: usize = 32;

    pub(crate) fn new() -> Self {
        Self { sequences: [0; Self::CAPACITY], len: 0 }
    }

    /// Adds one number; the caller stops when [`is_full`](Self::is_full).
    pub(crate) fn push(&mut self, sequence: u16) {
        self.sequences[usize::from(self.len)] = sequence;
        self.len += 1;
    }

    pub(crate) fn is_full(&self) -> bool {
        usize::from(self.len) == Self::CAPACITY
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[u16] {
        &self.sequences[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for MissingPackets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

//! Counters of viewers, cameras, joins and intruders. All of them add up, over viewers and over time.

use serde::{Deserialize, Serialize};

/// What viewers counted. A *number* is the sequence number of a media packet as the server names it on one viewer's leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewerTally {
    /// Numbers that had their time: each was received or is lost.
    pub expected: u64,
    /// Of these, received at least once, repaired ones included.
    pub received: u64,
    /// Of these, not received in their first transmission: what the network lost before any repair.
    pub lost_first: u64,
    /// First transmissions that came once more although they had come.
    pub repeated: u64,
    /// First transmissions that came after one with a later number.
    pub overtaken: u64,
    /// Numbers that a retransmission filled.
    pub repaired: u64,
    /// Retransmissions received (RFC 4588), needed or not.
    #[serde(default)]
    pub repairs: u64,
    /// UDP payload bytes of them.
    #[serde(default)]
    pub repair_bytes: u64,
    /// UDP payload bytes of the first transmissions received.
    #[serde(default)]
    pub media_bytes: u64,
    /// Datagrams received, of every kind.
    pub datagrams: u64,
    /// UDP payload bytes received.
    pub bytes: u64,
    /// Frames that the camera sent while these viewers watched, told by the numbers inside the frames.
    pub frames_expected: u64,
    /// Of these, complete and opened (or read, where the server is a foreign one and frames are not sealed).
    pub frames_opened: u64,
    /// Complete frames that did not open.
    pub frames_refused: u64,
    /// Frames that a device opened although a removal had taken it out of their epoch. Always a fault.
    pub opened_by_removed: u64,
    /// Messages that ask for packets again (NACKs); each may ask for several.
    pub nacks: u64,
    /// Key frames asked for.
    pub plis: u64,
    /// Time in which these viewers watched, added up, microseconds.
    pub watched_us: u64,
    /// Of it, time in which the picture stood still (W3C webrtc-stats, freezeCount: a gap above three mean gaps, and above
    /// the mean and 150 ms) at a player that is late by the scenario's `player_delay`, microseconds.
    pub frozen_us: u64,
    /// The same where each frame is shown as soon as it and all before it are there.
    #[serde(default)]
    pub frozen_at_once_us: u64,
    /// Reconnects after a connection was lost.
    pub reconnects: u64,
}

/// What cameras counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraTally {
    /// Frames sent.
    pub frames: u64,
    /// Media packets sent for the first time.
    pub packets: u64,
    /// UDP payload bytes of them.
    pub bytes: u64,
    /// Of these packets, sent more than 2 ms after their time: the driver was too slow.
    pub late: u64,
    /// Messages of the server that ask for packets again (NACKs); each may ask for several.
    pub nacks: u64,
    /// Key frames that the server asked for.
    pub plis: u64,
}

/// How joins went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinTally {
    /// Joins begun.
    pub begun: u64,
    /// Viewers that saw a first frame.
    pub seen: u64,
    /// Joins that the server refused or did not answer, and viewers that saw nothing within the limit.
    pub failed: u64,
    /// Viewers that left because the scenario said so.
    pub left: u64,
}

/// What intruders tried and what they got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntruderTally {
    /// Requests with a grant that must not open the door.
    pub bad_grants: u64,
    /// Of these, let in. Always a fault.
    pub let_in: u64,
    /// Datagrams of garbage sent to the media port.
    pub garbage: u64,
}

macro_rules! adds_up {
    ($tally:ident: $($field:ident),+) => {
        impl $tally {
            /// Adds what was counted elsewhere or later.
            pub fn add(&mut self, more: &Self) {
                $(self.$field += more.$field;)+
            }
        }
    };
}

adds_up!(
    ViewerTally: expected, received, lost_first, repeated, overtaken, repaired, repairs, repair_bytes, media_bytes, datagrams, bytes, frames_expected,
    frames_opened, frames_refused, opened_by_removed, nacks, plis, watched_us, frozen_us, frozen_at_once_us, reconnects
);
adds_up!(CameraTally: frames, packets, bytes, late, nacks, plis);
adds_up!(JoinTally: begun, seen, failed, left);
adds_up!(IntruderTally: bad_grants, let_in, garbage);

impl ViewerTally {
    /// Returns the share of numbers that never came, percent.
    #[must_use]
    pub fn loss_pct(&self) -> f64 {
        percent(self.expected.saturating_sub(self.received), self.expected)
    }

    /// Returns the share of numbers that did not come in their first transmission, percent.
    #[must_use]
    pub fn first_loss_pct(&self) -> f64 {
        percent(self.lost_first, self.expected)
    }

    /// Returns the first transmissions that came once more, percent of the numbers.
    #[must_use]
    pub fn repeated_pct(&self) -> f64 {
        percent(self.repeated, self.expected)
    }

    /// Returns the share of frames that were opened, percent; 100 where none was expected.
    #[must_use]
    pub fn opened_pct(&self) -> f64 {
        if self.frames_expected == 0 { 100.0 } else { percent(self.frames_opened, self.frames_expected) }
    }

    /// Returns the share of the time in which the picture stood still, percent.
    #[must_use]
    pub fn frozen_pct(&self) -> f64 {
        percent(self.frozen_us, self.watched_us)
    }

    /// Returns the same where frames are shown as soon as they can be, percent.
    #[must_use]
    pub fn frozen_at_once_pct(&self) -> f64 {
        percent(self.frozen_at_once_us, self.watched_us)
    }

    /// Returns what retransmissions weighed, percent of what first transmissions did.
    #[must_use]
    pub fn repair_pct(&self) -> f64 {
        percent(self.repair_bytes, self.media_bytes)
    }
}

impl CameraTally {
    /// Returns the share of packets that left late, percent.
    #[must_use]
    pub fn late_pct(&self) -> f64 {
        percent(self.late, self.packets)
    }
}

/// Percent of `whole`; 0 of nothing.
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_nothing_are_no_fault() {
        let nothing = ViewerTally::default();
        assert_eq!((nothing.loss_pct(), nothing.opened_pct(), nothing.frozen_pct()), (0.0, 100.0, 0.0));
    }

    #[test]
    fn a_repaired_packet_is_lost_at_first_only() {
        let tally =
            ViewerTally { expected: 200, received: 199, lost_first: 4, repaired: 3, ..Default::default() };
        assert_eq!((tally.loss_pct(), tally.first_loss_pct()), (0.5, 2.0));
        let mut twice = tally;
        twice.add(&tally);
        assert_eq!((twice.expected, twice.loss_pct()), (400, 0.5));
    }
}

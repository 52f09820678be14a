//! The flight that a peer has to answer, kept to be said again where the library has forgotten to.
//!
//! `rtc-dtls` stops its timer at every handshake datagram and starts it only with its next flight. A hello that the peer repeats
//! because our flight was lost stops it for good: then neither side would say anything new.

use std::time::{Duration, Instant};

use bytes::BytesMut;

/// What was said last. Sans-I/O.
#[derive(Default)]
pub(super) struct Flight {
    datagrams: Vec<BytesMut>,
    /// What is said next is another flight.
    over: bool,
    due: Option<Instant>,
    repeats: u8,
    /// How many of the datagrams are still to be said again, the last ones.
    again: usize,
}

impl Flight {
    /// Something came or time passed: what is said from now on is another flight.
    pub(super) fn turn(&mut self) {
        self.over = true;
    }

    /// The library said this.
    pub(super) fn said(&mut self, datagram: &BytesMut) {
        if self.over {
            *self = Self::default();
        }
        self.datagrams.push(datagram.clone());
    }

    /// Takes over where nobody but us would repeat the flight, and leaves it alone where the library does.
    pub(super) fn watch(&mut self, forgotten: bool, now: Instant) {
        if !forgotten || self.datagrams.is_empty() {
            self.due = None;
        } else if self.repeats < MOST_REPEATS {
            self.due.get_or_insert(now + REPEATED_AFTER);
        }
    }

    /// When [`Flight::pass_time`] wants to be called.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Says the flight again when it is time.
    pub(super) fn pass_time(&mut self, now: Instant) {
        if self.due.is_some_and(|due| due <= now) {
            self.repeats += 1;
            self.again = self.datagrams.len();
            self.due = (self.repeats < MOST_REPEATS).then_some(now + REPEATED_AFTER);
        }
    }

    /// The next datagram to say again. Its records have the numbers they had: what the peer has is dropped there as repeated
    /// (RFC 6347 section 4.1.2.6), and what it lost is what it waits for.
    pub(super) fn poll_again(&mut self) -> Option<BytesMut> {
        let at = self.datagrams.len().checked_sub(self.again).filter(|_| self.again > 0)?;
        self.again -= 1;
        self.datagrams.get(at).cloned()
    }
}

/// As often as the library does.
const REPEATED_AFTER: Duration = super::FLIGHT_INTERVAL;
/// Longer nobody waits.
const MOST_REPEATS: u8 = 20;

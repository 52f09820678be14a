//! The ledger of one viewer's packets: which sequence numbers came, came twice, came late, or never came.
//!
//! ```text
//!        settled │ base                         highest
//!   ─────────────┼──■──■──□──■──■──□──□──■──■──■  sequence numbers of first transmissions, 64 bits
//!                │        └ waited for GRACE, then lost; a retransmission may fill it until then
//! ```
//! Numbers are read from the clear RTP header (RFC 3550 section 5.1) of each datagram, so that what a receive path throws
//! away counts too. The first authentic packet begins the numbering: whoever joins in its middle has lost nothing before.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::measure::tally::ViewerTally;

/// How long a number is waited for, from when a later one (or itself) came.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// The numbers of one stream.
pub(crate) struct Ledger {
    begun: Instant,
    /// The number that the first slot is for.
    base: u64,
    slots: VecDeque<Slot>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// When it was known that the number exists, milliseconds since the ledger began.
    known_ms: u32,
    /// The first transmission came.
    first: bool,
    /// A retransmission came.
    again: bool,
}

impl Ledger {
    /// Returns a ledger in which nothing stands.
    pub(crate) fn new(now: Instant) -> Self {
        Self { begun: now, base: 0, slots: VecDeque::new() }
    }

    /// Notes a first transmission. One that is not `authentic` (it was seen before, or someone made it up) counts only
    /// where its number is known to have come.
    pub(crate) fn first(&mut self, number: u16, authentic: bool, now: Instant, tally: &mut ViewerTally) {
        let Some(number) = self.place(number, authentic, now, tally) else { return };
        let newest = number + 1 == self.base + self.slots.len() as u64;
        let Some(slot) = self.slot(number) else { return };
        if slot.first {
            tally.repeated += 1;
        } else if authentic || slot.again {
            slot.first = true;
            tally.overtaken += u64::from(!newest);
        }
    }

    /// Notes an authentic retransmission of `number`.
    pub(crate) fn again(&mut self, number: u16, now: Instant, tally: &mut ViewerTally) {
        let Some(number) = self.place(number, true, now, tally) else { return };
        if let Some(slot) = self.slot(number) {
            slot.again = true;
        }
    }

    /// Counts the numbers whose time is over.
    pub(crate) fn settle(&mut self, now: Instant, tally: &mut ViewerTally) {
        let until = self.milliseconds(now).checked_sub(GRACE.as_millis() as u32);
        while until.is_some_and(|until| self.slots.front().is_some_and(|slot| slot.known_ms <= until)) {
            self.settle_one(tally);
        }
    }

    /// Counts everything that stands in it, as when another stream begins; the next packet begins a new numbering.
    pub(crate) fn close(&mut self, tally: &mut ViewerTally) {
        while !self.slots.is_empty() {
            self.settle_one(tally);
        }
        self.base = 0;
    }

    /// Returns the number beyond 16 bits, with a slot for it and for all before it; `None` for one that was settled, and
    /// for a new one that is not authentic.
    fn place(&mut self, number: u16, authentic: bool, now: Instant, tally: &mut ViewerTally) -> Option<u64> {
        let now_ms = self.milliseconds(now);
        if self.base == 0 && authentic {
            // Room below, for numbers that wrap backwards.
            self.base = u64::from(number) + (1 << 16);
        }
        let next = self.base + self.slots.len() as u64;
        // The nearest number with these low bits, seen from the newest.
        let ahead = number.wrapping_sub(next as u16) as i16;
        let full = next.wrapping_add_signed(ahead.into());
        let behind = self.base.saturating_sub(full);
        if ahead < 0 && (behind <= LONGEST_GAP || !authentic) {
            return (behind == 0).then_some(full);
        }
        if !authentic {
            return None;
        }
        if behind > LONGEST_GAP || full - next > LONGEST_GAP {
            // No loss, but a server that counts anew.
            self.close(tally);
            self.base = full;
        }
        while self.base + self.slots.len() as u64 <= full {
            self.slots.push_back(Slot { known_ms: now_ms, first: false, again: false });
        }
        Some(full)
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(number.checked_sub(self.base)?).ok()?)
    }

    fn settle_one(&mut self, tally: &mut ViewerTally) {
        let Some(slot) = self.slots.pop_front() else { return };
        self.base += 1;
        tally.expected += 1;
        tally.received += u64::from(slot.first || slot.again);
        tally.lost_first += u64::from(!slot.first);
        tally.repaired += u64::from(!slot.first && slot.again);
    }

    fn milliseconds(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.begun).as_millis() as u32
    }
}

/// Numbers that may be missing at once: above 10 s of 300 packets a second.
const LONGEST_GAP: u64 = 4000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What the network did to one packet.
    #[derive(Clone, Copy, Debug)]
    struct Fate {
        lost: bool,
        /// How many places later it comes.
        late: u8,
        repeated: bool,
        /// The retransmission comes, so many places after the first one would have.
        repaired: Option<u8>,
    }

    fn fates() -> impl Strategy<Value = Vec<Fate>> {
        let fate = (any::<bool>(), 0..4u8, 0..6u8, any::<bool>(), proptest::option::of(0..20u8));
        let fate = fate.prop_map(|(lost, rarely, late, repeated, repaired)| Fate {
            lost: lost && rarely == 0,
            late: if rarely == 1 { late } else { 0 },
            repeated: repeated && rarely == 2,
            repaired,
        });
        proptest::collection::vec(fate, 2..300)
    }

    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Kind {
        First,
        Again,
        Repeated,
    }

    proptest! {
        #[test]
        fn counts_equal_the_truth(begin in any::<u16>(), mut fates in fates()) {
            // The first packet begins the numbering and the last one shows that all before it exist.
            let whole = Fate { lost: false, late: 0, repeated: false, repaired: None };
            fates[0] = whole;
            *fates.last_mut().unwrap() = whole;
            let mut line: BTreeMap<(usize, usize, Kind), usize> = BTreeMap::new();
            for (index, fate) in fates.iter().enumerate() {
                let at = index + usize::from(fate.late);
                if !fate.lost {
                    line.insert((at, index, Kind::First), index);
                    if fate.repeated {
                        line.insert((at, index, Kind::Repeated), index);
                    }
                }
                if let Some(after) = fate.repaired {
                    line.insert((index + usize::from(after), index, Kind::Again), index);
                }
            }
            let mut truth = ViewerTally { expected: fates.len() as u64, ..ViewerTally::default() };
            for fate in &fates {
                truth.lost_first += u64::from(fate.lost);
                truth.repaired += u64::from(fate.lost && fate.repaired.is_some());
                truth.received += u64::from(!fate.lost || fate.repaired.is_some());
                truth.repeated += u64::from(!fate.lost && fate.repeated);
            }
            let now = Instant::now();
            let (mut ledger, mut tally) = (Ledger::new(now), ViewerTally::default());
            let (mut newest, mut had) = (0, vec![false; fates.len()]);
            for (place, ((_, _, kind), index)) in line.iter().enumerate() {
                let (at, number) = (now + Duration::from_millis(place as u64 / 8), begin.wrapping_add(*index as u16));
                match kind {
                    Kind::Again => {
                        ledger.again(number, at, &mut tally);
                        had[*index] = true;
                    }
                    Kind::First => {
                        truth.overtaken += u64::from(*index < newest);
                        // A receive path refuses what came before, be it as a retransmission.
                        ledger.first(number, !had[*index], at, &mut tally);
                        had[*index] = true;
                    }
                    Kind::Repeated => ledger.first(number, false, at, &mut tally),
                }
                newest = newest.max(*index);
            }
            ledger.settle(now + GRACE, &mut tally);
            ledger.settle(now + GRACE + Duration::from_secs(1), &mut tally);
            prop_assert_eq!(tally, truth);
        }
    }

    #[test]
    fn a_number_is_waited_for_and_then_lost() {
        let now = Instant::now();
        let (mut ledger, mut tally) = (Ledger::new(now), ViewerTally::default());
        for number in [65_534, 65_535, 1] {
            ledger.first(number, true, now, &mut tally);
        }
        ledger.settle(now + GRACE - Duration::from_millis(1), &mut tally);
        assert_eq!(tally.expected, 0);
        ledger.settle(now + GRACE, &mut tally);
        assert_eq!((tally.expected, tally.received, tally.lost_first), (4, 3, 1));
        // Too late is lost, and does not count twice.
        ledger.first(0, true, now + GRACE, &mut tally);
        ledger.settle(now + 3 * GRACE, &mut tally);
        assert_eq!((tally.expected, tally.received, tally.overtaken), (4, 3, 0));
    }

    #[test]
    fn made_up_packets_count_for_nothing() {
        let now = Instant::now();
        let (mut ledger, mut tally) = (Ledger::new(now), ViewerTally::default());
        for number in [7, 40_000, 0] {
            ledger.first(number, false, now, &mut tally);
        }
        ledger.first(10, true, now, &mut tally);
        ledger.first(12, true, now, &mut tally);
        for number in [11, 13, 9, 3000] {
            ledger.first(number, false, now, &mut tally);
        }
        ledger.close(&mut tally);
        assert_eq!((tally.expected, tally.received, tally.repeated, tally.overtaken), (3, 2, 0, 0));
    }

    #[test]
    fn a_server_that_counts_anew_has_lost_nothing() {
        let now = Instant::now();
        let (mut ledger, mut tally) = (Ledger::new(now), ViewerTally::default());
        for number in [10, 11, 30_000, 30_001, 20_000, 20_001] {
            ledger.first(number, true, now, &mut tally);
        }
        ledger.close(&mut tally);
        ledger.first(20_005, true, now, &mut tally);
        ledger.close(&mut tally);
        assert_eq!((tally.expected, tally.received, tally.lost_first), (7, 7, 0));
    }
}

//! Gaps in the publisher's packets: what to ask it to repeat, and when.

use std::time::{Duration, Instant};

/// Keeps what is missing between the publisher and us, in order of position.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    tolerance: Duration,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    position: u64,
    ask_at: Instant,
    asked: u8,
}

/// More is missing than asking could repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMuchMissing;

impl Missing {
    /// A gap younger than `tolerance` counts as reordering.
    pub(crate) fn new(tolerance: Duration) -> Self {
        Self { tolerance, entries: Vec::with_capacity(MOST_MISSING) }
    }

    /// Forgets everything: the publisher is new, or nothing can be asked of it.
    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The packet at `position` came.
    pub(crate) fn arrived(&mut self, position: u64) {
        if let Ok(index) = self.entries.binary_search_by_key(&position, |entry| entry.position) {
            self.entries.remove(index);
        }
    }

    /// The positions from `from` up to `to`, not included, were passed over; all are later than any before.
    ///
    /// # Errors
    /// [`TooMuchMissing`] when there is no room for them; then all are given up and only a key frame helps.
    pub(crate) fn passed_over(&mut self, from: u64, to: u64, now: Instant) -> Result<(), TooMuchMissing> {
        if to.saturating_sub(from) > (MOST_MISSING - self.entries.len()) as u64 {
            self.clear();
            return Err(TooMuchMissing);
        }
        let ask_at = now + self.tolerance;
        self.entries.extend((from..to).map(|position| Entry { position, ask_at, asked: 0 }));
        Ok(())
    }

    /// Hands out every position that is due to be asked for now. What was asked for too often is given up.
    pub(crate) fn due(&mut self, now: Instant, mut ask: impl FnMut(u64)) {
        self.entries.retain_mut(|entry| {
            if entry.ask_at > now {
                return true;
            }
            if entry.asked == MOST_ASKED {
                return false;
            }
            entry.asked += 1;
            entry.ask_at = now + ASK_AGAIN;
            ask(entry.position);
            true
        });
    }

    /// When [`due`](Self::due) has something to do next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.ask_at).min()
    }
}

/// Packets looked for at once.
const MOST_MISSING: usize = 256;
/// Requests per packet; with [`ASK_AGAIN`] it is given up after 0.6 s.
const MOST_ASKED: u8 = 10;
/// Time for an answer: a round trip through a home uplink.
const ASK_AGAIN: Duration = Duration::from_millis(60);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn asked(missing: &mut Missing, now: Instant) -> Vec<u64> {
        let mut positions = Vec::new();
        missing.due(now, |position| positions.push(position));
        positions
    }

    #[test]
    fn reordering_is_not_asked_for_and_loss_is() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut missing = Missing::new(Duration::from_millis(10));
        missing.passed_over(5, 8, at(0)).unwrap();
        missing.arrived(6);
        assert_eq!(missing.next_due(), Some(at(10)));
        assert!(asked(&mut missing, at(9)).is_empty());
        assert_eq!(asked(&mut missing, at(10)), [5, 7]);
        assert!(asked(&mut missing, at(11)).is_empty());
        missing.arrived(5);
        assert_eq!(asked(&mut missing, at(70)), [7]);
    }

    #[test]
    fn asking_ends() {
        let start = Instant::now();
        let mut missing = Missing::new(Duration::ZERO);
        missing.passed_over(0, 1, start).unwrap();
        let rounds =
            (0..100).filter(|&round| !asked(&mut missing, start + ASK_AGAIN * round).is_empty()).count();
        assert_eq!(rounds, usize::from(MOST_ASKED));
        assert_eq!(missing.next_due(), None);
    }

    #[test]
    fn a_long_outage_is_given_up() {
        let start = Instant::now();
        let mut missing = Missing::new(Duration::ZERO);
        assert_eq!(missing.passed_over(0, 257, start), Err(TooMuchMissing));
        assert_eq!(missing.next_due(), None);
        assert_eq!(missing.passed_over(300, 556, start), Ok(()));
    }

    /// How one packet fares: the time it takes in milliseconds, and when it is lost, the time its repair takes after the
    /// first request; `None` when the repair is lost each time.
    #[derive(Clone, Copy, Debug)]
    enum Fate {
        Arrives(u64),
        Lost(Option<u64>),
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![
            8 => (0..TOLERANCE).prop_map(Fate::Arrives),
            1 => (1u64..200).prop_map(|after| Fate::Lost(Some(after))),
            1 => Just(Fate::Lost(None)),
        ]
    }

    const TOLERANCE: u64 = 10;

    proptest! {
        /// One packet a millisecond, disorder within the tolerance, losses, and repairs: what is asked for is lost, what
        /// is lost is asked for as soon as the tolerance is over, and never again after it came.
        #[test]
        fn exactly_what_is_lost_is_asked_for(fates in proptest::collection::vec(fate(), 1..150)) {
            let start = Instant::now();
            let mut missing = Missing::new(Duration::from_millis(TOLERANCE));
            let mut arrivals: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for (position, fate) in fates.iter().enumerate() {
                if let Fate::Arrives(delay) = fate {
                    arrivals.entry(position as u64 + delay).or_default().push(position as u64);
                }
            }
            let mut seen = None;
            let mut noticed: BTreeMap<u64, u64> = BTreeMap::new();
            let mut asked: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
            for ms in 0..fates.len() as u64 + 2_000 {
                let now = start + Duration::from_millis(ms);
                for position in arrivals.remove(&ms).unwrap_or_default() {
                    match seen {
                        Some(next) if position < next => missing.arrived(position),
                        _ => {
                            let from = seen.unwrap_or(position);
                            missing.passed_over(from, position, now).unwrap();
                            noticed.extend((from..position).map(|gap| (gap, ms)));
                            seen = Some(position + 1);
                        }
                    }
                }
                missing.due(now, |position| asked.entry(position).or_default().push(ms));
                for (position, times) in &asked {
                    if times[..] == [ms] && let Fate::Lost(Some(after)) = fates[*position as usize] {
                        arrivals.entry(ms + after).or_default().push(*position);
                    }
                }
            }
            for (position, times) in &asked {
                let Fate::Lost(repair) = fates[*position as usize] else {
                    panic!("{position} was only late: {times:?}");
                };
                let last = repair.map_or(u64::MAX, |after| times[0] + after);
                prop_assert!(times.iter().all(|at| *at <= last), "{} asked after it came: {:?}", position, times);
                prop_assert!(times.len() <= usize::from(MOST_ASKED));
                let apart = ASK_AGAIN.as_millis() as u64;
                prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] == apart));
            }
            for (position, at) in noticed {
                if matches!(fates[position as usize], Fate::Lost(_)) {
                    prop_assert_eq!(asked[&position][0], at + TOLERANCE, "asked when the tolerance is over");
                }
            }
            prop_assert_eq!(missing.next_due(), None);
        }
    }
}

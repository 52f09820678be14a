//! What went wrong in a run, and whose fault it was: told once a second, not once for each of a hundred viewers.

use std::collections::BTreeMap;

use crate::measure::line::{FaultLine, Party};

/// Faults that were seen and not told yet, and whose there were.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// By party and code: the first one's sentence, and how many.
    pending: BTreeMap<(Party, String), (String, u64)>,
    parties: Vec<Party>,
    total: u64,
}

impl Faults {
    /// Notes one.
    pub fn note(&mut self, party: Party, code: &str, text: impl Into<String>) {
        let entry = self.pending.entry((party, code.to_owned())).or_insert_with(|| (text.into(), 0));
        entry.1 += 1;
        self.total += 1;
        if !self.parties.contains(&party) {
            self.parties.push(party);
        }
    }

    /// Returns what was noted since this was asked last, one line for each kind.
    pub fn tell(&mut self, at_s: f64) -> Vec<FaultLine> {
        let told = std::mem::take(&mut self.pending);
        told.into_iter()
            .map(|((party, code), (text, count))| FaultLine { at_s, party, code, text, count })
            .collect()
    }

    /// Returns whose faults were noted since this was asked last.
    pub fn take_parties(&mut self) -> Vec<Party> {
        std::mem::take(&mut self.parties)
    }

    /// Returns how many were noted in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fault_of_many_viewers_is_one_line() {
        let mut faults = Faults::default();
        faults.note(Party::Server, "join-refused", "first");
        faults.note(Party::Server, "join-refused", "second");
        faults.note(Party::Driver, "driver-overloaded", "busy");
        let told = faults.tell(1.5);
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].text.as_str(), told[0].count, told[0].at_s), ("first", 2, 1.5));
        assert_eq!(faults.tell(2.0), []);
        assert_eq!(faults.take_parties(), [Party::Server, Party::Driver]);
        assert_eq!((faults.take_parties().len(), faults.total()), (0, 3));
    }
}

//! Gossip: what a note names of lists, records and epochs, held against what this device knows, so that a split shows.

use latchkey_api::checks::{self, Check};
use latchkey_api::device_list::{ListChain, ListVersion};

use crate::note::{Answer, Question};
use crate::record::{EpochView, RecordChain};

/// What this device knows.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its verified lists.
    pub lists: &'a ListChain,
    /// Its group in the present epoch and those before, as far as it remembers.
    pub views: &'a [EpochView],
    /// The camera's records.
    pub records: &'a RecordChain,
}

/// Something that a member names differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// It knows a newer list: fetch lists. When the server does not show it then, it is withheld.
    ListAhead {
        /// The version it names.
        version: u64,
    },
    /// It has another list of a version than this device, and not one that is known here as a rival.
    ListDiffers {
        /// The version.
        version: u64,
    },
    /// Its group of an epoch is another one: the group is forked.
    EpochDiffers {
        /// The epoch.
        epoch: u64,
    },
    /// The camera's newest record is not among those that came, although that of the present epoch did.
    RecordDiffers {
        /// The present epoch.
        epoch: u64,
    },
}

impl Known<'_> {
    /// Holds a member's question against what is known.
    #[must_use]
    pub fn compare_question(&self, question: &Question) -> Vec<Difference> {
        let epochs = question
            .epochs
            .iter()
            .filter(|(epoch, theirs)| self.authenticator(*epoch).is_some_and(|ours| ours != *theirs));
        let epochs = epochs.map(|(epoch, _)| Difference::EpochDiffers { epoch: *epoch });
        self.compare_list(question.list).into_iter().chain(epochs).collect()
    }

    /// Holds the camera's answer against what is known.
    #[must_use]
    pub fn compare_answer(&self, answer: &Answer) -> Vec<Difference> {
        let present = self.views.last().map(|view| view.epoch);
        // Before its record has come, the camera may well be one ahead of those that are here.
        let complete = self.records.head().filter(|head| Some(head.epoch()) == present);
        let known = self.records.records().any(|record| record.hash() == answer.record_head);
        let record = complete.filter(|_| !known);
        let record = record.map(|head| Difference::RecordDiffers { epoch: head.epoch() });
        self.compare_list(answer.list).into_iter().chain(record).collect()
    }

    fn compare_list(&self, theirs: ListVersion) -> Option<Difference> {
        let version = theirs.version;
        match self.lists.at(version) {
            Some(ours) if ours.version() == theirs => None,
            Some(_) if self.lists.rivals().any(|rival| rival.version() == theirs) => None,
            Some(_) if checks::skipped(Check::ListHistories) => None,
            Some(_) => Some(Difference::ListDiffers { version }),
            None if version == 0 || checks::skipped(Check::ListShown) => None,
            None => Some(Difference::ListAhead { version }),
        }
    }

    fn authenticator(&self, epoch: u64) -> Option<[u8; 32]> {
        let own = self.views.iter().find(|view| view.epoch == epoch);
        own.or_else(|| self.records.of_epoch(epoch).map(|record| record.view()))
            .map(|view| view.authenticator)
    }
}

//! What the camera has to say or do soon, and what is wrong when it does not.

use std::time::Duration;

use latchkey_api::device_list::DeviceList;
use latchkey_e2ee::group::EpochChange;
use web_time::Instant;

/// The record of a new epoch, which the camera sends at once.
#[derive(Debug, Default)]
pub(crate) struct RecordDue(Option<Expected>);

#[derive(Debug)]
struct Expected {
    epoch: u64,
    since: Instant,
    /// Packets that had come by then.
    packets: u64,
}

impl RecordDue {
    /// An epoch began.
    pub(crate) fn epoch_began(&mut self, epoch: u64, packets: u64, now: Instant) {
        self.0 = Some(Expected { epoch, since: now, packets });
    }

    /// The record of an epoch came.
    pub(crate) fn came(&mut self, epoch: u64) {
        self.0.take_if(|expected| expected.epoch <= epoch);
    }

    /// When [`Self::judge`] has something to say at the earliest.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.0.as_ref().map(|expected| expected.since + LIMIT)
    }

    /// The epoch whose record did not come in time although pictures did; told once. Without pictures there is no camera,
    /// or no way to it, and the time begins anew.
    pub(crate) fn judge(&mut self, packets: u64, now: Instant) -> Option<u64> {
        let expected = self.0.as_mut().filter(|expected| now.duration_since(expected.since) >= LIMIT)?;
        if packets == expected.packets {
            expected.since = now;
            return None;
        }
        self.0.take().map(|expected| expected.epoch)
    }
}

/// A camera that let somebody in by an old list although this device knew of the removal.
#[derive(Debug, Default)]
pub(crate) struct OldListUsed {
    /// The list that this device knew when nothing more was to be read.
    settled: u64,
    /// The list that the camera does not know, the one it used, and since when.
    open: Option<(u64, u64, Instant)>,
}

impl OldListUsed {
    /// Everything was read, with this list as the newest.
    pub(crate) fn settled(&mut self, version: u64) {
        self.settled = self.settled.max(version);
    }

    /// A commit was taken. The camera may have been on its way with it when the list came, and makes it good then.
    pub(crate) fn committed(&mut self, change: &EpochChange, acting: &DeviceList, now: Instant) {
        let used = change.list.list.version;
        self.open.take_if(|(newer, _, _)| used >= *newer);
        let unlisted = change.added.iter().any(|device| acting.device(*device).is_none());
        if unlisted && used < self.settled && self.open.is_none() {
            self.open = Some((self.settled, used, now));
        }
    }

    /// Whether [`Self::judge`] may have something to say later.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The list that the camera still does not know, and the one it used; told once.
    pub(crate) fn judge(&mut self, now: Instant) -> Option<(u64, u64)> {
        let open = self.open.take_if(|(_, _, since)| now.duration_since(*since) >= LIMIT)?;
        Some((open.0, open.1))
    }
}

/// How long the camera has to say or do it.
pub(crate) const LIMIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use super::*;
    use latchkey_api::device_list::{ListHash, ListVersion, Role};
    use latchkey_api::id::DeviceId;
    use latchkey_e2ee::group::ListRef;
    use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot};

    #[test]
    fn a_record_that_does_not_come_while_pictures_do_is_told_once() {
        let begin = Instant::now();
        let mut due = RecordDue::default();
        assert_eq!(due.judge(9, begin + LIMIT), None, "nothing is expected");
        due.epoch_began(4, 100, begin);
        assert_eq!(due.judge(200, begin + LIMIT / 2), None, "too early");
        assert_eq!(due.due(), Some(begin + LIMIT));
        assert_eq!(due.judge(100, begin + LIMIT), None, "no pictures come");
        assert_eq!(due.judge(200, begin + LIMIT), None, "they have only begun");
        assert_eq!(due.judge(200, begin + LIMIT * 2), Some(4));
        assert_eq!(due.judge(300, begin + LIMIT * 4), None);

        due.epoch_began(5, 300, begin);
        due.came(4);
        assert!(due.due().is_some(), "that of the epoch before is not it");
        due.came(5);
        assert_eq!((due.due(), due.judge(400, begin + LIMIT)), (None, None));
    }

    #[test]
    fn an_addition_by_an_old_list_is_told_unless_the_camera_makes_it_good() {
        let (root, _) = HouseholdRoot::generate().unwrap();
        let ada = DeviceIdentity::generate().unwrap();
        let entry = ada.public().entry(Role::Admin, 1, Vec::new());
        let acting = DeviceList::founding(root.household(), entry, 1).unwrap();
        let commit = |version, added| EpochChange {
            epoch: 7,
            list: ListRef { list: ListVersion { version, hash: ListHash([0; 32]) }, time: 0 },
            added: vec![added],
            removed: Vec::new(),
        };
        let (begin, gone) = (Instant::now(), DeviceId([9; 16]));
        let mut used = OldListUsed::default();
        used.committed(&commit(3, gone), &acting, begin);
        assert!(!used.is_open(), "read later: the camera was first");
        used.settled(4);
        used.committed(&commit(3, ada.device()), &acting, begin);
        assert!(!used.is_open(), "who is listed may be let in");
        used.committed(&commit(3, gone), &acting, begin);
        assert_eq!(used.judge(begin + LIMIT / 2), None);
        assert_eq!(used.judge(begin + LIMIT), Some((4, 3)));
        assert_eq!(used.judge(begin + LIMIT * 2), None, "told once");
        used.committed(&commit(3, gone), &acting, begin);
        used.committed(&commit(4, ada.device()), &acting, begin);
        assert_eq!(used.judge(begin + LIMIT), None, "the camera knows the list now");
    }
}

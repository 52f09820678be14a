//! Devices cut off: for two minutes after the word, grants issued before it open no door.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use latchkey_wire::id::{DeviceHandle, RoomId};

/// Longer than any grant lives, clock skew included, so that none outlives the cut.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(120);

/// The cuts of the last two minutes.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    cuts: HashMap<(RoomId, DeviceHandle), Cut>,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    issued_before: SystemTime,
    forget_at: SystemTime,
}

impl Cuts {
    /// Refuses from now on what the device was granted for the room up to `issued_before`.
    pub(crate) fn add(
        &mut self,
        room: RoomId,
        device: DeviceHandle,
        issued_before: SystemTime,
        now: SystemTime,
    ) {
        self.cuts.retain(|_, cut| cut.forget_at >= now);
        let forget_at = now.max(issued_before) + REMEMBERED;
        let cut = self.cuts.entry((room, device)).or_insert(Cut { issued_before, forget_at });
        cut.issued_before = cut.issued_before.max(issued_before);
        cut.forget_at = cut.forget_at.max(forget_at);
    }

    /// Whether a grant issued at `issued` was cut off. Grants count whole seconds, so one of the very second of the cut
    /// counts as older: refusing one too many costs a retry, letting one through costs the owner.
    pub(crate) fn refuses(
        &self,
        room: RoomId,
        device: DeviceHandle,
        issued: SystemTime,
        now: SystemTime,
    ) -> bool {
        let cut = self.cuts.get(&(room, device));
        cut.is_some_and(|cut| cut.forget_at >= now && issued <= cut.issued_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn only_older_grants_of_that_device_and_room_are_refused() {
        let (room, device) = (RoomId::new([1; 16]), DeviceHandle::new([2; 16]));
        let mut cuts = Cuts::default();
        cuts.add(room, device, at(100), at(100));
        assert!(cuts.refuses(room, device, at(99), at(101)));
        assert!(cuts.refuses(room, device, at(100), at(101)), "the very second counts as older");
        assert!(!cuts.refuses(room, device, at(101), at(101)), "a grant after the cut is a new decision");
        assert!(!cuts.refuses(room, DeviceHandle::new([3; 16]), at(99), at(101)));
        assert!(!cuts.refuses(RoomId::new([3; 16]), device, at(99), at(101)));
    }

    #[test]
    fn a_cut_lasts_two_minutes_and_never_moves_back() {
        let (room, device) = (RoomId::new([1; 16]), DeviceHandle::new([2; 16]));
        let mut cuts = Cuts::default();
        cuts.add(room, device, at(100), at(100));
        cuts.add(room, device, at(50), at(110));
        assert!(cuts.refuses(room, device, at(100), at(220)));
        assert!(!cuts.refuses(room, device, at(100), at(231)));
        cuts.add(RoomId::new([9; 16]), device, at(300), at(300));
        assert_eq!(cuts.cuts.len(), 1, "old cuts are forgotten");
    }
}

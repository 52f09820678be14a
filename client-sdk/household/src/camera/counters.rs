//! Counters of a running camera, as the media task counts and the keeper of the group reads them.

use std::sync::{Arc, Mutex, PoisonError};

use latchkey_api::id::GroupId;
use latchkey_e2ee::kid::Kid;
use tokio::sync::mpsc;

/// An epoch in which the last frame was sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EpochEnded {
    /// The epoch.
    pub(crate) epoch: u64,
    /// The last counter of each key id of this run that sealed a frame in it.
    pub(crate) last: Vec<(Kid, u64)>,
}

/// The keeper's side: what the media task seals with, and which epochs are over there.
pub(super) struct Sealing {
    /// The counters as they are.
    pub(super) counters: Arc<SharedCounters>,
    /// Each epoch that is over, as soon as nothing is sealed in it any more.
    pub(super) ended: mpsc::UnboundedReceiver<EpochEnded>,
}

/// What the camera's frames are sealed with at the moment. Shared between the tasks of one camera.
#[derive(Debug, Default)]
pub(crate) struct SharedCounters {
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    epoch: Option<(GroupId, u64)>,
    next: Vec<(Kid, u64)>,
}

impl SharedCounters {
    /// Returns the next counter of each key id of this run that has sealed a frame in the present epoch.
    pub(crate) fn now(&self) -> Vec<(Kid, u64)> {
        self.lock(|now| now.next.clone())
    }

    /// Returns the epoch that the next frame is sealed in; nothing before the first keys came.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.lock(|now| now.epoch.map(|(_, epoch)| epoch))
    }

    /// A new epoch begins; returns what is over, where that is an epoch of the same group.
    pub(crate) fn begin(&self, group: GroupId, epoch: u64) -> Option<EpochEnded> {
        self.lock(|now| {
            if now.epoch == Some((group, epoch)) {
                return None;
            }
            let last = std::mem::take(&mut now.next).into_iter().map(|(kid, next)| (kid, next - 1)).collect();
            let (before, epoch) = now.epoch.replace((group, epoch))?;
            (before == group).then_some(EpochEnded { epoch, last })
        })
    }

    /// A frame was sealed.
    pub(crate) fn sealed(&self, kid: Kid, ctr: u64) {
        self.lock(|now| match now.next.iter_mut().find(|(known, _)| *known == kid) {
            Some((_, next)) => *next = ctr + 1,
            None => now.next.push((kid, ctr + 1)),
        });
    }

    fn lock<T>(&self, with: impl FnOnce(&mut Now) -> T) -> T {
        with(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use latchkey_e2ee::kid::{AUDIO, SenderSession, VIDEO};

    use super::*;

    const GROUP: GroupId = GroupId([8; 20]);

    #[test]
    fn an_epoch_ends_with_the_last_counters_of_what_was_sealed_in_it() {
        let counters = SharedCounters::default();
        let kid = |track, epoch| Kid::new(SenderSession(7), track, 0, epoch);
        assert_eq!(
            (counters.epoch(), counters.begin(GROUP, 3)),
            (None, None),
            "nothing is over at the start"
        );
        for ctr in 0..5 {
            counters.sealed(kid(VIDEO, 3), ctr);
        }
        counters.sealed(kid(AUDIO, 3), 0);
        assert_eq!(counters.now(), [(kid(VIDEO, 3), 5), (kid(AUDIO, 3), 1)]);
        assert_eq!(counters.begin(GROUP, 3), None, "the same epoch again ends nothing");
        let last = vec![(kid(VIDEO, 3), 4), (kid(AUDIO, 3), 0)];
        assert_eq!(counters.begin(GROUP, 4), Some(EpochEnded { epoch: 3, last }));
        assert_eq!((counters.epoch(), counters.now()), (Some(4), vec![]));
        assert_eq!(counters.begin(GROUP, 5), Some(EpochEnded { epoch: 4, last: vec![] }));
        counters.sealed(kid(VIDEO, 5), 0);
        assert_eq!(counters.begin(GroupId([9; 20]), 0), None, "another group has no record of this one");
        assert_eq!(counters.now(), []);
    }
}

//! Grants already used: a bounded set of their ids, each kept until the grant would have expired anyway.

use std::collections::{BTreeSet, HashSet};
use std::time::SystemTime;

/// Ids of used grants. When it is full of grants that are still valid it takes no further one: a relay under a flood
/// refuses, it never forgets.
#[derive(Debug)]
pub(crate) struct SingleUse {
    capacity: usize,
    used: HashSet<Jti>,
    by_expiry: BTreeSet<(SystemTime, Jti)>,
}

/// The `jti` of a grant.
pub(crate) type Jti = [u8; 16];

/// Why a grant may not be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UseError {
    /// The peer's fault, or a thief's.
    #[error("the grant has been used")]
    Used,
    /// Our limit.
    #[error("too many grants were used within the last minute")]
    Full,
}

impl SingleUse {
    /// Remembers at most `capacity` grants at once.
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, used: HashSet::new(), by_expiry: BTreeSet::new() }
    }

    /// Marks a grant as used; it is forgotten after `forget_at`, when nothing would accept it any more.
    pub(crate) fn spend(&mut self, jti: Jti, forget_at: SystemTime, now: SystemTime) -> Result<(), UseError> {
        self.forget(now);
        if self.used.contains(&jti) {
            return Err(UseError::Used);
        }
        if self.used.len() >= self.capacity {
            return Err(UseError::Full);
        }
        self.used.insert(jti);
        self.by_expiry.insert((forget_at, jti));
        Ok(())
    }

    fn forget(&mut self, now: SystemTime) {
        while let Some((forget_at, jti)) = self.by_expiry.first().copied() {
            if forget_at >= now {
                break;
            }
            self.by_expiry.pop_first();
            self.used.remove(&jti);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_grant_is_good_for_one_use() {
        let mut set = SingleUse::new(10);
        assert_eq!(set.spend([1; 16], at(60), at(0)), Ok(()));
        assert_eq!(set.spend([1; 16], at(60), at(60)), Err(UseError::Used));
        assert_eq!(set.spend([2; 16], at(60), at(60)), Ok(()));
    }

    #[test]
    fn it_is_bounded_and_fails_closed() {
        let mut set = SingleUse::new(2);
        assert_eq!(set.spend([1; 16], at(10), at(0)), Ok(()));
        assert_eq!(set.spend([2; 16], at(20), at(0)), Ok(()));
        assert_eq!(set.spend([3; 16], at(20), at(0)), Err(UseError::Full));
        assert_eq!(
            set.spend([2; 16], at(20), at(0)),
            Err(UseError::Used),
            "a full set still knows what was used"
        );
        assert_eq!(set.spend([3; 16], at(20), at(11)), Ok(()), "the first one has expired");
        assert_eq!(set.used.len(), set.by_expiry.len());
    }
}

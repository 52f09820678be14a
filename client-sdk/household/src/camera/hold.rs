//! When no frame may be sealed although there are keys: the epoch may be over, or a guest in it is.

use std::time::Duration;

use crate::clock::unix_seconds;

/// What the keeper tells the media task about the epoch whose keys it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// The server may have accepted a commit that this camera does not know of yet.
    pub changing: bool,
    /// When the stay of a member ends, in seconds since the Unix epoch.
    pub end: Option<u64>,
}

impl Hold {
    /// Whether a member's stay has ended for so long that the commit that takes it out should be there. Until it is,
    /// nothing is sealed: the member still holds the keys, and no server need agree that its time is over.
    pub fn is_overdue(&self) -> bool {
        self.is_overdue_at(unix_seconds())
    }

    fn is_overdue_at(&self, now: u64) -> bool {
        self.end.is_some_and(|end| now >= end.saturating_add(COMMIT_LIMIT.as_secs()))
    }
}

/// How long a commit that takes out whose time is over may take.
const COMMIT_LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stay_that_is_over_stops_the_sealing_after_five_seconds() {
        let hold = Hold { changing: false, end: Some(100) };
        assert!(!hold.is_overdue_at(99) && !hold.is_overdue_at(104));
        assert!(hold.is_overdue_at(105) && hold.is_overdue_at(u64::MAX));
        assert!(!Hold::default().is_overdue_at(u64::MAX), "nobody's stay ends");
    }
}

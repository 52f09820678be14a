//! The chain of lists that a device keeps: the newest verified one is pinned, rivals of it stay an alarm, and what a list
//! changes is told.

use std::time::{SystemTime, UNIX_EPOCH};

use latchkey_api::checks::{self, Check};
use latchkey_api::device_list::{ListError, Reason};
use zeroize::Zeroizing;

use crate::clock::{self, unix_seconds};
use crate::home::{Home, HomeError, LIST, RIVAL};
use crate::notice::{self, Notice};
use crate::signaling::Signaling;

impl Home {
    /// Reads new lists from the server, verifies and keeps them; returns whether there were any.
    ///
    /// Fails with [`HomeError::List`] when the server shows a list that does not follow; the good ones
    /// before it are kept. A second history is told once, as [`ListError::TwoHistories`]; from then on it is kept as
    /// the chain's rival. Fails with [`HomeError::RolledBack`] when the server does not show the newest list that
    /// this device has verified.
    pub async fn refresh(&mut self, signaling: &Signaling) -> Result<bool, HomeError> {
        self.vault.mend()?;
        let pinned = self.chain.head().map_or(0, |head| head.list().version);
        let lists = signaling.lists_after(pinned.saturating_sub(1)).await?;
        if pinned > 0 && lists.is_empty() && !checks::skipped(Check::ListPinned) {
            let shown = signaling.lists_after(0).await?.len() as u64;
            return Err(HomeError::RolledBack { shown, pinned });
        }
        self.take_lists(&lists)
    }

    /// Verifies lists as the next of the chain and keeps them; returns whether there were new ones.
    pub(crate) fn take_lists(&mut self, lists: &[Vec<u8>]) -> Result<bool, HomeError> {
        let before = self.chain.head().map_or(0, |head| head.list().version);
        let (mut refused, mut split) = (None, None);
        let mut to_save = false;
        for bytes in lists {
            let known = self.chain.head().map_or(0, |head| head.list().version);
            let rivals = self.chain.rivals().count();
            match self.chain.accept(bytes, self.trusted(clock::now())) {
                Ok(accepted) if accepted.version > known => {
                    self.keep_list(accepted.version, bytes);
                    to_save = true;
                }
                Ok(_) => {}
                Err(error @ ListError::TwoHistories { .. }) => {
                    if self.chain.rivals().count() > rivals {
                        let name = format!("{RIVAL}{known:020}/{rivals:02}");
                        self.vault.put(&name, Zeroizing::new(bytes.clone()));
                        to_save = true;
                        split = Some(error);
                    } else if !self.chain.rivals().any(|rival| rival.as_bytes() == bytes.as_slice()) {
                        refused = Some(error);
                    }
                    // What follows may be the list that joins them.
                }
                // While two histories stand, a list that follows one of them only is no further alarm.
                Err(_) if self.chain.rival().is_some() => break,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        if to_save && !self.vault.is_read_only() {
            self.vault.save()?;
        }
        // A split that a list has joined already is told by that list.
        let refused = split.filter(|_| self.chain.rival().is_some()).or(refused);
        let news = self.chain.head().map_or(0, |head| head.list().version) > before;
        refused.map_or(Ok(news), |error| Err(error.into()))
    }

    /// The clock, where it can be right: not before this version was made, nor before the newest list that is known. A
    /// device that has just begun without a clock refuses no list for its date.
    pub(super) fn trusted(&self, clock: SystemTime) -> Option<SystemTime> {
        let newest = self.chain.head().map_or(0, |head| head.list().issued_at);
        let seconds = clock.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        (seconds >= newest.max(MADE_AFTER)).then_some(clock)
    }

    fn keep_list(&mut self, version: u64, bytes: &[u8]) {
        self.vault.put(&list_record(version), Zeroizing::new(bytes.to_vec()));
        let stands = |name: &str| {
            let kept = self.vault.record(name);
            self.chain.rivals().any(|rival| kept == Some(rival.as_bytes()))
        };
        let settled: Vec<String> =
            self.vault.names(RIVAL).filter(|name| !stands(name)).map(str::to_owned).collect();
        for name in settled {
            self.vault.remove(&name);
        }
        if let (Some(before), Some(list)) = (self.chain.at(version - 1), self.chain.at(version)) {
            // The lists that a new device begins with are no news to it.
            if before.list().device(self.device()).is_some() {
                let notices = notice::of_change(self.names(), before.list(), list.list());
                self.news.extend(notices);
                let seen = Zeroizing::new(unix_seconds().to_be_bytes().to_vec());
                self.vault.put(&format!("{SEEN}{version:020}"), seen);
            }
        }
    }

    /// Recoveries that this device saw within the last seven days.
    pub(super) fn recent_recoveries(&self, now: u64) -> Vec<Notice> {
        let recent = |version: u64| {
            let seen = self.vault.record(&format!("{SEEN}{version:020}"));
            let seen = seen.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
            seen.is_some_and(|seen| now.saturating_sub(seen) < RECOVERY_TOLD_SECONDS)
        };
        let recoveries =
            self.chain.lists().map(|list| list.list()).filter(|list| list.reason == Reason::Recovered);
        recoveries
            .filter(|list| recent(list.version))
            .filter_map(|list| Some((self.chain.at(list.version - 1)?.list(), list)))
            .map(|(before, list)| notice::of_recovery(self.names(), before, list))
            .collect()
    }
}

/// Names sort like versions.
fn list_record(version: u64) -> String {
    format!("{LIST}{version:020}")
}

/// When each list came, in seconds since the Unix epoch.
const SEEN: &str = "list-seen/";
/// The first of January 2026: no clock that is right stands before it.
pub(super) const MADE_AFTER: u64 = 1_767_225_600;
/// How long a recovery is told at each start: seven days.
pub(super) const RECOVERY_TOLD_SECONDS: u64 = 7 * 24 * 3600;

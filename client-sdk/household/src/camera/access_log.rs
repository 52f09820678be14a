//! Who watched this camera and when, as a chain of hashes whose head is in every answer of the camera.
//!
//! ```text
//! head before the first entry (32) | entry ...          entry = device (16) | began (1) | time (8)
//! ```
//!
//! Times are seconds since the Unix epoch, big endian. Only the newest entries are kept; the hash stands for the rest.

use std::collections::VecDeque;

use latchkey_api::id::DeviceId;
use latchkey_e2ee::record::next_access_head;

/// The newest entries, and the hash of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AccessLog {
    before: [u8; 32],
    entries: VecDeque<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    device: DeviceId,
    began: bool,
    time: u64,
}

impl AccessLog {
    /// Reads what [`Self::to_bytes`] wrote; an empty log where there is nothing, or something else.
    pub(super) fn restore(stored: Option<&[u8]>) -> Self {
        stored.and_then(Self::from_bytes).unwrap_or_default()
    }

    /// A device began (or ended) watching at `time`.
    pub(super) fn add(&mut self, device: DeviceId, began: bool, time: u64) {
        self.entries.push_back(Entry { device, began, time });
        if self.entries.len() > KEPT
            && let Some(oldest) = self.entries.pop_front()
        {
            self.before = oldest.after(&self.before);
        }
    }

    /// The hash over all entries that there ever were.
    pub(super) fn head(&self) -> [u8; 32] {
        self.entries.iter().fold(self.before, |head, entry| entry.after(&head))
    }

    /// The log as bytes, for the vault.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.before.to_vec();
        for entry in &self.entries {
            bytes.extend_from_slice(&entry.device.0);
            bytes.push(u8::from(entry.began));
            bytes.extend_from_slice(&entry.time.to_be_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (before, rest) = bytes.split_first_chunk::<32>()?;
        let entries = rest.chunks(ENTRY_LEN).map(Entry::from_bytes).collect::<Option<_>>()?;
        Some(Self { before: *before, entries })
    }
}

impl Entry {
    fn after(self, head: &[u8; 32]) -> [u8; 32] {
        next_access_head(head, self.device, self.began, self.time)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (device, rest) = bytes.split_first_chunk::<16>()?;
        let (&[began], time) = rest.split_first_chunk::<1>()?;
        let time = u64::from_be_bytes(time.try_into().ok()?);
        (began <= 1).then_some(Self { device: DeviceId(*device), began: began == 1, time })
    }
}

const ENTRY_LEN: usize = 16 + 1 + 8;
/// Entries that are kept.
const KEPT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_head_outlasts_the_entries() {
        let (mut log, mut head) = (AccessLog::default(), [0; 32]);
        for time in 0..1200 {
            let device = DeviceId([u8::try_from(time % 7).unwrap_or_default(); 16]);
            log.add(device, time % 2 == 0, time);
            head = next_access_head(&head, device, time % 2 == 0, time);
        }
        assert_eq!((log.head(), log.entries.len()), (head, KEPT));
        assert_eq!(AccessLog::restore(Some(&log.to_bytes())), log);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(log) = AccessLog::from_bytes(&bytes) {
                prop_assert_eq!(log.to_bytes(), bytes);
            }
        }
    }
}

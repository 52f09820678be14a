//! The GroupContext extension that binds a group to one signed list.
//!
//! ```text
//! type 0xF0C1 (private use)      list version(8) || list hash(32) || time(8)        big endian
//! ```
//!
//! The time is the committer's clock in seconds since the Unix epoch, never below that of the list or of
//! the commit before. Lifetimes are judged by it and not by each member's own clock: all members must
//! decide alike, also one that catches up a week later.

use latchkey_api::device_list::{ListHash, ListVersion, VerifiedList};
use mls_rs::extension::ExtensionType;
use mls_rs::{Extension, ExtensionList};

use super::error::Refusal;

/// The list a group rests on, and the time of the commit that named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRef {
    /// Version and hash of the list.
    pub list: ListVersion,
    /// Seconds since the Unix epoch.
    pub time: u64,
}

impl ListRef {
    /// Names a list at `now` (seconds since the Unix epoch), but never before the list was signed.
    pub(super) fn naming(list: &VerifiedList, now: u64) -> Self {
        Self { list: list.version(), time: now.max(list.list().issued_at) }
    }

    /// The extension list of a group that rests on this list: this extension and nothing else.
    pub(super) fn to_extensions(self) -> ExtensionList {
        let mut data = Vec::with_capacity(LEN);
        data.extend_from_slice(&self.list.version.to_be_bytes());
        data.extend_from_slice(&self.list.hash.0);
        data.extend_from_slice(&self.time.to_be_bytes());
        ExtensionList::from(vec![Extension::new(LIST_EXTENSION, data)])
    }

    /// Reads the reference; an extension list that holds anything else is refused.
    pub(super) fn from_extensions(extensions: &ExtensionList) -> Result<Self, Refusal> {
        let [extension] = extensions.as_slice() else { return Err(Refusal::ListNotNamed) };
        if extension.extension_type != LIST_EXTENSION {
            return Err(Refusal::ListNotNamed);
        }
        Self::from_data(&extension.extension_data).ok_or(Refusal::ListNotNamed)
    }

    fn from_data(data: &[u8]) -> Option<Self> {
        let (version, rest) = data.split_first_chunk::<8>()?;
        let (hash, time) = rest.split_first_chunk::<32>()?;
        let time = <[u8; 8]>::try_from(time).ok()?;
        let list = ListVersion { version: u64::from_be_bytes(*version), hash: ListHash(*hash) };
        Some(Self { list, time: u64::from_be_bytes(time) })
    }
}

/// The type of the extension, in the range for private use (RFC 9420 section 17.3).
pub(super) const LIST_EXTENSION: ExtensionType = ExtensionType::new(0xF0C1);
const LEN: usize = 48;

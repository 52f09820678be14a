//! What an invitation says, once opened.
//!
//! ```text
//! format (1) | root key (32) | label key (16) | admin (16) | time (8) | list version (8) | list hash (32)
//!            | role (1) | rights (1) | end (8), 0 for none | name (rest, UTF-8)         integers big endian
//! ```

use latchkey_api::device_list::{ListHash, ListVersion, Rights, Role};
use latchkey_api::id::DeviceId;
use zeroize::Zeroizing;

use super::digits::Digits;
use super::terms::{Terms, is_name};
use crate::label::LabelKey;

/// The household, as an admin tells a new device.
pub struct Household<'a> {
    /// The root's public key, which the new device pins for good.
    pub root_public: [u8; 32],
    /// The key of the names.
    pub label_key: &'a LabelKey,
    /// The admin itself.
    pub admin: DeviceId,
    /// The newest list that the admin knows; what the server shows the new device must contain it.
    pub head: ListVersion,
}

/// What an invited device knows of its household.
pub struct Membership {
    /// The root's public key, to be pinned for good.
    pub root_public: [u8; 32],
    /// The key of the names.
    pub label_key: LabelKey,
    /// The admin that let it in.
    pub admin: DeviceId,
    /// A list that must be in the chain the server shows, else the server shows another history.
    pub head: ListVersion,
    /// What the device will be.
    pub role: Role,
    /// What the device may do.
    pub rights: Rights,
    /// When it ends, in seconds since the Unix epoch.
    pub not_after: Option<u64>,
    /// What the device will be called; one line, without control characters.
    pub name: String,
    /// What both screens may show as a last glance.
    pub digits: Digits,
    /// When the invitation was made, in seconds since the Unix epoch.
    pub issued_at: u64,
}

/// Writes the content of an invitation.
pub(super) fn write(household: &Household<'_>, terms: &Terms, now: u64) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED + terms.name.len()));
    bytes.push(FORMAT);
    bytes.extend_from_slice(&household.root_public);
    bytes.extend_from_slice(household.label_key.to_bytes().as_slice());
    bytes.extend_from_slice(&household.admin.0);
    bytes.extend_from_slice(&now.to_be_bytes());
    bytes.extend_from_slice(&household.head.version.to_be_bytes());
    bytes.extend_from_slice(&household.head.hash.0);
    bytes.push(terms.role as u8);
    bytes.push(terms.rights.bits());
    bytes.extend_from_slice(&terms.not_after.unwrap_or(0).to_be_bytes());
    bytes.extend_from_slice(terms.name.as_bytes());
    bytes
}

/// Reads the content of an invitation; `None` when it is of another format or cannot be used.
pub(super) fn read(bytes: &[u8], digits: Digits) -> Option<Membership> {
    let (&[format], rest) = bytes.split_first_chunk::<1>()?;
    let (root_public, rest) = rest.split_first_chunk::<32>()?;
    let (label_key, rest) = rest.split_first_chunk::<16>()?;
    let (admin, rest) = rest.split_first_chunk::<16>()?;
    let (issued_at, rest) = rest.split_first_chunk::<8>()?;
    let (version, rest) = rest.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let (&[role, rights], rest) = rest.split_first_chunk::<2>()?;
    let (end, name) = rest.split_first_chunk::<8>()?;
    let name = std::str::from_utf8(name).ok().filter(|name| is_name(name))?;
    if format != FORMAT {
        return None;
    }
    Some(Membership {
        root_public: *root_public,
        label_key: LabelKey::from_bytes(label_key),
        admin: DeviceId(*admin),
        head: ListVersion { version: u64::from_be_bytes(*version), hash: ListHash(*hash) },
        role: Role::try_from(u64::from(role)).ok()?,
        rights: Rights::from_bits(rights)?,
        not_after: Some(u64::from_be_bytes(*end)).filter(|end| *end != 0),
        name: name.to_owned(),
        digits,
        issued_at: u64::from_be_bytes(*issued_at),
    })
}

const FORMAT: u8 = 1;
const FIXED: usize = 1 + 32 + 16 + 16 + 8 + 8 + 32 + 2 + 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            role in 0..5_u8,
            rights in 0..9_u8,
            name in "\\PC{0,20}",
        ) {
            let digits = Digits::of(&[0; 32]);
            prop_assert!(bytes.len() > FIXED || read(&bytes, digits).is_none());
            bytes.resize(FIXED, 7);
            bytes[0] = FORMAT;
            bytes[FIXED - 10..FIXED - 8].copy_from_slice(&[role, rights]);
            bytes.extend_from_slice(name.as_bytes());
            if let Some(read) = read(&bytes, digits) {
                let household = Household {
                    root_public: read.root_public,
                    label_key: &read.label_key,
                    admin: read.admin,
                    head: read.head,
                };
                let terms = Terms {
                    role: read.role,
                    name: read.name.clone(),
                    rights: read.rights,
                    cameras: None,
                    not_after: read.not_after,
                };
                let written = write(&household, &terms, read.issued_at);
                prop_assert_eq!(written.as_slice(), bytes.as_slice());
            } else {
                prop_assert!(role > 3 || rights > 7 || name.trim().is_empty() || name.len() > 131);
            }
        }
    }
}

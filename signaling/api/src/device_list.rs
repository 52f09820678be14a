//! The signed device list: which devices belong to a household, and what each of them may do.
//!
//! Lists form a hash chain. List 1 is signed by the household root; every later one by an admin of the
//! list before it, or by the root when the household recovers. Server, cameras and phones check the same
//! bytes with the same code ([`ListChain`]), so the server can carry and order lists but never write one.
//!
//! A list is a tagged COSE_Sign1 (RFC 9052) with EdDSA over deterministically encoded CBOR (RFC 8949
//! section 4.2.1):
//!
//! ```text
//! 18([ << {1: -8} >>, {}, << list >>, signature(64) ])        external_aad = "latchkey device list v1"
//! list   = { 1: household id(16), 2: version, 3: [parent hash(32), ...], 4: issued at, 5: device id / "root",
//!            6: [device, ...], 7: [[camera id(16), generation], ...], 8: reason }
//! device = { 1: device id(16), 2: role, 3: mls public(32), 4: enrol public(32), 5: not before,
//!            ? 6: not after, 7: [camera id, ...] / null, 8: rights, 9: sealed label }
//! ```
//!
//! Devices, cameras and generations are in ascending order of their ids; times are seconds since the
//! Unix epoch; the hash of a list is SHA-256 of all its bytes.

mod build;
mod chain;
mod codec;
mod entry;
mod error;
mod histories;
mod rules;

pub use chain::{ListChain, VerifiedList};
pub use codec::SignedList;
pub use entry::{DeviceEntry, Right, Rights, Role};
pub use error::ListError;

use std::fmt;

use crate::id::{DeviceId, HouseholdId};

/// Most devices one list may name; also the most members a camera's group can have.
pub const MAX_DEVICES: usize = 64;
/// Most bytes a signed list may have.
pub const MAX_LIST_BYTES: usize = 64 * 1024;
/// Most bytes a sealed label may have.
pub const MAX_LABEL_BYTES: usize = 160;
/// Most cameras whose generations one list may remember, present and removed ones together.
pub const MAX_GENERATIONS: usize = 256;
/// Most lists one list may name as parents: the one it follows, and rivals of it that it joins.
pub const MAX_PARENTS: usize = 4;
/// Longest time a guest may be listed for, in seconds (30 days).
pub const MAX_GUEST_SECONDS: u64 = 30 * 24 * 3600;

/// One version of a household's device list: what the signature covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceList {
    /// The household, [`HouseholdId::of_root`] of the root's public key.
    pub household: HouseholdId,
    /// Counts up from 1 without a gap.
    pub version: u64,
    /// Hashes of the lists this one follows: none for version 1, else one, or up to [`MAX_PARENTS`] in
    /// ascending order when it joins histories.
    pub parents: Vec<ListHash>,
    /// When it was signed, in seconds since the Unix epoch; never earlier than the list before.
    pub issued_at: u64,
    /// Who signed it.
    pub signer: Signer,
    /// The devices, in ascending order of their ids.
    pub devices: Vec<DeviceEntry>,
    /// The generation of each camera that was ever listed, in ascending order of the camera's id.
    pub generations: Vec<CameraGeneration>,
    /// Why it was made.
    pub reason: Reason,
}

impl DeviceList {
    /// Returns the entry of a device, if it is listed.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&DeviceEntry> {
        let at = self.devices.binary_search_by_key(&id, |entry| entry.device).ok()?;
        self.devices.get(at)
    }

    /// Returns the entries of all cameras, in ascending order of their ids.
    pub fn cameras(&self) -> impl Iterator<Item = &DeviceEntry> {
        self.devices.iter().filter(|entry| entry.role == Role::Camera)
    }

    /// Returns the generation in which a listed camera keeps its group, `None` when it is not listed.
    #[must_use]
    pub fn generation(&self, camera: DeviceId) -> Option<u32> {
        self.device(camera).filter(|entry| entry.role == Role::Camera)?;
        self.last_generation(camera)
    }

    /// Returns true when the device is listed and holds `right` for `camera` at `at` (seconds since the
    /// Unix epoch).
    #[must_use]
    pub fn may(&self, device: DeviceId, right: Right, camera: DeviceId, at: u64) -> bool {
        self.generation(camera).is_some()
            && self.device(device).is_some_and(|entry| entry.holds(right, camera) && entry.valid_at(at))
    }

    /// The last generation a camera had, listed now or not.
    fn last_generation(&self, camera: DeviceId) -> Option<u32> {
        let at = self.generations.binary_search_by_key(&camera, |entry| entry.camera).ok()?;
        self.generations.get(at).map(|entry| entry.generation)
    }
}

/// Who signed a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The household root: version 1 and recovery lists only.
    Root,
    /// An admin of the list before.
    Device(DeviceId),
}

/// Why a list was made. A code, not a text: free text would show the server what labels hide from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The household was founded; version 1.
    Founded = 0,
    /// A device was added.
    Added = 1,
    /// A device was removed.
    Removed = 2,
    /// An entry was changed: rights, lifetime, label.
    Changed = 3,
    /// All admins were lost; signed by the root.
    Recovered = 4,
    /// Two histories were joined.
    Joined = 5,
    /// A camera lost its state and founds its next generation.
    CameraReset = 6,
}

/// How many groups a camera has founded before the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CameraGeneration {
    /// The camera.
    pub camera: DeviceId,
    /// Starts at 0 and only rises.
    pub generation: u32,
}

/// SHA-256 of the bytes of a signed list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListHash(pub [u8; 32]);

impl fmt::Debug for ListHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListHash({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Names one list exactly: its version and its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListVersion {
    /// Counts up from 1.
    pub version: u64,
    /// The hash of the signed list.
    pub hash: ListHash,
}

#[cfg(test)]
mod tests;

//! Key packages that wait on the server, and the secrets to join with them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use latchkey_api::device_list::ListChain;
use mls_rs::time::MlsTime;
use zeroize::Zeroizing;

use super::blob::{BlobReader, BlobWriter};
use super::clock::unix_seconds;
use super::error::{GroupError, mls};
use super::library::client;
use super::policy::Policy;
use super::storage::{PackageShelf, Packages};
use crate::identity::DeviceIdentity;

/// The secrets of a device's unused key packages. Each is erased when a group was joined with it, a last-resort
/// one when [`LAST_RESORTS`] newer ones were made: the server may still give out the one before, or a Welcome
/// made with it may be on its way.
#[derive(Default)]
pub struct KeyPackages(PackageShelf);

impl KeyPackages {
    /// Returns an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a key package for one use and returns the bytes to publish. Save before publishing.
    ///
    /// # Errors
    /// [`GroupError::Protocol`].
    pub fn generate(
        &mut self,
        device: &DeviceIdentity,
        lists: &ListChain,
        now: SystemTime,
    ) -> Result<Vec<u8>, GroupError> {
        self.make(device, lists, now).map(|(_, package)| package)
    }

    /// Makes the key package that the server gives out when all others are used, and returns the bytes to
    /// publish. It can be used again and again, until [`LAST_RESORTS`] newer ones were made. Save before
    /// publishing.
    ///
    /// # Errors
    /// [`GroupError::Protocol`].
    pub fn generate_last_resort(
        &mut self,
        device: &DeviceIdentity,
        lists: &ListChain,
        now: SystemTime,
    ) -> Result<Vec<u8>, GroupError> {
        let (id, package) = self.make(device, lists, now)?;
        let mut shelf = self.0.lock();
        shelf.last_resorts.push(id);
        if shelf.last_resorts.len() > LAST_RESORTS {
            let oldest = shelf.last_resorts.remove(0);
            shelf.packages.remove(&oldest);
        }
        drop(shelf);
        Ok(package)
    }

    /// How many packages there are that a group can be joined with, last-resort ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().packages.len()
    }

    /// Returns true when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The secrets as bytes, for a vault only.
    #[must_use]
    pub fn save(&self) -> Zeroizing<Vec<u8>> {
        let shelf = self.0.lock();
        let mut blob =
            BlobWriter::new(MAGIC, 64 + shelf.packages.values().map(|data| data.len() + 64).sum::<usize>());
        blob.field(&shelf.last_resorts.concat());
        for (id, data) in &shelf.packages {
            blob.field(id).field(data);
        }
        blob.finish()
    }

    /// Reads what [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`GroupError::Unreadable`].
    pub fn restore(bytes: &[u8]) -> Result<Self, GroupError> {
        let mut blob = BlobReader::new(MAGIC, bytes)?;
        let (last_resorts, rest) = blob.field()?.as_chunks::<REFERENCE_LEN>();
        if !rest.is_empty() || last_resorts.len() > LAST_RESORTS {
            return Err(GroupError::Unreadable);
        }
        let last_resorts = last_resorts.iter().map(|id| id.to_vec()).collect();
        let mut inner = Packages { packages: BTreeMap::new(), last_resorts };
        while !blob.is_empty() {
            let id = blob.field()?.to_vec();
            inner.packages.insert(id, Zeroizing::new(blob.field()?.to_vec()));
        }
        Ok(Self(PackageShelf::holding(inner)))
    }

    pub(super) fn shelf(&self) -> PackageShelf {
        self.0.clone()
    }

    fn make(
        &mut self,
        device: &DeviceIdentity,
        lists: &ListChain,
        now: SystemTime,
    ) -> Result<(Vec<u8>, Vec<u8>), GroupError> {
        let before: Vec<_> = self.0.lock().packages.keys().cloned().collect();
        let policy = Policy::new(device.device(), lists);
        let client = client(policy, self.shelf(), Default::default(), Some((device, lists.household())));
        let ends = Duration::from_secs(unix_seconds(now)) + LIFETIME;
        let client = client.to_builder(None).key_package_lifetime(ends).build();
        let begins = MlsTime::from(0);
        let message = client
            .generate_key_package_message(Default::default(), Default::default(), Some(begins))
            .map_err(mls("make a key package"))?;
        let message = message.to_bytes().map_err(mls("encode a key package"))?;
        let shelf = self.0.lock();
        let id = shelf.packages.keys().find(|id| !before.contains(id)).cloned();
        Ok((id.ok_or(GroupError::Unreadable)?, message))
    }
}

/// Last-resort packages whose secrets are kept.
pub const LAST_RESORTS: usize = 3;
const MAGIC: [u8; 4] = *b"LKP1";
/// Length of a key package's reference in our cipher suite (RFC 9420 section 5.2).
const REFERENCE_LEN: usize = 32;
/// Packages are valid from the beginning of the Unix epoch, since a camera that starts without a clock must be
/// able to add members, and end a year after they were made, should somebody keep back old ones. Whether a
/// device may be added is the list's to say.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

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

/// The secrets of a device's unused key packages. Each is erased when a group was joined with it, the
/// last-resort one when a new one takes its place.
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
    /// publish. It can be used again and again, until the next one is made. Save before publishing.
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
        if let Some(before) = shelf.last_resort.replace(id) {
            shelf.packages.remove(&before);
        }
        drop(shelf);
        Ok(package)
    }

    /// How many unused packages there are, the last-resort one included.
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
        blob.field(shelf.last_resort.as_deref().unwrap_or_default());
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
        let last_resort = blob.field()?;
        let mut inner = Packages {
            packages: BTreeMap::new(),
            last_resort: (!last_resort.is_empty()).then(|| last_resort.to_vec()),
        };
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

const MAGIC: [u8; 4] = *b"LKP1";
/// Packages are valid from the beginning of the Unix epoch, since a camera that starts without a clock must be
/// able to add members, and end a year after they were made, should somebody keep back old ones. Whether a
/// device may be added is the list's to say.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

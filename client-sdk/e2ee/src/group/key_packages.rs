//! Key packages that wait on the server, and the secrets to join with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use latchkey_api::device_list::ListChain;
use mls_rs::KeyPackageStorage;
use mls_rs::mls_rs_codec::{MlsDecode as _, MlsEncode as _};
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::time::MlsTime;
use zeroize::Zeroizing;

use super::blob::{BlobReader, BlobWriter};
use super::engine::unix_seconds;
use super::error::{GroupError, mls};
use super::library::client;
use super::policy::Policy;
use crate::identity::DeviceIdentity;

/// The secrets of a device's unused key packages. Each is erased when a group was joined with it, the
/// last-resort one when a new one takes its place.
#[derive(Default)]
pub struct KeyPackages(Shelf);

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
        Ok(Self(Shelf(Arc::new(Mutex::new(inner)))))
    }

    pub(super) fn shelf(&self) -> Shelf {
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

/// The store as the library holds it.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<Packages>>);

#[derive(Default)]
struct Packages {
    packages: BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    last_resort: Option<Vec<u8>>,
}

impl Shelf {
    fn lock(&self) -> MutexGuard<'_, Packages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyPackageStorage for Shelf {
    type Error = ShelfError;

    fn delete(&mut self, id: &[u8]) -> Result<(), ShelfError> {
        let mut shelf = self.lock();
        if shelf.last_resort.as_deref() != Some(id) {
            shelf.packages.remove(id);
        }
        Ok(())
    }

    fn insert(&mut self, id: Vec<u8>, package: KeyPackageData) -> Result<(), ShelfError> {
        let data = package.mls_encode_to_vec().map_err(|_| ShelfError)?;
        self.lock().packages.insert(id, Zeroizing::new(data));
        Ok(())
    }

    fn get(&self, id: &[u8]) -> Result<Option<KeyPackageData>, ShelfError> {
        let shelf = self.lock();
        let Some(data) = shelf.packages.get(id) else { return Ok(None) };
        KeyPackageData::mls_decode(&mut data.as_slice()).map(Some).map_err(|_| ShelfError)
    }
}

/// A stored key package is not readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored key package is not readable")]
pub(super) struct ShelfError;

impl mls_rs::error::IntoAnyError for ShelfError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(Box::new(self))
    }
}

const MAGIC: [u8; 4] = *b"LKP1";
/// Packages are valid from the beginning of the Unix epoch, since a camera that starts without a clock must be
/// able to add members, and end a year after they were made, should somebody keep back old ones. Whether a
/// device may be added is the list's to say.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

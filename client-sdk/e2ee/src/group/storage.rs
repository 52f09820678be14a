//! What the MLS library stores: unused key packages, and one state of one group. In memory, erased when dropped.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mls_rs::mls_rs_codec::{MlsDecode as _, MlsEncode as _};
use mls_rs::storage_provider::KeyPackageData;
use mls_rs::{GroupStateStorage, KeyPackageStorage};
use mls_rs_core::group::{EpochRecord, GroupState};
use zeroize::Zeroizing;

/// Unused key packages with their secrets; clones share one shelf.
#[derive(Clone, Default)]
pub(super) struct PackageShelf(Arc<Mutex<Packages>>);

/// What lies on a [`PackageShelf`].
#[derive(Default)]
pub(super) struct Packages {
    /// The library's encoding by the package's reference.
    pub(super) packages: BTreeMap<Vec<u8>, Zeroizing<Vec<u8>>>,
    /// The references of those that are not erased when they were used, the newest last.
    pub(super) last_resorts: Vec<Vec<u8>>,
}

impl PackageShelf {
    pub(super) fn holding(packages: Packages) -> Self {
        Self(Arc::new(Mutex::new(packages)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Packages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyPackageStorage for PackageShelf {
    type Error = ShelfError;

    fn delete(&mut self, id: &[u8]) -> Result<(), ShelfError> {
        let mut shelf = self.lock();
        if !shelf.last_resorts.iter().any(|kept| kept == id) {
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

/// The state of one group as the library writes it. Past epochs are not kept: nothing of ours reads them,
/// and what is not kept cannot leak.
#[derive(Clone, Default)]
pub(super) struct StateShelf(Arc<Mutex<Option<Zeroizing<Vec<u8>>>>>);

impl StateShelf {
    pub(super) fn holding(state: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(Some(Zeroizing::new(state.to_vec())))))
    }

    pub(super) fn copy(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |state| state.len())
    }
}

impl GroupStateStorage for StateShelf {
    type Error = Infallible;

    fn state(&self, _: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.copy())
    }

    fn epoch(&self, _: &[u8], _: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }

    fn write(
        &mut self,
        state: GroupState,
        _: Vec<EpochRecord>,
        _: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.data);
        Ok(())
    }

    fn max_epoch_id(&self, _: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

//! What of a group's state is no secret, so that a test can search a server for all the rest of it.

use mls_rs::mls_rs_codec::MlsDecode as _;
use mls_rs::storage_provider::KeyPackageData;

use super::camera::CameraGroup;
use super::engine::Engine;
use super::error::{GroupError, mls};
use super::key_packages::KeyPackages;
use super::member::Member;

impl CameraGroup {
    /// The GroupInfo (RFC 9420 section 12.4.3) with the ratchet tree: everything of [`Self::save`] that the
    /// server may know. What else stands there is secret.
    ///
    /// # Errors
    /// [`GroupError::Protocol`].
    pub fn public_state(&self) -> Result<Vec<u8>, GroupError> {
        self.engine.public_state()
    }
}

impl Member {
    /// As [`CameraGroup::public_state`].
    ///
    /// # Errors
    /// [`GroupError::Protocol`].
    pub fn public_state(&self) -> Result<Vec<u8>, GroupError> {
        self.engine.public_state()
    }
}

impl KeyPackages {
    /// The key packages themselves, as they are published, one after the other: what of [`Self::save`] is
    /// not secret.
    ///
    /// # Errors
    /// [`GroupError::Unreadable`].
    pub fn published(&self) -> Result<Vec<u8>, GroupError> {
        let shelf = self.shelf();
        let shelf = shelf.lock();
        let mut published = Vec::new();
        for (reference, stored) in &shelf.packages {
            let data = KeyPackageData::mls_decode(&mut stored.as_slice());
            published.extend_from_slice(reference);
            published.extend(data.map_err(|_| GroupError::Unreadable)?.key_package_bytes);
        }
        Ok(published)
    }
}

impl Engine {
    fn public_state(&self) -> Result<Vec<u8>, GroupError> {
        let info = self.group.group_info_message(true).map_err(mls("describe a group"))?;
        info.to_bytes().map_err(mls("encode a GroupInfo"))
    }
}

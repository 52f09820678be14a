//! Key packages: each handed out once, then the last-resort one.

use std::time::SystemTime;

use latchkey_api::audit::AuditKind;
use latchkey_api::device::{ClaimedKeyPackage, KeyPackagesLeft, PublishKeyPackages};
use latchkey_api::device_list::Role;
use latchkey_api::encoding::ByteString;
use latchkey_api::event::Event;
use latchkey_api::id::DeviceId;

use crate::access::follows;
use crate::audit::AuditEntry;
use crate::clock::unix_millis;
use crate::framing::{FramingError, check_key_package};
use crate::notice::{Done, Notice};
use crate::signaling::{Caller, Signaling};
use crate::store::{NewKeyPackages, Store, StoreError};

/// How many single-use key packages a device may leave.
pub const MAX_KEY_PACKAGES: u32 = 100;
/// Longest key package in bytes.
pub const MAX_KEY_PACKAGE_BYTES: usize = 8 * 1024;
/// With so few left the device is told.
pub const FEW_KEY_PACKAGES: u32 = 3;

impl<S: Store> Signaling<S> {
    /// Keeps key packages of the calling device.
    ///
    /// # Errors
    /// [`KeyPackageRefused`].
    pub async fn publish_key_packages(
        &self,
        caller: &Caller,
        request: PublishKeyPackages,
    ) -> Result<KeyPackagesLeft, KeyPackageRefused> {
        let single_use: Vec<_> = request.packages.into_iter().map(ByteString::into_vec).collect();
        let last_resort = request.last_resort.map(ByteString::into_vec);
        for package in single_use.iter().chain(&last_resort) {
            if package.len() > MAX_KEY_PACKAGE_BYTES {
                return Err(KeyPackageRefused::TooLarge);
            }
            check_key_package(package)?;
        }
        let new = NewKeyPackages { single_use: &single_use, last_resort: last_resort.as_deref() };
        let left = self
            .store
            .add_key_packages(caller.household_id(), caller.device(), new, MAX_KEY_PACKAGES)
            .await?
            .ok_or(KeyPackageRefused::TooMany)?;
        Ok(KeyPackagesLeft { left })
    }

    /// Hands a key package of a device to a camera that the device may use.
    ///
    /// # Errors
    /// [`KeyPackageRefused`].
    pub async fn claim_key_package(
        &self,
        caller: &Caller,
        device: DeviceId,
        now: SystemTime,
    ) -> Result<Done<ClaimedKeyPackage>, KeyPackageRefused> {
        if caller.entry().role != Role::Camera {
            return Err(KeyPackageRefused::NotACamera);
        }
        if device == caller.device() || !follows(caller.list(), device, caller.device()) {
            return Err(KeyPackageRefused::UnknownDevice);
        }
        let household = caller.household_id();
        let audit = AuditEntry {
            kind: AuditKind::KeyPackageClaimed,
            actor: Some(caller.device()),
            subject: Some(device),
            detail: 0,
            at_ms: unix_millis(now),
        };
        let taken = self
            .store
            .claim_key_package(household, device, audit)
            .await?
            .ok_or(KeyPackageRefused::NoneLeft)?;
        let few = taken.left <= FEW_KEY_PACKAGES;
        let notices = few
            .then_some(Notice::Tell { device, event: Event::KeyPackagesLow { left: taken.left } })
            .into_iter()
            .collect();
        let reply =
            ClaimedKeyPackage { key_package: ByteString(taken.key_package), last_resort: taken.last_resort };
        Ok(Done { reply, household, notices })
    }
}

/// Why key packages were not kept or handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyPackageRefused {
    /// The caller's: not a key package.
    #[error(transparent)]
    Framing(#[from] FramingError),
    /// The caller's: one is above [`MAX_KEY_PACKAGE_BYTES`].
    #[error("a key package may have at most {MAX_KEY_PACKAGE_BYTES} bytes")]
    TooLarge,
    /// The caller's: the device would leave more than [`MAX_KEY_PACKAGES`].
    #[error("a device may leave at most {MAX_KEY_PACKAGES} key packages")]
    TooMany,
    /// The caller's: only cameras add members.
    #[error("only a camera claims key packages, for its own group")]
    NotACamera,
    /// The caller's: no such device may use the camera.
    #[error("the household's list has no such device for this camera")]
    UnknownDevice,
    /// The device's: it has left none.
    #[error("the device has left no key package: it publishes some when it next connects")]
    NoneLeft,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

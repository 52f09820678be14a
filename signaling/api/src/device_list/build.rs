//! Making the next list from the present one; what comes out still has to be signed.

use super::{
    CameraGeneration, DeviceEntry, DeviceList, ListError, Reason, Role, Signer, VerifiedList, rules,
};
use crate::id::{DeviceId, HouseholdId};

impl DeviceList {
    /// Returns version 1 of a household, to be signed by its root. `issued_at` is in seconds since the
    /// Unix epoch.
    ///
    /// # Errors
    /// When the entry does not make a valid list, for instance because it is no admin.
    pub fn founding(household: HouseholdId, admin: DeviceEntry, issued_at: u64) -> Result<Self, ListError> {
        let empty = Self {
            household,
            version: 1,
            parents: Vec::new(),
            issued_at,
            signer: Signer::Root,
            devices: Vec::new(),
            generations: Vec::new(),
            reason: Reason::Founded,
        };
        empty.with(admin)
    }

    /// Returns a draft of the list after `previous`, with the same devices. `issued_at` is raised to that
    /// of `previous` when the caller's clock is behind.
    #[must_use]
    pub fn after(previous: &VerifiedList, signer: Signer, issued_at: u64, reason: Reason) -> Self {
        let last = previous.list();
        Self {
            version: last.version + 1,
            parents: vec![previous.version().hash],
            issued_at: issued_at.max(last.issued_at),
            signer,
            reason,
            ..last.clone()
        }
    }

    /// Returns the draft with `entry` added, or put in place of the device's present entry. A camera that
    /// is not listed gets its first or its next generation.
    ///
    /// # Errors
    /// When the result is not a valid list.
    pub fn with(mut self, entry: DeviceEntry) -> Result<Self, ListError> {
        let device = entry.device;
        if entry.role == Role::Camera && self.device(device).is_none() {
            self.raise_generation(device);
        }
        match self.devices.binary_search_by_key(&device, |listed| listed.device) {
            Ok(at) => self.devices[at] = entry,
            Err(at) => self.devices.insert(at, entry),
        }
        rules::check_content(&self)?;
        Ok(self)
    }

    /// Returns the draft without a device. When it was a camera, devices that named it no longer do.
    ///
    /// # Errors
    /// [`ListError::UnknownDevice`] when it is not listed, else when the result is not a valid list, for
    /// instance because no admin is left.
    pub fn without(mut self, device: DeviceId) -> Result<Self, ListError> {
        let at = self.devices.binary_search_by_key(&device, |listed| listed.device);
        self.devices.remove(at.map_err(|_| ListError::UnknownDevice(device))?);
        for entry in &mut self.devices {
            if let Some(cameras) = &mut entry.cameras {
                cameras.retain(|camera| *camera != device);
            }
        }
        rules::check_content(&self)?;
        Ok(self)
    }

    /// Returns the draft in which a listed camera founds its next generation.
    ///
    /// # Errors
    /// [`ListError::UnknownCamera`] when no such camera is listed.
    pub fn with_camera_reset(mut self, camera: DeviceId) -> Result<Self, ListError> {
        self.generation(camera).ok_or(ListError::UnknownCamera(camera))?;
        self.raise_generation(camera);
        Ok(self)
    }

    fn raise_generation(&mut self, camera: DeviceId) {
        match self.generations.binary_search_by_key(&camera, |entry| entry.camera) {
            Ok(at) => {
                let generation = &mut self.generations[at].generation;
                *generation = generation.saturating_add(1);
            }
            Err(at) => self.generations.insert(at, CameraGeneration { camera, generation: 0 }),
        }
    }
}

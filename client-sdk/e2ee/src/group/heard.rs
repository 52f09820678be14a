//! When the camera last heard of each member: leaves that stay silent are taken out, since their keys grow old.

use std::collections::BTreeMap;

use latchkey_api::id::DeviceId;

use super::blob::{BlobReader, BlobWriter};
use super::error::GroupError;

/// The time of the last sign of life per member, in seconds since the Unix epoch by the group's clock.
#[derive(Default)]
pub(super) struct Heard(BTreeMap<DeviceId, u64>);

impl Heard {
    /// Notes who was heard at `time`. Members that are new count as heard; who is no member is forgotten.
    pub(super) fn update(&mut self, members: &[(u32, DeviceId)], heard: &[DeviceId], time: u64) {
        self.0.retain(|device, _| members.iter().any(|(_, member)| member == device));
        for (_, device) in members {
            let last = self.0.entry(*device).or_insert(time);
            if heard.contains(device) {
                *last = time.max(*last);
            }
        }
    }

    /// Whether a member has been silent for [`SILENCE`] at `time`.
    pub(super) fn is_silent(&self, device: DeviceId, time: u64) -> bool {
        self.0.get(&device).is_some_and(|last| time.saturating_sub(*last) >= SILENCE)
    }

    /// Begins anew for a member that was put in anew.
    pub(super) fn forget(&mut self, device: DeviceId) {
        self.0.remove(&device);
    }

    /// Appends the fields that [`Self::read`] takes.
    pub(super) fn save(&self, blob: &mut BlobWriter) {
        for (device, last) in &self.0 {
            blob.field(&device.0).field(&last.to_be_bytes());
        }
    }

    /// Reads what [`Self::save`] wrote, to the end of the blob.
    pub(super) fn read(blob: &mut BlobReader<'_>) -> Result<Self, GroupError> {
        let mut heard = BTreeMap::new();
        while !blob.is_empty() {
            let device = DeviceId(blob.fixed()?);
            heard.insert(device, u64::from_be_bytes(blob.fixed()?));
        }
        Ok(Self(heard))
    }
}

/// Seconds after which a leaf without a sign of life is taken out: 90 days.
const SILENCE: u64 = 90 * 24 * 3600;

//! How far each device has read a group: what all have read need not be kept.

use std::time::SystemTime;

use latchkey_api::device_list::DeviceList;
use latchkey_api::group::CursorKept;
use latchkey_api::id::{DeviceId, GroupId};

use crate::access::follows;
use crate::clock::unix_seconds;
use crate::delivery::ReadRefused;
use crate::signaling::{Caller, Signaling};
use crate::store::{NewCursor, Store};

impl<S: Store> Signaling<S> {
    /// Keeps how far the caller has read a group, and drops the messages that everybody has read who may.
    ///
    /// # Errors
    /// [`ReadRefused`].
    pub async fn post_cursor(
        &self,
        caller: &Caller,
        group: GroupId,
        seq: u64,
        now: SystemTime,
    ) -> Result<CursorKept, ReadRefused> {
        if !follows(caller.list(), caller.device(), group.camera()) {
            return Err(ReadRefused::UnknownGroup);
        }
        let readers = readers(caller.list(), group.camera(), now);
        let new = NewCursor {
            household: caller.household_id(),
            group,
            device: caller.device(),
            seq,
            readers: &readers,
        };
        let seq = self.store.put_cursor(new).await?.ok_or(ReadRefused::UnknownGroup)?;
        Ok(CursorKept { seq })
    }
}

/// The devices for which messages are kept: all that may read the camera's group, now or later. One whose time is over
/// comes back by a welcome only, and reads what came after it.
fn readers(list: &DeviceList, camera: DeviceId, now: SystemTime) -> Vec<DeviceId> {
    let now = unix_seconds(now);
    list.devices
        .iter()
        .filter(|entry| follows(list, entry.device, camera))
        .filter(|entry| entry.not_after.is_none_or(|end| now < end))
        .map(|entry| entry.device)
        .collect()
}

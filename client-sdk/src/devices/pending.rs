//! Waiting until the cameras have removed a device: each signs a record of its new epoch.

use std::path::Path;
use std::time::{Duration, Instant};

use latchkey_api::device_list::{DeviceList, Right, Role};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::record::EpochRecord;

use crate::alarm::Alarm;
use crate::follower::{Follower, stored_records};
use crate::home::Home;
use crate::signaling::Signaling;

/// What came of waiting.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Cameras that have signed an epoch without the device.
    pub(crate) changed: Vec<Changed>,
    /// Cameras that have not, as far as this device knows.
    pub(crate) pending: Vec<Pending>,
    /// What was seen on the way that honest servers do not do.
    pub(crate) alarms: Vec<Alarm>,
}

/// A camera whose keys the device does not have any more.
#[derive(Debug)]
pub(crate) struct Changed {
    /// Its name.
    pub(crate) camera: String,
    /// The epoch that began.
    pub(crate) epoch: u64,
    /// How long after the list its record came.
    pub(crate) after: Duration,
}

/// A camera that has still to change its keys.
#[derive(Debug)]
pub(crate) struct Pending {
    /// Its name.
    pub(crate) camera: String,
    /// Why it is not known to have done so.
    pub(crate) reason: String,
}

/// Waits until every camera that let `removed` see, by the list `before`, has signed an epoch that rests on the newest
/// list; at most `limit` for all of them together.
pub(crate) async fn wait_for_cameras(
    home: &mut Home,
    signaling: &Signaling,
    before: &DeviceList,
    removed: DeviceId,
    limit: Duration,
) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome::default();
    let Ok(list) = home.list() else { return outcome };
    let version = list.version;
    let saw = |camera: DeviceId| before.device(removed).is_some_and(|entry| entry.holds(Right::See, camera));
    let cameras: Vec<DeviceId> =
        list.cameras().map(|entry| entry.device).filter(|camera| saw(*camera)).collect();
    let live = signaling.cameras().await.unwrap_or_default();
    let is_off = |camera| live.iter().any(|status| status.camera == camera && !status.live);
    let sees =
        home.entry().is_ok_and(|entry| entry.role != Role::Camera && entry.rights.contains(Right::See));
    for camera in cameras {
        let name = home.name_of(camera);
        if !sees {
            let reason = "this device is not in its group, so it cannot read its record".to_owned();
            outcome.pending.push(Pending { camera: name, reason });
            continue;
        }
        // A camera that is off is asked once, in case the server is wrong about it.
        let limit = if is_off(camera) { Duration::ZERO } else { limit.saturating_sub(began.elapsed()) };
        let record = match Follower::new(home, camera) {
            // The process that holds this device follows the group, and keeps what it reads.
            Ok(_) if home.vault().is_read_only() => {
                Ok(record_kept(home.vault().dir(), camera, version, limit).await)
            }
            Ok(mut follower) => {
                let waited =
                    follower.wait_for_record(home, signaling, version, limit, &mut outcome.alarms).await;
                waited.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match record {
            Ok(Some(record)) => {
                let after = began.elapsed();
                outcome.changed.push(Changed { camera: name, epoch: record.epoch(), after });
            }
            Ok(None) => {
                let reason = match is_off(camera) {
                    true => "it is not connected".to_owned(),
                    false => "its signed record has not come yet".to_owned(),
                };
                outcome.pending.push(Pending { camera: name, reason });
            }
            Err(reason) => outcome.pending.push(Pending { camera: name, reason }),
        }
    }
    outcome
}

/// Waits for another process of this device to keep the camera's record that rests on list `version` or a later one.
async fn record_kept(dir: &Path, camera: DeviceId, version: u64, limit: Duration) -> Option<EpochRecord> {
    let deadline = Instant::now() + limit;
    loop {
        let kept = Home::look(dir).ok().and_then(|home| stored_records(&home, camera));
        let head = kept.as_ref().and_then(|records| records.head());
        if let Some(record) = head.filter(|record| record.list().version >= version) {
            return Some(record.clone());
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(LOOK_EVERY.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}

/// How often what another process keeps is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

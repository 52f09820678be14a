//! Waiting until the cameras have removed a device: each signs a record of its new epoch.

use std::time::Duration;

use latchkey_api::device_list::{DeviceList, Right, Role};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::record::{EpochRecord, RecordChain};
use web_time::Instant;

use crate::alarm::Alarm;
use crate::clock::sleep;
use crate::follower::{FollowError, Followed, Follower, stored_records};
use crate::home::{Home, SharedHome};
use crate::signaling::Signaling;

/// What came of waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Cameras that have signed an epoch without the device.
    pub changed: Vec<Changed>,
    /// Cameras that have not, as far as this device knows.
    pub pending: Vec<Pending>,
    /// What was seen on the way that honest servers do not do.
    pub alarms: Vec<Alarm>,
}

/// One step on the way, as soon as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A camera has changed its keys: the device is removed there.
    Changed(Changed),
    /// A camera has not, and is not waited for any more.
    Pending(Pending),
    /// Something that honest servers do not do.
    Alarm(Alarm),
}

/// A camera whose keys the device does not have any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its name.
    pub camera: String,
    /// The epoch that began.
    pub epoch: u64,
    /// How long after the list its record came.
    pub after: Duration,
}

/// A camera that has still to change its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its name.
    pub camera: String,
    /// Why it is not known to have done so.
    pub reason: String,
}

/// Waits until every camera that let `removed` see, by the list `before`, has signed an epoch that rests on the newest
/// list; at most `limit` for all of them together. `tell` hears each step as soon as it is known.
pub async fn wait_for_cameras(
    home: &SharedHome,
    signaling: &Signaling,
    before: &DeviceList,
    removed: DeviceId,
    limit: Duration,
    mut tell: impl FnMut(&Progress),
) -> Outcome {
    let began = Instant::now();
    let mut outcome = Outcome::default();
    let live = signaling.cameras().await.unwrap_or_default();
    let is_off = |camera| live.iter().any(|status| status.camera == camera && !status.live);
    let Some((version, sees, cameras)) = cameras(home, before, removed).await else { return outcome };
    for (camera, name) in cameras {
        if !sees {
            let reason = "this device is not in its group, so it cannot read its record".to_owned();
            let pending = Progress::Pending(Pending { camera: name, reason });
            outcome.add(pending, &mut tell);
            continue;
        }
        // A camera that is off is asked once, in case the server is wrong about it.
        let limit = if is_off(camera) { Duration::ZERO } else { limit.saturating_sub(began.elapsed()) };
        let mut alarms = Vec::new();
        let record = record_of(home, signaling, camera, version, limit, &mut alarms).await;
        for alarm in alarms {
            outcome.add(Progress::Alarm(alarm), &mut tell);
        }
        let step = match record {
            Ok(Some(record)) => {
                let (epoch, after) = (record.epoch(), began.elapsed());
                Progress::Changed(Changed { camera: name, epoch, after })
            }
            Ok(None) => {
                let reason = match is_off(camera) {
                    true => "it is not connected".to_owned(),
                    false => "its signed record has not come yet".to_owned(),
                };
                Progress::Pending(Pending { camera: name, reason })
            }
            Err(reason) => Progress::Pending(Pending { camera: name, reason }),
        };
        outcome.add(step, &mut tell);
    }
    outcome
}

impl Outcome {
    fn add(&mut self, step: Progress, tell: &mut impl FnMut(&Progress)) {
        tell(&step);
        match step {
            Progress::Changed(changed) => self.changed.push(changed),
            Progress::Pending(pending) => self.pending.push(pending),
            Progress::Alarm(alarm) => self.alarms.push(alarm),
        }
    }
}

/// The newest list's version, whether this device reads records, and the cameras that let `removed` see, with their names.
async fn cameras(
    home: &SharedHome,
    before: &DeviceList,
    removed: DeviceId,
) -> Option<(u64, bool, Vec<(DeviceId, String)>)> {
    let home = home.lock().await;
    let list = home.list().ok()?;
    let saw = |camera: DeviceId| before.device(removed).is_some_and(|entry| entry.holds(Right::See, camera));
    let cameras = list.cameras().map(|entry| entry.device).filter(|camera| saw(*camera));
    let sees =
        home.entry().is_ok_and(|entry| entry.role != Role::Camera && entry.rights.contains(Right::See));
    Some((list.version, sees, cameras.map(|camera| (camera, home.name_of(camera))).collect()))
}

/// Waits for the camera's record of an epoch that rests on list `version` or a later one, at most `limit`; fails with the
/// reason in words.
async fn record_of(
    home: &SharedHome,
    signaling: &Signaling,
    camera: DeviceId,
    version: u64,
    limit: Duration,
    alarms: &mut Vec<Alarm>,
) -> Result<Option<EpochRecord>, String> {
    let deadline = Instant::now() + limit;
    let mut own: Option<Follower> = None;
    loop {
        let kept = {
            let mut home = home.lock().await;
            if home.is_read_only() {
                look_ahead(&home, signaling, camera, version).await.map_err(|error| error.to_string())?
            } else if home.is_followed(camera) {
                own = None;
                newest(stored_records(&home, camera).as_ref(), version)
            } else {
                let follower = match &mut own {
                    Some(follower) => follower,
                    None => own.insert(Follower::new(&home, camera).map_err(|error| error.to_string())?),
                };
                let found =
                    follower.catch_up(&mut home, signaling).await.map_err(|error| error.to_string())?;
                alarms.extend(found.into_iter().filter_map(|found| match found {
                    Followed::Alarm(alarm) => Some(alarm),
                    _ => None,
                }));
                newest(Some(follower.records()), version)
            }
        };
        if kept.is_some() || Instant::now() >= deadline {
            return Ok(kept);
        }
        sleep(LOOK_EVERY.min(deadline.saturating_duration_since(Instant::now()))).await;
    }
}

/// What this device would know if it read on, while another process holds it and may follow the group or not.
///
/// Nothing of it is kept, and no alarm told: whoever follows the group reads all of it, and tells.
async fn look_ahead(
    home: &Home,
    signaling: &Signaling,
    camera: DeviceId,
    version: u64,
) -> Result<Option<EpochRecord>, FollowError> {
    let mut copy = home.copy()?;
    if let Some(record) = newest(stored_records(&copy, camera).as_ref(), version) {
        return Ok(Some(record));
    }
    let mut follower = Follower::new(&copy, camera)?;
    follower.read_along(&mut copy, signaling).await?;
    Ok(newest(Some(follower.records()), version))
}

fn newest(records: Option<&RecordChain>, version: u64) -> Option<EpochRecord> {
    records?.head().filter(|record| record.list().version >= version).cloned()
}

/// How often it is looked again.
const LOOK_EVERY: Duration = Duration::from_millis(200);

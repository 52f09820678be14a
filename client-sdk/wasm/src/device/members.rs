//! The household's devices and cameras, and what an admin changes of them.

use std::sync::Arc;
use std::time::Duration;

use latchkey_api::device_list::{DeviceList, Right as ListRight};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::safety_number::SafetyNumber as Number;
use latchkey_household::clock::unix_seconds;
use latchkey_household::devices::pending::{Progress, wait_for_cameras};
use latchkey_household::devices::{self, Signed};
use latchkey_household::home::HomeError;
use latchkey_household::task::spawn;

use crate::device::{Device, Member};
use crate::face::Fault;
use crate::face::devices::{Camera, Cameras, Change, Devices, ListSigned, Rename, SafetyNumber};
use crate::face::event::Event;
use crate::told;

impl Device {
    pub(super) async fn devices(&self) -> Result<Devices, Fault> {
        let member = self.member()?;
        let home = member.home.lock().await;
        Ok(told::devices(&home))
    }

    pub(super) async fn remove(&self, device: &str) -> Result<ListSigned, Fault> {
        let (member, removed) = (self.member()?, told::id(device)?);
        let mut home = member.home.lock().await;
        let before = home.list()?.clone();
        let signed = devices::remove(&mut home, &member.signaling, removed).await?;
        drop(home);
        let host = Arc::clone(&self.host);
        drop(spawn(async move {
            let ids = named_cameras(&member, &before).await;
            let id_of = |name: &str| {
                ids.iter().find(|(_, known)| known == name).map_or_else(String::new, |(id, _)| id.to_string())
            };
            let device = removed.to_string();
            let tell = |progress: &Progress| match progress {
                Progress::Changed(changed) => host.tell(Event::Removal {
                    device: device.clone(),
                    camera: id_of(&changed.camera),
                    camera_name: changed.camera.clone(),
                    epoch: Some(changed.epoch),
                    reason: None,
                }),
                Progress::Pending(pending) => host.tell(Event::Removal {
                    device: device.clone(),
                    camera: id_of(&pending.camera),
                    camera_name: pending.camera.clone(),
                    epoch: None,
                    reason: Some(pending.reason.clone()),
                }),
                Progress::Alarm(alarm) => host.tell(told::alarm(None, alarm)),
            };
            wait_for_cameras(&member.home, &member.signaling, &before, removed, REMOVAL_PATIENCE, tell).await;
        }));
        Ok(of_signed(signed))
    }

    pub(super) async fn rename(&self, ask: &Rename) -> Result<ListSigned, Fault> {
        let (member, device) = (self.member()?, told::id(&ask.device)?);
        let mut home = member.home.lock().await;
        Ok(of_signed(devices::rename(&mut home, &member.signaling, device, &ask.name).await?))
    }

    pub(super) async fn change(&self, ask: &Change) -> Result<ListSigned, Fault> {
        let (member, device) = (self.member()?, told::id(&ask.device)?);
        let cameras = match (&ask.cameras, ask.all_cameras) {
            (_, Some(true)) => Some(None),
            (Some(cameras), _) => Some(Some(told::ids(cameras)?)),
            (None, _) => None,
        };
        let change = devices::Change {
            rights: ask.rights.as_deref().map(told::rights),
            cameras,
            not_after: ask.days.map(|days| (days > 0).then(|| told::in_days(days))),
        };
        let mut home = member.home.lock().await;
        Ok(of_signed(devices::change(&mut home, &member.signaling, device, &change).await?))
    }

    pub(super) async fn renew_camera(&self, camera: &str) -> Result<ListSigned, Fault> {
        let (member, camera) = (self.member()?, told::id(camera)?);
        let mut home = member.home.lock().await;
        Ok(of_signed(devices::renew_camera(&mut home, &member.signaling, camera).await?))
    }

    pub(super) async fn safety_number(&self) -> Result<SafetyNumber, Fault> {
        let member = self.member()?;
        let home = member.home.lock().await;
        let number = Number::of(home.chain()).ok_or(HomeError::NotListed)?;
        Ok(SafetyNumber {
            groups: number.groups().map(str::to_owned).collect(),
            qr: number.to_qr_text(),
            list_version: number.list_version(),
        })
    }

    pub(super) async fn cameras(&self) -> Result<Cameras, Fault> {
        let member = self.member()?;
        let live = member.signaling.cameras().await;
        let home = member.home.lock().await;
        let (list, me, now) = (home.list()?, home.device(), unix_seconds());
        let seen = list.cameras().filter(|entry| list.may(me, ListRight::See, entry.device, now));
        let cameras = seen.map(|entry| Camera {
            id: entry.device.to_string(),
            name: home.label(entry),
            live: live.as_ref().ok().and_then(|live| {
                live.iter().find(|status| status.camera == entry.device).map(|status| status.live)
            }),
        });
        Ok(Cameras { cameras: cameras.collect() })
    }
}

async fn named_cameras(member: &Member, list: &DeviceList) -> Vec<(DeviceId, String)> {
    let home = member.home.lock().await;
    list.cameras().map(|entry| (entry.device, home.label(entry))).collect()
}

fn of_signed(signed: Signed) -> ListSigned {
    ListSigned { list_version: signed.list.version, joined: signed.joined }
}

/// How long cameras are waited for after a removal.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(120);

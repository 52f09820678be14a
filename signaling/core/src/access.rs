//! What a signed list lets one device do with one camera, and what a new list takes away.

use std::time::SystemTime;

use latchkey_api::device_list::{DeviceEntry, DeviceList, Right, Role};
use latchkey_api::id::DeviceId;

use crate::clock::{from_unix_seconds, unix_seconds};

/// What one device may do with one camera, by one list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It is the camera.
    pub publishes: bool,
    /// It may see the camera live, and with that is a member of its group.
    pub views: bool,
    /// It may speak through the camera.
    pub talks: bool,
    /// It may read the camera's recordings.
    pub reads_history: bool,
    /// Its lifetime in seconds since the Unix epoch: first second, and the second after the last, if any.
    lifetime: (u64, Option<u64>),
}

impl Standing {
    /// The standing of `device` towards `camera`; nothing when one of them is not listed.
    #[must_use]
    pub fn of(list: &DeviceList, device: DeviceId, camera: DeviceId) -> Self {
        let (Some(entry), Some(_)) = (list.device(device), list.generation(camera)) else {
            return Self::default();
        };
        Self {
            publishes: device == camera,
            views: entry.holds(Right::See, camera),
            talks: entry.holds(Right::Talk, camera),
            reads_history: entry.holds(Right::History, camera),
            lifetime: (entry.not_before, entry.not_after),
        }
    }

    /// Whether `later` allows less than this in any way.
    #[must_use]
    pub fn is_narrowed_by(&self, later: &Self) -> bool {
        let lost = (self.talks && !later.talks) || (self.reads_history && !later.reads_history);
        let any = self.talks || self.reads_history;
        lost || (any && self.is_shortened_by(later)) || self.leg_ends_with(later)
    }

    /// Whether a leg on the relay that this allows must end when `later` is what counts: legs are for publishing and
    /// viewing, and each was granted until the end of the lifetime that was known then.
    #[must_use]
    pub fn leg_ends_with(&self, later: &Self) -> bool {
        (self.publishes && !later.publishes)
            || (self.views && !later.views)
            || ((self.publishes || self.views) && self.is_shortened_by(later))
    }

    fn is_shortened_by(&self, later: &Self) -> bool {
        let end = |standing: &Self| standing.lifetime.1.unwrap_or(u64::MAX);
        later.lifetime.0 > self.lifetime.0 || end(later) < end(self)
    }
}

/// Until when the device's entry is valid, if it is valid at `now`.
#[must_use]
pub fn valid_until(entry: &DeviceEntry, now: SystemTime) -> Option<Option<SystemTime>> {
    entry.valid_at(unix_seconds(now)).then(|| entry.not_after.map(from_unix_seconds))
}

/// Whether the device takes part in the camera's group: the camera, and whoever may see it, whatever the time.
///
/// The other rights make no member: talking has keys of its own, and so have recordings.
#[must_use]
pub fn follows(list: &DeviceList, device: DeviceId, camera: DeviceId) -> bool {
    let standing = Standing::of(list, device, camera);
    standing.publishes || standing.views
}

/// What goes with a new list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Devices that are no longer listed or may do less: their sessions end.
    pub ends: Vec<DeviceId>,
    /// Devices that are no longer listed: what was kept for them goes.
    pub gone: Vec<DeviceId>,
    /// Pairs of device and camera whose legs on the relay end.
    pub cuts: Vec<(DeviceId, DeviceId)>,
}

impl Losses {
    /// What devices lose when `next` follows `last`.
    #[must_use]
    pub fn between(last: &DeviceList, next: &DeviceList) -> Self {
        let mut losses = Self::default();
        for entry in &last.devices {
            let device = entry.device;
            let now = next.device(device);
            let mut narrowed = now.is_none_or(|now| entry.role == Role::Admin && now.role != Role::Admin);
            for camera in last.cameras() {
                let before = Standing::of(last, device, camera.device);
                let after = Standing::of(next, device, camera.device);
                if before.leg_ends_with(&after) {
                    losses.cuts.push((device, camera.device));
                }
                // That a camera went away takes nothing from those who stay.
                narrowed |= before.is_narrowed_by(&after) && next.generation(camera.device).is_some();
            }
            if now.is_none() {
                losses.gone.push(device);
            }
            if narrowed {
                losses.ends.push(device);
            }
        }
        losses
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_api::device_list::{CameraGeneration, Reason, Rights, Signer};
    use latchkey_api::id::HouseholdId;

    const CAMERA: DeviceId = DeviceId([1; 16]);
    const OTHER_CAMERA: DeviceId = DeviceId([2; 16]);
    const ADMIN: DeviceId = DeviceId([3; 16]);
    const VIEWER: DeviceId = DeviceId([4; 16]);
    const GUEST: DeviceId = DeviceId([5; 16]);

    fn entry(device: DeviceId, role: Role, rights: Rights) -> DeviceEntry {
        DeviceEntry {
            device,
            role,
            mls_public: [0; 32],
            enrol_public: [0; 32],
            not_before: 0,
            not_after: None,
            cameras: None,
            rights,
            label: Vec::new(),
        }
    }

    fn list() -> DeviceList {
        let guest = DeviceEntry {
            not_after: Some(1000),
            cameras: Some(vec![CAMERA]),
            ..entry(GUEST, Role::Guest, Rights::of(&[Right::See]))
        };
        DeviceList {
            household: HouseholdId([0; 16]),
            version: 1,
            parents: Vec::new(),
            issued_at: 0,
            signer: Signer::Root,
            devices: vec![
                entry(CAMERA, Role::Camera, Rights::NONE),
                entry(OTHER_CAMERA, Role::Camera, Rights::NONE),
                entry(ADMIN, Role::Admin, Rights::ALL),
                entry(VIEWER, Role::Viewer, Rights::of(&[Right::See, Right::Talk])),
                guest,
            ],
            generations: [CAMERA, OTHER_CAMERA]
                .map(|camera| CameraGeneration { camera, generation: 0 })
                .into(),
            reason: Reason::Founded,
        }
    }

    #[test]
    fn standing_by_role() {
        let list = list();
        let of = |device, camera| {
            let standing = Standing::of(&list, device, camera);
            (standing.publishes, standing.views)
        };
        assert_eq!(of(CAMERA, CAMERA), (true, false));
        assert_eq!(of(CAMERA, OTHER_CAMERA), (false, false));
        assert_eq!(of(ADMIN, CAMERA), (false, true));
        assert_eq!(of(GUEST, CAMERA), (false, true));
        assert_eq!(of(GUEST, OTHER_CAMERA), (false, false));
        assert_eq!(of(VIEWER, VIEWER), (false, false));
        assert_eq!(of(DeviceId([9; 16]), CAMERA), (false, false));
        assert!(follows(&list, GUEST, CAMERA) && !follows(&list, GUEST, OTHER_CAMERA));
        assert!(follows(&list, CAMERA, CAMERA) && !follows(&list, CAMERA, OTHER_CAMERA));
    }

    #[test]
    fn nothing_is_lost_by_the_same_or_a_wider_list() {
        let last = list();
        let mut next = list();
        next.devices[4].not_after = Some(2000);
        next.devices[4].cameras = Some(vec![CAMERA, OTHER_CAMERA]);
        assert_eq!(Losses::between(&last, &next), Losses::default());
    }

    #[test]
    fn a_dropped_device_loses_all() {
        let last = list();
        let mut next = list();
        next.devices.remove(3);
        let losses = Losses::between(&last, &next);
        assert_eq!((losses.ends, losses.gone), (vec![VIEWER], vec![VIEWER]));
        assert_eq!(losses.cuts, vec![(VIEWER, CAMERA), (VIEWER, OTHER_CAMERA)]);
    }

    #[test]
    fn a_narrowed_device_loses_its_session_and_the_legs_concerned() {
        let last = list();
        let mut next = list();
        next.devices[3].cameras = Some(vec![OTHER_CAMERA]);
        next.devices[4].not_after = Some(500);
        let losses = Losses::between(&last, &next);
        assert_eq!(losses.ends, vec![VIEWER, GUEST]);
        assert!(losses.gone.is_empty());
        assert_eq!(losses.cuts, vec![(VIEWER, CAMERA), (GUEST, CAMERA)]);
    }

    #[test]
    fn a_camera_that_goes_takes_its_legs_but_nobody_elses_session() {
        let last = list();
        let mut next = list();
        next.devices.remove(0);
        next.devices[3].cameras = Some(Vec::new());
        let losses = Losses::between(&last, &next);
        assert_eq!((losses.ends, losses.gone), (vec![CAMERA], vec![CAMERA]));
        assert_eq!(losses.cuts, vec![(CAMERA, CAMERA), (ADMIN, CAMERA), (VIEWER, CAMERA), (GUEST, CAMERA)]);
    }

    #[test]
    fn a_lost_right_to_talk_or_to_recordings_ends_the_session_and_no_leg() {
        let mut last = list();
        last.devices[3].rights = Rights::ALL;
        for rights in [[Right::See, Right::Talk], [Right::See, Right::History]] {
            let mut next = last.clone();
            next.devices[3].rights = Rights::of(&rights);
            let losses = Losses::between(&last, &next);
            assert_eq!((losses.ends, losses.cuts), (vec![VIEWER], vec![]), "{rights:?}");
        }
    }

    #[test]
    fn who_only_talks_or_reads_recordings_is_no_member_and_can_still_be_narrowed() {
        for right in [Right::Talk, Right::History] {
            let mut last = list();
            last.devices[3].rights = Rights::of(&[right]);
            let standing = Standing::of(&last, VIEWER, CAMERA);
            assert!(!standing.views && !follows(&last, VIEWER, CAMERA), "{right:?}");
            let mut fewer_cameras = last.clone();
            fewer_cameras.devices[3].cameras = Some(vec![OTHER_CAMERA]);
            let mut shorter = last.clone();
            shorter.devices[3].not_after = Some(2000);
            let mut none = last.clone();
            none.devices[3].rights = Rights::NONE;
            for next in [fewer_cameras, shorter, none] {
                let losses = Losses::between(&last, &next);
                assert_eq!((losses.ends, losses.cuts), (vec![VIEWER], vec![]), "{right:?}");
            }
            let mut more = last.clone();
            more.devices[3].rights = Rights::ALL;
            assert_eq!(Losses::between(&last, &more), Losses::default());
        }
    }

    #[test]
    fn an_admin_without_the_right_to_see_follows_no_group() {
        let mut list = list();
        list.devices[2].rights = Rights::of(&[Right::Talk, Right::History]);
        assert!(!follows(&list, ADMIN, CAMERA));
    }

    #[test]
    fn a_former_admin_signs_in_anew() {
        let last = list();
        let mut next = list();
        next.devices[2].role = Role::Viewer;
        assert_eq!(Losses::between(&last, &next).ends, vec![ADMIN]);
    }
}

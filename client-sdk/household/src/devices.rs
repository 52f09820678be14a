//! What an admin does with the device list: finding a device, removing, changing and renaming it.
//!
//! Every change is the next signed list. When another admin was first, the change is made again on top of that list.
//! When the chain has two histories, the next list joins them: removals of both stay, additions of neither.

pub mod pending;

use latchkey_api::device_list::{
    DeviceEntry, DeviceList, ListError, ListVersion, MAX_GUEST_SECONDS, Reason, Rights, Role, Signer,
};
use latchkey_api::id::DeviceId;
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::label::{LabelError, seal_label};

use crate::clock::unix_seconds;
use crate::home::{Home, HomeError};
use crate::signaling::{Signaling, SignalingError};

/// A list that was signed and that the server took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The list.
    pub list: ListVersion,
    /// It also joined two histories.
    pub joined: bool,
}

/// What to change of a device; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What it may do.
    pub rights: Option<Rights>,
    /// The cameras for which; `Some(None)` for all.
    pub cameras: Option<Option<Vec<DeviceId>>>,
    /// Until when, in seconds since the Unix epoch; `Some(None)` without an end.
    pub not_after: Option<Option<u64>>,
}

/// Why the list was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DevicesError {
    /// Only an admin may sign the next list.
    #[error(
        "only an admin of the household can do this: do it on an admin's device, which the list of devices shows"
    )]
    NotAdmin,
    /// No device of this name or id.
    #[error("no {what} is called {name:?}; there is {known}")]
    Unknown {
        /// `device` or `camera`.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// More than one device of this name.
    #[error("two devices are called {0:?}: use the id that the list of devices shows")]
    Ambiguous(String),
    /// Nobody would be left to sign the next list.
    #[error(
        "{0:?} is the last admin: without one nobody could change the household again; invite another admin first"
    )]
    LastAdmin(String),
    /// Cameras hold no rights.
    #[error("{0:?} is a camera: it has no rights, cameras or end to change")]
    IsCamera(String),
    /// Admins are not limited.
    #[error(
        "{0:?} is an admin: admins may use all cameras and have no end; only their rights can be changed"
    )]
    IsAdmin(String),
    /// A guest without cameras or end, or for too long.
    #[error("{0:?} is a guest: guests name their cameras and stay 30 days at most")]
    GuestUnlimited(String),
    /// The end is not in the future.
    #[error("this end is not in the future: give a later one, or remove the device")]
    EndIsPast,
    /// Nothing was to be changed.
    #[error("{0:?} is like that already: nothing was changed")]
    NothingToChange(String),
    /// Two histories that removed each other's admins.
    #[error(
        "two device lists of one version exist, and no admin is on both: only the twelve words can join them: recover the household"
    )]
    NoAdminOnBoth,
    /// This device's clock and the household's differ.
    #[error(
        "this device's clock is {minutes} minutes behind the newest device list, which was signed by {signer}: set the clock, then try again; nothing was changed"
    )]
    ClockBehind {
        /// By how many minutes.
        minutes: u64,
        /// Who signed the list.
        signer: String,
    },
    /// This device's clock and the server's differ.
    #[error(
        "this device's clock is {minutes} minutes {side} the server's: set the clock, then try again; nothing was changed"
    )]
    ClockDiffers {
        /// By how many minutes.
        minutes: u64,
        /// `ahead of` or `behind`.
        side: &'static str,
    },
    /// The new name.
    #[error("the name cannot be used: {0}")]
    Name(#[from] LabelError),
    /// The vault, the server, or its lists.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl From<SignalingError> for DevicesError {
    fn from(error: SignalingError) -> Self {
        Self::Home(error.into())
    }
}

impl From<ListError> for DevicesError {
    fn from(error: ListError) -> Self {
        Self::Home(error.into())
    }
}

/// Returns the device that `name` means: its id, or its name as the household calls it.
///
/// Fails with [`DevicesError::Unknown`], which names the devices there are, and [`DevicesError::Ambiguous`].
pub fn find(home: &Home, name: &str) -> Result<DeviceId, DevicesError> {
    find_among(home, name, "device", home.list()?.devices.iter())
}

/// As [`find`], among the cameras.
pub fn find_camera(home: &Home, name: &str) -> Result<DeviceId, DevicesError> {
    find_among(home, name, "camera", home.list()?.cameras())
}

/// Reads new lists. Two histories are no error here: the next list joins them.
pub async fn refresh(home: &mut Home, signaling: &Signaling) -> Result<(), DevicesError> {
    match home.refresh(signaling).await {
        Ok(_) => Ok(()),
        Err(HomeError::List(ListError::TwoHistories { .. })) if home.chain().rival().is_some() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Signs a list without the device. When it was a camera, nobody may see it any more.
///
/// Fails with [`DevicesError::LastAdmin`] when nobody would be left to sign.
pub async fn remove(
    home: &mut Home,
    signaling: &Signaling,
    device: DeviceId,
) -> Result<Signed, DevicesError> {
    sign_next(home, signaling, Reason::Removed, |home, draft| {
        if draft.reason == Reason::Joined && draft.device(device).is_none() {
            // One of the two histories has removed it already.
            return Ok(draft);
        }
        let name = home.name_of(device);
        draft.without(device).map_err(|error| match error {
            ListError::NoAdmin => DevicesError::LastAdmin(name),
            other => other.into(),
        })
    })
    .await
}

/// Signs a list with the device's rights, cameras or end changed.
///
/// Fails with [`DevicesError::IsCamera`], [`DevicesError::IsAdmin`], [`DevicesError::GuestUnlimited`],
/// [`DevicesError::EndIsPast`], [`DevicesError::NothingToChange`].
pub async fn change(
    home: &mut Home,
    signaling: &Signaling,
    device: DeviceId,
    change: &Change,
) -> Result<Signed, DevicesError> {
    let now = unix_seconds();
    sign_next(home, signaling, Reason::Changed, |home, draft| {
        let entry = draft.device(device).ok_or(ListError::UnknownDevice(device))?;
        let changed = changed(&home.name_of(device), entry, change, now)?;
        Ok(draft.with(changed)?)
    })
    .await
}

/// Signs a list in which the device has another name.
///
/// Fails with [`DevicesError::Name`] when it is too long.
pub async fn rename(
    home: &mut Home,
    signaling: &Signaling,
    device: DeviceId,
    name: &str,
) -> Result<Signed, DevicesError> {
    sign_next(home, signaling, Reason::Changed, |home, draft| {
        let entry = draft.device(device).ok_or(ListError::UnknownDevice(device))?;
        if home.label(entry) == name {
            return Err(DevicesError::NothingToChange(name.to_owned()));
        }
        let label = seal_label(home.label_key(), home.household(), device, name)?;
        let entry = DeviceEntry { label, ..entry.clone() };
        Ok(draft.with(entry)?)
    })
    .await
}

/// Signs a list in which the camera founds its next group; for one that lost its state or whose group is stuck.
pub async fn renew_camera(
    home: &mut Home,
    signaling: &Signaling,
    camera: DeviceId,
) -> Result<Signed, DevicesError> {
    sign_next(home, signaling, Reason::CameraReset, |_, draft| Ok(draft.with_camera_reset(camera)?)).await
}

/// Signs the next list and posts it; starts over on top of a newer list when another was first. `edit` gets a draft with
/// the devices of now; while there are two histories the draft joins them.
///
/// Fails with [`DevicesError::NotAdmin`], and with a clock that is more than five minutes off.
pub(crate) async fn sign_next(
    home: &mut Home,
    signaling: &Signaling,
    reason: Reason,
    mut edit: impl FnMut(&Home, DeviceList) -> Result<DeviceList, DevicesError>,
) -> Result<Signed, DevicesError> {
    let mut clock_compared = false;
    loop {
        refresh(home, signaling).await?;
        check_admin(home)?;
        let now = unix_seconds();
        check_clock(home, now)?;
        if !clock_compared {
            compare_clocks(now, signaling.server_seconds().await?)?;
            clock_compared = true;
        }
        let draft = home.chain().next_draft(Signer::Device(home.device()), now, reason);
        let draft = edit(home, draft.ok_or(HomeError::NotListed)?)?;
        let joined = draft.reason == Reason::Joined;
        let list = home.identity().sign_list(draft).as_bytes().to_vec();
        match signaling.post_list(list.clone()).await {
            Ok(_) => {
                home.take_lists(&[list])?;
                let list = home.chain().head().ok_or(HomeError::NotListed)?.version();
                return Ok(Signed { list, joined });
            }
            Err(error) if error.code() == Some(ProblemCode::ListVersionTaken) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn find_among<'a>(
    home: &Home,
    name: &str,
    what: &'static str,
    entries: impl Iterator<Item = &'a DeviceEntry>,
) -> Result<DeviceId, DevicesError> {
    let named: Vec<(DeviceId, String)> = entries.map(|entry| (entry.device, home.label(entry))).collect();
    if let Some((device, _)) = named.iter().find(|(device, _)| device.to_string() == name) {
        return Ok(*device);
    }
    let mut called = named.iter().filter(|(_, label)| label == name);
    match (called.next(), called.next()) {
        (Some((device, _)), None) => Ok(*device),
        (Some(_), Some(_)) => Err(DevicesError::Ambiguous(name.to_owned())),
        (None, _) => {
            let mut known: Vec<&str> = named.iter().map(|(_, label)| label.as_str()).collect();
            if known.is_empty() {
                known.push("none");
            }
            Err(DevicesError::Unknown { what, name: name.to_owned(), known: known.join(", ") })
        }
    }
}

fn changed(name: &str, entry: &DeviceEntry, change: &Change, now: u64) -> Result<DeviceEntry, DevicesError> {
    let limits = change.cameras.is_some() || change.not_after.is_some();
    match entry.role {
        Role::Camera => return Err(DevicesError::IsCamera(name.to_owned())),
        Role::Admin if limits => return Err(DevicesError::IsAdmin(name.to_owned())),
        _ => {}
    }
    let mut new = entry.clone();
    if let Some(rights) = change.rights {
        new.rights = rights;
    }
    if let Some(cameras) = &change.cameras {
        new.cameras.clone_from(cameras);
        if let Some(cameras) = &mut new.cameras {
            cameras.sort_unstable();
            cameras.dedup();
        }
    }
    if let Some(end) = change.not_after {
        if end.is_some_and(|end| end <= now) {
            return Err(DevicesError::EndIsPast);
        }
        new.not_after = end;
        // A guest that is let stay longer is let in anew: its 30 days begin now.
        if entry.role == Role::Guest && end.is_some_and(|end| end - entry.not_before > MAX_GUEST_SECONDS) {
            new.not_before = now;
        }
    }
    let stays = new.not_after.map(|end| end.saturating_sub(new.not_before));
    let unlimited = new.cameras.is_none() || stays.is_none_or(|seconds| seconds > MAX_GUEST_SECONDS);
    if entry.role == Role::Guest && unlimited {
        return Err(DevicesError::GuestUnlimited(name.to_owned()));
    }
    if new == *entry {
        return Err(DevicesError::NothingToChange(name.to_owned()));
    }
    Ok(new)
}

fn check_admin(home: &Home) -> Result<(), DevicesError> {
    if home.role()? != Role::Admin {
        return Err(DevicesError::NotAdmin);
    }
    let agreed = home.chain().effective().and_then(|list| list.device(home.device()));
    if agreed.is_none_or(|entry| entry.role != Role::Admin) {
        return Err(DevicesError::NoAdminOnBoth);
    }
    Ok(())
}

/// A list dated by a wrong clock would give guests wrong ends: such a clock is set first.
fn check_clock(home: &Home, now: u64) -> Result<(), DevicesError> {
    let list = home.list()?;
    let behind = list.issued_at.saturating_sub(now);
    if behind > CLOCK_TOLERANCE_SECONDS {
        let signer = home.names().signer(list.signer);
        return Err(DevicesError::ClockBehind { minutes: behind / 60, signer });
    }
    Ok(())
}

fn compare_clocks(now: u64, server: u64) -> Result<(), DevicesError> {
    let apart = now.abs_diff(server);
    if apart > CLOCK_TOLERANCE_SECONDS {
        let side = if now > server { "ahead of" } else { "behind" };
        return Err(DevicesError::ClockDiffers { minutes: apart / 60, side });
    }
    Ok(())
}

/// How far clocks may differ.
const CLOCK_TOLERANCE_SECONDS: u64 = 5 * 60;

#[cfg(test)]
mod tests;

//! What a new device will be: the admin's decision.

use latchkey_api::device_list::{DeviceEntry, MAX_GUEST_SECONDS, Right, Rights, Role};
use latchkey_api::id::DeviceId;

use super::Kind;
use crate::identity::DevicePublic;
use crate::label::MAX_NAME_BYTES;

/// Role, name and limits of a new device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What it will be.
    pub role: Role,
    /// What it will be called; one line.
    pub name: String,
    /// What it may do; nothing for cameras.
    pub rights: Rights,
    /// The cameras it may use, `None` for all; guests name theirs.
    pub cameras: Option<Vec<DeviceId>>,
    /// When it ends, in seconds since the Unix epoch; `None` for ever; guests end after at most 30 days.
    pub not_after: Option<u64>,
}

/// A device cannot be let in like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TermsError {
    /// The name is empty, too long, or not one line.
    #[error("the name cannot be used: write one line of at most {MAX_NAME_BYTES} bytes")]
    BadName,
    /// A camera was to be something else, or something else a camera.
    #[error("the new device is a {}: give it a role that fits, or have it join as the other", kind_name(*.0))]
    WrongKind(Kind),
    /// A camera was to have rights, cameras or an end.
    #[error("a camera has no rights, cameras or end of its own: leave them out")]
    CameraWithRights,
    /// An admin was to have cameras or an end.
    #[error("an admin uses all cameras without an end: leave out cameras and days, or choose another role")]
    LimitedAdmin,
    /// A guest without cameras.
    #[error("a guest uses only the cameras you name: say which")]
    GuestWithoutCameras,
    /// A guest without an end, or with one too far or past.
    #[error("a guest may stay from 1 to 30 days: say how many")]
    GuestWithoutEnd,
    /// No right to see, so nothing at all.
    #[error("whoever may not see may do nothing else: let it see, too")]
    SeesNothing,
}

impl Terms {
    /// Terms without limits: all rights for all cameras; none for a camera.
    #[must_use]
    pub fn unlimited(role: Role, name: &str) -> Self {
        let rights = if role == Role::Camera { Rights::NONE } else { Rights::ALL };
        Self { role, name: name.to_owned(), rights, cameras: None, not_after: None }
    }

    /// Terms of a guest with `rights` on `cameras` until `not_after` (seconds since the Unix epoch).
    #[must_use]
    pub fn guest(name: &str, cameras: Vec<DeviceId>, rights: Rights, not_after: u64) -> Self {
        let mut cameras = cameras;
        cameras.sort_unstable();
        cameras.dedup();
        Self {
            role: Role::Guest,
            name: name.to_owned(),
            rights,
            cameras: Some(cameras),
            not_after: Some(not_after),
        }
    }

    /// Checks that a device can be let in like this at `now` (seconds since the Unix epoch).
    ///
    /// # Errors
    /// Any [`TermsError`] but [`TermsError::WrongKind`].
    pub fn check(&self, now: u64) -> Result<(), TermsError> {
        if !is_name(&self.name) {
            return Err(TermsError::BadName);
        }
        let limited = self.cameras.is_some() || self.not_after.is_some();
        match self.role {
            Role::Camera if limited || self.rights != Rights::NONE => Err(TermsError::CameraWithRights),
            Role::Camera => Ok(()),
            Role::Admin if limited => Err(TermsError::LimitedAdmin),
            Role::Guest if self.cameras.as_ref().is_none_or(Vec::is_empty) => {
                Err(TermsError::GuestWithoutCameras)
            }
            Role::Guest if !self.not_after.is_some_and(|end| end > now && end - now <= MAX_GUEST_SECONDS) => {
                Err(TermsError::GuestWithoutEnd)
            }
            _ if !self.rights.contains(Right::See) => Err(TermsError::SeesNothing),
            _ => Ok(()),
        }
    }

    /// Checks that a device of this kind can have the role.
    pub(super) fn fits(&self, kind: Kind) -> Result<(), TermsError> {
        if kind.suits(self.role) { Ok(()) } else { Err(TermsError::WrongKind(kind)) }
    }

    /// Returns the list entry of a device on these terms, valid from `not_before` (seconds since the Unix epoch).
    #[must_use]
    pub fn entry(&self, public: &DevicePublic, not_before: u64, label: Vec<u8>) -> DeviceEntry {
        DeviceEntry {
            not_after: self.not_after,
            cameras: self.cameras.clone(),
            rights: self.rights,
            ..public.entry(self.role, not_before, label)
        }
    }
}

/// Returns whether a text can be the name of a device.
pub(super) fn is_name(name: &str) -> bool {
    !name.trim().is_empty() && name.len() <= MAX_NAME_BYTES && !name.contains(char::is_control)
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Camera => "camera",
        Kind::Viewer => "viewer (phone, computer), no camera",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_no_list_would_take_are_refused() {
        let day = 24 * 3600;
        let now = 1_000_000;
        let camera = DeviceId([1; 16]);
        let guest = |days: u64, cameras: Vec<DeviceId>| {
            Terms::guest("sitter", cameras, Rights::of(&[Right::See]), now + days * day)
        };
        for role in [Role::Camera, Role::Admin, Role::Viewer] {
            assert_eq!(Terms::unlimited(role, "x").check(now), Ok(()));
        }
        assert_eq!(guest(30, vec![camera]).check(now), Ok(()));
        assert_eq!(guest(31, vec![camera]).check(now), Err(TermsError::GuestWithoutEnd));
        assert_eq!(guest(0, vec![camera]).check(now), Err(TermsError::GuestWithoutEnd));
        assert_eq!(guest(1, vec![]).check(now), Err(TermsError::GuestWithoutCameras));
        assert_eq!(Terms::unlimited(Role::Guest, "x").check(now), Err(TermsError::GuestWithoutCameras));
        let blind = Terms { rights: Rights::of(&[Right::Talk]), ..guest(1, vec![camera]) };
        assert_eq!(blind.check(now), Err(TermsError::SeesNothing));
        let admin = Terms { not_after: Some(now + day), ..Terms::unlimited(Role::Admin, "x") };
        assert_eq!(admin.check(now), Err(TermsError::LimitedAdmin));
        let seeing = Terms { rights: Rights::ALL, ..Terms::unlimited(Role::Camera, "x") };
        assert_eq!(seeing.check(now), Err(TermsError::CameraWithRights));
        for name in ["", "  ", "a\nb", &"x".repeat(MAX_NAME_BYTES + 1)] {
            assert_eq!(Terms::unlimited(Role::Viewer, name).check(now), Err(TermsError::BadName));
        }
        assert_eq!(
            Terms::unlimited(Role::Admin, "x").fits(Kind::Camera),
            Err(TermsError::WrongKind(Kind::Camera))
        );
    }
}

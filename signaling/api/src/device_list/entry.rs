//! One device of a list: its keys, its role, and what it may do with which camera.

use super::Reason;
use crate::id::DeviceId;

/// One device of a household.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceEntry {
    /// Drawn at random by the device.
    pub device: DeviceId,
    /// What it is in the household.
    pub role: Role,
    /// Ed25519 key that signs its MLS messages and sign-ins.
    pub mls_public: [u8; 32],
    /// X25519 key to which enrolment payloads are sealed.
    pub enrol_public: [u8; 32],
    /// Valid from then on, in seconds since the Unix epoch.
    pub not_before: u64,
    /// Valid until then, in seconds since the Unix epoch; `None` for ever. Guests always have one.
    pub not_after: Option<u64>,
    /// The cameras it may use, in ascending order; `None` for all. Guests always name theirs.
    pub cameras: Option<Vec<DeviceId>>,
    /// What it may do with them. None for cameras.
    pub rights: Rights,
    /// Its name, sealed for the members of the household; the server cannot read it.
    pub label: Vec<u8>,
}

impl DeviceEntry {
    /// Returns true when the entry gives `right` for `camera`, whatever the time.
    #[must_use]
    pub fn holds(&self, right: Right, camera: DeviceId) -> bool {
        self.role != Role::Camera
            && self.rights.contains(right)
            && self.cameras.as_ref().is_none_or(|cameras| cameras.binary_search(&camera).is_ok())
    }

    /// Returns true when `at`, in seconds since the Unix epoch, lies in the entry's lifetime.
    ///
    /// The start is taken 5 minutes early, so that clocks may differ by that much.
    #[must_use]
    pub fn valid_at(&self, at: u64) -> bool {
        at.saturating_add(CLOCK_TOLERANCE_SECONDS) >= self.not_before
            && self.not_after.is_none_or(|end| at < end)
    }
}

/// What a device is in its household.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// Sends; holds no right on other cameras.
    Camera = 0,
    /// Views, and signs the next list.
    Admin = 1,
    /// Views.
    Viewer = 2,
    /// Views named cameras for a limited time.
    Guest = 3,
}

impl TryFrom<u64> for Role {
    type Error = ();

    fn try_from(code: u64) -> Result<Self, ()> {
        [Self::Camera, Self::Admin, Self::Viewer, Self::Guest]
            .into_iter()
            .find(|role| *role as u64 == code)
            .ok_or(())
    }
}

impl TryFrom<u64> for Reason {
    type Error = ();

    fn try_from(code: u64) -> Result<Self, ()> {
        [
            Self::Founded,
            Self::Added,
            Self::Removed,
            Self::Changed,
            Self::Recovered,
            Self::Joined,
            Self::CameraReset,
        ]
        .into_iter()
        .find(|reason| *reason as u64 == code)
        .ok_or(())
    }
}

/// One thing a device may be allowed to do with a camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Right {
    /// See and hear it live; membership in its group.
    See = 1,
    /// Speak through it.
    Talk = 2,
    /// Read its recordings.
    History = 4,
}

/// A set of [`Right`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u8);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// Every right.
    pub const ALL: Self = Self(Right::See as u8 | Right::Talk as u8 | Right::History as u8);

    /// Returns the set that holds exactly `rights`.
    #[must_use]
    pub fn of(rights: &[Right]) -> Self {
        Self(rights.iter().fold(0, |bits, right| bits | *right as u8))
    }

    /// Returns true when `right` is in the set.
    #[must_use]
    pub const fn contains(self, right: Right) -> bool {
        self.0 & right as u8 != 0
    }

    /// The set as a number: see 1, talk 2, history 4.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of this number, `None` when it has bits without a meaning.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }
}

const CLOCK_TOLERANCE_SECONDS: u64 = 5 * 60;

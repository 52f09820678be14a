//! A device that has confirmed its invitation: what its list entry is made of, and the last word to it.

use crate::enrol::channel::Ties;
use crate::enrol::digits::Digits;
use crate::enrol::terms::Terms;
use crate::identity::DevicePublic;

/// A device that has confirmed: now the list that names it may be signed.
pub struct Confirmed {
    pub(super) public: DevicePublic,
    pub(super) terms: Terms,
    pub(super) ties: Ties,
}

impl Confirmed {
    /// The device's keys.
    #[must_use]
    pub fn public(&self) -> &DevicePublic {
        &self.public
    }

    /// What it will be.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What both screens may show as a last glance.
    #[must_use]
    pub fn digits(&self) -> Digits {
        self.ties.digits
    }

    /// Returns the last word to the device, to be posted: listed as of `version`, or `None` for not at all.
    #[must_use]
    pub fn verdict(&self, version: Option<u64>) -> Vec<u8> {
        self.ties.verdict(version.unwrap_or(0))
    }
}

impl std::fmt::Debug for Confirmed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Confirmed").field("device", &self.public.device).finish_non_exhaustive()
    }
}

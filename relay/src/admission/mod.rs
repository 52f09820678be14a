//! Who may come in: the grant is checked, used once, and the crowd stays within its limits.
//!
//! ```text
//! bearer ──check──▶ Admitted ──enter──▶ Ticket        (cut: neither opens any more)
//! ```

pub(crate) mod crowd;
pub(crate) mod cuts;
pub(crate) mod single_use;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use latchkey_wire::grant::{Grant, GrantError, GrantVerifier, Scope};
use latchkey_wire::id::{DeviceHandle, RoomId};

use crate::admission::crowd::{Crowd, CrowdError, Ticket};
use crate::admission::cuts::Cuts;
use crate::admission::single_use::{SingleUse, UseError};
use crate::shard::command::join::Role;

/// Checks grants and holds the crowd within its limits.
pub(crate) struct Admission {
    verifier: GrantVerifier,
    used: Mutex<SingleUse>,
    cuts: Mutex<Cuts>,
    crowd: Crowd,
}

/// A grant that holds for what was asked, not used yet.
#[derive(Debug)]
#[must_use]
pub(crate) struct Admitted {
    pub(crate) grant: Grant,
    role: Role,
}

/// Why somebody may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Refusal {
    /// The peer's fault.
    #[error("there is no grant")]
    Missing,
    /// The peer's fault, or its signaling's.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The peer was cut off by an operator's word.
    #[error("the device was cut off after the grant was issued")]
    Cut,
    /// The grant was used, or too many were.
    #[error(transparent)]
    Use(#[from] UseError),
    /// A limit is reached.
    #[error(transparent)]
    Crowd(#[from] CrowdError),
}

impl Admission {
    pub(crate) fn new(verifier: GrantVerifier, crowd: Crowd) -> Self {
        Self { verifier, used: Mutex::new(SingleUse::new(USED_GRANTS)), cuts: Mutex::default(), crowd }
    }

    /// Checks everything about a grant but whether it was used.
    pub(crate) fn check(
        &self,
        bearer: Option<&str>,
        room: RoomId,
        role: Role,
        now: SystemTime,
    ) -> Result<Admitted, Refusal> {
        let token = bearer.ok_or(Refusal::Missing)?;
        let scope = match role {
            Role::Publish => Scope::Publish,
            Role::View => Scope::View,
        };
        let admitted = Admitted { grant: self.verifier.verify(token, &room, scope, now)?, role };
        if self.is_cut(&admitted, now) {
            return Err(Refusal::Cut);
        }
        Ok(admitted)
    }

    /// Takes a place in the crowd and uses the grant up. When there is no place the grant stays good.
    pub(crate) fn enter(&self, admitted: &Admitted, now: SystemTime) -> Result<Ticket, Refusal> {
        let grant = &admitted.grant;
        let ticket = self.crowd.enter(grant.room, grant.device, admitted.role)?;
        lock(&self.used).spend(grant.token_id, grant.expires_at + CLOCK_SLACK, now)?;
        Ok(ticket)
    }

    /// Whether the grant was cut off, perhaps since it was checked.
    pub(crate) fn is_cut(&self, admitted: &Admitted, now: SystemTime) -> bool {
        let grant = &admitted.grant;
        lock(&self.cuts).refuses(grant.room, grant.device, grant.issued_at, now)
    }

    /// Refuses for two minutes what `device` was granted for `room` up to `issued_before`.
    pub(crate) fn cut(&self, room: RoomId, device: DeviceHandle, issued_before: SystemTime, now: SystemTime) {
        lock(&self.cuts).add(room, device, issued_before, now);
    }

    pub(crate) fn crowd(&self) -> &Crowd {
        &self.crowd
    }
}

impl Refusal {
    /// The metric label.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Grant(error) => match error {
                GrantError::Malformed => "malformed",
                GrantError::Algorithm => "algorithm",
                GrantError::UnknownKey => "unknown_key",
                GrantError::Signature => "signature",
                GrantError::Audience => "audience",
                GrantError::Room => "room",
                GrantError::Scope => "scope",
                GrantError::Lifetime => "lifetime",
                GrantError::NotYet => "not_yet",
                GrantError::Expired => "expired",
                _ => "other",
            },
            Self::Cut => "cut",
            Self::Use(UseError::Used) => "used",
            Self::Use(UseError::Full) => "used_set_full",
            Self::Crowd(CrowdError::Rooms) => "rooms_limit",
            Self::Crowd(CrowdError::Sessions) => "sessions_limit",
            Self::Crowd(CrowdError::Viewers) => "viewers_limit",
            Self::Crowd(CrowdError::Device) => "device_limit",
        }
    }

    /// Every label, so that each series exists from the start.
    pub(crate) const LABELS: [&str; 19] = [
        "missing",
        "malformed",
        "algorithm",
        "unknown_key",
        "signature",
        "audience",
        "room",
        "scope",
        "lifetime",
        "not_yet",
        "expired",
        "other",
        "cut",
        "used",
        "used_set_full",
        "rooms_limit",
        "sessions_limit",
        "viewers_limit",
        "device_limit",
    ];
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many used grants are remembered: more than a relay can let in within the life of a grant.
const USED_GRANTS: usize = 262_144;
/// Kept beyond a grant's expiry, for clocks that differ.
const CLOCK_SLACK: Duration = Duration::from_secs(120);

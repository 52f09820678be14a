//! The signaling server without its sockets: rules over a store.

use std::time::{Duration, SystemTime};

use latchkey_api::auth::ROOT_DEVICE;
use latchkey_api::device_list::{DeviceEntry, DeviceList};
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_wire::grant::GrantSigner;

use crate::access::valid_until;
use crate::challenge::Challenger;
use crate::directory::{Directory, Household};
use crate::store::Store;

/// Answers requests. Each operation stands in the module of its subject.
pub struct Signaling<S> {
    pub(crate) store: S,
    pub(crate) directory: Directory,
    pub(crate) challenger: Challenger,
    pub(crate) grants: GrantSigner,
    pub(crate) policy: Policy,
}

/// What the operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Name of the relay cluster that grants are for.
    pub relay_audience: String,
    /// How long a view or a publication may last before the client asks for a new grant.
    pub longest_session: Duration,
    /// How long group messages are kept.
    pub keep_messages: Duration,
    /// How many households may register in all.
    pub max_households: u64,
    /// Who may register one.
    pub registration: Registration,
}

/// Who may register a household.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// Everyone who reaches the server.
    #[default]
    Open,
    /// Who brings a code of the operator.
    Invite,
}

impl<S: Store> Signaling<S> {
    /// A server over this store. `secret` must be fresh randomness; it protects sign-in challenges.
    #[must_use]
    pub fn new(store: S, grants: GrantSigner, secret: [u8; 32], policy: Policy) -> Self {
        Self { store, directory: Directory::default(), challenger: Challenger::new(secret), grants, policy }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Drops what is over: expired sessions and mail, and group messages older than the policy keeps.
    /// Returns how many rows went.
    ///
    /// # Errors
    /// [`StoreError`](crate::store::StoreError).
    pub async fn purge(&self, now: SystemTime) -> Result<u64, crate::store::StoreError> {
        let before = now.checked_sub(self.policy.keep_messages).unwrap_or(SystemTime::UNIX_EPOCH);
        self.store.purge(crate::clock::unix_millis(now), crate::clock::unix_millis(before)).await
    }
}

impl<S> std::fmt::Debug for Signaling<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signaling").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Whose token a request brings. Only [`authenticate`](Signaling::authenticate) makes one.
#[derive(Clone, Debug)]
pub enum Bearer {
    /// A device of the household.
    Device(Caller),
    /// The household root: it reads lists, brings a list that it signed, and deletes the household.
    Root(Household),
}

impl Bearer {
    /// Its household's id.
    #[must_use]
    pub fn household_id(&self) -> HouseholdId {
        match self {
            Self::Device(caller) => caller.household_id(),
            Self::Root(household) => household.id(),
        }
    }

    /// Its device id; [`ROOT_DEVICE`] for the root.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        match self {
            Self::Device(caller) => caller.device(),
            Self::Root(_) => ROOT_DEVICE,
        }
    }
}

/// A signed-in device whose entry in the present list is valid.
#[derive(Clone, Debug)]
pub struct Caller {
    household: Household,
    device: DeviceId,
}

impl Caller {
    /// The caller, if the household's present list has the device and its entry is valid at `now`.
    pub(crate) fn new(household: Household, device: DeviceId, now: SystemTime) -> Option<Self> {
        valid_until(household.list().device(device)?, now)?;
        Some(Self { household, device })
    }

    /// Its household's id.
    #[must_use]
    pub fn household_id(&self) -> HouseholdId {
        self.household.id()
    }

    /// Its device id.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The present list when it was authenticated.
    #[must_use]
    pub fn list(&self) -> &DeviceList {
        self.household.list()
    }

    /// The public key of its household's root.
    #[must_use]
    pub fn root_public(&self) -> &[u8; 32] {
        self.household.root_public()
    }

    /// Its entry there.
    #[must_use]
    pub fn entry(&self) -> &DeviceEntry {
        self.list().device(self.device).expect("a caller is listed")
    }
}

//! The present device list of each household: verified from the store once, then kept in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use latchkey_api::device_list::{DeviceList, ListChain, ListError};
use latchkey_api::id::HouseholdId;
use latchkey_wire::id::{DeviceHandle, RoomId};

use crate::access::Losses;
use crate::names::{handle_of, room_of};
use crate::store::{Store, StoreError};

/// A household's verified lists at one moment; cheap to hold.
#[derive(Clone, Debug)]
pub struct Household {
    chain: Arc<ListChain>,
    /// How often the directory had forgotten a household when these lists were read.
    forgotten: u64,
}

impl Household {
    /// The household of these lists, if there is at least one.
    fn new(chain: ListChain, forgotten: u64) -> Option<Self> {
        chain.head()?;
        Some(Self { chain: Arc::new(chain), forgotten })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> HouseholdId {
        self.chain.household()
    }

    /// The public key of its root.
    #[must_use]
    pub fn root_public(&self) -> &[u8; 32] {
        self.chain.root_public()
    }

    /// The present list.
    #[must_use]
    pub fn list(&self) -> &DeviceList {
        self.chain.head().expect("a household has a first list").list()
    }

    /// Checks `bytes` as the next list.
    pub(crate) fn consider(&self, bytes: &[u8], now: SystemTime) -> Result<Considered, ListError> {
        let mut chain = ListChain::clone(&self.chain);
        let version = chain.accept(bytes, Some(now))?.version;
        if version <= self.list().version {
            return Ok(Considered::Known(version));
        }
        let next = Self::new(chain, self.forgotten).expect("a list was just accepted");
        let losses = Losses::between(self.list(), next.list());
        Ok(Considered::Next(Box::new(NextList { household: next, losses })))
    }

    /// The relay's names of every leg that ends with these losses.
    pub(crate) fn cuts(&self, losses: &Losses) -> Vec<(RoomId, DeviceHandle)> {
        let id = self.id();
        losses.cuts.iter().map(|(device, camera)| (room_of(&id, camera), handle_of(&id, device))).collect()
    }
}

/// What a list turned out to be.
pub(crate) enum Considered {
    /// It was accepted before and has this version.
    Known(u64),
    /// It may follow the present one.
    Next(Box<NextList>),
}

/// A list that may follow the present one, not yet stored.
pub(crate) struct NextList {
    /// The household as it will be.
    pub(crate) household: Household,
    /// What goes with it.
    pub(crate) losses: Losses,
}

/// Households by id, as many as fit.
#[derive(Debug, Default)]
pub struct Directory {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    households: HashMap<HouseholdId, Household>,
    /// Rises whenever a household is forgotten, so that what was read before is not kept after.
    forgotten: u64,
}

impl Directory {
    /// The household as it is now; `None` when it is not registered.
    ///
    /// # Errors
    /// [`StoreError`]; also when stored lists do not verify, so that a tampered file opens nothing.
    pub async fn present<S: Store>(
        &self,
        store: &S,
        id: HouseholdId,
    ) -> Result<Option<Household>, StoreError> {
        let forgotten = {
            let kept = self.lock();
            if let Some(household) = kept.households.get(&id) {
                return Ok(Some(Household { forgotten: kept.forgotten, ..household.clone() }));
            }
            kept.forgotten
        };
        let Some(household) = load(store, id, forgotten).await? else { return Ok(None) };
        Ok(Some(self.keep(household)))
    }

    /// Keeps a household unless a newer state of it is kept already; returns the newer one. One that was read before a
    /// household was forgotten is not kept: it may be the one, and the store knows.
    pub(crate) fn keep(&self, household: Household) -> Household {
        let mut kept = self.lock();
        if household.forgotten != kept.forgotten {
            kept.forget(household.id());
            return household;
        }
        let Kept { households, .. } = &mut *kept;
        if households.len() >= MAX_KEPT && !households.contains_key(&household.id()) {
            households.clear();
        }
        let kept = households.entry(household.id()).or_insert_with(|| household.clone());
        if kept.list().version < household.list().version {
            *kept = household;
        }
        kept.clone()
    }

    /// Forgets a household that the store has no more; returns it as it was last.
    pub(crate) fn forget(&self, id: HouseholdId) -> Option<Household> {
        self.lock().forget(id)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, id: HouseholdId) -> Option<Household> {
        self.forgotten += 1;
        self.households.remove(&id)
    }
}

/// The chain that this root key and first list found.
pub(crate) fn founded_by(root: &[u8; 32], list: &[u8], now: SystemTime) -> Result<ListChain, ListError> {
    let mut chain = ListChain::new(root)?;
    chain.accept(list, Some(now))?;
    Ok(chain)
}

async fn load<S: Store>(store: &S, id: HouseholdId, forgotten: u64) -> Result<Option<Household>, StoreError> {
    let Some(root) = store.household_root(id).await? else { return Ok(None) };
    let mut chain = ListChain::new(&root).map_err(|_| StoreError::Failed)?;
    if chain.household() != id {
        return Err(StoreError::Failed);
    }
    loop {
        let after = chain.head().map_or(0, |head| head.list().version);
        let page = store.lists_after(id, after, PAGE).await?;
        for list in &page {
            chain.accept(list, None).map_err(|_| StoreError::Failed)?;
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    Household::new(chain, forgotten).map(Some).ok_or(StoreError::Failed)
}

const MAX_KEPT: usize = 10_000;
const PAGE: u32 = 100;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ed25519_dalek::{Signer as _, SigningKey};
    use latchkey_api::device_list::{DeviceEntry, Reason, Rights, Role, SignedList, Signer};
    use latchkey_api::id::DeviceId;

    /// A household of one admin with so many lists.
    fn household(lists: u64) -> Household {
        let root = SigningKey::from_bytes(&[1; 32]);
        let admin = SigningKey::from_bytes(&[2; 32]);
        let root_public = root.verifying_key().to_bytes();
        let entry = DeviceEntry {
            device: DeviceId([3; 16]),
            role: Role::Admin,
            mls_public: admin.verifying_key().to_bytes(),
            enrol_public: [9; 32],
            not_before: 0,
            not_after: None,
            cameras: None,
            rights: Rights::ALL,
            label: Vec::new(),
        };
        let mut chain = ListChain::new(&root_public).unwrap();
        let first = DeviceList::founding(HouseholdId::of_root(&root_public), entry, 5).unwrap();
        let signature = root.sign(&first.signing_input()).to_bytes();
        chain.accept(SignedList::assemble(first, signature).as_bytes(), None).unwrap();
        for _ in 1..lists {
            let signer = Signer::Device(DeviceId([3; 16]));
            let next = DeviceList::after(chain.head().unwrap(), signer, 5, Reason::Changed);
            let signature = admin.sign(&next.signing_input()).to_bytes();
            chain.accept(SignedList::assemble(next, signature).as_bytes(), None).unwrap();
        }
        Household::new(chain, 0).unwrap()
    }

    #[test]
    fn a_newer_state_stays_and_an_older_one_does_not_replace_it() {
        let directory = Directory::default();
        let [one, two] = [1, 2].map(household);
        assert_eq!(directory.keep(two.clone()).list().version, 2);
        assert_eq!(directory.keep(one).list().version, 2);
        assert_eq!(directory.forget(two.id()).unwrap().list().version, 2);
        assert!(directory.forget(two.id()).is_none());
    }

    #[test]
    fn what_was_read_before_a_deletion_is_not_kept_after_it() {
        let directory = Directory::default();
        let read_before = household(1);
        assert!(directory.forget(read_before.id()).is_none());
        directory.keep(read_before.clone());
        assert!(directory.lock().households.is_empty(), "the store is asked again");
        let forgotten = directory.lock().forgotten;
        directory.keep(Household { forgotten, ..read_before });
        assert_eq!(directory.lock().households.len(), 1);
    }
}

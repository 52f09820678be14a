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
}

impl Household {
    /// The household of these lists, if there is at least one.
    fn new(chain: ListChain) -> Option<Self> {
        chain.head()?;
        Some(Self { chain: Arc::new(chain) })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> HouseholdId {
        self.chain.household()
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
        let next = Self::new(chain).expect("a list was just accepted");
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
    households: Mutex<HashMap<HouseholdId, Household>>,
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
        if let Some(household) = self.lock().get(&id) {
            return Ok(Some(household.clone()));
        }
        let Some(household) = load(store, id).await? else { return Ok(None) };
        Ok(Some(self.keep(household)))
    }

    /// Keeps a household unless a newer state of it is kept already; returns the newer one.
    pub(crate) fn keep(&self, household: Household) -> Household {
        let mut households = self.lock();
        if households.len() >= MAX_KEPT && !households.contains_key(&household.id()) {
            households.clear();
        }
        let kept = households.entry(household.id()).or_insert_with(|| household.clone());
        if kept.list().version < household.list().version {
            *kept = household;
        }
        kept.clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HouseholdId, Household>> {
        self.households.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The household that this root key and first list found.
pub(crate) fn founded_by(root: &[u8; 32], list: &[u8], now: SystemTime) -> Result<Household, ListError> {
    let mut chain = ListChain::new(root)?;
    chain.accept(list, Some(now))?;
    Ok(Household::new(chain).expect("a list was just accepted"))
}

async fn load<S: Store>(store: &S, id: HouseholdId) -> Result<Option<Household>, StoreError> {
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
    Household::new(chain).map(Some).ok_or(StoreError::Failed)
}

const MAX_KEPT: usize = 10_000;
const PAGE: u32 = 100;

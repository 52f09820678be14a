//! Registering a household, and taking in its next device list.

use std::time::SystemTime;

use latchkey_api::audit::AuditKind;
use latchkey_api::device_list::{ListError, Signer};
use latchkey_api::encoding::ByteString;
use latchkey_api::event::Event;
use latchkey_api::household::{CreateHousehold, HouseholdCreated};
use latchkey_api::id::HouseholdId;
use latchkey_api::list::{ListAccepted, Lists};

use crate::access::Losses;
use crate::audit::AuditEntry;
use crate::clock::unix_millis;
use crate::directory::{Considered, Household, NextList, founded_by};
use crate::invites::InviteCode;
use crate::notice::{Done, Notice};
use crate::signaling::{Bearer, Registration, Signaling};
use crate::store::{FoundOutcome, Invitation, NewHousehold, NewList, Store, StoreError};

impl<S: Store> Signaling<S> {
    /// Registers a household by its root key and first list. Saying the same again is answered the same.
    ///
    /// # Errors
    /// [`FoundRefused`].
    pub async fn found_household(
        &self,
        request: &CreateHousehold,
        now: SystemTime,
    ) -> Result<HouseholdCreated, FoundRefused> {
        let root_public = request.root_public.as_slice().try_into().map_err(|_| ListError::BadRootKey)?;
        let id = founded_by(&root_public, request.list.as_slice(), now)?.household();
        let audit = AuditEntry {
            kind: AuditKind::HouseholdFounded,
            actor: None,
            subject: None,
            detail: 1,
            at_ms: unix_millis(now),
        };
        let invitation = match self.policy.registration {
            Registration::Open => Invitation::NotAsked,
            // Whoever says the same again needs no code, so a missing or misspelt one is no refusal yet.
            Registration::Invite => {
                let code = request.invite_code.as_deref().and_then(InviteCode::read);
                code.map_or(Invitation::Missing, |code| Invitation::Brought(code.use_at(now)))
            }
        };
        let new =
            NewHousehold { household: id, root_public, list: request.list.as_slice(), invitation, audit };
        match self.store.found_household(new, self.policy.max_households).await? {
            FoundOutcome::Founded => return Ok(HouseholdCreated { household: id }),
            FoundOutcome::Full => return Err(FoundRefused::Full),
            FoundOutcome::NotInvited if request.invite_code.is_none() => {
                return Err(FoundRefused::CodeNeeded);
            }
            FoundOutcome::NotInvited => return Err(FoundRefused::CodeRefused),
            FoundOutcome::Exists => {}
        }
        let first = self.store.lists_after(id, 0, 1).await?;
        if first.first().is_some_and(|list| list.as_slice() == request.list.as_slice()) {
            Ok(HouseholdCreated { household: id })
        } else {
            Err(FoundRefused::Exists)
        }
    }

    /// The lists of the caller's household with a version above `after`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lists(&self, bearer: &Bearer, after: u64) -> Result<Lists, StoreError> {
        self.lists_page(bearer.household_id(), after).await
    }

    pub(crate) async fn lists_page(&self, household: HouseholdId, after: u64) -> Result<Lists, StoreError> {
        let mut lists = self.store.lists_after(household, after, LISTS_PER_PAGE + 1).await?;
        let mut bytes = 0;
        let within = lists.iter().take(LISTS_PER_PAGE as usize).take_while(|list| {
            let fits = bytes < BYTES_PER_PAGE;
            bytes += list.len();
            fits
        });
        let within = within.count();
        let more = lists.len() > within;
        lists.truncate(within);
        Ok(Lists { lists: lists.into_iter().map(ByteString).collect(), more })
    }

    /// Takes in the household's next list, whoever of the household brings it: its signature counts. The root itself
    /// brings only what it signed. A list that is there already is answered as if it were new.
    ///
    /// # Errors
    /// [`ListRefused`].
    pub async fn post_list(
        &self,
        bearer: &Bearer,
        list: &[u8],
        now: SystemTime,
    ) -> Result<Done<ListAccepted>, ListRefused> {
        let household = bearer.household_id();
        let next = match self.consider_list(household, list, now).await? {
            Considered::Known(version) => {
                return Ok(Done { reply: ListAccepted { version }, household, notices: Vec::new() });
            }
            Considered::Next(next) => next,
        };
        if matches!(bearer, Bearer::Root(_)) && next.household.list().signer != Signer::Root {
            return Err(ListRefused::NotByRoot);
        }
        if !self.store.append_list(new_list(&next, list, now)).await? {
            return Err(ListRefused::VersionTaken);
        }
        let version = next.household.list().version;
        let notices = self.adopt(*next);
        Ok(Done { reply: ListAccepted { version }, household, notices })
    }

    /// Checks a list as the next of the household as it is now.
    pub(crate) async fn consider_list(
        &self,
        household: HouseholdId,
        list: &[u8],
        now: SystemTime,
    ) -> Result<Considered, ListRefused> {
        let present = self.directory.present(&self.store, household).await?.ok_or(StoreError::Failed)?;
        present.consider(list, now).map_err(ListRefused::from)
    }

    /// Makes a stored list the present one, and says whom it concerns.
    pub(crate) fn adopt(&self, next: NextList) -> Vec<Notice> {
        let NextList { household, losses } = next;
        let notices = notices_of(&household, &losses);
        self.directory.keep(household);
        notices
    }
}

/// The row for a list that was found good.
pub(crate) fn new_list<'a>(next: &'a NextList, bytes: &'a [u8], now: SystemTime) -> NewList<'a> {
    let list = next.household.list();
    let actor = match list.signer {
        Signer::Root => None,
        Signer::Device(device) => Some(device),
    };
    NewList {
        household: next.household.id(),
        version: list.version,
        list: bytes,
        ends_sessions_of: &next.losses.ends,
        forgets: &next.losses.gone,
        audit: AuditEntry {
            kind: AuditKind::ListAccepted,
            actor,
            subject: None,
            detail: list.version,
            at_ms: unix_millis(now),
        },
    }
}

/// Those who stay are told first, since a camera that hears of a removal ends the epoch; telling waits for nobody. Who
/// goes is dismissed after the cuts: it may sign in again for what is left, and the cuts refuse older grants.
fn notices_of(household: &Household, losses: &Losses) -> Vec<Notice> {
    let list = household.list();
    let cuts = household.cuts(losses).into_iter().map(|(room, device)| Notice::Cut { room, device });
    let dismissed = losses.ends.iter().map(|device| Notice::Dismiss { device: *device });
    let told = list
        .devices
        .iter()
        .filter(|entry| !losses.ends.contains(&entry.device))
        .map(|entry| Notice::Tell { device: entry.device, event: Event::List { version: list.version } });
    told.chain(cuts).chain(dismissed).collect()
}

/// Why a household was not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FoundRefused {
    /// The caller's: the root key or the list is not good.
    #[error(transparent)]
    List(#[from] ListError),
    /// The caller's: the household is there with another first list.
    #[error("the household is already registered with another first list")]
    Exists,
    /// The caller's: the operator asks for an invite code.
    #[error("this server takes a household only with an invite code: ask its operator for one")]
    CodeNeeded,
    /// The caller's: the code is unknown, used up or too old; not said which.
    #[error("the invite code is unknown, used up or too old: ask the server's operator for a new one")]
    CodeRefused,
    /// Nobody's: the server has as many households as its operator lets it have.
    #[error("this server takes no more households")]
    Full,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a list was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListRefused {
    /// The caller's: the list is not good.
    #[error("{0}")]
    Invalid(ListError),
    /// The caller's: the root brings a list that it did not sign.
    #[error("the household root brings only lists that it signed itself")]
    NotByRoot,
    /// Nobody's: another list was first.
    #[error("another list has this version: read it and sign the next one")]
    VersionTaken,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ListError> for ListRefused {
    fn from(error: ListError) -> Self {
        match error {
            // For a server that has one history, a second list of a version is one that lost the race.
            ListError::TwoHistories { .. } => Self::VersionTaken,
            other => Self::Invalid(other),
        }
    }
}

const LISTS_PER_PAGE: u32 = 50;
const BYTES_PER_PAGE: usize = 1024 * 1024;

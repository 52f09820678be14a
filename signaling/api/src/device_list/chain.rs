//! The verified chain of a household's lists, pinned to its root key; versions only rise.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::VerifyingKey;

use super::{DeviceList, ListError, ListHash, ListVersion, Reason, SignedList, Signer, rules};
use crate::id::HouseholdId;

/// All lists of one household that were verified, oldest first. Cloning is cheap: lists are shared.
#[derive(Clone, Debug)]
pub struct ListChain {
    root: VerifyingKey,
    household: HouseholdId,
    lists: Vec<Arc<VerifiedList>>,
    rival: Option<Arc<VerifiedList>>,
}

impl ListChain {
    /// Returns the empty chain of the household that this Ed25519 root key founds.
    ///
    /// # Errors
    /// [`ListError::BadRootKey`] when the key is not a point of large order on the curve.
    pub fn new(root_public: &[u8; 32]) -> Result<Self, ListError> {
        let root = VerifyingKey::from_bytes(root_public).map_err(|_| ListError::BadRootKey)?;
        if root.is_weak() {
            return Err(ListError::BadRootKey);
        }
        Ok(Self { root, household: HouseholdId::of_root(root_public), lists: Vec::new(), rival: None })
    }

    /// Verifies a signed list as the next of the chain and takes it in; returns its version and hash.
    /// A list that was accepted before is accepted again without effect.
    ///
    /// `now` is the wall clock, `None` while the device has no time it can trust; then a list dated in
    /// the future is not refused.
    ///
    /// # Errors
    /// Any [`ListError`]; the chain is unchanged, except that after [`ListError::TwoHistories`] it
    /// remembers the second list ([`ListChain::rival`]).
    pub fn accept(&mut self, bytes: &[u8], now: Option<SystemTime>) -> Result<ListVersion, ListError> {
        let signed = SignedList::parse(bytes)?;
        let list = signed.list();
        if list.household != self.household {
            return Err(ListError::WrongHousehold);
        }
        let next = self.lists.len() as u64 + 1;
        if list.version == 0 || list.version > next {
            return Err(ListError::WrongVersion { expected: next, found: list.version });
        }
        if self.at(list.version).is_some_and(|known| known.hash == signed.hash()) {
            return Ok(ListVersion { version: list.version, hash: signed.hash() });
        }
        if now.is_some_and(|now| list.issued_at > seconds(now + FUTURE_TOLERANCE)) {
            return Err(ListError::FromTheFuture);
        }
        self.verify(&signed)?;
        let version = list.version;
        let verified = Arc::new(VerifiedList { hash: signed.hash(), signed });
        if version < next {
            if version + 1 == next && self.rival.is_none() {
                self.rival = Some(verified);
            }
            return Err(ListError::TwoHistories { version });
        }
        let accepted = verified.version();
        self.lists.push(verified);
        self.rival = None;
        Ok(accepted)
    }

    /// The household of the chain.
    #[must_use]
    pub fn household(&self) -> HouseholdId {
        self.household
    }

    /// The root's Ed25519 public key, to which the chain is pinned.
    #[must_use]
    pub fn root_public(&self) -> &[u8; 32] {
        self.root.as_bytes()
    }

    /// The newest list, `None` while the chain is empty.
    #[must_use]
    pub fn head(&self) -> Option<&VerifiedList> {
        self.lists.last().map(Arc::as_ref)
    }

    /// The list of a version, `None` when the chain does not have it.
    #[must_use]
    pub fn at(&self, version: u64) -> Option<&VerifiedList> {
        let at = usize::try_from(version.checked_sub(1)?).ok()?;
        self.lists.get(at).map(Arc::as_ref)
    }

    /// All lists, oldest first.
    pub fn lists(&self) -> impl Iterator<Item = &VerifiedList> {
        self.lists.iter().map(Arc::as_ref)
    }

    /// A second, validly signed list of the newest version: proof that somebody shows two histories.
    /// Until a list names both as parents, no other one is accepted.
    #[must_use]
    pub fn rival(&self) -> Option<&VerifiedList> {
        self.rival.as_deref()
    }

    /// Verifies a list of version 1 to head + 1 against the list before it.
    fn verify(&self, signed: &SignedList) -> Result<(), ListError> {
        let list = signed.list();
        rules::check_content(list)?;
        if list.version == 1 {
            if list.signer != Signer::Root || list.reason != Reason::Founded {
                return Err(ListError::FirstNotByRoot);
            }
            if !list.parents.is_empty() {
                return Err(ListError::WrongParent);
            }
            return signed.verify(&self.root);
        }
        let last = self.at(list.version - 1).ok_or(ListError::WrongParent)?;
        self.check_parents(list, last)?;
        rules::check_successor(list, last.list())?;
        signed.verify(&self.signer_key(list, last.list())?)
    }

    fn check_parents(&self, list: &DeviceList, last: &VerifiedList) -> Result<(), ListError> {
        let ascending = list.parents.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || list.parents.len() > 2 || !list.parents.contains(&last.hash) {
            return Err(ListError::WrongParent);
        }
        let follows_head = list.version == self.lists.len() as u64 + 1;
        if let Some(rival) = self.rival.as_ref().filter(|_| follows_head) {
            if !list.parents.contains(&rival.hash) {
                return Err(ListError::HistoriesNotJoined);
            }
            rules::check_signer(list, rival.list())?;
        }
        Ok(())
    }

    fn signer_key(&self, list: &DeviceList, last: &DeviceList) -> Result<VerifyingKey, ListError> {
        match list.signer {
            Signer::Root => Ok(self.root),
            Signer::Device(id) => {
                let entry = last.device(id).ok_or(ListError::UnknownSigner)?;
                VerifyingKey::from_bytes(&entry.mls_public).map_err(|_| ListError::BadKey(id))
            }
        }
    }
}

/// A list of a chain whose signature and place were verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedList {
    hash: ListHash,
    signed: SignedList,
}

impl VerifiedList {
    /// What the list says.
    #[must_use]
    pub fn list(&self) -> &DeviceList {
        self.signed.list()
    }

    /// Its version and hash.
    #[must_use]
    pub fn version(&self) -> ListVersion {
        ListVersion { version: self.list().version, hash: self.hash }
    }

    /// The signed bytes, to be stored and passed on.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.signed.as_bytes()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

const FUTURE_TOLERANCE: Duration = Duration::from_secs(24 * 3600);

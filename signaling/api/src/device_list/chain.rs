//! The verified chain of a household's lists, pinned to its root key; versions only rise.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ed25519_dalek::VerifyingKey;

use super::{
    DeviceList, ListError, ListHash, ListVersion, MAX_PARENTS, Reason, Role, SignedList, Signer, histories,
    rules,
};
use crate::checks::{self, Check};
use crate::id::HouseholdId;

/// All lists of one household that were verified, oldest first. Cloning is cheap: lists are shared.
#[derive(Clone, Debug)]
pub struct ListChain {
    root: VerifyingKey,
    household: HouseholdId,
    lists: Vec<Arc<VerifiedList>>,
    /// Other signed lists of the newest version, or of an older one that no list has joined yet.
    rivals: Vec<Arc<VerifiedList>>,
    /// What head and rivals agree on, while there are rivals.
    agreed: Option<Arc<DeviceList>>,
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
        Ok(Self {
            root,
            household: HouseholdId::of_root(root_public),
            lists: Vec::new(),
            rivals: Vec::new(),
            agreed: None,
        })
    }

    /// Verifies a signed list as the next of the chain and takes it in; returns its version and hash.
    /// A list that was accepted before is accepted again without effect.
    ///
    /// `now` is the wall clock, `None` while the device has no time it can trust; then a list dated in
    /// the future is not refused.
    ///
    /// # Errors
    /// Any [`ListError`]; the chain is unchanged, except that after [`ListError::TwoHistories`] of the
    /// newest version it remembers the second list ([`ListChain::rival`]). Store it beside the others and
    /// give it to `accept` again after them: the alarm outlasts a restart. A second list of an older
    /// version is an alarm and changes nothing: who was removed since then could have signed it.
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
        let known = self.at(list.version);
        if known.is_some_and(|known| known.hash == signed.hash()) {
            return Ok(ListVersion { version: list.version, hash: signed.hash() });
        }
        if now.is_some_and(|now| list.issued_at > seconds(now + FUTURE_TOLERANCE)) {
            return Err(ListError::FromTheFuture);
        }
        self.verify(&signed)?;
        let (version, theirs) = (list.version, list.signer);
        let ours = known.map(|known| known.list().signer);
        let verified = Arc::new(VerifiedList { hash: signed.hash(), signed });
        if let Some(ours) = ours {
            if checks::skipped(Check::ListHistories) {
                return Ok(verified.version());
            }
            if version + 1 == next {
                self.remember_rival(verified);
            }
            return Err(ListError::TwoHistories { version, signers: [ours, theirs] });
        }
        let accepted = verified.version();
        self.lists.push(verified);
        self.settle_rivals();
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

    /// A second, validly signed list of a version that no list has joined yet: proof that somebody shows two histories.
    /// It stays until a list names both as parents. A list that follows the own history only is accepted when an
    /// admin of [`ListChain::effective`] signed it, or the root; the removals of the rival stay in force.
    #[must_use]
    pub fn rival(&self) -> Option<&VerifiedList> {
        self.rivals().next()
    }

    /// All other validly signed lists that no list has joined yet, in the order in which they were seen; at most
    /// one less than [`MAX_PARENTS`].
    pub fn rivals(&self) -> impl Iterator<Item = &VerifiedList> {
        self.rivals.iter().map(Arc::as_ref)
    }

    /// The list by which a device acts: the newest one, or, while there are two histories, what they agree
    /// on. Then a device is in it only when the list before and every history have it, with the least that
    /// any of them gives it: removals of each count, additions of none. `None` while the chain is empty.
    ///
    /// What two histories agree on is signed by nobody and may name no admin.
    #[must_use]
    pub fn effective(&self) -> Option<&DeviceList> {
        self.agreed.as_deref().or_else(|| self.head().map(VerifiedList::list))
    }

    /// Returns a draft of the next list: the devices of [`Self::effective`], with all histories as parents.
    /// `None` while the chain is empty.
    ///
    /// `issued_at` is in seconds since the Unix epoch and is raised when the caller's clock is behind. With
    /// two histories the reason of a device's list becomes [`Reason::Joined`].
    #[must_use]
    pub fn next_draft(&self, signer: Signer, issued_at: u64, reason: Reason) -> Option<DeviceList> {
        let mut draft = DeviceList::after(self.head()?, signer, issued_at, reason);
        if let Some(agreed) = &self.agreed {
            draft.issued_at = draft.issued_at.max(agreed.issued_at);
            draft.devices.clone_from(&agreed.devices);
            draft.generations.clone_from(&agreed.generations);
            draft.parents.extend(self.rivals().map(|rival| rival.hash));
            draft.parents.sort_unstable();
            if signer != Signer::Root {
                draft.reason = Reason::Joined;
            }
        }
        Some(draft)
    }

    fn remember_rival(&mut self, rival: Arc<VerifiedList>) {
        let known = self.rivals.iter().any(|known| known.hash == rival.hash);
        if known || self.rivals.len() + 1 >= MAX_PARENTS {
            return;
        }
        self.rivals.push(rival);
        self.agree();
    }

    /// The newest list ends the rivals that it names as parents; others go on to be held against it.
    fn settle_rivals(&mut self) {
        let Some(head) = self.lists.last() else { return };
        let parents = &head.list().parents;
        self.rivals.retain(|rival| !parents.contains(&rival.hash));
        self.agree();
    }

    fn agree(&mut self) {
        let oldest = self.rivals.iter().map(|rival| rival.list().version).min();
        let Some(oldest) = oldest else {
            self.agreed = None;
            return;
        };
        let before = self.at(oldest - 1).map(VerifiedList::list);
        let lists: Vec<&DeviceList> =
            self.lists.last().into_iter().chain(&self.rivals).map(|list| list.list()).collect();
        self.agreed = histories::agreed(before, &lists).map(Arc::new);
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
        if checks::skipped(Check::ListSignature) {
            return Ok(());
        }
        signed.verify(&self.signer_key(list, last.list())?)
    }

    fn check_parents(&self, list: &DeviceList, last: &VerifiedList) -> Result<(), ListError> {
        let ascending = list.parents.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || list.parents.len() > MAX_PARENTS || !list.parents.contains(&last.hash) {
            return Err(ListError::WrongParent);
        }
        let follows_head = list.version == self.lists.len() as u64 + 1;
        for rival in self.rivals.iter().filter(|_| follows_head) {
            if !list.parents.contains(&rival.hash) {
                if self.is_agreed_signer(list) {
                    continue;
                }
                return Err(ListError::HistoriesNotJoined);
            }
            // Whoever followed the other history must find the list as good.
            rules::check_successor(list, rival.list())?;
        }
        Ok(())
    }

    /// Whether all histories have the signer as an admin: then going on with one of them gives nobody anything that the
    /// others took away.
    fn is_agreed_signer(&self, list: &DeviceList) -> bool {
        let Signer::Device(id) = list.signer else { return true };
        let entry = self.agreed.as_ref().and_then(|agreed| agreed.device(id));
        entry.is_some_and(|entry| entry.role == Role::Admin && entry.valid_at(list.issued_at))
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

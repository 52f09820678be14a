//! Requests of devices that cannot get into the group. Each is taken once, and one a minute from each device.

use std::collections::BTreeMap;
use std::time::Duration;

use latchkey_api::device_list::{ListChain, Right};
use latchkey_api::group::Rejoin;
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_e2ee::group::ClaimedPackage;
use latchkey_e2ee::identity::signed_rejoin;
use web_time::Instant;

use crate::clock::unix_seconds;

/// Who asked, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Rejoins {
    /// The time that the last request of each device named.
    named: BTreeMap<DeviceId, u64>,
    /// When it was taken, in this run.
    taken: BTreeMap<DeviceId, Instant>,
    /// Packages that no commit has put in yet.
    waiting: Vec<ClaimedPackage>,
}

impl Rejoins {
    /// Reads what [`Self::to_bytes`] wrote; nothing where there is something else.
    pub(super) fn restore(stored: Option<&[u8]>) -> Self {
        let entry = |bytes: &[u8]| {
            let (device, time) = bytes.split_first_chunk::<16>()?;
            Some((DeviceId(*device), u64::from_be_bytes(time.try_into().ok()?)))
        };
        let named = stored.unwrap_or_default().chunks(ENTRY_LEN).filter_map(entry).collect();
        Self { named, ..Self::default() }
    }

    /// What must outlast a restart: the server may bring an old request again.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.named.len() * ENTRY_LEN);
        for (device, time) in &self.named {
            bytes.extend_from_slice(&device.0);
            bytes.extend_from_slice(&time.to_be_bytes());
        }
        bytes
    }

    /// Takes a request, when the device is entitled, signed it, and has not asked with it, or just now, before. Returns
    /// whether it was taken; then save.
    pub(super) fn take(
        &mut self,
        lists: &ListChain,
        group: GroupId,
        device: DeviceId,
        request: Rejoin,
        now: Instant,
    ) -> bool {
        let Some(list) = lists.effective() else { return false };
        let Some(entry) = list.device(device) else { return false };
        let entitled = list.may(device, Right::See, group.camera(), unix_seconds());
        let is_new = self.named.get(&device).is_none_or(|named| *named < request.time);
        let soon = self.taken.get(&device).is_some_and(|taken| now.duration_since(*taken) < PAUSE);
        if !entitled
            || !is_new
            || soon
            || !signed_rejoin(&entry.mls_public, &lists.household(), &group, &device, &request)
        {
            return false;
        }
        // Whoever is listed no more asks no more.
        self.named.retain(|device, _| list.device(*device).is_some());
        self.named.insert(device, request.time);
        self.taken.insert(device, now);
        self.waiting.retain(|package| package.device != device);
        self.waiting.push(ClaimedPackage { device, key_package: request.key_package.into_vec() });
        true
    }

    /// The packages that wait for a commit; each is given out once.
    pub(super) fn packages(&mut self) -> Vec<ClaimedPackage> {
        std::mem::take(&mut self.waiting)
    }
}

/// How long a device has to wait to be put in anew again.
const PAUSE: Duration = Duration::from_secs(60);
const ENTRY_LEN: usize = 16 + 8;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]
    use super::*;
    use latchkey_api::device_list::{DeviceList, Reason, Role, Signer};
    use latchkey_e2ee::identity::{DeviceIdentity, HouseholdRoot};
    use proptest::prelude::*;

    #[test]
    fn only_who_is_listed_and_signed_it_and_once_and_not_too_often() {
        let (root, _) = HouseholdRoot::generate().unwrap();
        let [ada, door, bob, eve] = [(); 4].map(|()| DeviceIdentity::generate().unwrap());
        let now = unix_seconds();
        let entry = |device: &DeviceIdentity, role| device.public().entry(role, now - 60, Vec::new());
        let first = DeviceList::founding(root.household(), entry(&ada, Role::Admin), now - 60).unwrap();
        let mut lists = ListChain::new(&root.public()).unwrap();
        lists.accept(root.sign_list(first).as_bytes(), None).unwrap();
        let draft = lists.next_draft(Signer::Device(ada.device()), now - 50, Reason::Added).unwrap();
        let draft = draft.with(entry(&door, Role::Camera)).unwrap().with(entry(&bob, Role::Viewer)).unwrap();
        lists.accept(ada.sign_list(draft).as_bytes(), None).unwrap();

        let home = root.household();
        let group =
            GroupId::new(door.device(), lists.head().unwrap().list().generation(door.device()).unwrap());
        let asks = |who: &DeviceIdentity, time| who.sign_rejoin(&home, &group, time, vec![9]);
        let (begin, later) = (Instant::now(), Instant::now() + PAUSE);
        let mut rejoins = Rejoins::default();
        assert!(!rejoins.take(&lists, group, eve.device(), asks(&eve, 5), begin), "not listed");
        assert!(!rejoins.take(&lists, group, bob.device(), asks(&eve, 5), begin), "signed by another");
        let other = GroupId::new(door.device(), group.generation() + 1);
        let elsewhere = bob.sign_rejoin(&home, &other, 5, vec![9]);
        assert!(!rejoins.take(&lists, group, bob.device(), elsewhere, begin), "for another group");
        let mut changed = asks(&bob, 5);
        changed.key_package.0.push(1);
        assert!(!rejoins.take(&lists, group, bob.device(), changed, begin), "another package");

        assert!(rejoins.take(&lists, group, bob.device(), asks(&bob, 5), begin));
        assert_eq!(rejoins.packages().len(), 1);
        assert_eq!(rejoins.packages(), []);
        assert!(!rejoins.take(&lists, group, bob.device(), asks(&bob, 6), begin), "too soon");
        assert!(!rejoins.take(&lists, group, bob.device(), asks(&bob, 5), later), "once only");
        let mut again = Rejoins::restore(Some(&rejoins.to_bytes()));
        assert!(!again.take(&lists, group, bob.device(), asks(&bob, 5), later), "also after a restart");
        assert!(again.take(&lists, group, bob.device(), asks(&bob, 6), later));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let rejoins = Rejoins::restore(Some(&bytes));
            prop_assert!(rejoins.to_bytes().len() <= bytes.len());
        }
    }
}

//! An honest server in memory: the first list of a version and the first commit of an epoch win; what was posted stays.

use std::collections::HashMap;
use std::time::SystemTime;

use latchkey_api::device_list::{ListChain, ListError};
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_e2ee::group::PendingCommit;

pub struct Server {
    lists: ListChain,
    groups: HashMap<GroupId, Group>,
    packages: HashMap<DeviceId, Vec<Vec<u8>>>,
    welcomes: HashMap<DeviceId, Vec<Mail>>,
    /// A fault for tests of the checker: every commit is taken, also a second one of an epoch.
    pub takes_every_commit: bool,
}

#[derive(Default)]
struct Group {
    log: Vec<Vec<u8>>,
    next_epoch: u64,
}

/// A Welcome that waits for its device, and where in the log its group goes on.
#[derive(Clone)]
pub struct Mail {
    pub next: usize,
    pub welcome: Vec<u8>,
}

/// Another commit ended this epoch before.
pub struct EpochTaken;

impl Server {
    pub fn new(root_public: &[u8; 32]) -> Self {
        Self {
            lists: ListChain::new(root_public).unwrap(),
            groups: HashMap::new(),
            packages: HashMap::new(),
            welcomes: HashMap::new(),
            takes_every_commit: false,
        }
    }

    /// Takes a list, if it is the next one and nobody was faster.
    pub fn post_list(&mut self, list: &[u8], now: SystemTime) -> Result<(), ListError> {
        // A copy, for the chain remembers rivals and the server must not.
        let mut lists = self.lists.clone();
        lists.accept(list, Some(now))?;
        self.lists = lists;
        Ok(())
    }

    pub fn lists(&self) -> &ListChain {
        &self.lists
    }

    /// Takes a commit and delivers its Welcomes; the answer is its place in the log.
    pub fn post_commit(&mut self, group: GroupId, pending: &PendingCommit) -> Result<usize, EpochTaken> {
        let log = self.groups.entry(group).or_default();
        if pending.epoch != log.next_epoch && !self.takes_every_commit {
            return Err(EpochTaken);
        }
        log.next_epoch = pending.epoch + 1;
        let at = log.log.len();
        log.log.push(pending.commit.clone());
        for to in &pending.welcomes {
            let mail = Mail { next: at + 1, welcome: to.welcome.clone() };
            self.welcomes.entry(to.device).or_default().push(mail);
        }
        Ok(at)
    }

    pub fn post_proposal(&mut self, group: GroupId, proposal: Vec<u8>) {
        self.groups.entry(group).or_default().log.push(proposal);
    }

    pub fn post_note(&mut self, group: GroupId, note: Vec<u8>) {
        self.groups.entry(group).or_default().log.push(note);
    }

    pub fn message(&self, group: GroupId, at: usize) -> Option<Vec<u8>> {
        self.groups.get(&group)?.log.get(at).cloned()
    }

    pub fn publish(&mut self, device: DeviceId, package: Vec<u8>) {
        self.packages.entry(device).or_default().push(package);
    }

    pub fn claim(&mut self, device: DeviceId) -> Option<Vec<u8>> {
        self.packages.get_mut(&device)?.pop()
    }

    pub fn has_package(&self, device: DeviceId) -> bool {
        self.packages.get(&device).is_some_and(|packages| !packages.is_empty())
    }

    pub fn welcomes(&self, device: DeviceId) -> Vec<Mail> {
        self.welcomes.get(&device).cloned().unwrap_or_default()
    }

    /// The device has used or thrown away a Welcome.
    pub fn acknowledge(&mut self, device: DeviceId, mail: &Mail) {
        if let Some(welcomes) = self.welcomes.get_mut(&device) {
            welcomes.retain(|waiting| waiting.welcome != mail.welcome);
        }
    }
}

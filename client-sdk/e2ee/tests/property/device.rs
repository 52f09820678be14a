//! A phone as a process that can end at any moment: a member of the camera's group, perhaps an admin.

use latchkey_api::device_list::{DeviceList, ListChain, Role};
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::{GroupError, KeyPackages, LAST_RESORTS, Member, Processed, Refusal};
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::note::Note;
use latchkey_e2ee::record::RecordChain;

use crate::checker::{Checker, Held};
use crate::lists::{fetch as fetch_lists, read, show, stored};
use crate::notes::{Reader, check_record, question};
use crate::server::{EpochTaken, Server};
use crate::step::Ends;
use crate::viewer::Viewer;
use crate::world::at;

pub struct Device {
    pub identity: DeviceIdentity,
    camera: DeviceId,
    root: [u8; 32],
    disk: Disk,
    pub run: Option<Run>,
    last_resorts: usize,
    /// A fault for tests of the checker: it skips every message it is given.
    pub is_deaf: bool,
    /// Another: it sends notes before it has saved them.
    pub notes_late: bool,
}

#[derive(Default)]
struct Disk {
    lists: Vec<Vec<u8>>,
    packages: Option<Vec<u8>>,
    member: Option<Vec<u8>>,
    cursor: usize,
    records: RecordChain,
}

/// What is lost when the process ends.
pub struct Run {
    pub lists: ListChain,
    packages: KeyPackages,
    pub member: Option<Member>,
    cursor: usize,
    records: RecordChain,
    viewer: Viewer,
    /// A list that it signed and has not posted yet.
    pub draft: Option<Vec<u8>>,
}

impl Device {
    /// A device that was given these lists when it was enrolled.
    pub fn new(identity: DeviceIdentity, camera: DeviceId, lists: &ListChain) -> Self {
        let disk = Disk { lists: stored(lists), ..Disk::default() };
        Self {
            identity,
            camera,
            root: *lists.root_public(),
            disk,
            run: None,
            last_resorts: 0,
            is_deaf: false,
            notes_late: false,
        }
    }

    pub fn id(&self) -> DeviceId {
        self.identity.device()
    }

    pub fn start(&mut self) {
        if self.run.is_some() {
            return;
        }
        let lists = read(&self.root, &self.disk.lists);
        let packages = self.disk.packages.as_ref().map(|bytes| KeyPackages::restore(bytes).unwrap());
        let member = self.disk.member.as_ref().map(|bytes| Member::restore(bytes, &lists).unwrap());
        let packages = packages.unwrap_or_default();
        let records = self.disk.records.clone();
        let mut viewer = Viewer::default();
        if let Some(keys) = member.as_ref().and_then(|member| member.frame_keys().ok()) {
            viewer.take(keys, 0);
        }
        self.run =
            Some(Run { lists, packages, member, cursor: self.disk.cursor, records, viewer, draft: None });
    }

    pub fn crash(&mut self) {
        self.run = None;
    }

    pub fn save(&mut self) {
        let Some(run) = &self.run else { return };
        self.disk.packages = Some(run.packages.save().to_vec());
        self.disk.member = run.member.as_ref().map(|member| member.save().to_vec());
        self.disk.cursor = run.cursor;
        self.disk.records = run.records.clone();
    }

    pub fn fetch_lists(&mut self, server: &Server, count: usize, now: u64) {
        let Some(run) = &mut self.run else { return };
        fetch_lists(&mut run.lists, server, count, now);
        self.disk.lists = stored(&run.lists);
    }

    /// Somebody shows it a list that the server does not have.
    pub fn be_shown(&mut self, list: &[u8], now: u64) {
        let Some(run) = &mut self.run else { return };
        if show(&mut run.lists, list, now) {
            run.draft = None;
        }
        self.disk.lists = stored(&run.lists);
    }

    /// Makes a key package and publishes it, unless it ends in between.
    pub fn publish(&mut self, server: &mut Server, last_resort: bool, ends_before: bool, now: u64) {
        let Some(run) = &mut self.run else { return };
        // Older ones than these are rightly forgotten, and only time decides whether a camera still has one.
        let package = if last_resort && self.last_resorts < LAST_RESORTS {
            self.last_resorts += 1;
            run.packages.generate_last_resort(&self.identity, &run.lists, at(now)).unwrap()
        } else {
            run.packages.generate(&self.identity, &run.lists, at(now)).unwrap()
        };
        self.save();
        if ends_before {
            self.crash();
        } else {
            server.publish(self.id(), package);
        }
    }

    /// Joins by the Welcomes that wait for it. It may end before it has saved the first one.
    pub fn take_welcomes(&mut self, server: &mut Server, ends_before: bool, checker: &mut Checker) -> Held {
        for mail in server.welcomes(self.id()) {
            let Some(run) = &mut self.run else { return Ok(()) };
            let joined =
                Member::join(&self.identity, &run.lists, &mut run.packages, self.camera, &mail.welcome);
            if ends_before {
                self.crash();
                return Ok(());
            }
            match joined {
                Ok(member) => {
                    let keys = member.frame_keys().map_err(|error| error.to_string())?;
                    checker.member_in(self.identity.device(), keys, member.list())?;
                    can_read(&member, self.identity.device(), &run.lists, checker);
                    let before = run.member.as_ref();
                    if before.is_none_or(|before| before.is_removed() || member.supersedes(before)) {
                        run.cursor = mail.next;
                        run.viewer.take(member.frame_keys().unwrap(), member.epoch());
                        run.member = Some(member);
                    }
                }
                // The list that it names is still on its way.
                Err(GroupError::Refused(Refusal::UnknownList { .. })) => continue,
                Err(_) => {}
            }
            self.save();
            server.acknowledge(self.id(), &mail);
        }
        Ok(())
    }

    /// Takes the next `count` messages of the group, in order.
    pub fn read(&mut self, server: &Server, count: usize, checker: &mut Checker) -> Held {
        for _ in 0..count {
            let Some(run) = &mut self.run else { return Ok(()) };
            let Some(group) = run.member.as_ref().map(Member::group_id) else { return Ok(()) };
            let Some(message) = server.message(group, run.cursor) else { return Ok(()) };
            if !self.is_deaf && !self.take(&message, checker)? {
                return Ok(());
            }
            if let Some(run) = &mut self.run {
                run.cursor += 1;
            }
            self.save();
        }
        Ok(())
    }

    /// Takes one message out of its place: late, early or again.
    pub fn read_at(&mut self, server: &Server, place: usize, checker: &mut Checker) -> Held {
        let group = self.run.as_ref().and_then(|run| run.member.as_ref()).map(Member::group_id);
        let Some(message) = group.and_then(|group| server.message(group, place)) else { return Ok(()) };
        self.take(&message, checker).map(|_| ())
    }

    /// Proposes an update of its keys; it may end before or after it has saved.
    pub fn update(&mut self, server: &mut Server, saves: bool, posts: bool) {
        let Some(member) = self.run.as_mut().and_then(|run| run.member.as_mut()) else { return };
        let group = member.group_id();
        let Ok(proposal) = member.propose_update() else { return };
        if !saves {
            self.crash();
            return;
        }
        self.save();
        if posts {
            server.post_proposal(group, proposal);
        } else {
            self.crash();
        }
    }

    /// Sends a note; it may end while it does.
    pub fn note(&mut self, server: &mut Server, ends: Ends, checker: &mut Checker) -> Held {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Some(member) = run.member.as_mut() else { return Ok(()) };
        let at = (member.group_id(), member.epoch());
        let note = question(&run.lists, &run.records);
        let message = match member.send_note(&note) {
            Ok(message) => message,
            Err(GroupError::CommitFirst | GroupError::Removed) => return Ok(()),
            Err(error) => return Err(format!("a member cannot send a note: {error}")),
        };
        if matches!(ends, Ends::BeforeSaving) && !self.notes_late {
            self.crash();
            return Ok(());
        }
        if !self.notes_late {
            self.save();
        }
        if !matches!(ends, Ends::BeforeSending) {
            server.post_note(at.0, message.clone());
            checker.note_sent(at, self.id(), note, message);
        }
        if !matches!(ends, Ends::Never) {
            self.crash();
        }
        Ok(())
    }

    /// Looks at up to `count` frames that it has not looked at, as a bad line brings them.
    pub fn watch(&mut self, count: u8, loses: u8, swaps: bool, now: u64, checker: &mut Checker) -> Held {
        let Some(run) = &mut self.run else { return Ok(()) };
        let camera = camera_key(&run.lists, self.camera);
        run.viewer.watch(&camera, (count, loses, swaps), now, checker)
    }

    /// Makes the commit that removes who is no longer listed, where this device may.
    pub fn remove_unlisted(&mut self) {
        let Some(run) = &mut self.run else { return };
        let admin = run.lists.head().and_then(|head| head.list().device(self.identity.device()));
        if admin.is_none_or(|entry| entry.role != Role::Admin) {
            return;
        }
        if let Some(member) = run.member.as_mut() {
            let _ = member.remove_unlisted(&run.lists);
        }
    }

    /// Sends the pending commit. The answer may get lost.
    pub fn send(&mut self, server: &mut Server, answered: bool, checker: &mut Checker) -> Held {
        self.save();
        let Some(run) = &mut self.run else { return Ok(()) };
        let Some(member) = run.member.as_mut() else { return Ok(()) };
        let Some(pending) = member.pending().cloned() else { return Ok(()) };
        let posted = server.post_commit(member.group_id(), &pending);
        if !answered {
            return Ok(());
        }
        match posted {
            Ok(place) => {
                member.confirm().map_err(|error| format!("an admin cannot confirm: {error}"))?;
                if place == run.cursor {
                    run.cursor += 1;
                }
                let keys = member.frame_keys().map_err(|error| error.to_string())?;
                run.viewer.take(member.frame_keys().unwrap(), member.epoch());
                can_read(member, self.identity.device(), &run.lists, checker);
                checker.member_in(self.identity.device(), keys, member.list())
            }
            Err(EpochTaken) => {
                self.read(server, usize::MAX, checker)?;
                let member = self.run.as_mut().and_then(|run| run.member.as_mut());
                if let Some(member) = member
                    && member.pending().is_some_and(|still| still.commit == pending.commit)
                {
                    member.discard().map_err(|error| error.to_string())?;
                }
                Ok(())
            }
        }
    }

    /// Signs a list as it thinks the next one should be, where it may.
    pub fn sign(&mut self, draft: DeviceList, now: u64, checker: &mut Checker) {
        let Some(run) = &mut self.run else { return };
        let signed = self.identity.sign_list(draft.clone());
        if run.lists.clone().accept(signed.as_bytes(), Some(at(now))).is_ok() {
            checker.list_signed(signed.hash(), draft);
            run.draft = Some(signed.as_bytes().to_vec());
        }
    }

    /// Posts the list that it signed. Returns the list when the server has another one of this version.
    pub fn post_list(&mut self, server: &mut Server, answered: bool, now: u64) -> Option<Vec<u8>> {
        let run = self.run.as_mut()?;
        let list = run.draft.take()?;
        let posted = server.post_list(&list, at(now));
        if posted.is_ok() && answered {
            let _ = run.lists.accept(&list, Some(at(now)));
        }
        posted.is_err().then_some(list)
    }

    /// Whether it went on from this message.
    fn take(&mut self, message: &[u8], checker: &mut Checker) -> Result<bool, String> {
        let Some(run) = &mut self.run else { return Ok(false) };
        let Some(member) = run.member.as_mut() else { return Ok(false) };
        let camera = camera_key(&run.lists, self.camera);
        let processed = member.process(message, &run.lists);
        match processed {
            Ok(Processed::Epoch(_)) => {
                let keys = member.frame_keys().map_err(|error| error.to_string())?;
                checker.member_in(self.identity.device(), keys, member.list())?;
                can_read(member, self.identity.device(), &run.lists, checker);
                run.viewer.take(member.frame_keys().unwrap(), member.epoch());
            }
            Ok(Processed::Note { from, note: Note::Record(record) }) if from == self.camera => {
                let own = member.view().map_err(|error| error.to_string())?;
                check_record(&record, &camera, &own, &mut run.records)?;
                checker.record_checked();
            }
            Ok(_) => {}
            Err(error @ GroupError::UnreadableNote { .. }) => return Err(format!("note: {error}")),
            // The list that it names is still on its way; or nothing comes after this.
            Err(GroupError::Refused(_) | GroupError::Removed) => return Ok(false),
            // Its own proposal, or one that it cannot use: the next commit tells.
            Err(_) => {}
        }
        self.save();
        Ok(true)
    }
}

/// Tells the checker of a member's state, which has read nothing of its epoch.
fn can_read(member: &Member, device: DeviceId, lists: &ListChain, checker: &mut Checker) {
    let reader = Reader { device, is_camera: false, state: member.save().to_vec(), lists: lists.clone() };
    checker.reader((member.group_id(), member.epoch()), reader);
}

/// What the camera signs with, by the lists.
fn camera_key(lists: &ListChain, camera: DeviceId) -> [u8; 32] {
    lists.head().and_then(|head| head.list().device(camera)).map_or([0; 32], |entry| entry.mls_public)
}

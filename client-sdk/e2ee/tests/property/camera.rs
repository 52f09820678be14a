//! The camera as a process that can end at any moment: what it knows, what it has saved, and each single step.

use latchkey_api::device_list::ListChain;
use latchkey_api::id::DeviceId;
use latchkey_e2ee::group::{CameraGroup, ClaimedPackage, GroupError, Processed};
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::{SenderSession, VIDEO};
use latchkey_e2ee::seal::FrameSealer;

use crate::checker::{Checker, HEADER, Held};
use crate::lists;
use crate::server::{EpochTaken, Server};
use crate::world::at;

pub struct Camera {
    pub identity: DeviceIdentity,
    root: [u8; 32],
    disk: Disk,
    pub run: Option<Run>,
    pub faults: Faults,
}

/// What goes wrong in a camera of a test of the checker.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    /// Restores a state and goes on in the session it had.
    pub keeps_session: bool,
    /// Goes on sealing under the keys it has.
    pub keeps_keys: bool,
    /// Sends commits before it has saved them.
    pub saves_late: bool,
}

#[derive(Default)]
struct Disk {
    lists: Vec<Vec<u8>>,
    group: Option<Vec<u8>>,
    cursor: usize,
    /// Only for a faulty camera.
    session: Option<SenderSession>,
}

/// What is lost when the process ends.
pub struct Run {
    pub lists: ListChain,
    pub group: CameraGroup,
    cursor: usize,
    saved: bool,
    sealer: FrameSealer,
}

impl Camera {
    pub fn new(identity: DeviceIdentity, root: [u8; 32]) -> Self {
        Self { identity, root, disk: Disk::default(), run: None, faults: Faults::default() }
    }

    pub fn id(&self) -> DeviceId {
        self.identity.device()
    }

    /// Starts the process. `known` lists are at hand where nothing is saved yet.
    pub fn start(&mut self, known: &ListChain, now: u64) -> Held {
        if self.run.is_some() {
            return Ok(());
        }
        if self.disk.lists.is_empty() {
            self.disk.lists = lists::stored(known);
        }
        let lists = lists::read(&self.root, &self.disk.lists);
        let restored = self.disk.group.as_ref().map(|group| CameraGroup::restore(group, &lists).unwrap());
        let found = || CameraGroup::found(&self.identity, &lists, at(now));
        let group =
            restored.map_or_else(found, Ok).map_err(|error| format!("the camera cannot start: {error}"))?;
        let cursor = if self.disk.group.is_some() { self.disk.cursor } else { 0 };
        self.begin(lists, group, cursor)
    }

    pub fn crash(&mut self) {
        self.run = None;
    }

    /// Reads `count` lists more than it has, and founds a new group where they ask for it.
    pub fn fetch_lists(&mut self, server: &Server, count: usize, now: u64) -> Held {
        let Some(run) = &mut self.run else { return Ok(()) };
        lists::fetch(&mut run.lists, server, count, now);
        self.disk.lists = lists::stored(&run.lists);
        let generation = run.lists.head().and_then(|head| head.list().generation(self.identity.device()));
        if generation.is_none_or(|generation| generation == run.group.group_id().generation()) {
            return Ok(());
        }
        let lists = run.lists.clone();
        let group = CameraGroup::found(&self.identity, &lists, at(now)).map_err(|error| error.to_string())?;
        self.begin(lists, group, 0)
    }

    /// Somebody shows it a list that the server does not have.
    pub fn be_shown(&mut self, list: &[u8], now: u64) {
        let Some(run) = &mut self.run else { return };
        lists::show(&mut run.lists, list, now);
        self.disk.lists = lists::stored(&run.lists);
    }

    /// Makes a commit where one is due, or where `renew` asks for it; `strangers` are claimed packages that have no
    /// place in the group.
    pub fn sync(&mut self, server: &mut Server, strangers: &[ClaimedPackage], renew: bool, now: u64) {
        let Some(run) = &mut self.run else { return };
        if run.group.pending().is_some() {
            return;
        }
        let missing = run.group.missing(&run.lists, at(now));
        let mut claimed = strangers.to_vec();
        claimed.extend(
            missing
                .into_iter()
                .filter_map(|device| Some(ClaimedPackage { device, key_package: server.claim(device)? })),
        );
        let made = run.group.sync(&run.lists, &claimed, at(now)).is_ok_and(|synced| synced.commit.is_some());
        if made || (renew && run.group.renew(&run.lists, at(now)).is_ok()) {
            run.saved = false;
        }
    }

    pub fn save(&mut self, checker: &mut Checker) -> Held {
        let Some(run) = &mut self.run else { return Ok(()) };
        self.disk.group = Some(run.group.save().to_vec());
        self.disk.cursor = run.cursor;
        self.disk.session = Some(run.sealer.session());
        run.saved = true;
        checker.camera_in(&run.keys(), run.group.list())
    }

    /// Sends the pending commit. The answer may get lost.
    pub fn send(&mut self, server: &mut Server, answered: bool, checker: &mut Checker) -> Held {
        if self.run.as_ref().is_some_and(|run| !run.saved) && !self.faults.saves_late {
            self.save(checker)?;
        }
        let Some(run) = &mut self.run else { return Ok(()) };
        let Some(pending) = run.group.pending().cloned() else { return Ok(()) };
        let posted = server.post_commit(run.group.group_id(), &pending);
        if !answered {
            return Ok(());
        }
        match posted {
            Ok(place) => {
                run.group.confirm().map_err(|error| format!("the camera cannot confirm: {error}"))?;
                // What stands between is still to be read.
                if place == run.cursor {
                    run.cursor += 1;
                }
                run.saved = false;
                checker.camera_in(&run.keys(), run.group.list())
            }
            Err(EpochTaken) => {
                self.read(server, usize::MAX, checker)?;
                let Some(run) = &mut self.run else { return Ok(()) };
                if run.group.pending().is_some_and(|still| still.commit == pending.commit) {
                    run.group.discard().map_err(|error| error.to_string())?;
                    run.saved = false;
                }
                Ok(())
            }
        }
    }

    /// Takes the next `count` messages of the group, in order.
    pub fn read(&mut self, server: &Server, count: usize, checker: &mut Checker) -> Held {
        for _ in 0..count {
            let Some(run) = &mut self.run else { return Ok(()) };
            let Some(message) = server.message(run.group.group_id(), run.cursor) else { return Ok(()) };
            match run.group.process(&message, &run.lists) {
                // The list that it names is still on its way.
                Err(GroupError::Refused(_)) => return Ok(()),
                Ok(Processed::Epoch(_)) => checker.camera_in(&run.keys(), run.group.list())?,
                _ => {}
            }
            run.cursor += 1;
            run.saved = false;
        }
        Ok(())
    }

    /// Takes one message out of its place: late, early or again.
    pub fn read_at(&mut self, server: &Server, place: usize, checker: &mut Checker) -> Held {
        let Some(run) = &mut self.run else { return Ok(()) };
        let Some(message) = server.message(run.group.group_id(), place) else { return Ok(()) };
        let processed = run.group.process(&message, &run.lists);
        run.saved = false;
        match processed {
            Ok(Processed::Epoch(_)) => checker.camera_in(&run.keys(), run.group.list()),
            _ => Ok(()),
        }
    }

    /// Seals frames, with the newest keys from the first one on.
    pub fn seal(&mut self, count: usize, checker: &mut Checker) -> Held {
        if self.run.as_ref().is_some_and(|run| !run.saved) {
            self.save(checker)?;
        }
        let Some(run) = &mut self.run else { return Ok(()) };
        let keys = run.keys();
        if !self.faults.keeps_keys {
            run.sealer.rekey(&keys).map_err(|error| format!("the camera cannot seal: {error}"))?;
        }
        for _ in 0..count {
            let mut sframe = Vec::new();
            let sealed = run.sealer.seal(VIDEO, HEADER, b"", b"picture", &mut sframe).unwrap();
            checker.sealed(&keys, sealed, sframe)?;
        }
        Ok(())
    }

    fn begin(&mut self, lists: ListChain, mut group: CameraGroup, cursor: usize) -> Held {
        let mut session = group.next_session().map_err(|error| error.to_string())?;
        if self.faults.keeps_session {
            session = self.disk.session.unwrap_or(session);
        }
        let sealer = FrameSealer::new(&group.frame_keys().unwrap(), session);
        self.run = Some(Run { lists, group, cursor, saved: false, sealer });
        Ok(())
    }
}

impl Run {
    fn keys(&self) -> EpochKeys {
        self.group.frame_keys().expect("the camera is never removed from its group")
    }
}

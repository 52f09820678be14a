//! The camera as a process that can end at any moment: what it knows, what it has saved, and each single step.

use std::collections::BTreeMap;
use std::time::Duration;

use latchkey_api::device_list::ListChain;
use latchkey_api::id::DeviceId;
use latchkey_e2ee::checkpoint::{Carrier, CheckpointBuilder, CheckpointSigner};
use latchkey_e2ee::group::{CameraGroup, ClaimedPackage, GroupError, Processed};
use latchkey_e2ee::identity::DeviceIdentity;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::{Kid, SenderSession, VIDEO};
use latchkey_e2ee::note::Note;
use latchkey_e2ee::record::{EpochRecord, RecordChain};
use latchkey_e2ee::seal::FrameSealer;

use crate::checker::{Checker, HEADER, Held};
use crate::lists;
use crate::notes::{self, Reader};
use crate::server::{EpochTaken, Server};
use crate::step::Ends;
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
    /// Sends notes before it has saved them.
    pub notes_late: bool,
    /// Signs a second record of an epoch.
    pub forgets_records: bool,
    /// Does not sign every frame.
    pub skips_signing: bool,
}

#[derive(Default)]
struct Disk {
    lists: Vec<Vec<u8>>,
    group: Option<Vec<u8>>,
    cursor: usize,
    records: RecordChain,
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
    signed: CheckpointBuilder,
    /// How far each key id of an epoch got.
    last: BTreeMap<u64, BTreeMap<Kid, u64>>,
    records: RecordChain,
    /// The epoch whose record it has sent in this run.
    told: Option<u64>,
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
        self.disk.records = run.records.clone();
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
                run.can_read(self.identity.device(), checker);
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

    /// Signs the record of its epoch where it has none, and tells the members.
    pub fn tell_record(&mut self, server: &mut Server, ends: Ends, now: u64, checker: &mut Checker) -> Held {
        let forgets = self.faults.forgets_records;
        let Some(run) = &mut self.run else { return Ok(()) };
        let (group, epoch) = (run.group.group_id(), run.group.epoch());
        if run.records.head().is_some_and(|head| head.group() != group) {
            run.records = RecordChain::default();
        }
        if run.told == Some(epoch) {
            return Ok(());
        }
        if forgets || run.records.of_epoch(epoch).is_none() {
            let view = run.group.view().map_err(|error| error.to_string())?;
            let last = epoch.checked_sub(1).and_then(|before| run.last.get(&before)).cloned();
            let last = last.unwrap_or_default().into_iter().collect();
            let previous = if forgets { [9; 32] } else { run.records.head_hash() };
            if forgets {
                run.records = RecordChain::default();
            }
            let record = EpochRecord::sign(&self.identity, view, now, last, previous);
            let record = record.map_err(|error| error.to_string())?;
            run.records.take(record).map_err(|error| format!("record: of the camera's own: {error}"))?;
        }
        let Some(record) = run.records.of_epoch(epoch) else { return Ok(()) };
        let note = Note::Record(record.as_bytes().to_vec());
        run.told = Some(epoch);
        self.send_note(server, note, ends, checker)
    }

    /// Sends a note like any other.
    pub fn note(&mut self, server: &mut Server, ends: Ends, checker: &mut Checker) -> Held {
        let Some(run) = &mut self.run else { return Ok(()) };
        let note = notes::question(&run.lists, &run.records);
        self.send_note(server, note, ends, checker)
    }

    fn send_note(&mut self, server: &mut Server, note: Note, ends: Ends, checker: &mut Checker) -> Held {
        let Some(run) = &mut self.run else { return Ok(()) };
        let at = (run.group.group_id(), run.group.epoch());
        let message = match run.group.send_note(&note) {
            Ok(message) => message,
            Err(GroupError::CommitFirst) => {
                run.told = None;
                return Ok(());
            }
            Err(error) => return Err(format!("the camera cannot send a note: {error}")),
        };
        run.saved = false;
        if matches!(ends, Ends::BeforeSaving) && !self.faults.notes_late {
            self.crash();
            return Ok(());
        }
        if !self.faults.notes_late {
            self.save(checker)?;
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

    /// Takes the next `count` messages of the group, in order.
    pub fn read(&mut self, server: &Server, count: usize, checker: &mut Checker) -> Held {
        for _ in 0..count {
            let Some(run) = &mut self.run else { return Ok(()) };
            let Some(message) = server.message(run.group.group_id(), run.cursor) else { return Ok(()) };
            match run.group.process(&message, &run.lists) {
                // The list that it names is still on its way.
                Err(GroupError::Refused(_)) => return Ok(()),
                Err(error @ GroupError::UnreadableNote { .. }) => return Err(format!("note: {error}")),
                Ok(Processed::Epoch(_)) => {
                    checker.camera_in(&run.keys(), run.group.list())?;
                    run.can_read(self.identity.device(), checker);
                }
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
            Ok(Processed::Epoch(_)) => {
                run.can_read(self.identity.device(), checker);
                checker.camera_in(&run.keys(), run.group.list())
            }
            _ => Ok(()),
        }
    }

    /// Seals frames, with the newest keys from the first one on.
    pub fn seal(&mut self, count: usize, now: u64, checker: &mut Checker) -> Held {
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
            let captured_ms = clock_ms(now, checker);
            let key_frame = captured_ms.is_multiple_of(4 * FRAME_MS);
            let header = InnerHeader { captured_ms, key_frame, ..HEADER };
            let carrier = Carrier { track: VIDEO, key_frame, room: usize::MAX };
            let due = run.signed.due(Duration::from_millis(captured_ms), carrier);
            let sealed = run.sealer.seal_with(VIDEO, header, due, b"", b"picture", &mut sframe).unwrap();
            if !self.faults.skips_signing || sealed.ctr.is_multiple_of(2) {
                run.signed.note(sealed, captured_ms, &sframe).unwrap();
            }
            run.last.entry(keys.epoch()).or_default().insert(sealed.kid, sealed.ctr);
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
        let signer = CheckpointSigner::new(&self.identity).unwrap();
        let signed = CheckpointBuilder::new(&signer, group.group_id()).unwrap();
        let records = self.disk.records.clone();
        let last = BTreeMap::new();
        self.run =
            Some(Run { lists, group, cursor, saved: false, sealer, signed, last, records, told: None });
        Ok(())
    }
}

/// The time in milliseconds: each frame takes some.
pub fn clock_ms(now: u64, checker: &Checker) -> u64 {
    now * 1000 + checker.frames.len() as u64 * FRAME_MS
}

const FRAME_MS: u64 = 400;

impl Run {
    /// Tells the checker of this state, which has read nothing of its epoch.
    fn can_read(&self, device: DeviceId, checker: &mut Checker) {
        let state = self.group.save().to_vec();
        let reader = Reader { device, is_camera: true, state, lists: self.lists.clone() };
        checker.reader((self.group.group_id(), self.group.epoch()), reader);
    }

    fn keys(&self) -> EpochKeys {
        self.group.frame_keys().expect("the camera is never removed from its group")
    }
}

//! Notes that were sent, and whether everybody who was a member can read every one: a key used twice opens one of two.

use std::collections::BTreeMap;

use latchkey_api::device_list::ListChain;
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_e2ee::group::{CameraGroup, Member, Processed};
use latchkey_e2ee::note::{Note, Question};
use latchkey_e2ee::record::RecordChain;

use crate::checker::Held;

/// All notes of all epochs, and states that have read none of them.
#[derive(Default)]
pub struct Notes {
    sent: BTreeMap<(GroupId, u64), Vec<Sent>>,
    readers: BTreeMap<(GroupId, u64), Vec<Reader>>,
    count: u64,
}

struct Sent {
    from: DeviceId,
    note: Note,
    message: Vec<u8>,
}

/// A device's state as it was when it came into an epoch.
#[derive(Clone)]
pub struct Reader {
    pub device: DeviceId,
    pub is_camera: bool,
    pub state: Vec<u8>,
    pub lists: ListChain,
}

impl Notes {
    pub fn reader(&mut self, at: (GroupId, u64), reader: Reader) {
        let readers = self.readers.entry(at).or_default();
        // Two are enough: between them they read what each other sends.
        if readers.len() < 2 && !readers.iter().any(|known| known.device == reader.device) {
            readers.push(reader);
        }
    }

    pub fn sent(&mut self, at: (GroupId, u64), from: DeviceId, note: Note, message: Vec<u8>) {
        self.count += 1;
        self.sent.entry(at).or_default().push(Sent { from, note, message });
    }

    pub fn count(&self) -> usize {
        self.sent.values().map(Vec::len).sum()
    }

    /// Everybody reads all notes of others in the order in which they were sent; returns how many that were.
    pub fn try_everything(&self) -> Result<usize, String> {
        let mut read = 0;
        for (at, sent) in &self.sent {
            for reader in self.readers.get(at).into_iter().flatten() {
                read += reader.read(at.1, sent)?;
            }
        }
        Ok(read)
    }
}

impl Reader {
    fn read(&self, epoch: u64, sent: &[Sent]) -> Result<usize, String> {
        let foreign: Vec<_> = sent.iter().filter(|sent| sent.from != self.device).collect();
        if foreign.is_empty() {
            return Ok(0);
        }
        let mut camera = None;
        let mut member = None;
        if self.is_camera {
            camera = Some(CameraGroup::restore(&self.state, &self.lists).unwrap());
        } else {
            member = Some(Member::restore(&self.state, &self.lists).unwrap());
        }
        for Sent { from, note, message } in &foreign {
            let processed = match (&mut camera, &mut member) {
                (Some(camera), _) => camera.process(message, &self.lists),
                (_, Some(member)) => member.process(message, &self.lists),
                _ => continue,
            };
            if processed != Ok(Processed::Note { from: *from, note: note.clone() }) {
                return Err(format!("note: {from:?} used a key of epoch {epoch} twice: {processed:?}"));
            }
        }
        Ok(foreign.len())
    }
}

/// A note that no other one is equal to.
pub fn question(lists: &ListChain, records: &RecordChain) -> Note {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).unwrap();
    let list = lists.head().unwrap().version();
    Note::Question(Question { nonce, list, record_head: records.head_hash(), epochs: Vec::new() })
}

/// What a member of a camera's group makes of its record: it must be what its own group says.
pub fn check_record(
    record: &[u8],
    camera: &[u8; 32],
    own: &latchkey_e2ee::record::EpochView,
    chain: &mut RecordChain,
) -> Held {
    let record = latchkey_e2ee::record::EpochRecord::from_bytes(record)
        .map_err(|error| format!("record: an honest camera's is {error}"))?;
    record.verify(camera).map_err(|error| format!("record: {error}"))?;
    record.check(own).map_err(|error| format!("record: an honest run raised forked: {error}"))?;
    if chain.head().is_some_and(|head| head.group() != record.group()) {
        *chain = RecordChain::default();
    }
    chain.take(record).map_err(|error| format!("record: an honest run raised forked: {error}"))?;
    Ok(())
}

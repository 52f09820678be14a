//! What must hold whatever happens; each broken promise is a sentence.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use latchkey_api::device_list::{DeviceList, ListHash, Right};
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_e2ee::checkpoint::Verdicts;
use latchkey_e2ee::group::ListRef;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::{SenderSession, VIDEO};
use latchkey_e2ee::note::Note;
use latchkey_e2ee::open::FrameOpener;
use latchkey_e2ee::seal::{FrameSealer, Sealed};
use latchkey_wire::codec::Codec;

use crate::notes::{Notes, Reader};

pub const HEADER: InnerHeader = InnerHeader { captured_ms: 1, key_frame: true, codec: Codec::H264 };

/// Ok, or which promise was broken and how.
pub type Held = Result<(), String>;

/// Sees everything: all keys, all frames, all rosters.
#[derive(Default)]
pub struct Checker {
    /// A frame that the camera sealed in each epoch under a session that no camera uses: equal base keys, equal bytes.
    probes: BTreeMap<(GroupId, u64), Vec<u8>>,
    /// Every nonce used: base key, key id, counter.
    nonces: HashSet<(Vec<u8>, u64, u64)>,
    /// Whatever keys a device ever had. Nobody erases anything here.
    hoards: BTreeMap<DeviceId, Vec<Hoarded>>,
    pub frames: Vec<Frame>,
    lists: HashMap<ListHash, DeviceList>,
    notes: Notes,
    last_sealed: HashMap<GroupId, u64>,
    notes_read: usize,
    records: usize,
    signed: u64,
}

/// The keys of an epoch that somebody had.
type Hoarded = ((GroupId, u64), FrameOpener);

/// How much there was to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub epochs: usize,
    pub frames: usize,
    /// Notes that were sent, and how often a member read one of them at the end.
    pub notes: usize,
    pub notes_read: usize,
    /// Records that members checked.
    pub records: usize,
    /// Frames that viewers found the camera's signature for.
    pub signed: u64,
}

pub struct Frame {
    pub sframe: Vec<u8>,
    pub group: GroupId,
    epoch: u64,
    members: Vec<DeviceId>,
}

impl Checker {
    /// A list that an admin signed; whether anybody accepts it is another question.
    pub fn list_signed(&mut self, hash: ListHash, list: DeviceList) {
        self.lists.insert(hash, list);
    }

    /// The camera is in an epoch, for the first time or again after a restart.
    pub fn camera_in(&mut self, keys: &EpochKeys, rests_on: ListRef) -> Held {
        let at = (keys.group(), keys.epoch());
        let probe = probe(keys);
        if self.probes.entry(at).or_insert_with(|| probe.clone()) != &probe {
            return Err(format!("fork: the camera has two base keys in epoch {}", at.1));
        }
        self.roster(keys, rests_on)
    }

    /// A device other than the camera is in an epoch.
    pub fn member_in(&mut self, device: DeviceId, keys: EpochKeys, rests_on: ListRef) -> Held {
        self.roster(&keys, rests_on)?;
        let at = (keys.group(), keys.epoch());
        let mut opener = FrameOpener::new();
        opener.add_epoch(keys, Duration::ZERO);
        self.hoards.entry(device).or_default().push((at, opener));
        Ok(())
    }

    /// The camera sealed a frame while these were the members.
    pub fn sealed(&mut self, keys: &EpochKeys, sealed: Sealed, sframe: Vec<u8>) -> Held {
        let (group, epoch) = (keys.group(), keys.epoch());
        if !self.nonces.insert((probe(keys), sealed.kid.value(), sealed.ctr)) {
            return Err(format!(
                "nonce: {:?} counter {} was used twice in epoch {epoch}",
                sealed.kid, sealed.ctr
            ));
        }
        if u64::from(sealed.kid.epoch_bits()) != epoch % 256 {
            return Err(format!(
                "revocation: the camera is in epoch {epoch} and sealed under {:?}",
                sealed.kid
            ));
        }
        let last = self.last_sealed.entry(group).or_default();
        if epoch < *last {
            return Err(format!("revocation: the camera sealed in epoch {last} and then in {epoch}"));
        }
        *last = epoch;
        let members = keys.members().iter().map(|(_, device)| *device).collect();
        self.frames.push(Frame { sframe, group, epoch, members });
        Ok(())
    }

    /// A device is in an epoch and has seen no note of it: it will be asked at the end whether it can read all.
    pub fn reader(&mut self, at: (GroupId, u64), reader: Reader) {
        self.notes.reader(at, reader);
    }

    /// A note is on its way to all members.
    pub fn note_sent(&mut self, at: (GroupId, u64), from: DeviceId, note: Note, message: Vec<u8>) {
        self.notes.sent(at, from, note, message);
    }

    /// A member found a record to be what its own group says.
    pub fn record_checked(&mut self) {
        self.records += 1;
    }

    /// What a viewer's verifier says about frames of the camera, none of which anybody forged.
    pub fn judged(&mut self, verdicts: Verdicts) -> Held {
        self.signed += verdicts.signed;
        match verdicts.first_forged {
            Some(how) => Err(format!("checkpoint: an honest run raised forged frames: {how}")),
            None => Ok(()),
        }
    }

    /// At the end: everybody tries all keys it ever had on all frames and probes.
    pub fn try_everything(&mut self) -> Held {
        self.notes_read = self.notes.try_everything()?;
        let Self { hoards, frames, probes, .. } = self;
        let mut out = Vec::new();
        for (device, hoard) in hoards {
            for ((group, epoch), opener) in hoard {
                if let Some(probe) = probes.get(&(*group, *epoch))
                    && opener.open(probe, b"", &mut out).is_err()
                {
                    return Err(format!(
                        "fork: {device:?} has another base key than the camera in epoch {epoch}"
                    ));
                }
                for frame in &*frames {
                    let member = frame.members.contains(device);
                    let same = (frame.group, frame.epoch) == (*group, *epoch);
                    match opener.open(&frame.sframe, b"", &mut out) {
                        Ok(_) if !member => {
                            return Err(format!(
                                "revocation: {device:?} opened a frame of epoch {}, in which it was no member",
                                frame.epoch
                            ));
                        }
                        Err(error) if member && same => {
                            return Err(format!(
                                "convergence: {device:?} cannot open a frame of its epoch: {error}"
                            ));
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// How much there was to look at.
    pub fn seen(&self) -> Seen {
        Seen {
            epochs: self.probes.len(),
            frames: self.frames.len(),
            notes: self.notes.count(),
            notes_read: self.notes_read,
            records: self.records,
            signed: self.signed,
        }
    }

    fn roster(&self, keys: &EpochKeys, rests_on: ListRef) -> Held {
        let list = self
            .lists
            .get(&rests_on.list.hash)
            .ok_or("roster: the group rests on a list that nobody signed")?;
        let camera = keys.group().camera();
        for (leaf, device) in keys.members() {
            let is_camera = *leaf == 0 && *device == camera && list.generation(camera).is_some();
            if !is_camera && !list.may(*device, Right::See, camera, rests_on.time) {
                return Err(format!("roster: {device:?} is in epoch {} and not entitled", keys.epoch()));
            }
        }
        Ok(())
    }
}

/// The same bytes for the same base key: sealed under leaf 0 by whoever has the keys of the camera.
fn probe(keys: &EpochKeys) -> Vec<u8> {
    let mut sframe = Vec::new();
    FrameSealer::new(keys, SenderSession(0)).seal(VIDEO, HEADER, b"", b"probe", &mut sframe).unwrap();
    sframe
}

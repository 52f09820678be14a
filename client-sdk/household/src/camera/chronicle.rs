//! What the camera tells its group: a signed record of each epoch, answers to questions, and who is watching.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use latchkey_api::id::{DeviceId, GroupId};
use latchkey_e2ee::kid::Kid;
use latchkey_e2ee::note::{Answer, Question};
use latchkey_e2ee::record::{EpochRecord, EpochView, RecordChain, RecordError};
use web_time::Instant;
use zeroize::Zeroizing;

use crate::camera::access_log::AccessLog;
use crate::camera::counters::{EpochEnded, SharedCounters};
use crate::clock::{unix_millis, unix_seconds};
use crate::event::Event;
use crate::follower::{records_record, stored_records};
use crate::home::Home;
use crate::watchers::Watchers;

/// The camera's records, and what is still to be told.
pub(super) struct Chronicle {
    records: RecordChain,
    /// The epoch whose record the server has.
    sent: Option<u64>,
    /// Epochs that began and have no record yet, oldest first.
    waiting: VecDeque<Waiting>,
    /// Epochs that the media task says are over.
    ended: VecDeque<EpochEnded>,
    /// The newest question of each device that was not answered yet.
    questions: BTreeMap<DeviceId, Question>,
    watchers: Watchers,
    access: AccessLog,
}

/// An epoch that began, and until when its record waits for the last counters of the one before.
struct Waiting {
    view: EpochView,
    until: Instant,
}

impl Chronicle {
    /// Restores what the vault holds about `group`.
    pub(super) fn restore(home: &Home, group: GroupId) -> Self {
        let records = stored_records(home, home.device())
            .filter(|records| records.head().is_some_and(|head| head.group() == group));
        let sent = home.vault().record(SENT).and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        Self {
            sent: sent.filter(|_| records.is_some()),
            records: records.unwrap_or_default(),
            waiting: VecDeque::new(),
            ended: VecDeque::new(),
            questions: BTreeMap::new(),
            watchers: Watchers::default(),
            access: AccessLog::restore(home.vault().record(ACCESS)),
        }
    }

    /// Puts everything into the vault, which is still to be saved.
    pub(super) fn put(&self, home: &mut Home) {
        let camera = home.device();
        let vault = home.vault_mut();
        vault.put(&records_record(camera), Zeroizing::new(self.records.to_bytes()));
        vault.put(ACCESS, Zeroizing::new(self.access.to_bytes()));
        if let Some(sent) = self.sent {
            vault.put(SENT, Zeroizing::new(sent.to_be_bytes().to_vec()));
        }
    }

    /// An epoch began: its record is due as soon as the counters of the one before are known.
    pub(super) fn epoch_began(&mut self, view: EpochView) {
        self.waiting.push_back(Waiting { view, until: Instant::now() + COUNTERS_LIMIT });
    }

    /// The present epoch has no record although it should: a run before this one ended in between.
    pub(super) fn make_up_for(&mut self, view: EpochView) {
        let has = self.records.head().is_some_and(|head| head.epoch() >= view.epoch);
        if view.epoch > 0 && !has && self.waiting.is_empty() {
            self.waiting.push_back(Waiting { view, until: Instant::now() });
        }
    }

    /// The group was founded anew: its records begin anew.
    pub(super) fn begin_anew(&mut self) {
        self.records = RecordChain::default();
        self.sent = None;
        self.waiting.clear();
        self.questions.clear();
    }

    /// The media task says that an epoch is over.
    pub(super) fn epoch_ended(&mut self, ended: EpochEnded) {
        self.ended.push_back(ended);
        if self.ended.len() > ENDED_KEPT {
            self.ended.pop_front();
        }
    }

    /// When [`Self::sign_due`] has something to do without being told that an epoch ended.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.until)
    }

    /// Signs the records that are due, into the chain.
    pub(super) fn sign_due(&mut self, home: &Home, counters: &SharedCounters) -> Result<(), RecordError> {
        while let Some(waiting) = self.waiting.front() {
            let before = waiting.view.epoch.saturating_sub(1);
            let ended = self.ended.iter().find(|ended| ended.epoch == before).map(|ended| ended.last.clone());
            let last = match ended {
                Some(last) => last,
                None if Instant::now() < waiting.until => return Ok(()),
                None => last_of(counters, before),
            };
            let Some(Waiting { view, .. }) = self.waiting.pop_front() else { return Ok(()) };
            let record =
                EpochRecord::sign(home.identity(), view, unix_seconds(), last, self.records.head_hash())?;
            self.records.take(record)?;
        }
        Ok(())
    }

    /// The newest record, when the server does not have it yet and it is that of `epoch`.
    pub(super) fn unsent(&self, epoch: u64) -> Option<&EpochRecord> {
        self.records.head().filter(|head| head.epoch() == epoch && self.sent != Some(epoch))
    }

    /// The server has the record of `epoch`.
    pub(super) fn mark_sent(&mut self, epoch: u64) {
        self.sent = Some(epoch);
    }

    /// The camera's records.
    pub(super) fn records(&self) -> &RecordChain {
        &self.records
    }

    /// A device asks, and announces that it watches; returns whether that is news.
    pub(super) fn asked(&mut self, device: DeviceId, question: Question) -> bool {
        self.questions.insert(device, question);
        let news = self.watchers.came(device, Instant::now());
        if news {
            self.access.add(device, true, unix_seconds());
        }
        news
    }

    /// A device says goodbye; returns whether that is news.
    pub(super) fn left(&mut self, device: DeviceId) -> bool {
        self.questions.remove(&device);
        let news = self.watchers.left(device);
        if news {
            self.access.add(device, false, unix_seconds());
        }
        news
    }

    /// Forgets who was silent for too long; returns whether there was anybody.
    pub(super) fn forget_silent(&mut self) -> bool {
        let silent = self.watchers.forget_silent(Instant::now());
        for device in &silent {
            self.access.add(*device, false, unix_seconds());
        }
        !silent.is_empty()
    }

    /// When the next device that watches is to be forgotten.
    pub(super) fn next_silence(&self) -> Option<Instant> {
        self.watchers.next_silence()
    }

    /// Who is watching.
    pub(super) fn watching(&self, home: &Home) -> Event {
        self.watchers.event(home)
    }

    /// The answer to the next open question, as of this moment; nothing when all are answered.
    pub(super) fn next_answer(&self, home: &Home, counters: &SharedCounters) -> Option<(DeviceId, Answer)> {
        let (device, question) = self.questions.first_key_value()?;
        let list = home.chain().head()?.version();
        let answer = Answer {
            nonce: question.nonce,
            camera_ms: unix_millis(),
            counters: counters.now(),
            list,
            record_head: self.records.head_hash(),
            access_head: self.access.head(),
            watching: self.watchers.devices(),
        };
        Some((*device, answer))
    }

    /// A question was answered.
    pub(super) fn answered(&mut self, device: DeviceId) {
        self.questions.remove(&device);
    }
}

/// The last counters of an epoch that nobody said was over: no frame has come since.
fn last_of(counters: &SharedCounters, epoch: u64) -> Vec<(Kid, u64)> {
    if counters.epoch() != Some(epoch) {
        return Vec::new();
    }
    counters.now().into_iter().filter_map(|(kid, next)| Some((kid, next.checked_sub(1)?))).collect()
}

/// How long a record waits for the first frame of its epoch.
const COUNTERS_LIMIT: Duration = Duration::from_secs(1);
/// Epochs that are over and remembered.
const ENDED_KEPT: usize = 16;
/// Record of the epoch whose record the server has.
const SENT: &str = "camera/record-sent";
/// Record of who watched and when.
const ACCESS: &str = "camera/access-log";

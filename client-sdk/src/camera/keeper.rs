//! Keeps the camera's state and its group equal to the household's list, and tells the group what it has to know.
//!
//! Whatever changes the group is saved before it is sent. A commit that the server has accepted re-keys the
//! very next frame; then the epoch that ended gets its signed record.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use latchkey_api::device_list::Role;
use latchkey_api::encoding::ByteString;
use latchkey_api::event::Event as ServerEvent;
use latchkey_api::group::{PostCommit, WelcomeFor};
use latchkey_api::id::DeviceId;
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::gossip::{Difference, Known};
use latchkey_e2ee::group::{
    CameraGroup, ClaimedPackage, CommitTime, EpochChange, GroupError, PendingCommit, Processed, Refusal,
};
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::SenderSession;
use latchkey_e2ee::note::{Note, Question};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::alarm::{Alarm, name_of};
use crate::camera::chronicle::Chronicle;
use crate::camera::counters::{EpochEnded, Sealing};
use crate::camera::group_clock::GroupClock;
use crate::camera::hold::Hold;
use crate::camera::rejoins::Rejoins;
use crate::event::{Event, Teller};
use crate::follower::{self, FollowError, Followed};
use crate::home::{Home, HomeError};
use crate::signaling::{SignalUpdate, Signaling, unix_seconds};
use crate::story::Step;

/// What frames are sealed with.
pub(super) struct SenderKeys {
    pub(super) keys: EpochKeys,
    pub(super) session: SenderSession,
}

/// What woke the keeper.
enum Wake {
    Server(SignalUpdate),
    Look,
    /// The media task has begun to seal in the next epoch.
    Ended(EpochEnded),
    /// A record has waited long enough.
    Due,
    /// Somebody who was watching was not heard of for long.
    Silence,
}

/// The camera's state.
pub(super) struct Keeper {
    home: Home,
    signaling: Signaling,
    group: CameraGroup,
    /// Place of the last message that was taken.
    seq: u64,
    /// The place that the server was told, so that it need not keep what all have read.
    told: u64,
    session: Option<SenderSession>,
    keys: watch::Sender<Option<Arc<SenderKeys>>>,
    /// Whether the media task may seal with them now.
    hold: watch::Sender<Hold>,
    /// What the media task seals with, and the epochs that are over there.
    sealing: Sealing,
    teller: Arc<Teller>,
    chronicle: Chronicle,
    rejoins: Rejoins,
    clock: GroupClock,
    /// When to look again: a device without key package, a server that did not answer, a daily renewal.
    look_again: Instant,
    /// The server said that this camera is removed.
    told_removed: bool,
    pause: Duration,
}

impl Keeper {
    /// Restores the camera's group, or founds it where there is none for this generation.
    pub(super) fn new(
        home: Home,
        signaling: Signaling,
        teller: Arc<Teller>,
        keys: watch::Sender<Option<Arc<SenderKeys>>>,
        hold: watch::Sender<Hold>,
        sealing: Sealing,
    ) -> Result<Self, super::CameraError> {
        let stored = home.vault().record(GROUP).map(|bytes| CameraGroup::restore(bytes, home.chain()));
        let generation = home.list()?.generation(home.device());
        let kept = stored.transpose()?.filter(|group| Some(group.group_id().generation()) == generation);
        let dated = home.list()?.issued_at;
        let vouched = kept.as_ref().map_or(dated, |group| group.list().time.max(dated));
        let now = std::time::Instant::now();
        let clock = GroupClock::begin(vouched, SystemTime::now(), now);
        let (group, seq) = match kept {
            Some(group) => (group, stored_seq(&home)),
            None => {
                let now = clock.read(SystemTime::now(), now).time.group;
                (CameraGroup::found(home.identity(), home.chain(), now)?, 0)
            }
        };
        let mut chronicle = Chronicle::restore(&home, group.group_id());
        chronicle.make_up_for(group.view()?);
        let rejoins = Rejoins::restore(home.vault().record(REJOINS));
        Ok(Self {
            home,
            signaling,
            group,
            chronicle,
            rejoins,
            clock,
            seq,
            told: 0,
            session: None,
            keys,
            hold,
            sealing,
            teller,
            look_again: Instant::now() + LONGEST_PAUSE,
            told_removed: false,
            pause: SHORTEST_PAUSE,
        })
    }

    /// Draws the session of this run, saves it, and gives out the keys.
    pub(super) fn begin_session(&mut self) -> Result<(), super::CameraError> {
        match self.group.next_session() {
            Ok(session) => self.session = Some(session),
            // A new epoch will have room; frames wait for it.
            Err(GroupError::SessionsExhausted) => {}
            Err(error) => return Err(error.into()),
        }
        self.save()?;
        self.give_keys()?;
        Ok(())
    }

    /// Follows list and group until stopped; returns why when the camera is over.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Option<String> {
        let mut events = self.signaling.events();
        loop {
            let due = self.chronicle.next_due().map_or_else(|| Instant::now() + ROUTINE, Instant::from_std);
            let silence =
                self.chronicle.next_silence().map_or_else(|| Instant::now() + ROUTINE, Instant::from_std);
            let wake = tokio::select! {
                update = events.next() => Wake::Server(update?),
                () = sleep_until(self.look_again) => Wake::Look,
                Some(ended) = self.sealing.ended.recv() => Wake::Ended(ended),
                () = sleep_until(due) => Wake::Due,
                () = sleep_until(silence) => Wake::Silence,
                () = stop.cancelled() => return None,
            };
            let worked = tokio::select! {
                worked = self.react(wake) => worked,
                () = stop.cancelled() => return None,
            };
            let shut_out = worked.as_ref().is_err_and(|error| self.told_removed && error.is_shut_out());
            if shut_out {
                return Some("the server says that this camera was removed from its household".to_owned());
            }
            if let Err(error) = worked {
                self.teller.note(format!("the group could not be brought up to date yet: {error}"));
                // What could not be told is told then.
                self.look_again = self.look_again.min(Instant::now() + LONGEST_PAUSE);
            }
            match self.home.role() {
                Ok(Role::Camera) => {}
                _ => return Some("this camera was removed from its household".to_owned()),
            }
        }
    }

    /// Acts on what the server said, or on the time having come to look again.
    async fn react(&mut self, wake: Wake) -> Result<(), FollowError> {
        let hint = match wake {
            Wake::Look | Wake::Server(SignalUpdate::Connected) => return self.catch_up().await,
            Wake::Server(SignalUpdate::Disconnected(error)) => {
                self.teller.trying(Step::Signalling, &error.to_string());
                return Ok(());
            }
            Wake::Ended(ended) => {
                self.chronicle.epoch_ended(ended);
                return self.tell_group().await;
            }
            Wake::Due => return self.tell_group().await,
            Wake::Silence => {
                if self.chronicle.forget_silent() {
                    self.watchers_changed()?;
                }
                return Ok(());
            }
            Wake::Server(SignalUpdate::Event(hint)) => hint,
        };
        match hint {
            ServerEvent::List { .. } => self.catch_up().await,
            ServerEvent::Removed => {
                self.told_removed = true;
                self.catch_up().await?;
                // Still signed in: it is about another's rights.
                self.told_removed = false;
                Ok(())
            }
            ServerEvent::Message { group, seq } if group == self.group.group_id() && seq > self.seq => {
                // Questions are answered at once; whatever else came has its turn then.
                let changed = self.read_messages().await?;
                self.tell_group().await?;
                if changed { self.catch_up().await } else { Ok(()) }
            }
            ServerEvent::Rejoin { group, device, request } if group == self.group.group_id() => {
                // The list that names it may have come just now.
                self.refresh().await?;
                let lists = self.home.chain();
                if !self.rejoins.take(lists, group, device, request, std::time::Instant::now()) {
                    return Ok(());
                }
                self.save()?;
                let who = name_of(&self.home, device);
                self.teller.note(format!("{who} could not get into the group and asked to be put in anew"));
                self.catch_up().await
            }
            _ => Ok(()),
        }
    }

    /// Reads lists and messages, then makes the group equal to the list.
    async fn catch_up(&mut self) -> Result<(), FollowError> {
        // Should anything fail on the way, it is looked at again soon.
        self.look_again_soon();
        self.refresh().await?;
        self.teller.done(Step::Signalling);
        let generation = self.home.list()?.generation(self.home.device());
        if generation.is_none() {
            return Ok(());
        }
        if generation != Some(self.group.group_id().generation()) {
            self.found_anew()?;
        }
        self.read_messages().await?;
        let complete = self.sync().await;
        if let Err(FollowError::Group(GroupError::Refused(refusal))) = &complete
            && *refusal != Refusal::GroupClosed
        {
            self.teller.alarm(Alarm::GroupRuleBroken { what: "commit", refusal: *refusal });
        }
        let complete = complete?;
        self.tell_group().await?;
        if self.told != self.seq && self.signaling.post_cursor(self.group.group_id(), self.seq).await.is_ok()
        {
            self.told = self.seq;
        }
        if complete {
            self.pause = SHORTEST_PAUSE;
            self.look_again = Instant::now() + self.next_look();
        }
        Ok(())
    }

    /// Reads new lists; what the server shows and ought not to is an alarm. Returns whether there were any.
    async fn refresh(&mut self) -> Result<bool, FollowError> {
        let mut found = Vec::new();
        let news = follower::refresh(&mut self.home, &self.signaling, &mut found).await?;
        for found in found {
            if let Followed::Alarm(alarm) = found {
                self.teller.alarm(alarm);
            }
        }
        // A new list may end a stay earlier.
        self.tell_end();
        for notice in self.home.take_news() {
            self.teller.tell(Event::Notice(notice));
        }
        let ahead = self.home.list()?.issued_at.saturating_sub(unix_seconds());
        if ahead > CLOCK_TOLERANCE {
            let seconds = i64::try_from(ahead).map_or(i64::MIN, |ahead| -ahead);
            let than = "that of the newest device list".to_owned();
            self.teller.alarm(Alarm::ClockWrong { seconds, than });
        }
        Ok(news)
    }

    /// How long nothing has to be looked at by itself: until a guest's stay ends, or keys want renewal.
    fn next_look(&self) -> Duration {
        let end = self.group.next_end(self.home.chain());
        let left = end.map(|end| Duration::from_secs(end.saturating_sub(unix_seconds()).max(1)));
        left.map_or(ROUTINE, |left| left.min(ROUTINE))
    }

    /// The time to commit at. A clock that ran ahead by more than a day is an alarm, and the group does not follow it.
    fn commit_time(&mut self) -> Result<CommitTime, FollowError> {
        let now = std::time::Instant::now();
        self.clock.vouch(self.home.list()?.issued_at, now);
        let reading = self.clock.read(SystemTime::now(), now);
        if let Some(seconds) = reading.ahead.filter(|_| reading.jumped) {
            let than = "the last change of its group and the time since then".to_owned();
            self.teller.alarm(Alarm::ClockWrong { seconds, than });
        }
        Ok(reading.time)
    }

    fn found_anew(&mut self) -> Result<(), FollowError> {
        let now = self.commit_time()?.group;
        self.group = CameraGroup::found(self.home.identity(), self.home.chain(), now)?;
        self.chronicle.begin_anew();
        (self.seq, self.told) = (0, 0);
        self.session = Some(self.group.next_session()?);
        self.save()?;
        self.give_keys()
    }

    /// Tells the group what it has to know: the record of the present epoch, and answers to questions.
    async fn tell_group(&mut self) -> Result<(), FollowError> {
        if let Err(error) = self.chronicle.sign_due(&self.home, &self.sealing.counters) {
            self.teller.note(format!("an epoch got no record: {error}"));
        }
        let epoch = self.group.epoch();
        if let Some(record) = self.chronicle.unsent(epoch) {
            let list = record.list().version;
            let note = Note::Record(record.as_bytes().to_vec());
            if !self.send(&note).await? {
                return Ok(());
            }
            self.chronicle.mark_sent(epoch);
            self.save()?;
            self.teller.tell(Event::EpochRecord { epoch, list });
        }
        while let Some((device, answer)) = self.chronicle.next_answer(&self.home, &self.sealing.counters) {
            if !self.send(&Note::Answer(answer)).await? {
                return Ok(());
            }
            self.chronicle.answered(device);
        }
        Ok(())
    }

    /// Seals a note, saves, and posts it. Returns false when a commit has to be made first.
    async fn send(&mut self, note: &Note) -> Result<bool, FollowError> {
        let message = match self.group.send_note(note) {
            Err(GroupError::CommitFirst) => return Ok(false),
            sealed => sealed?,
        };
        self.save()?;
        self.signaling.post_message(self.group.group_id(), message).await?;
        Ok(true)
    }

    /// Takes the messages of the group. Returns whether anything is to be done about them beside answering.
    async fn read_messages(&mut self) -> Result<bool, FollowError> {
        let messages = match self.signaling.messages_after(self.group.group_id(), self.seq).await {
            Ok(messages) => messages,
            // No commit was ever posted: there is nothing to read.
            Err(error) if error.code() == Some(ProblemCode::NotFound) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let mut changed = false;
        let any = !messages.is_empty();
        for message in messages {
            let bytes = message.message.as_slice();
            let mut processed = self.group.process(bytes, self.home.chain());
            if let Err(GroupError::Refused(Refusal::UnknownList { version })) = processed {
                // An admin's list and removal came between reading lists and reading messages, or a list is withheld.
                changed |= self.refresh().await?;
                processed = self.group.process(bytes, self.home.chain());
                if let Err(GroupError::Refused(Refusal::UnknownList { .. })) = processed {
                    // Nothing after it can be judged before that list is there: this is its place.
                    let shown = self.home.list()?.version;
                    let by = "a commit of the group".to_owned();
                    self.teller.alarm(Alarm::ListWithheld { named: version, shown, by });
                    self.look_again = self.look_again.min(Instant::now() + LONGEST_PAUSE);
                    break;
                }
            }
            self.seq = message.seq;
            match processed {
                Ok(Processed::Epoch(change)) => {
                    changed = true;
                    self.epoch_began(&change)?;
                }
                Ok(Processed::Proposal) => changed = true,
                Ok(Processed::Note { from, note }) => changed |= self.take_note(from, note).await?,
                Ok(_) => {}
                // What breaks a rule, or cannot be read, is passed over; the group is as it was.
                Err(error) => {
                    let (epoch, camera) = (self.group.epoch(), name_of(&self.home, self.home.device()));
                    match follower::explain(&message, &error, epoch, &camera, false) {
                        Some(alarm) => self.teller.alarm(alarm),
                        None => self.teller.note(format!("a message of the group was refused: {error}")),
                    }
                }
            }
        }
        if any {
            self.save()?;
        }
        Ok(changed)
    }

    /// Takes what a member tells. Returns whether there are new lists.
    async fn take_note(&mut self, from: DeviceId, note: Note) -> Result<bool, FollowError> {
        let (mut lists, mut watchers) = (false, false);
        match note {
            Note::Question(question) => {
                let differences = self.compare(&question)?;
                if differences.iter().any(|found| matches!(found, Difference::ListAhead { .. })) {
                    lists = self.refresh().await?;
                }
                for difference in differences {
                    if let Some(alarm) = follower::alarm_of(&self.home, difference, from) {
                        self.teller.alarm(alarm);
                    }
                }
                watchers = self.chronicle.asked(from, question);
            }
            Note::Goodbye => watchers = self.chronicle.left(from),
            Note::Record(_) | Note::Answer(_) => {
                let who = name_of(&self.home, from);
                self.teller
                    .note(format!("{who} sent a note that only the camera may send; it was left alone"));
            }
            _ => {}
        }
        if watchers {
            self.watchers_changed()?;
        }
        Ok(lists)
    }

    /// Holds what a member names against what the camera knows.
    fn compare(&self, question: &Question) -> Result<Vec<Difference>, GroupError> {
        let view = self.group.view()?;
        let views = std::slice::from_ref(&view);
        let known = Known { lists: self.home.chain(), views, records: self.chronicle.records() };
        Ok(known.compare_question(question))
    }

    fn watchers_changed(&mut self) -> Result<(), FollowError> {
        self.teller.tell(self.chronicle.watching(&self.home));
        self.save()?;
        Ok(())
    }

    /// Commits until the group equals the list. Returns whether every entitled device is in it.
    async fn sync(&mut self) -> Result<bool, FollowError> {
        for _ in 0..ATTEMPTS {
            if let Some(pending) = self.group.pending().cloned() {
                self.post(&pending).await?;
                continue;
            }
            let now = self.commit_time()?;
            let (claimed, all_there) = self.claim(now).await;
            let synced = self.group.sync(self.home.chain(), &claimed, now)?;
            for refused in &synced.refused {
                let device = name_of(&self.home, refused.device);
                self.teller.alarm(Alarm::WrongKeyPackage { device, why: refused.error.to_string() });
            }
            // Before the commit is sent.
            self.save()?;
            if synced.commit.is_none() && self.session.is_some() {
                return Ok(all_there);
            }
            if synced.commit.is_none() {
                self.group.renew(self.home.chain(), now)?;
                self.save()?;
            }
        }
        Ok(false)
    }

    /// Takes a key package of every device that is missing; says whether all had one.
    /// A server that gives none keeps nobody in: removals go on.
    async fn claim(&mut self, now: CommitTime) -> (Vec<ClaimedPackage>, bool) {
        let mut claimed = self.rejoins.packages();
        let mut all_there = true;
        for device in self.group.missing(self.home.chain(), now) {
            if claimed.iter().any(|package| package.device == device) {
                continue;
            }
            match self.signaling.claim_key_package(device).await {
                Ok(key_package) => claimed.push(ClaimedPackage { device, key_package }),
                Err(error) => {
                    all_there = false;
                    if error.code() != Some(ProblemCode::NoKeyPackage) {
                        let who = name_of(&self.home, device);
                        self.teller.note(format!("no key of {who} could be had to let it in: {error}"));
                    }
                    if error.code().is_none() {
                        // Nobody answers: the others would only take as long.
                        break;
                    }
                }
            }
        }
        (claimed, all_there)
    }

    /// Sends a commit. From here until the answer no frame is sealed: none of the epoch that ends may follow the commit that
    /// ended it.
    async fn post(&mut self, pending: &PendingCommit) -> Result<(), FollowError> {
        self.hold.send_modify(|hold| hold.changing = true);
        let posted = self.post_and_take(pending).await;
        self.hold.send_modify(|hold| hold.changing = false);
        posted
    }

    async fn post_and_take(&mut self, pending: &PendingCommit) -> Result<(), FollowError> {
        let group = self.group.group_id();
        match self.signaling.post_commit(group, &commit_of(pending)).await {
            Ok(seq) => {
                let change = self.group.confirm()?;
                // Messages in between, if any, are still to be read.
                if seq == self.seq + 1 {
                    self.seq = seq;
                }
                self.epoch_began(&change)
            }
            Err(error)
                if matches!(error.code(), Some(ProblemCode::EpochTaken | ProblemCode::EpochNotCurrent)) =>
            {
                // Perhaps by this very commit, sent before a crash: then reading confirms it.
                self.read_messages().await?;
                if self.group.pending().is_some_and(|still| still.commit == pending.commit) {
                    self.group.discard()?;
                    self.save()?;
                    return Err(FollowError::Home(error.into()));
                }
                Ok(())
            }
            Err(error) if error.is_passing() => Err(error.into()),
            Err(error) => {
                self.group.discard()?;
                self.save()?;
                Err(error.into())
            }
        }
    }

    fn epoch_began(&mut self, change: &EpochChange) -> Result<(), FollowError> {
        if self.session.is_none() {
            self.session = Some(self.group.next_session()?);
        }
        self.save()?;
        self.give_keys()?;
        self.chronicle.epoch_began(self.group.view()?);
        self.teller.tell(Event::NewEpoch { epoch: change.epoch, members: self.group.members().len() });
        Ok(())
    }

    /// Tells the media task until when the present epoch is good.
    fn tell_end(&self) {
        let end = self.group.next_end(self.home.chain());
        self.hold.send_if_modified(|hold| std::mem::replace(&mut hold.end, end) != end);
    }

    fn give_keys(&self) -> Result<(), FollowError> {
        self.tell_end();
        if let Some(session) = self.session {
            let keys = self.group.frame_keys()?;
            self.keys.send_replace(Some(Arc::new(SenderKeys { keys, session })));
            self.teller.done(Step::KeyKnown);
        }
        Ok(())
    }

    fn save(&mut self) -> Result<(), HomeError> {
        let group = self.group.save();
        self.chronicle.put(&mut self.home);
        let rejoins = Zeroizing::new(self.rejoins.to_bytes());
        let vault = self.home.vault_mut();
        vault.put(REJOINS, rejoins);
        vault.put(GROUP, group);
        vault.put(SEQ, Zeroizing::new(self.seq.to_be_bytes().to_vec()));
        Ok(vault.save()?)
    }

    fn look_again_soon(&mut self) {
        self.look_again = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

impl From<FollowError> for super::CameraError {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Home(home) => Self::Home(home),
            FollowError::Group(group) => Self::Group(group),
        }
    }
}

fn commit_of(pending: &PendingCommit) -> PostCommit {
    let welcomes = pending
        .welcomes
        .iter()
        .map(|to| WelcomeFor { device: to.device, welcome: ByteString(to.welcome.clone()) })
        .collect();
    PostCommit { epoch: pending.epoch, commit: ByteString(pending.commit.clone()), welcomes, list: None }
}

fn stored_seq(home: &Home) -> u64 {
    let stored = home.vault().record(SEQ).and_then(|bytes| bytes.try_into().ok());
    stored.map_or(0, u64::from_be_bytes)
}

/// Record of the group's state.
const GROUP: &str = "camera/group";
/// Record of the last message's place.
const SEQ: &str = "camera/seq";
/// Record of the last request of each device to be put in anew.
const REJOINS: &str = "camera/rejoins";
/// Commits in one go before something else gets its turn.
const ATTEMPTS: usize = 4;
/// First and longest wait until a device without key package, or a silent server, is looked at again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often everything is looked at without being told: lifetimes end, keys want renewal.
const ROUTINE: Duration = Duration::from_secs(15 * 60);
/// Seconds that this device's clock may be behind the newest list.
const CLOCK_TOLERANCE: u64 = 300;

//! Keeps the camera's state and its group equal to the household's list.
//!
//! Whatever changes the group is saved before it is sent. A commit that the server has accepted re-keys the
//! very next frame.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use latchkey_api::device_list::Role;
use latchkey_api::encoding::ByteString;
use latchkey_api::event::Event as ServerEvent;
use latchkey_api::group::{PostCommit, WelcomeFor};
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::group::{
    CameraGroup, ClaimedPackage, EpochChange, GroupError, PendingCommit, Processed, Refusal,
};
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::SenderSession;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::alarm::{Alarm, name_of};
use crate::camera::counters::Sealing;
use crate::event::{Event, Teller};
use crate::home::{Home, HomeError};
use crate::signaling::{SignalUpdate, Signaling, SignalingError};
use crate::story::Step;

/// What frames are sealed with.
pub(super) struct SenderKeys {
    pub(super) keys: EpochKeys,
    pub(super) session: SenderSession,
}

/// The camera's state.
pub(super) struct Keeper {
    home: Home,
    signaling: Signaling,
    group: CameraGroup,
    /// Place of the last message that was taken.
    seq: u64,
    session: Option<SenderSession>,
    keys: watch::Sender<Option<Arc<SenderKeys>>>,
    /// What the media task seals with, and the epochs that are over there.
    sealing: Sealing,
    teller: Arc<Teller>,
    /// When to look again: a device without key package, a server that did not answer, a daily renewal.
    look_again: Instant,
    pause: Duration,
}

/// Why following the group stopped for now.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Group(#[from] GroupError),
}

impl From<SignalingError> for KeepError {
    fn from(error: SignalingError) -> Self {
        Self::Home(error.into())
    }
}

impl Keeper {
    /// Restores the camera's group, or founds it where there is none for this generation.
    pub(super) fn new(
        home: Home,
        signaling: Signaling,
        teller: Arc<Teller>,
        keys: watch::Sender<Option<Arc<SenderKeys>>>,
        sealing: Sealing,
    ) -> Result<Self, super::CameraError> {
        let stored = home.vault().record(GROUP).map(|bytes| CameraGroup::restore(bytes, home.chain()));
        let generation = home.list()?.generation(home.device());
        let kept = stored.transpose()?.filter(|group| Some(group.group_id().generation()) == generation);
        let (group, seq) = match kept {
            Some(group) => (group, stored_seq(&home)),
            None => (CameraGroup::found(home.identity(), home.chain(), SystemTime::now())?, 0),
        };
        Ok(Self {
            home,
            signaling,
            group,
            seq,
            session: None,
            keys,
            sealing,
            teller,
            look_again: Instant::now() + LONGEST_PAUSE,
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
            let update = tokio::select! {
                update = events.next() => Some(update?),
                () = sleep_until(self.look_again) => None,
                () = stop.cancelled() => return None,
            };
            let worked = tokio::select! {
                worked = self.react(update) => worked,
                () = stop.cancelled() => return None,
            };
            if let Err(error) = worked {
                self.report(&error);
            }
            match self.home.role() {
                Ok(Role::Camera) => {}
                _ => return Some("this camera was removed from its household".to_owned()),
            }
        }
    }

    /// Acts on what the server said, or on the time having come to look again.
    async fn react(&mut self, update: Option<SignalUpdate>) -> Result<(), KeepError> {
        let hint = match update {
            None | Some(SignalUpdate::Connected) => return self.catch_up().await,
            Some(SignalUpdate::Disconnected(error)) => {
                self.teller.trying(Step::Signalling, &error.to_string());
                return Ok(());
            }
            Some(SignalUpdate::Event(hint)) => hint,
        };
        match hint {
            ServerEvent::List { .. } | ServerEvent::Removed => self.catch_up().await,
            ServerEvent::Message { group, .. } if group == self.group.group_id() => self.catch_up().await,
            _ => Ok(()),
        }
    }

    /// Reads lists and messages, then makes the group equal to the list.
    async fn catch_up(&mut self) -> Result<(), KeepError> {
        // Should anything fail on the way, it is looked at again soon.
        self.look_again_soon();
        self.home.refresh(&self.signaling).await?;
        self.teller.done(Step::Signalling);
        let generation = self.home.list()?.generation(self.home.device());
        if generation.is_none() {
            return Ok(());
        }
        if generation != Some(self.group.group_id().generation()) {
            self.found_anew()?;
        }
        self.read_messages().await?;
        let complete = self.sync().await?;
        if complete {
            self.pause = SHORTEST_PAUSE;
            self.look_again = Instant::now() + ROUTINE;
        }
        Ok(())
    }

    fn found_anew(&mut self) -> Result<(), KeepError> {
        self.group = CameraGroup::found(self.home.identity(), self.home.chain(), SystemTime::now())?;
        self.seq = 0;
        self.session = Some(self.group.next_session()?);
        self.save()?;
        self.give_keys()
    }

    async fn read_messages(&mut self) -> Result<(), KeepError> {
        let messages = match self.signaling.messages_after(self.group.group_id(), self.seq).await {
            Ok(messages) => messages,
            // No commit was ever posted: there is nothing to read.
            Err(error) if error.code() == Some(ProblemCode::NotFound) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for message in messages {
            match self.group.process(message.message.as_slice(), self.home.chain()) {
                Ok(Processed::Epoch(change)) => self.epoch_began(&change)?,
                Ok(_) => {}
                // What breaks a rule, or cannot be read, is skipped; the group is as it was.
                Err(error) => self.teller.note(format!("a message of the group was refused: {error}")),
            }
            self.seq = message.seq;
            self.save()?;
        }
        Ok(())
    }

    /// Commits until the group equals the list. Returns whether every entitled device is in it.
    async fn sync(&mut self) -> Result<bool, KeepError> {
        for _ in 0..ATTEMPTS {
            if let Some(pending) = self.group.pending().cloned() {
                self.post(&pending).await?;
                continue;
            }
            let now = SystemTime::now();
            let (claimed, all_there) = self.claim(now).await?;
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
    async fn claim(&self, now: SystemTime) -> Result<(Vec<ClaimedPackage>, bool), KeepError> {
        let mut claimed = Vec::new();
        let mut all_there = true;
        for device in self.group.missing(self.home.chain(), now) {
            match self.signaling.claim_key_package(device).await {
                Ok(key_package) => claimed.push(ClaimedPackage { device, key_package }),
                Err(error) if error.code() == Some(ProblemCode::NoKeyPackage) => all_there = false,
                Err(error) => return Err(error.into()),
            }
        }
        Ok((claimed, all_there))
    }

    async fn post(&mut self, pending: &PendingCommit) -> Result<(), KeepError> {
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
                    return Err(KeepError::Home(error.into()));
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

    fn epoch_began(&mut self, change: &EpochChange) -> Result<(), KeepError> {
        if self.session.is_none() {
            self.session = Some(self.group.next_session()?);
        }
        self.save()?;
        self.give_keys()?;
        self.teller.tell(Event::NewEpoch { epoch: change.epoch, members: self.group.members().len() });
        Ok(())
    }

    fn give_keys(&self) -> Result<(), KeepError> {
        if let Some(session) = self.session {
            let keys = self.group.frame_keys()?;
            self.keys.send_replace(Some(Arc::new(SenderKeys { keys, session })));
            self.teller.done(Step::KeyKnown);
        }
        Ok(())
    }

    fn save(&mut self) -> Result<(), HomeError> {
        let group = self.group.save();
        let vault = self.home.vault_mut();
        vault.put(GROUP, group);
        vault.put(SEQ, Zeroizing::new(self.seq.to_be_bytes().to_vec()));
        Ok(vault.save()?)
    }

    fn look_again_soon(&mut self) {
        self.look_again = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    fn report(&self, error: &KeepError) {
        match error {
            KeepError::Home(HomeError::List(error)) => self.teller.alarm(Alarm::of_lists(&self.home, error)),
            KeepError::Group(GroupError::Refused(refusal)) if *refusal != Refusal::GroupClosed => {
                self.teller.alarm(Alarm::GroupRuleBroken { what: "commit", refusal: *refusal });
            }
            error => self.teller.note(format!("the group could not be brought up to date yet: {error}")),
        }
    }
}

impl From<KeepError> for super::CameraError {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Home(home) => Self::Home(home),
            KeepError::Group(group) => Self::Group(group),
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
/// Commits in one go before something else gets its turn.
const ATTEMPTS: usize = 4;
/// First and longest wait until a device without key package, or a silent server, is looked at again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often everything is looked at without being told: lifetimes end, keys want renewal.
const ROUTINE: Duration = Duration::from_secs(15 * 60);

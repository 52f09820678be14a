//! Keeps the camera's state and its group equal to the household's list, and tells the group what it has to know.
//!
//! Whatever changes the group is saved before it is sent. A commit that the server has accepted re-keys the
//! very next frame; then the epoch that ended gets its signed record.

mod commits;
mod notes;

use std::sync::Arc;
use std::time::Duration;

use latchkey_api::device_list::Role;
use latchkey_api::event::Event as ServerEvent;
use latchkey_e2ee::group::{CameraGroup, CommitTime, GroupError, Refusal};
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::kid::SenderSession;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use web_time::Instant;
use zeroize::Zeroizing;

use crate::alarm::{Alarm, name_of};
use crate::camera::chronicle::Chronicle;
use crate::camera::counters::{EpochEnded, Sealing};
use crate::camera::group_clock::GroupClock;
use crate::camera::hold::Hold;
use crate::camera::rejoins::Rejoins;
use crate::clock::{self, sleep_until, unix_seconds};
use crate::event::{Event, Teller};
use crate::follower::{self, FollowError, Followed};
use crate::home::{Home, HomeError, SharedHome};
use crate::signaling::{SignalUpdate, Signaling};
use crate::story::Step;

/// What frames are sealed with.
pub struct SenderKeys {
    /// Of the epoch.
    pub keys: EpochKeys,
    /// Of this run.
    pub session: SenderSession,
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
    home: SharedHome,
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
    /// Version of the list that was looked at last.
    listed: u64,
}

impl Keeper {
    /// Restores the camera's group, or founds it where there is none for this generation.
    pub(super) fn new(
        shared: SharedHome,
        home: &Home,
        signaling: Signaling,
        teller: Arc<Teller>,
        keys: watch::Sender<Option<Arc<SenderKeys>>>,
        hold: watch::Sender<Hold>,
        sealing: Sealing,
    ) -> Result<Self, FollowError> {
        let stored = home.vault().record(GROUP).map(|bytes| CameraGroup::restore(bytes, home.chain()));
        let generation = home.list()?.generation(home.device());
        let kept = stored.transpose()?.filter(|group| Some(group.group_id().generation()) == generation);
        let dated = home.list()?.issued_at;
        let vouched = kept.as_ref().map_or(dated, |group| group.list().time.max(dated));
        let now = Instant::now();
        let clock = GroupClock::begin(vouched, clock::now(), now);
        let (group, seq) = match kept {
            Some(group) => (group, stored_seq(home)),
            None => {
                let now = clock.read(clock::now(), now).time.group;
                (CameraGroup::found(home.identity(), home.chain(), now)?, 0)
            }
        };
        let mut chronicle = Chronicle::restore(home, group.group_id());
        chronicle.make_up_for(group.view()?);
        let rejoins = Rejoins::restore(home.vault().record(REJOINS));
        Ok(Self {
            home: shared,
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
            listed: 0,
        })
    }

    /// Draws the session of this run, saves it, and gives out the keys.
    pub(super) fn begin_session(&mut self, home: &mut Home) -> Result<(), FollowError> {
        match self.group.next_session() {
            Ok(session) => self.session = Some(session),
            // A new epoch will have room; frames wait for it.
            Err(GroupError::SessionsExhausted) => {}
            Err(error) => return Err(error.into()),
        }
        self.save(home)?;
        self.give_keys(home)?;
        Ok(())
    }

    /// Follows list and group until stopped; returns why when the camera is over.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Option<String> {
        let mut events = self.signaling.events();
        loop {
            let due = self.chronicle.next_due().unwrap_or_else(|| Instant::now() + ROUTINE);
            let silence = self.chronicle.next_silence().unwrap_or_else(|| Instant::now() + ROUTINE);
            let wake = tokio::select! {
                update = events.next() => Wake::Server(update?),
                () = sleep_until(self.look_again) => Wake::Look,
                Some(ended) = self.sealing.ended.recv() => Wake::Ended(ended),
                () = sleep_until(due) => Wake::Due,
                () = sleep_until(silence) => Wake::Silence,
                () = stop.cancelled() => return None,
            };
            let ended = tokio::select! {
                ended = self.work(wake) => ended,
                () = stop.cancelled() => return None,
            };
            if ended.is_some() {
                return ended;
            }
        }
    }

    /// Does what is to be done now; returns why when that was the last of it.
    async fn work(&mut self, wake: Wake) -> Option<String> {
        let shared = Arc::clone(&self.home);
        let mut home = shared.lock().await;
        let worked = self.react(&mut home, wake).await;
        let shut_out = worked.as_ref().is_err_and(|error| self.told_removed && error.is_shut_out());
        if shut_out {
            return Some("the server says that this camera was removed from its household".to_owned());
        }
        if let Err(error) = worked {
            self.teller.note(format!("the group could not be brought up to date yet: {error}"));
            // What could not be told is told then.
            self.look_again = self.look_again.min(Instant::now() + LONGEST_PAUSE);
        }
        match home.role() {
            Ok(Role::Camera) => None,
            _ => Some("this camera was removed from its household".to_owned()),
        }
    }

    /// Acts on what the server said, or on the time having come to look again.
    async fn react(&mut self, home: &mut Home, wake: Wake) -> Result<(), FollowError> {
        let hint = match wake {
            Wake::Look | Wake::Server(SignalUpdate::Connected) => return self.catch_up(home).await,
            Wake::Server(SignalUpdate::Disconnected(error)) => {
                self.teller.trying(Step::Signalling, &error.to_string());
                return Ok(());
            }
            Wake::Ended(ended) => {
                self.chronicle.epoch_ended(ended);
                return self.tell_group(home).await;
            }
            Wake::Due => return self.tell_group(home).await,
            Wake::Silence => {
                if self.chronicle.forget_silent() {
                    self.watchers_changed(home)?;
                }
                return Ok(());
            }
            Wake::Server(SignalUpdate::Event(hint)) => hint,
        };
        match hint {
            ServerEvent::List { .. } => self.catch_up(home).await,
            ServerEvent::Removed => {
                self.told_removed = true;
                self.catch_up(home).await?;
                // Still signed in: it is about another's rights.
                self.told_removed = false;
                Ok(())
            }
            ServerEvent::Message { group, seq } if group == self.group.group_id() && seq > self.seq => {
                // Questions are answered at once; whatever else came has its turn then.
                let changed = self.read_messages(home).await?;
                self.tell_group(home).await?;
                if changed { self.catch_up(home).await } else { Ok(()) }
            }
            ServerEvent::Rejoin { group, device, request } if group == self.group.group_id() => {
                // The list that names it may have come just now.
                self.refresh(home).await?;
                let lists = home.chain();
                if !self.rejoins.take(lists, group, device, request, Instant::now()) {
                    return Ok(());
                }
                self.save(home)?;
                let who = name_of(home, device);
                self.teller.note(format!("{who} could not get into the group and asked to be put in anew"));
                self.catch_up(home).await
            }
            _ => Ok(()),
        }
    }

    /// Reads lists and messages, then makes the group equal to the list.
    async fn catch_up(&mut self, home: &mut Home) -> Result<(), FollowError> {
        // Should anything fail on the way, it is looked at again soon.
        self.look_again_soon();
        self.refresh(home).await?;
        let listed = home.chain().head().map_or(0, |head| head.list().version);
        if std::mem::replace(&mut self.listed, listed) != listed {
            // A device that was just listed leaves its key packages in a moment, however long others have left none.
            self.pause = SHORTEST_PAUSE;
            self.look_again_soon();
        }
        self.teller.done(Step::Signalling);
        let generation = home.list()?.generation(home.device());
        if generation.is_none() {
            return Ok(());
        }
        if generation != Some(self.group.group_id().generation()) {
            self.found_anew(home)?;
        }
        self.read_messages(home).await?;
        let complete = self.sync(home).await;
        if let Err(FollowError::Group(GroupError::Refused(refusal))) = &complete
            && *refusal != Refusal::GroupClosed
        {
            self.teller.alarm(Alarm::GroupRuleBroken { what: "commit", refusal: *refusal });
        }
        let complete = complete?;
        self.tell_group(home).await?;
        if self.told != self.seq && self.signaling.post_cursor(self.group.group_id(), self.seq).await.is_ok()
        {
            self.told = self.seq;
        }
        if complete {
            self.pause = SHORTEST_PAUSE;
            self.look_again = Instant::now() + self.next_look(home);
        }
        Ok(())
    }

    /// Reads new lists; what the server shows and ought not to is an alarm. Returns whether there were any.
    async fn refresh(&mut self, home: &mut Home) -> Result<bool, FollowError> {
        let mut found = Vec::new();
        let news = follower::refresh(home, &self.signaling, &mut found).await?;
        for found in found {
            if let Followed::Alarm(alarm) = found {
                self.teller.alarm(alarm);
            }
        }
        // A new list may end a stay earlier.
        self.tell_end(home);
        for notice in home.take_news() {
            self.teller.tell(Event::Notice(notice));
        }
        let ahead = home.list()?.issued_at.saturating_sub(unix_seconds());
        if ahead > CLOCK_TOLERANCE {
            let seconds = i64::try_from(ahead).map_or(i64::MIN, |ahead| -ahead);
            let than = "that of the newest device list".to_owned();
            self.teller.alarm(Alarm::ClockWrong { seconds, than });
        }
        Ok(news)
    }

    /// How long nothing has to be looked at by itself: until a guest's stay ends, or keys want renewal.
    fn next_look(&self, home: &Home) -> Duration {
        let end = self.group.next_end(home.chain());
        let left = end.map(|end| Duration::from_secs(end.saturating_sub(unix_seconds()).max(1)));
        left.map_or(ROUTINE, |left| left.min(ROUTINE))
    }

    /// The time to commit at. A clock that ran ahead by more than a day is an alarm, and the group does not follow it.
    fn commit_time(&mut self, home: &mut Home) -> Result<CommitTime, FollowError> {
        let now = Instant::now();
        self.clock.vouch(home.list()?.issued_at, now);
        let reading = self.clock.read(clock::now(), now);
        if let Some(seconds) = reading.ahead.filter(|_| reading.jumped) {
            let than = "the last change of its group and the time since then".to_owned();
            self.teller.alarm(Alarm::ClockWrong { seconds, than });
        }
        Ok(reading.time)
    }

    fn found_anew(&mut self, home: &mut Home) -> Result<(), FollowError> {
        let now = self.commit_time(home)?.group;
        self.group = CameraGroup::found(home.identity(), home.chain(), now)?;
        self.chronicle.begin_anew();
        (self.seq, self.told) = (0, 0);
        self.session = Some(self.group.next_session()?);
        self.save(home)?;
        self.give_keys(home)
    }

    fn save(&mut self, home: &mut Home) -> Result<(), HomeError> {
        let group = self.group.save();
        self.chronicle.put(home);
        let rejoins = Zeroizing::new(self.rejoins.to_bytes());
        let vault = home.vault_mut();
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
/// First and longest wait until a device without key package, or a silent server, is looked at again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often everything is looked at without being told: lifetimes end, keys want renewal.
const ROUTINE: Duration = Duration::from_secs(15 * 60);
/// Seconds that this device's clock may be behind the newest list.
const CLOCK_TOLERANCE: u64 = 300;

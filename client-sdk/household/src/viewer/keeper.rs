//! Keeps the viewer's state: follows the camera's group, asks the camera whether its frames are fresh, and raises alarms.
//!
//! State is saved before the server is told that a Welcome was used, and before a note is sent.

mod questions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[cfg(feature = "check-switches")]
use latchkey_api::checks::{self, Check};
use latchkey_api::event::Event as ServerEvent;
use latchkey_api::id::DeviceId;
use latchkey_e2ee::note::Note;
use latchkey_e2ee::record::EpochRecord;
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use web_time::Instant;

use crate::alarm::Alarm;
use crate::clock::sleep_until;
use crate::event::{Event, Teller};
use crate::follower::{DOUBT_LIMIT, FollowError, Followed, Follower, RecordDue};
use crate::home::{Following, Home, SharedHome};
use crate::key_packages;
use crate::signaling::{SignalUpdate, Signaling};
use crate::story::Step;
use crate::viewer::keeper::questions::Asking;
use crate::viewer::news::News;
use crate::watchers::Watchers;

/// The viewer's state.
pub(super) struct Keeper {
    home: SharedHome,
    signaling: Signaling,
    camera: DeviceId,
    me: DeviceId,
    follower: Follower,
    /// No other follower of this process takes what is this one's.
    _following: Following,
    news: mpsc::UnboundedSender<News>,
    teller: Arc<Teller>,
    /// Packets that have come from the relay.
    packets: Arc<AtomicU64>,
    look_again: Instant,
    pause: Duration,
    /// The server tells by itself what is new.
    hears: bool,
    /// The server said that this device is removed, or its rights changed.
    told_removed: bool,
    asking: Asking,
    watchers: Watchers,
    camera_key: Option<[u8; 32]>,
    record_due: RecordDue,
}

/// What woke the keeper.
enum Wake {
    Server(SignalUpdate),
    Look,
    Ask,
    Silence,
    /// The connection to the relay was made anew.
    Connection,
}

/// What a keeper is made of.
pub(super) struct Parts {
    pub(super) home: SharedHome,
    pub(super) signaling: Signaling,
    pub(super) camera: DeviceId,
    pub(super) teller: Arc<Teller>,
    pub(super) news: mpsc::UnboundedSender<News>,
    pub(super) packets: Arc<AtomicU64>,
}

impl Keeper {
    /// Restores this device's membership in the camera's group, where there is one, and gives out its keys.
    pub(super) fn new(parts: Parts, home: &Home, following: Following) -> Result<Self, FollowError> {
        let Parts { home: shared, signaling, camera, teller, news, packets } = parts;
        key_packages::load(home)?;
        let follower = Follower::new(home, camera)?;
        let now = Instant::now();
        let mut keeper = Self {
            home: shared,
            signaling,
            camera,
            me: home.device(),
            follower,
            _following: following,
            news,
            teller,
            packets,
            // Who stands outside does not wait long for the socket, which may never open.
            look_again: now + SHORTEST_PAUSE,
            pause: SHORTEST_PAUSE,
            hears: false,
            told_removed: false,
            asking: Asking::begin(now),
            watchers: Watchers::default(),
            camera_key: None,
            record_due: RecordDue::default(),
        };
        keeper.give_camera_key(home);
        if let Some(keys) = keeper.follower.keys() {
            let keys = keys?;
            // Nothing has to be read for the first picture.
            keeper.look_again = now + LONGEST_PAUSE;
            let epoch = keys.epoch();
            if keeper.follower.records().head().is_none_or(|head| head.epoch() < epoch) {
                keeper.record_due.epoch_began(epoch, keeper.packets(), now);
            }
            keeper.send(News::Epoch { keys, removed: false });
        }
        if let Some(record) = keeper.follower.records().head() {
            keeper.send(ended(record));
        }
        #[cfg(feature = "check-switches")]
        keeper.give_keys_of_other_cameras(home);
        Ok(keeper)
    }

    /// What a viewer does that does not care whose frames it opens.
    #[cfg(feature = "check-switches")]
    fn give_keys_of_other_cameras(&self, home: &Home) {
        if !checks::skipped(Check::FrameKey) {
            return;
        }
        let cameras = home.list().into_iter().flat_map(|list| list.cameras());
        for other in cameras.map(|entry| entry.device).filter(|other| *other != self.camera) {
            let member = Follower::new(home, other).ok();
            if let Some(Ok(keys)) = member.and_then(|member| member.keys()) {
                self.send(News::Epoch { keys, removed: false });
            }
        }
    }

    /// Follows list and group until stopped; returns why when this device or the camera was removed.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Option<String> {
        let mut events = self.signaling.events();
        let mut told = self.teller.listen();
        loop {
            let silence = self.next_silence();
            let wake = tokio::select! {
                update = events.next() => Wake::Server(update?),
                () = sleep_until(self.look_again) => Wake::Look,
                () = sleep_until(self.asking.next) => Wake::Ask,
                () = sleep_until(silence) => Wake::Silence,
                Some(()) = connected(&mut told) => Wake::Connection,
                () = stop.cancelled() => {
                    self.leave().await;
                    return None;
                }
            };
            let ended = tokio::select! {
                ended = self.work(wake) => ended,
                () = stop.cancelled() => {
                    self.leave().await;
                    return None;
                }
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
        for notice in home.take_news() {
            self.teller.tell(Event::Notice(notice));
        }
        let shut_out = worked.as_ref().is_err_and(|error| self.told_removed && error.is_shut_out());
        if let Err(error) = worked
            && !shut_out
        {
            self.teller.note(format!("the group could not be followed: {error}"));
            // What was hinted at is read then; the hint does not come again.
            if self.look_again > Instant::now() + LONGEST_PAUSE {
                self.look_again_soon();
            }
        }
        let said =
            shut_out.then(|| "the server says that this device was removed from the household".to_owned());
        self.removed(&home).or(said)
    }

    async fn react(&mut self, home: &mut Home, wake: Wake) -> Result<(), FollowError> {
        match wake {
            Wake::Look => self.catch_up(home).await,
            Wake::Ask => self.ask(home).await,
            Wake::Silence => {
                self.judge_silence(home);
                Ok(())
            }
            // What comes over it is to be fresh.
            Wake::Connection => self.ask_unless_just_asked(home).await,
            Wake::Server(SignalUpdate::Connected) => {
                self.hears = true;
                self.catch_up(home).await?;
                self.ask_unless_just_asked(home).await
            }
            Wake::Server(SignalUpdate::Disconnected(error)) => {
                self.hears = false;
                self.look_again = self.look_again.min(Instant::now() + LONGEST_PAUSE);
                self.teller.trying(Step::Signalling, &error.to_string());
                Ok(())
            }
            Wake::Server(SignalUpdate::Event(hint)) => self.take_hint(home, hint).await,
        }
    }

    async fn take_hint(&mut self, home: &mut Home, hint: ServerEvent) -> Result<(), FollowError> {
        match hint {
            // Its own keeper takes it, or will when there is one.
            ServerEvent::Message { group, .. } | ServerEvent::Welcome { group }
                if group.camera() != self.camera =>
            {
                Ok(())
            }
            // Most messages are notes: nothing else has to be looked at for them.
            ServerEvent::Message { seq, .. } if self.follower.is_in(home) => {
                let found = self.follower.read_to(home, &self.signaling, seq).await?;
                self.take_all(home, found).await
            }
            // All keepers of this device hear it, and who is in the group has nothing else to look at.
            ServerEvent::List { .. } if self.follower.is_in(home) => {
                let found = self.follower.read_list(home, &self.signaling).await?;
                self.give_camera_key(home);
                self.take_all(home, found).await?;
                let left_out = self.follower.is_outside(home) && self.removed(home).is_none();
                if left_out { self.catch_up(home).await } else { Ok(()) }
            }
            ServerEvent::KeyPackagesLow { .. } => {
                Ok(key_packages::top_up_if_few(home, &self.signaling).await?)
            }
            ServerEvent::Unknown => Ok(()),
            ServerEvent::Removed => {
                self.told_removed = true;
                self.catch_up(home).await?;
                // Still signed in: only rights have changed.
                self.told_removed = false;
                Ok(())
            }
            _ => self.catch_up(home).await,
        }
    }

    async fn catch_up(&mut self, home: &mut Home) -> Result<(), FollowError> {
        // Should anything fail on the way, it is looked at again soon.
        self.look_again_soon();
        let mut packages = key_packages::load(home)?;
        if packages.is_empty() && self.removed(home).is_none() {
            key_packages::top_up(home, &self.signaling, &mut packages).await?;
        }
        let found = self.follower.catch_up(home, &self.signaling).await?;
        self.teller.done(Step::Signalling);
        self.give_camera_key(home);
        self.take_all(home, found).await?;
        if self.removed(home).is_some() {
            return Ok(());
        }
        if !self.follower.is_outside(home) {
            self.pause = SHORTEST_PAUSE;
            let routine = if self.hears { ROUTINE } else { LONGEST_PAUSE };
            self.look_again =
                Instant::now() + if self.follower.is_in_doubt() { DOUBT_LIMIT } else { routine };
        } else {
            let reason =
                "the camera has not let this device into its group yet: is it connected to the server?";
            self.teller.trying(Step::KeyKnown, reason);
        }
        Ok(())
    }

    async fn take_all(&mut self, home: &mut Home, found: Vec<Followed>) -> Result<(), FollowError> {
        let mut rekeyed = false;
        for found in found {
            rekeyed |= matches!(found, Followed::Epoch { .. });
            self.take(home, found);
        }
        if self.follower.is_in_doubt() {
            self.look_again = self.look_again.min(Instant::now() + DOUBT_LIMIT);
        }
        if rekeyed && self.removed(home).is_none() {
            // The camera does not read a question of an epoch that is over. That it rekeyed is a sign of life.
            self.asking.open = None;
            return self.ask(home).await;
        }
        Ok(())
    }

    fn take(&mut self, home: &Home, found: Followed) {
        match found {
            Followed::Epoch { keys, members, removed } => {
                let epoch = keys.epoch();
                self.record_due.epoch_began(epoch, self.packets(), Instant::now());
                self.send(News::Epoch { keys, removed });
                self.teller.tell(Event::NewEpoch { epoch, members });
            }
            Followed::Removed => self.teller.note("the camera took this device out of its group"),
            Followed::Record(record) => {
                self.record_due.came(record.epoch());
                self.send(ended(&record));
                let (epoch, list) = (record.epoch(), record.list().version);
                self.teller.tell(Event::EpochRecord { epoch, list });
            }
            Followed::Note { from, note } => self.take_note(home, from, note),
            Followed::Alarm(alarm) => {
                if let Alarm::GroupRuleBroken { .. } | Alarm::JunkCommit { .. } = alarm {
                    self.teller.trying(Step::KeyKnown, &alarm.to_string());
                }
                self.teller.alarm(alarm);
            }
            Followed::Said(text) => self.teller.note(text),
        }
    }

    fn take_note(&mut self, home: &Home, from: DeviceId, note: Note) {
        let now = Instant::now();
        let news = match note {
            Note::Question(_) => self.watchers.came(from, now),
            Note::Goodbye => self.watchers.left(from),
            Note::Answer(answer) => return self.take_answer(home, answer, now),
            _ => false,
        };
        if news {
            self.tell_watchers(home);
        }
    }

    fn give_camera_key(&mut self, home: &Home) {
        let key = home.list().ok().and_then(|list| list.device(self.camera)).map(|entry| entry.mls_public);
        if let Some(key) = key.filter(|key| self.camera_key != Some(*key)) {
            self.camera_key = Some(key);
            self.send(News::CameraKey(key));
        }
    }

    fn send(&self, news: News) {
        // Nobody listening means that everything is ending.
        let _ = self.news.send(news);
    }

    fn packets(&self) -> u64 {
        self.packets.load(Ordering::Relaxed)
    }

    /// Why this viewer is over, if it is.
    fn removed(&self, home: &Home) -> Option<String> {
        let list = home.list().ok()?;
        if list.device(home.device()).is_none() {
            return Some("this device was removed from the household".to_owned());
        }
        if list.generation(self.camera).is_none() {
            return Some("the camera was removed from the household".to_owned());
        }
        None
    }

    fn look_again_soon(&mut self) {
        self.look_again = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

fn ended(record: &EpochRecord) -> News {
    News::Ended { epoch: record.epoch().saturating_sub(1), last: record.last().to_vec() }
}

/// Waits until the connection to the relay is there again; `None` when nothing more will be told.
async fn connected(told: &mut broadcast::Receiver<Event>) -> Option<()> {
    loop {
        match told.recv().await {
            Ok(Event::Step { step: Step::FirstPacket, .. }) => return Some(()),
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

/// First and longest wait until what failed is tried again, and until it is looked again what the server does not tell.
const SHORTEST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often everything is looked at without being told.
const ROUTINE: Duration = Duration::from_secs(15 * 60);

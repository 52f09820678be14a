//! Keeps the viewer's state: follows the camera's group, asks the camera whether its frames are fresh, and raises alarms.
//!
//! State is saved before the server is told that a Welcome was used, and before a note is sent.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant as Moment, SystemTime, UNIX_EPOCH};

use latchkey_api::checks::{self, Check};
use latchkey_api::device_list::ListVersion;
use latchkey_api::event::Event as ServerEvent;
use latchkey_api::id::DeviceId;
use latchkey_e2ee::freshness::Freshness;
use latchkey_e2ee::group::GroupError;
use latchkey_e2ee::note::{Answer, Note, Question};
use latchkey_e2ee::record::EpochRecord;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::alarm::{Alarm, name_of};
use crate::event::{Event, Teller};
use crate::follower::{DOUBT_LIMIT, FollowError, Followed, Follower, RecordDue};
use crate::home::{Home, HomeError};
use crate::key_packages;
use crate::signaling::{SignalUpdate, Signaling};
use crate::story::Step;
use crate::viewer::news::News;
use crate::viewer::{Ended, Ender, SharedStats, ViewerError};
use crate::watchers::Watchers;

/// The viewer's state.
pub(super) struct Keeper {
    home: Home,
    signaling: Signaling,
    camera: DeviceId,
    follower: Follower,
    news: mpsc::UnboundedSender<News>,
    teller: Arc<Teller>,
    stats: SharedStats,
    look_again: Instant,
    pause: Duration,
    /// The server said that this device is removed, or its rights changed.
    told_removed: bool,
    asking: Asking,
    watchers: Watchers,
    camera_key: Option<[u8; 32]>,
    record_due: RecordDue,
}

/// The question that is open, and when to ask the next one.
struct Asking {
    open: Option<Open>,
    next: Instant,
}

/// A question that the camera has not answered.
struct Open {
    nonce: [u8; 16],
    asked: Moment,
    /// When the first of the questions was asked that it has not answered.
    silent_since: Moment,
    /// Packets that had come by then.
    packets: u64,
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

impl Keeper {
    /// Restores this device's membership in the camera's group, where there is one, and gives out its keys.
    pub(super) fn new(
        home: Home,
        signaling: Signaling,
        camera: DeviceId,
        teller: Arc<Teller>,
        news: mpsc::UnboundedSender<News>,
        stats: SharedStats,
    ) -> Result<Self, ViewerError> {
        key_packages::load(&home)?;
        let follower = Follower::new(&home, camera)?;
        let now = Instant::now();
        let mut keeper = Self {
            home,
            signaling,
            camera,
            follower,
            news,
            teller,
            stats,
            look_again: now + LONGEST_PAUSE,
            pause: SHORTEST_PAUSE,
            told_removed: false,
            asking: Asking { open: None, next: now + ASK_EVERY },
            watchers: Watchers::default(),
            camera_key: None,
            record_due: RecordDue::default(),
        };
        keeper.give_camera_key();
        match keeper.follower.keys() {
            Some(Ok(keys)) => {
                let epoch = keys.epoch();
                if keeper.follower.records().head().is_none_or(|head| head.epoch() < epoch) {
                    keeper.record_due.epoch_began(epoch, keeper.packets(), Moment::now());
                }
                keeper.send(News::Epoch { keys, removed: false });
            }
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
        if let Some(record) = keeper.follower.records().head() {
            keeper.send(ended(record));
        }
        #[cfg(feature = "check-switches")]
        keeper.give_keys_of_other_cameras();
        Ok(keeper)
    }

    /// What a viewer does that does not care whose frames it opens.
    #[cfg(feature = "check-switches")]
    fn give_keys_of_other_cameras(&self) {
        if !checks::skipped(Check::FrameKey) {
            return;
        }
        let cameras = self.home.list().into_iter().flat_map(|list| list.cameras());
        for other in cameras.map(|entry| entry.device).filter(|other| *other != self.camera) {
            let member = Follower::new(&self.home, other).ok();
            if let Some(Ok(keys)) = member.and_then(|member| member.keys()) {
                self.send(News::Epoch { keys, removed: false });
            }
        }
    }

    /// Follows list and group until stopped, or until this device or the camera is removed.
    pub(super) async fn run(mut self, stop: CancellationToken, ender: Ender) {
        let mut events = self.signaling.events();
        let mut told = self.teller.listen();
        loop {
            let silence = self.next_silence();
            let wake = tokio::select! {
                update = events.next() => match update {
                    Some(update) => Wake::Server(update),
                    None => return,
                },
                () = sleep_until(self.look_again) => Wake::Look,
                () = sleep_until(self.asking.next) => Wake::Ask,
                () = sleep_until(silence) => Wake::Silence,
                Some(()) = connected(&mut told) => Wake::Connection,
                () = stop.cancelled() => return self.leave().await,
            };
            let worked = tokio::select! {
                worked = self.react(wake) => worked,
                () = stop.cancelled() => return self.leave().await,
            };
            for notice in self.home.take_news() {
                self.teller.tell(Event::Notice(notice));
            }
            let shut_out = worked.as_ref().is_err_and(|error| self.told_removed && error.is_shut_out());
            if let Err(error) = worked
                && !shut_out
            {
                self.teller.note(format!("the group could not be followed: {error}"));
            }
            let said = shut_out
                .then(|| "the server says that this device was removed from the household".to_owned());
            if let Some(reason) = self.removed().or(said) {
                ender.end(Ended::Removed(reason));
                return;
            }
        }
    }

    async fn react(&mut self, wake: Wake) -> Result<(), FollowError> {
        match wake {
            Wake::Look => self.catch_up().await,
            Wake::Ask => self.ask().await,
            Wake::Silence => {
                self.judge_silence();
                Ok(())
            }
            // What comes over it is to be fresh.
            Wake::Connection => self.ask_unless_just_asked().await,
            Wake::Server(SignalUpdate::Connected) => {
                self.catch_up().await?;
                self.ask_unless_just_asked().await
            }
            Wake::Server(SignalUpdate::Disconnected(error)) => {
                self.teller.trying(Step::Signalling, &error.to_string());
                Ok(())
            }
            Wake::Server(SignalUpdate::Event(hint)) => self.take_hint(hint).await,
        }
    }

    async fn take_hint(&mut self, hint: ServerEvent) -> Result<(), FollowError> {
        match hint {
            ServerEvent::Message { group, .. } if group.camera() != self.camera => Ok(()),
            // Most messages are notes: nothing else has to be looked at for them.
            ServerEvent::Message { seq, .. } if self.follower.is_in(&self.home) => {
                let found = self.follower.read_to(&mut self.home, &self.signaling, seq).await?;
                self.take_all(found).await
            }
            ServerEvent::KeyPackagesLow { .. } => {
                let mut packages = key_packages::load(&self.home)?;
                key_packages::top_up(&mut self.home, &self.signaling, &mut packages).await?;
                Ok(())
            }
            ServerEvent::Unknown => Ok(()),
            ServerEvent::Removed => {
                self.told_removed = true;
                self.catch_up().await?;
                // Still signed in: only rights have changed.
                self.told_removed = false;
                Ok(())
            }
            _ => self.catch_up().await,
        }
    }

    async fn catch_up(&mut self) -> Result<(), FollowError> {
        // Should anything fail on the way, it is looked at again soon.
        self.look_again_soon();
        let mut packages = key_packages::load(&self.home)?;
        if packages.is_empty() && self.removed().is_none() {
            key_packages::top_up(&mut self.home, &self.signaling, &mut packages).await?;
        }
        let found = self.follower.catch_up(&mut self.home, &self.signaling).await?;
        self.teller.done(Step::Signalling);
        self.give_camera_key();
        self.take_all(found).await?;
        if self.removed().is_some() {
            return Ok(());
        }
        if !self.follower.is_outside(&self.home) {
            self.pause = SHORTEST_PAUSE;
            let doubt = self.follower.is_in_doubt();
            self.look_again = Instant::now() + if doubt { DOUBT_LIMIT } else { ROUTINE };
        } else {
            let reason =
                "the camera has not let this device into its group yet: is it connected to the server?";
            self.teller.trying(Step::KeyKnown, reason);
        }
        Ok(())
    }

    async fn take_all(&mut self, found: Vec<Followed>) -> Result<(), FollowError> {
        let mut rekeyed = false;
        for found in found {
            rekeyed |= matches!(found, Followed::Epoch { .. });
            self.take(found);
        }
        if self.follower.is_in_doubt() {
            self.look_again = self.look_again.min(Instant::now() + DOUBT_LIMIT);
        }
        if rekeyed && self.removed().is_none() {
            // The camera does not read a question of an epoch that is over. That it rekeyed is a sign of life.
            self.asking.open = None;
            return self.ask().await;
        }
        Ok(())
    }

    fn take(&mut self, found: Followed) {
        match found {
            Followed::Epoch { keys, members, removed } => {
                let epoch = keys.epoch();
                self.record_due.epoch_began(epoch, self.packets(), Moment::now());
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
            Followed::Note { from, note } => self.take_note(from, note),
            Followed::Alarm(alarm) => {
                if let Alarm::GroupRuleBroken { .. } | Alarm::JunkCommit { .. } = alarm {
                    self.teller.trying(Step::KeyKnown, &alarm.to_string());
                }
                self.teller.alarm(alarm);
            }
            Followed::Said(text) => self.teller.note(text),
        }
    }

    fn take_note(&mut self, from: DeviceId, note: Note) {
        let now = Moment::now();
        let news = match note {
            Note::Question(_) => self.watchers.came(from, now),
            Note::Goodbye => self.watchers.left(from),
            Note::Answer(answer) => return self.take_answer(answer, now),
            _ => false,
        };
        if news {
            self.tell_watchers();
        }
    }

    fn take_answer(&mut self, answer: Answer, answered: Moment) {
        let Some(open) = self.asking.open.take_if(|open| open.nonce == answer.nonce) else { return };
        let me = self.home.device();
        let mut news = false;
        for device in answer.watching.iter().filter(|device| **device != me) {
            news |= self.watchers.came(*device, answered);
        }
        if news {
            self.tell_watchers();
        }
        let round_trip = answered.duration_since(open.asked);
        let ms = u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX);
        self.teller.tell(Event::Answered { ms });
        let fresh = Freshness::new(Duration::ZERO, round_trip, answer.camera_ms, Vec::new());
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now_ms = u64::try_from(now_ms).unwrap_or(u64::MAX);
        if let Some(seconds) = fresh.clock_ahead(now_ms, CLOCK_TOLERANCE) {
            let than = format!("that of {}", name_of(&self.home, self.camera));
            self.teller.alarm(Alarm::ClockWrong { seconds, than });
        }
        self.send(News::Answered {
            asked: open.asked,
            answered,
            camera_ms: answer.camera_ms,
            counters: answer.counters,
        });
    }

    async fn ask_unless_just_asked(&mut self) -> Result<(), FollowError> {
        let just_asked = |open: &Open| open.asked.elapsed() < ASK_AGAIN;
        if self.asking.open.as_ref().is_some_and(just_asked) { Ok(()) } else { self.ask().await }
    }

    /// Asks the camera whether its frames are fresh; this is also the announcement that this device watches.
    async fn ask(&mut self) -> Result<(), FollowError> {
        self.asking.next = Instant::now() + ASK_AGAIN;
        if !self.follower.is_in(&self.home) {
            return Ok(());
        }
        let Some(list) = self.list_version() else { return Ok(()) };
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| GroupError::NoRandomness)?;
        let question = Question {
            nonce,
            list,
            record_head: self.follower.records().head_hash(),
            epochs: self.follower.epochs(),
        };
        let asked = Moment::now();
        let packets = self.packets();
        match self.follower.send(&mut self.home, &self.signaling, &Note::Question(question)).await {
            Ok(()) => self.asking.next = Instant::now() + ASK_EVERY,
            // Its time comes with the next commit.
            Err(FollowError::Group(GroupError::CommitFirst)) => return Ok(()),
            // A question that the server does not take counts as one that is not answered.
            Err(FollowError::Home(HomeError::Signaling(_))) => {}
            Err(error) => return Err(error),
        }
        // Asking anew does not make the camera less silent.
        let (silent_since, packets) =
            self.asking.open.as_ref().map_or((asked, packets), |open| (open.silent_since, open.packets));
        self.asking.open = Some(Open { nonce, asked, silent_since, packets });
        if self.watchers.came(self.home.device(), asked) {
            self.tell_watchers();
        }
        Ok(())
    }

    /// The moment to look whether somebody is silent: the camera, or who was watching.
    fn next_silence(&self) -> Instant {
        let camera = self.asking.open.as_ref().map(|open| open.silent_since + Freshness::ANSWER_LIMIT);
        let next = [camera, self.record_due.due(), self.watchers.next_silence()].into_iter().flatten().min();
        next.map_or_else(|| Instant::now() + ROUTINE, Instant::from_std)
    }

    fn judge_silence(&mut self) {
        let now = Moment::now();
        if !self.watchers.forget_silent(now).is_empty() {
            self.tell_watchers();
        }
        if let Some(epoch) = self.record_due.judge(self.packets(), now) {
            self.teller.alarm(Alarm::RecordMissing { epoch });
        }
        let silent = |open: &mut Open| now.duration_since(open.silent_since) >= Freshness::ANSWER_LIMIT;
        if let Some(open) = self.asking.open.take_if(silent) {
            if self.packets() > open.packets && !checks::skipped(Check::CameraAnswers) {
                let seconds = Freshness::ANSWER_LIMIT.as_secs();
                self.teller.alarm(Alarm::CameraSilent { seconds });
            }
            self.asking.next = Instant::now();
        }
    }

    /// Says goodbye, where the server is there to hear it.
    async fn leave(mut self) {
        if self.watchers.left(self.home.device()) {
            let goodbye = self.follower.send(&mut self.home, &self.signaling, &Note::Goodbye);
            // Who hears nothing more forgets this device by itself.
            let _ = timeout(GOODBYE_LIMIT, goodbye).await;
        }
    }

    fn tell_watchers(&self) {
        self.teller.tell(self.watchers.event(&self.home));
    }

    fn give_camera_key(&mut self) {
        let key =
            self.home.list().ok().and_then(|list| list.device(self.camera)).map(|entry| entry.mls_public);
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
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).packets
    }

    fn list_version(&self) -> Option<ListVersion> {
        self.home.chain().head().map(|head| head.version())
    }

    /// Why this viewer is over, if it is.
    fn removed(&self) -> Option<String> {
        let list = self.home.list().ok()?;
        if list.device(self.home.device()).is_none() {
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

/// First and longest wait until what failed is tried again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often everything is looked at without being told.
const ROUTINE: Duration = Duration::from_secs(15 * 60);
/// How often a viewer asks while it watches, and how soon again when it could not.
const ASK_EVERY: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How long a goodbye may hold up the end.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);
/// How far this device's clock and the camera's may differ.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

//! Questions whether frames are fresh, the camera's answers, and who else is watching.

use std::sync::Arc;
use std::time::Duration;

use latchkey_api::checks::{self, Check};
use latchkey_e2ee::freshness::Freshness;
use latchkey_e2ee::group::GroupError;
use latchkey_e2ee::note::{Answer, Note, Question};
use web_time::Instant;

use crate::alarm::{Alarm, name_of};
use crate::clock::{timeout, unix_millis};
use crate::event::Event;
use crate::follower::FollowError;
use crate::home::{Home, HomeError};
use crate::viewer::keeper::{Keeper, ROUTINE};
use crate::viewer::news::News;

/// The question that is open, and when to ask the next one.
pub(super) struct Asking {
    pub(super) open: Option<Open>,
    pub(super) next: Instant,
}

/// A question that the camera has not answered.
pub(super) struct Open {
    nonce: [u8; 16],
    asked: Instant,
    /// When the first of the questions was asked that it has not answered.
    silent_since: Instant,
    /// Packets that had come by then.
    packets: u64,
}

impl Asking {
    pub(super) fn begin(now: Instant) -> Self {
        Self { open: None, next: now + ASK_EVERY }
    }
}

impl Keeper {
    pub(super) fn take_answer(&mut self, home: &Home, answer: Answer, answered: Instant) {
        let Some(open) = self.asking.open.take_if(|open| open.nonce == answer.nonce) else { return };
        let mut news = false;
        for device in answer.watching.iter().filter(|device| **device != self.me) {
            news |= self.watchers.came(*device, answered);
        }
        if news {
            self.tell_watchers(home);
        }
        let round_trip = answered.duration_since(open.asked);
        let ms = u64::try_from(round_trip.as_millis()).unwrap_or(u64::MAX);
        self.teller.tell(Event::Answered { ms });
        let fresh = Freshness::new(Duration::ZERO, round_trip, answer.camera_ms, Vec::new());
        if let Some(seconds) = fresh.clock_ahead(unix_millis(), CLOCK_TOLERANCE) {
            let than = format!("that of {}", name_of(home, self.camera));
            self.teller.alarm(Alarm::ClockWrong { seconds, than });
        }
        self.send(News::Answered {
            asked: open.asked,
            answered,
            camera_ms: answer.camera_ms,
            counters: answer.counters,
        });
    }

    pub(super) async fn ask_unless_just_asked(&mut self, home: &mut Home) -> Result<(), FollowError> {
        let just_asked = |open: &Open| open.asked.elapsed() < ASK_AGAIN;
        if self.asking.open.as_ref().is_some_and(just_asked) { Ok(()) } else { self.ask(home).await }
    }

    /// Asks the camera whether its frames are fresh; this is also the announcement that this device watches.
    pub(super) async fn ask(&mut self, home: &mut Home) -> Result<(), FollowError> {
        self.asking.next = Instant::now() + ASK_AGAIN;
        if !self.follower.is_in(home) {
            return Ok(());
        }
        let Some(list) = home.chain().head().map(|head| head.version()) else { return Ok(()) };
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| GroupError::NoRandomness)?;
        let question = Question {
            nonce,
            list,
            record_head: self.follower.records().head_hash(),
            epochs: self.follower.epochs(),
        };
        let asked = Instant::now();
        let packets = self.packets();
        match self.follower.send(home, &self.signaling, &Note::Question(question)).await {
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
        if self.watchers.came(self.me, asked) {
            self.tell_watchers(home);
        }
        Ok(())
    }

    /// The moment to look whether somebody is silent: the camera, or who was watching.
    pub(super) fn next_silence(&self) -> Instant {
        let camera = self.asking.open.as_ref().map(|open| open.silent_since + Freshness::ANSWER_LIMIT);
        let next = [camera, self.record_due.due(), self.watchers.next_silence()].into_iter().flatten().min();
        next.unwrap_or_else(|| Instant::now() + ROUTINE)
    }

    pub(super) fn judge_silence(&mut self, home: &Home) {
        let now = Instant::now();
        if !self.watchers.forget_silent(now).is_empty() {
            self.tell_watchers(home);
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
    pub(super) async fn leave(mut self) {
        if self.watchers.left(self.me) {
            let shared = Arc::clone(&self.home);
            let goodbye = async {
                self.follower.send(&mut *shared.lock().await, &self.signaling, &Note::Goodbye).await
            };
            // Who hears nothing more forgets this device by itself.
            let _ = timeout(GOODBYE_LIMIT, goodbye).await;
        }
    }

    pub(super) fn tell_watchers(&self, home: &Home) {
        self.teller.tell(self.watchers.event(home));
    }
}

/// How often a viewer asks while it watches, and how soon again when it could not.
const ASK_EVERY: Duration = Duration::from_secs(60);
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// How long a goodbye may hold up the end.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);
/// How far this device's clock and the camera's may differ.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

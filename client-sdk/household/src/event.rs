//! What a running camera or viewer tells: to a terminal, to a program reading JSON lines, to a test.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use latchkey_api::id::DeviceId;
use serde::Serialize;
use tokio::sync::broadcast;
use web_time::Instant;

use crate::alarm::Alarm;
use crate::clock;
use crate::notice::Notice;
use crate::stats::{CameraStats, ViewerStats};
use crate::story::{Step, Story};

/// One thing that happened. As JSON it is one line with its name under `event`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A step of the connection story is done.
    Step {
        /// Which.
        step: Step,
        /// Milliseconds since the start.
        ms: u64,
    },
    /// A step is not done yet, and why; it is tried again.
    Trying {
        /// Which.
        step: Step,
        /// Why not yet.
        reason: String,
    },
    /// The media connection is made anew.
    Reconnecting {
        /// Why.
        reason: String,
    },
    /// The group has a new epoch; the next frame is sealed with its keys.
    NewEpoch {
        /// The MLS epoch.
        epoch: u64,
        /// How many devices hold its keys, the camera among them.
        members: usize,
    },
    /// The camera seals nothing for now: a member whose stay is over still holds the keys.
    SealingStopped {
        /// What it waits for.
        reason: String,
    },
    /// The camera seals again, with keys that only those have who may.
    SealingGoesOn,
    /// A viewer has opened its first video frame.
    FirstFrameOpened {
        /// Milliseconds since the start.
        ms: u64,
    },
    /// Figures of the last second, of a viewer.
    Stats(ViewerStats),
    /// Figures of the last second, of a camera.
    Sending(CameraStats),
    /// Something to know that stops nothing, in one sentence.
    Note {
        /// The sentence.
        text: String,
    },
    /// Somebody cheats, or looks like it: the list, the group, or a frame is not what it must be.
    Alarm(Alarm),
    /// A new device list changed the household: who came, who left, whose rights changed, by whom.
    Notice(Notice),
    /// The camera's signed record of an epoch is there and agrees with this device's group.
    EpochRecord {
        /// The epoch that began.
        epoch: u64,
        /// The version of the device list that it rests on.
        list: u64,
    },
    /// The camera has answered whether its frames are fresh.
    Answered {
        /// Milliseconds between question and answer.
        ms: u64,
    },
    /// Who is watching now, as far as devices say so themselves.
    Watching {
        /// The devices, in ascending order of their ids.
        devices: Vec<Watcher>,
    },
    /// It is over.
    Ended {
        /// Why.
        reason: String,
    },
}

/// A device that watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watcher {
    /// Its id.
    pub device: DeviceId,
    /// What the household calls it.
    pub name: String,
}

/// The story and the listeners of one camera or viewer.
pub struct Teller {
    story: Mutex<Story>,
    events: broadcast::Sender<Event>,
    /// Alarms of the last moments.
    raised: Mutex<Vec<(Alarm, Instant)>>,
}

impl Default for Teller {
    fn default() -> Self {
        Self::new()
    }
}

impl Teller {
    /// A story that begins now, and nobody listening.
    pub fn new() -> Self {
        Self {
            story: Mutex::new(Story::begin()),
            events: broadcast::Sender::new(EVENTS_KEPT),
            raised: Mutex::default(),
        }
    }

    /// Returns what is told from now on.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Returns the story as it is now.
    pub fn story(&self) -> Story {
        self.story.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells all listeners.
    pub fn tell(&self, event: Event) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    /// Raises an alarm; the same one is not raised again within ten seconds.
    pub fn alarm(&self, alarm: Alarm) {
        let now = Instant::now();
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        raised.retain(|(_, at)| now.duration_since(*at) < ALARM_PAUSE);
        if raised.len() >= ALARMS_KEPT || raised.iter().any(|(known, _)| *known == alarm) {
            return;
        }
        raised.push((alarm.clone(), now));
        drop(raised);
        self.tell(Event::Alarm(alarm));
    }

    /// Tells something to know that stops nothing, in one sentence.
    pub fn note(&self, text: impl Into<String>) {
        self.tell(Event::Note { text: text.into() });
    }

    /// Marks a step done; tells it the first time and returns its milliseconds then.
    pub fn done(&self, step: Step) -> Option<u64> {
        let after = self.story.lock().unwrap_or_else(PoisonError::into_inner).done(step)?;
        let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.tell(Event::Step { step, ms });
        Some(ms)
    }

    /// Notes why a step is not done; tells it when it is news.
    pub fn trying(&self, step: Step, reason: &str) {
        let news = self.story.lock().unwrap_or_else(PoisonError::into_inner).trying(step, reason);
        if news {
            self.tell(Event::Trying { step, reason: reason.to_owned() });
        }
    }

    /// Forgets the steps from `step` on and tells why.
    pub fn again_from(&self, step: Step, reason: &str) {
        self.story.lock().unwrap_or_else(PoisonError::into_inner).again_from(step);
        self.tell(Event::Reconnecting { reason: reason.to_owned() });
    }
}

/// Waits until a step is done, at most `limit`; returns whether it is.
pub async fn wait_for_step(teller: &Teller, step: Step, limit: Duration) -> bool {
    let mut events = teller.listen();
    let done = async {
        while teller.story().done_after(step).is_none() {
            match events.recv().await {
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return false,
            }
        }
        true
    };
    clock::timeout(limit, done).await.unwrap_or(false)
}

/// Events a slow listener may be behind before it misses some.
const EVENTS_KEPT: usize = 1024;
/// How long an alarm is not repeated.
const ALARM_PAUSE: Duration = Duration::from_secs(10);
/// Alarms told within that time at most: a flood of them says no more.
const ALARMS_KEPT: usize = 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn events_are_json_lines_with_their_name() {
        let line = serde_json::to_string(&Event::FirstFrameOpened { ms: 81 }).unwrap();
        assert_eq!(line, r#"{"event":"first_frame_opened","ms":81}"#);
        let line = serde_json::to_string(&Event::Step { step: Step::KeyKnown, ms: 5 }).unwrap();
        assert_eq!(line, r#"{"event":"step","step":"key_known","ms":5}"#);
        let line = serde_json::to_value(Event::Stats(ViewerStats::default())).unwrap();
        assert_eq!(line["event"], "stats");
        assert_eq!(line["opened_video"], 0);
        let alarm = serde_json::to_value(Event::Alarm(Alarm::Delayed { ms: 5000 })).unwrap();
        assert_eq!((&alarm["event"], &alarm["code"]), (&"alarm".into(), &"delayed".into()));
        assert!(alarm["text"].as_str().unwrap().contains("5000 ms"));
    }

    #[test]
    fn an_alarm_is_not_repeated_at_once() {
        let teller = Teller::new();
        let mut listener = teller.listen();
        for ms in [1, 1, 2, 1] {
            teller.alarm(Alarm::Delayed { ms });
        }
        assert_eq!(listener.try_recv().unwrap(), Event::Alarm(Alarm::Delayed { ms: 1 }));
        assert_eq!(listener.try_recv().unwrap(), Event::Alarm(Alarm::Delayed { ms: 2 }));
        assert!(listener.try_recv().is_err());
    }

    #[test]
    fn a_listener_hears_a_step_once() {
        let teller = Teller::new();
        let mut listener = teller.listen();
        assert!(teller.done(Step::Ice).is_some());
        assert!(teller.done(Step::Ice).is_none());
        teller.trying(Step::Dtls, "no answer");
        teller.trying(Step::Dtls, "no answer");
        assert!(matches!(listener.try_recv().unwrap(), Event::Step { step: Step::Ice, .. }));
        assert!(matches!(listener.try_recv().unwrap(), Event::Trying { step: Step::Dtls, .. }));
        assert!(listener.try_recv().is_err());
    }
}

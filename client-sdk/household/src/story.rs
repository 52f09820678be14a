//! The story of a connection: which steps are done, when, and why one is not.

use std::time::Duration;

use serde::Serialize;
use web_time::Instant;

/// The steps between a command and a picture, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Signed in at the server.
    Signalling,
    /// The relay's door let us in: grant and offer were taken.
    Relay,
    /// A path to the relay was found (ICE).
    Ice,
    /// Keys for the hop to the relay are agreed (DTLS).
    Dtls,
    /// The first packet of media came (viewer) or left (camera).
    FirstPacket,
    /// The camera's frame key is known to this device.
    KeyKnown,
    /// The first frame was opened (viewer) or sealed and sent (camera).
    FirstFrame,
}

impl Step {
    /// All steps in order.
    pub const ALL: [Self; 7] = [
        Self::Signalling,
        Self::Relay,
        Self::Ice,
        Self::Dtls,
        Self::FirstPacket,
        Self::KeyKnown,
        Self::FirstFrame,
    ];

    /// Returns the step in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Signalling => "signed in at the server",
            Self::Relay => "let in by the relay",
            Self::Ice => "path to the relay (ICE)",
            Self::Dtls => "hop secured (DTLS)",
            Self::FirstPacket => "first packet",
            Self::KeyKnown => "frame key known",
            Self::FirstFrame => "first frame",
        }
    }

    /// Returns what to do when this step does not come about.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Signalling => {
                "check the server's address and that it runs, and that this device is on the list of devices"
            }
            Self::Relay => {
                "check that the camera runs, and that the relay's address in the server's settings can be reached from here"
            }
            Self::Ice => {
                "UDP to the relay does not pass: open the relay's UDP port in firewalls on the way, and check the public address it was given"
            }
            Self::Dtls => {
                "packets pass but keys cannot be agreed: a device in between may change UDP packets"
            }
            Self::FirstPacket => "the relay has nothing to send: check that the camera is sending",
            Self::KeyKnown => {
                "check that the camera runs and is connected to the server (the list of devices shows it): it lets new devices in by itself"
            }
            Self::FirstFrame => {
                "frames come but none opens: check the clock and version of both devices; restarting the camera gives new keys"
            }
        }
    }
}

/// How one step stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StepState {
    /// Nothing is known yet.
    #[default]
    Waiting,
    /// It does not come about now; it is tried again.
    Trying {
        /// Why not yet.
        reason: String,
    },
    /// Done.
    Done {
        /// Time since the story began.
        after: Duration,
    },
}

/// The steps of one connection attempt.
#[derive(Clone, Debug)]
pub struct Story {
    began: Instant,
    states: [StepState; Step::ALL.len()],
}

impl Story {
    /// A story that begins now.
    pub fn begin() -> Self {
        Self { began: Instant::now(), states: Default::default() }
    }

    /// Returns how a step stands.
    pub fn state(&self, step: Step) -> &StepState {
        &self.states[step as usize]
    }

    /// Returns when a step was done, since the story began.
    pub fn done_after(&self, step: Step) -> Option<Duration> {
        match self.state(step) {
            StepState::Done { after } => Some(*after),
            _ => None,
        }
    }

    /// Returns the first step that is not done, or nothing when the story has ended well.
    pub fn open_step(&self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| self.done_after(*step).is_none())
    }

    /// Returns why the first open step is not done, where that is known.
    pub fn open_reason(&self) -> Option<&str> {
        match self.state(self.open_step()?) {
            StepState::Trying { reason } => Some(reason),
            _ => None,
        }
    }

    /// Marks a step done and returns its time, or nothing when it was done before.
    pub(crate) fn done(&mut self, step: Step) -> Option<Duration> {
        if self.done_after(step).is_some() {
            return None;
        }
        let after = self.began.elapsed();
        self.states[step as usize] = StepState::Done { after };
        Some(after)
    }

    /// Notes why a step is not done yet; returns whether that is news. A step once done stays done.
    pub(crate) fn trying(&mut self, step: Step, reason: &str) -> bool {
        let news = match self.state(step) {
            StepState::Done { .. } => false,
            StepState::Trying { reason: known } => known != reason,
            StepState::Waiting => true,
        };
        if news {
            self.states[step as usize] = StepState::Trying { reason: reason.to_owned() };
        }
        news
    }

    /// Forgets the steps from `step` on: the connection is made anew.
    pub(crate) fn again_from(&mut self, step: Step) {
        for later in Step::ALL.into_iter().skip(step as usize) {
            self.states[later as usize] = StepState::Waiting;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_step_is_done_once_and_the_first_open_one_is_named() {
        let mut story = Story::begin();
        assert_eq!(story.open_step(), Some(Step::Signalling));
        assert!(story.trying(Step::Signalling, "no reply"));
        assert!(!story.trying(Step::Signalling, "no reply"));
        assert_eq!(story.open_reason(), Some("no reply"));
        assert!(story.done(Step::Signalling).is_some());
        assert!(story.done(Step::Signalling).is_none());
        assert!(!story.trying(Step::Signalling, "late"));
        assert_eq!(story.open_step(), Some(Step::Relay));
        for step in Step::ALL {
            story.done(step);
        }
        assert_eq!(story.open_step(), None);
        story.again_from(Step::Relay);
        assert_eq!(story.open_step(), Some(Step::Relay));
        assert!(story.done_after(Step::Signalling).is_some());
    }
}

//! What the camera's signature says about the frames that were opened, counted, and the alarm when it denies them.

use std::time::{Duration, Instant};

use latchkey_api::checks::{self, Check};
use latchkey_api::id::GroupId;
use latchkey_e2ee::checkpoint::{BlockError, CheckpointVerifier, Verdicts};
use latchkey_e2ee::open::Opened;

use crate::alarm::Alarm;
use crate::stats::Authenticity;

/// Verdicts about the frames of one viewer.
pub(super) struct Proof {
    began: Instant,
    camera: Option<[u8; 32]>,
    group: Option<GroupId>,
    verifier: Option<CheckpointVerifier>,
    tally: Verdicts,
    /// Frames that nobody can judge because the camera's key is not known.
    now: Authenticity,
    forged_at: Option<Instant>,
    alarmed: Option<Instant>,
}

impl Proof {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            camera: None,
            group: None,
            verifier: None,
            tally: Verdicts::default(),
            now: Authenticity::default(),
            forged_at: None,
            alarmed: None,
        }
    }

    /// Learns what the camera signs with.
    pub(super) fn camera_key(&mut self, key: [u8; 32]) {
        if self.camera.replace(key) != Some(key) {
            self.begin();
        }
    }

    /// Learns which group's frames come.
    pub(super) fn group(&mut self, group: GroupId) {
        if self.group.replace(group) != Some(group) {
            self.begin();
        }
    }

    fn begin(&mut self) {
        let known = self.group.zip(self.camera);
        self.verifier = known.and_then(|(group, camera)| CheckpointVerifier::new(group, &camera).ok());
    }

    /// Takes an opened frame and the block that it carried; returns the alarm that is due.
    pub(super) fn opened(
        &mut self,
        opened: &Opened,
        sframe: &[u8],
        block: Option<&[u8]>,
        now: Instant,
    ) -> Option<Alarm> {
        if checks::skipped(Check::FrameSigned) {
            return None;
        }
        let at = now.duration_since(self.began);
        let Some(verifier) = &mut self.verifier else {
            return self.count(Verdicts { unverified: 1, ..Verdicts::default() }, now);
        };
        let mut verdicts = verifier.frame(opened, sframe, at);
        let wrong = block.and_then(|block| match verifier.block(block, at) {
            Ok(more) => {
                verdicts += more;
                None
            }
            Err(BlockError::UnknownVersion) => None,
            Err(error) => Some(error),
        });
        let alarm = self.count(verdicts, now);
        match wrong {
            Some(error) => self.alarm(error.to_string(), now),
            None => alarm,
        }
    }

    /// Forged frames of an epoch that is over were opened before its record came.
    pub(super) fn opened_beyond_the_end(&mut self, now: Instant) -> Option<Alarm> {
        self.alarm(
            "frames of an epoch came that the camera's record of its end does not name".to_owned(),
            now,
        )
    }

    /// Gives up on signatures that should have come.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Alarm> {
        let at = now.duration_since(self.began);
        let verdicts = self.verifier.as_mut()?.expire(at);
        self.count(verdicts, now)
    }

    /// Frames by verdict, since the start.
    pub(super) fn tally(&self) -> Verdicts {
        self.tally
    }

    /// What the newest verdicts say.
    pub(super) fn now(&self) -> Authenticity {
        match self.forged_at {
            Some(at) if at.elapsed() < FORGED_SHOWN => Authenticity::Forged,
            _ => self.now,
        }
    }

    fn count(&mut self, verdicts: Verdicts, now: Instant) -> Option<Alarm> {
        self.tally += verdicts;
        if verdicts.signed > 0 {
            self.now = Authenticity::Signed;
        } else if verdicts.unverified > 0 {
            self.now = Authenticity::NotVerified;
        }
        self.alarm(verdicts.first_forged?.to_string(), now)
    }

    fn alarm(&mut self, what: String, now: Instant) -> Option<Alarm> {
        self.forged_at = Some(now);
        if self.alarmed.is_some_and(|before| now.duration_since(before) < ALARM_AGAIN) {
            return None;
        }
        self.alarmed = Some(now);
        Some(Alarm::ForgedFrames { what })
    }
}

/// How long forged frames are shown as such after the last one.
const FORGED_SHOWN: Duration = Duration::from_secs(30);
/// How soon the same alarm is raised again.
const ALARM_AGAIN: Duration = Duration::from_secs(30);

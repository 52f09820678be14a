//! What the camera's signature says about the frames that were opened, counted, and the alarm when it denies them.

use std::time::Duration;

use latchkey_api::checks::{self, Check};
use latchkey_api::id::GroupId;
use latchkey_e2ee::checkpoint::{BlockError, CheckpointVerifier, Verdicts};
use latchkey_e2ee::open::{FrameOpener, Opened};
use web_time::Instant;

use crate::alarm::Alarm;
use crate::stats::Authenticity;

/// Verdicts about the frames of one viewer.
pub struct Proof {
    began: Instant,
    camera: Option<[u8; 32]>,
    group: Option<GroupId>,
    verifier: Option<CheckpointVerifier>,
    tally: Verdicts,
    /// Frames that nobody can judge because the camera's key is not known.
    now: Authenticity,
    forged_at: Option<Instant>,
    alarmed: Option<Instant>,
    /// What was signed or forged is news to the opener.
    untold: Untold,
}

#[derive(Default)]
struct Untold {
    signed: bool,
    forged: bool,
}

impl Proof {
    /// Nothing is known of the camera yet.
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            camera: None,
            group: None,
            verifier: None,
            tally: Verdicts::default(),
            now: Authenticity::default(),
            forged_at: None,
            alarmed: None,
            untold: Untold::default(),
        }
    }

    /// Learns what the camera signs with.
    pub fn camera_key(&mut self, key: [u8; 32]) {
        if self.camera.replace(key) != Some(key) {
            self.begin();
        }
    }

    /// Learns which group's frames come.
    pub fn group(&mut self, group: GroupId) {
        if self.group.replace(group) != Some(group) {
            self.begin();
        }
    }

    fn begin(&mut self) {
        let known = self.group.zip(self.camera);
        self.verifier = known.and_then(|(group, camera)| CheckpointVerifier::new(group, &camera).ok());
    }

    /// Takes an opened frame and the block that it carried; returns the alarm that is due.
    pub fn opened(
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
        let verdicts = verifier.frame(opened, sframe, at);
        let alarm = self.count(verdicts, now);
        block.and_then(|block| self.block(block, now)).or(alarm)
    }

    /// Takes a block, of a frame that was too old to be opened too: what is signed in it is not.
    pub fn block(&mut self, block: &[u8], now: Instant) -> Option<Alarm> {
        if checks::skipped(Check::FrameSigned) {
            return None;
        }
        let at = now.duration_since(self.began);
        match self.verifier.as_mut()?.block(block, at) {
            Ok(verdicts) => {
                self.untold.signed = true;
                self.count(verdicts, now)
            }
            Err(BlockError::UnknownVersion) => None,
            Err(error) => self.alarm(error.to_string(), now),
        }
    }

    /// Tells the opener what the camera signed and, where frames were forged, from where on the camera's own are to
    /// open again.
    pub fn teach(&mut self, opener: &mut FrameOpener) {
        let Untold { signed, forged } = std::mem::take(&mut self.untold);
        if !signed && !forged {
            return;
        }
        for (kid, end) in self.verifier.iter().flat_map(CheckpointVerifier::signed) {
            opener.camera_signed(kid);
            if forged {
                opener.forget_forged(kid, end);
            }
        }
    }

    /// Forged frames of an epoch that is over were opened before its record came.
    pub fn opened_beyond_the_end(&mut self, now: Instant) -> Option<Alarm> {
        self.alarm(
            "frames of an epoch came that the camera's record of its end does not name".to_owned(),
            now,
        )
    }

    /// Gives up on signatures that should have come.
    pub fn expire(&mut self, now: Instant) -> Option<Alarm> {
        let at = now.duration_since(self.began);
        let verdicts = self.verifier.as_mut()?.expire(at);
        self.count(verdicts, now)
    }

    /// Frames by verdict, since the start.
    pub fn tally(&self) -> Verdicts {
        self.tally
    }

    /// What the newest verdicts say.
    pub fn now(&self) -> Authenticity {
        match self.forged_at {
            Some(at) if at.elapsed() < FORGED_SHOWN => Authenticity::Forged,
            _ => self.now,
        }
    }

    fn count(&mut self, verdicts: Verdicts, now: Instant) -> Option<Alarm> {
        self.tally += verdicts;
        self.untold.forged |= verdicts.forged > 0;
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

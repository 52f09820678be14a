//! What a member sees: it opens the camera's frames and looks for the camera's signature over them.

use std::time::Duration;

use latchkey_api::id::GroupId;
use latchkey_e2ee::checkpoint::CheckpointVerifier;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::open::FrameOpener;

use crate::camera::clock_ms;
use crate::checker::{Checker, Held};

/// Lasts as long as the process.
#[derive(Default)]
pub struct Viewer {
    opener: FrameOpener,
    verifier: Option<CheckpointVerifier>,
    /// Frames of all groups that it has looked at.
    seen: usize,
}

impl Viewer {
    /// Takes up the keys of an epoch.
    pub fn take(&mut self, keys: EpochKeys, epoch: u64) {
        self.opener.add_epoch(keys, Duration::from_secs(epoch));
    }

    /// Opens the next frames, without the one in every `loses`, and two in the wrong order where it `swaps`.
    pub fn watch(
        &mut self,
        camera: &[u8; 32],
        (count, loses, swaps): (u8, u8, bool),
        now: u64,
        checker: &mut Checker,
    ) -> Held {
        let at = Duration::from_millis(clock_ms(now, checker));
        let from = self.seen.min(checker.frames.len());
        let until = checker.frames.len().min(from + usize::from(count));
        self.seen = until;
        let mut order: Vec<_> =
            (from..until).filter(|at| loses < 2 || at % usize::from(loses) != 0).collect();
        if swaps {
            order.chunks_exact_mut(2).for_each(|pair| pair.swap(0, 1));
        }
        for frame in order {
            let frame = &checker.frames[frame];
            let (group, sframe) = (frame.group, frame.sframe.clone());
            self.look(group, &sframe, camera, at, checker)?;
        }
        Ok(())
    }

    fn look(
        &mut self,
        group: GroupId,
        sframe: &[u8],
        camera: &[u8; 32],
        at: Duration,
        checker: &mut Checker,
    ) -> Held {
        let Ok(opened) = self.opener.open(sframe, b"", &mut Vec::new()) else { return Ok(()) };
        if self.verifier.as_ref().is_none_or(|verifier| verifier.group() != group) {
            self.verifier = CheckpointVerifier::new(group, camera).ok();
        }
        let Some(verifier) = &mut self.verifier else { return Ok(()) };
        checker.judged(verifier.frame(&opened, sframe, at))?;
        if let Some(block) = self.opener.block() {
            let verdicts = verifier.block(block, at);
            checker.judged(verdicts.map_err(|error| format!("checkpoint: an honest block: {error}"))?)?;
            for (kid, _) in verifier.signed() {
                self.opener.camera_signed(kid);
            }
        }
        Ok(())
    }
}

//! Frames that do not open: they wait for keys, are counted and told of, and end in a wish for a key frame.

use std::time::{Duration, Instant};

use latchkey_household::story::Step;
use latchkey_household::viewer::failure::words;
use latchkey_household::viewer::waiting::WaitingFrame;

use crate::viewer::media::Media;
use crate::viewer::track::MediaKindOrder;

impl Media {
    pub(super) fn wait_for_keys(&mut self, frame: WaitingFrame) {
        let known = if self.opener.newest_epoch().is_none() { "no key" } else { "no key for this epoch" };
        let reason = format!("frames come, but this device has {known} yet: waiting for the camera's word");
        self.tell_blindness(&reason);
        self.nothing_opens("unknown_epoch");
        let gone = self.waiting.keep(frame, Instant::now());
        if gone > 0 {
            self.fail("unknown_epoch", gone);
            self.blind();
        }
    }

    pub(super) fn failed_frame(&mut self, reason: &'static str) {
        self.fail(reason, 1);
        // A frame seen before was handed on then; nothing is missing.
        if reason != "replayed" {
            self.blind();
            self.tell_blindness(&format!("frames come, but do not open: {}", words(reason)));
            self.nothing_opens(reason);
        }
    }

    /// Says so once when nothing but frames that do not open has come for long.
    fn nothing_opens(&mut self, reason: &'static str) {
        if self.opener.newest_epoch().is_none() {
            return;
        }
        if let Some(sentence) = self.unopened.failed(reason, Instant::now()) {
            let step = self.parts.teller.story().open_step().unwrap_or(Step::FirstFrame);
            self.parts.teller.trying(step, sentence);
            self.parts.teller.note(sentence);
        }
    }

    pub(super) fn fail(&mut self, reason: &'static str, count: u64) {
        *self.failed.entry(reason).or_default() += count;
    }

    /// A frame of video is missing: what follows cannot be decoded until the next key frame.
    pub(super) fn blind(&mut self) {
        if let Some(track) = self.tracks.get_mut(&MediaKindOrder(0)) {
            track.needs_key = true;
        }
    }

    fn tell_blindness(&self, reason: &str) {
        if let Some(step @ (Step::KeyKnown | Step::FirstFrame)) = self.parts.teller.story().open_step() {
            self.parts.teller.trying(step, reason);
        }
    }

    /// Asks for a key frame when there has been nothing to show for a second, once a second.
    pub(super) async fn look_after_key_frames(&mut self) {
        let now = Instant::now();
        let Some(track) = self.tracks.get_mut(&MediaKindOrder(0)) else { return };
        if !track.needs_key && !track.jitter.wants_key_frame() {
            track.blind_since = None;
            return;
        }
        let since = *track.blind_since.get_or_insert(now);
        let patient = now.duration_since(since) < ASK_AFTER;
        let asked = self.asked.is_some_and(|asked| now.duration_since(asked) < ASK_AGAIN);
        if patient || asked {
            return;
        }
        self.asked = Some(now);
        let subscriber = self.parts.line.borrow().clone();
        if let Some(subscriber) = subscriber {
            subscriber.ask_for_key_frame().await;
        }
    }
}

/// How long the relay's own memory of the last key frame is trusted to come.
const ASK_AFTER: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_secs(1);

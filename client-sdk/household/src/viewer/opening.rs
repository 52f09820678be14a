//! Opens the wire frames of a watched camera and judges them: news and frames in, verdicts and figures out.
//!
//! For whatever gets whole frames, such as a browser: it has no socket, no jitter buffer and no clock of its own.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use latchkey_e2ee::open::{FrameOpener, Opened};
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::envelope::{self, SplitError};
use web_time::Instant;

use crate::alarm::Alarm;
use crate::event::{Event, Teller};
use crate::stats::{RateWindow, ViewerStats};
use crate::story::Step;
use crate::viewer::failure::{Failure, Unopened, words};
use crate::viewer::live::{Judged, Live};
use crate::viewer::news::News;
use crate::viewer::proof::Proof;

/// The opener of one watch.
pub struct Opening {
    began: Instant,
    teller: Arc<Teller>,
    opener: FrameOpener,
    proof: Proof,
    live: Live,
    unopened: Unopened,
    /// Since when no frame has opened although some came.
    failing_since: Option<Instant>,
    scratch: Vec<u8>,
    plain: Vec<u8>,
    stats: ViewerStats,
    window: RateWindow,
}

/// What becomes of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the camera's: [`Opening::plain`] goes to the decoder.
    Show,
    /// Its key may be on its way: it can be tried again for two seconds.
    Wait,
    /// Padding, or a repetition: nothing is missing without it.
    Nothing,
    /// It is not shown, and something is missing: counted under this name.
    Refused(&'static str),
}

impl Opening {
    /// Returns an opener that knows no key yet and tells what happens by `teller`.
    #[must_use]
    pub fn new(teller: Arc<Teller>, now: Instant) -> Self {
        Self {
            began: now,
            teller,
            opener: FrameOpener::new(),
            proof: Proof::new(now),
            live: Live::new(now),
            unopened: Unopened::default(),
            failing_since: None,
            scratch: Vec::new(),
            plain: Vec::new(),
            stats: ViewerStats::default(),
            window: RateWindow::begin(now),
        }
    }

    /// Takes one piece of news; returns whether frames that wait should be tried again.
    pub fn take(&mut self, news: News, now: Instant) -> bool {
        match news {
            News::Epoch { keys, removed } => {
                self.proof.group(keys.group());
                let (epoch, at) = (keys.epoch(), now.saturating_duration_since(self.began));
                self.opener.add_epoch(keys, at);
                if removed {
                    self.opener.limit_before(epoch, at);
                }
                self.teller.done(Step::KeyKnown);
                return true;
            }
            News::Ended { epoch, last } => {
                if !self.opener.end_epoch(epoch, &last).is_empty() {
                    let alarm = self.proof.opened_beyond_the_end(now);
                    self.raise(alarm);
                }
            }
            News::Answered { asked, answered, camera_ms, counters } => {
                self.live.answered(asked, answered, camera_ms, counters);
            }
            News::CameraKey(key) => self.proof.camera_key(key),
        }
        false
    }

    /// Frames come over a new connection to the relay.
    pub fn new_connection(&mut self, now: Instant) {
        self.live.new_connection(now);
        self.failing_since = None;
        self.stats.reconnects += 1;
    }

    /// Opens a wire frame that came at `now`, when the wall clock shows `wall`.
    pub fn open(&mut self, codec: Codec, wire: &[u8], now: Instant, wall: SystemTime) -> Verdict {
        self.opener.retire_epochs(now.saturating_duration_since(self.began), KEEP_EPOCHS);
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut plain = std::mem::take(&mut self.plain);
        let outcome = match envelope::split(codec, wire, &mut scratch) {
            Ok(parts) => self.open_parts(parts, &mut plain, now),
            Err(SplitError::Empty) => Err(Failure::Empty),
            Err(_) => Err(Failure::Reason("malformed")),
        };
        let verdict = match outcome {
            Ok(opened) if opened.header.codec != codec => self.refused("malformed", now),
            Ok(opened) => self.judge(codec, &opened, plain.len(), now, wall),
            Err(Failure::Empty) => Verdict::Nothing,
            Err(Failure::UnknownEpoch) => self.waits(now),
            Err(Failure::Reason(reason)) => self.refused(reason, now),
        };
        self.scratch = scratch;
        self.plain = plain;
        verdict
    }

    /// The frame opened last, as the codec made it; only after [`Verdict::Show`].
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// So many frames that waited were given up.
    pub fn gave_up(&mut self, frames: u64) {
        *self.stats.failed.entry("unknown_epoch").or_default() += frames;
    }

    /// Whether frames have come for long and none has opened: asking for key frames would only drain the camera.
    #[must_use]
    pub fn is_blind(&self, now: Instant) -> bool {
        self.failing_since.is_some_and(|since| now.saturating_duration_since(since) >= BLIND_AFTER)
    }

    /// The figures, once a second; nothing in between.
    pub fn figures(&mut self, now: Instant) -> Option<ViewerStats> {
        let (fps, bits_per_second) = self.window.turn(now)?;
        let alarm = self.proof.expire(now);
        self.raise(alarm);
        let verdicts = self.proof.tally();
        self.stats.signed = verdicts.signed;
        self.stats.unverified = verdicts.unverified;
        self.stats.forged = verdicts.forged;
        self.stats.authenticity = self.proof.now();
        self.stats.live = self.live.now();
        self.stats.fps = fps;
        self.stats.bits_per_second = bits_per_second;
        Some(self.stats.clone())
    }

    fn open_parts(
        &mut self,
        parts: envelope::Parts<'_>,
        plain: &mut Vec<u8>,
        now: Instant,
    ) -> Result<Opened, Failure> {
        let opened = self.opener.open(parts.sframe, parts.envelope, plain);
        let alarm = match &opened {
            Ok(opened) => self.proof.opened(opened, parts.sframe, self.opener.block(), now),
            // Of a frame that is too old, what the camera signed in it still counts.
            Err(_) => self.opener.block().and_then(|block| self.proof.block(block, now)),
        };
        self.proof.teach(&mut self.opener);
        self.raise(alarm);
        opened.map_err(Failure::from)
    }

    /// Shows what is not older than anything that an honest relay sends.
    fn judge(
        &mut self,
        codec: Codec,
        opened: &Opened,
        len: usize,
        now: Instant,
        wall: SystemTime,
    ) -> Verdict {
        self.unopened.opened();
        self.failing_since = None;
        let kind = codec.kind();
        let (judged, alarm) = self.live.judge(kind, opened, now);
        self.raise(alarm);
        if judged == Judged::Stale {
            self.count_failure("stale");
            return Verdict::Refused("stale");
        }
        self.window.count(len, kind == MediaKind::Video);
        match kind {
            MediaKind::Audio => self.stats.opened_audio += 1,
            MediaKind::Video => {
                self.stats.opened_video += 1;
                self.stats.age_ms = Some(age_ms(opened.header.captured(), wall));
                if let Some(ms) = self.teller.done(Step::FirstFrame)
                    && self.stats.opened_video == 1
                {
                    self.teller.tell(Event::FirstFrameOpened { ms });
                }
            }
        }
        Verdict::Show
    }

    fn waits(&mut self, now: Instant) -> Verdict {
        let known = if self.opener.newest_epoch().is_none() { "no key" } else { "no key for this epoch" };
        let reason = format!("frames come, but this device has {known} yet: waiting for the camera's word");
        self.tell_blindness(&reason);
        self.nothing_opens("unknown_epoch", now);
        Verdict::Wait
    }

    fn refused(&mut self, reason: &'static str, now: Instant) -> Verdict {
        self.count_failure(reason);
        if reason == "replayed" {
            // It was shown when it came first.
            return Verdict::Nothing;
        }
        self.tell_blindness(&format!("frames come, but do not open: {}", words(reason)));
        self.nothing_opens(reason, now);
        Verdict::Refused(reason)
    }

    fn count_failure(&mut self, reason: &'static str) {
        *self.stats.failed.entry(reason).or_default() += 1;
    }

    /// Says so once when nothing but frames that do not open has come for long.
    fn nothing_opens(&mut self, reason: &'static str, now: Instant) {
        self.failing_since.get_or_insert(now);
        if self.opener.newest_epoch().is_none() {
            return;
        }
        if let Some(sentence) = self.unopened.failed(reason, now) {
            let step = self.teller.story().open_step().unwrap_or(Step::FirstFrame);
            self.teller.trying(step, sentence);
            self.teller.note(sentence);
        }
    }

    fn tell_blindness(&self, reason: &str) {
        if let Some(step @ (Step::KeyKnown | Step::FirstFrame)) = self.teller.story().open_step() {
            self.teller.trying(step, reason);
        }
    }

    fn raise(&self, alarm: Option<Alarm>) {
        if let Some(alarm) = alarm {
            self.teller.alarm(alarm);
        }
    }
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("epoch", &self.opener.newest_epoch()).finish_non_exhaustive()
    }
}

fn age_ms(captured: SystemTime, wall: SystemTime) -> i64 {
    let ms = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        i64::try_from(since).unwrap_or(i64::MAX)
    };
    ms(wall) - ms(captured)
}

/// How long keys of an epoch that is over are kept: the relay may still hold its frames.
const KEEP_EPOCHS: Duration = Duration::from_secs(15);
/// How long frames come without one that opens until this counts as blind.
const BLIND_AFTER: Duration = Duration::from_secs(5);

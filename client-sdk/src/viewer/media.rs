//! The viewer's hot path: packets in, frames put together, opened, handed on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::open::{FrameOpener, Opened};
use latchkey_household::alarm::Alarm;
use latchkey_household::event::{Event, Teller};
use latchkey_household::observer::{FrameObserver, WireFrame};
use latchkey_household::stats::{RateWindow, ViewerStats};
use latchkey_household::story::Step;
use latchkey_household::viewer::failure::{Failure, Unopened, words};
use latchkey_household::viewer::live::{Judged, Live};
use latchkey_household::viewer::news::News;
use latchkey_household::viewer::proof::Proof;
use latchkey_household::viewer::waiting::{Waiting, WaitingFrame};
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::envelope;
use latchkey_wire::sframe_header::SframeHeader;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use crate::frame::MediaFrame;
use crate::jitter::Counters;
use crate::transport::IncomingPacket;
use crate::viewer::link::{Arrival, Line, LinkCounters};
use crate::viewer::output::Output;
use crate::viewer::track::{MediaKindOrder, Track, add, duration_of};
use crate::viewer::{Ended, Ender, OpenedFrame, SharedStats};

/// What the media task is made of.
pub(super) struct Parts {
    pub(super) news: mpsc::UnboundedReceiver<News>,
    pub(super) line: Line,
    pub(super) output: Output,
    pub(super) frames: Option<mpsc::Sender<OpenedFrame>>,
    pub(super) stop_after: Option<u64>,
    pub(super) observer: Option<Arc<dyn FrameObserver>>,
    pub(super) teller: Arc<Teller>,
    pub(super) stats: SharedStats,
    pub(super) counters: Arc<LinkCounters>,
    /// For the keeper: packets that have come.
    pub(super) packets: Arc<AtomicU64>,
    pub(super) ender: Ender,
}

/// Puts together, opens, hands on.
pub(super) struct Media {
    parts: Parts,
    began: Instant,
    opener: FrameOpener,
    proof: Proof,
    live: Live,
    unopened: Unopened,
    waiting: Waiting,
    tracks: BTreeMap<MediaKindOrder, Track>,
    /// Of jitter buffers that were replaced.
    counted_before: Counters,
    scratch: Vec<u8>,
    plain: Vec<u8>,
    failed: BTreeMap<&'static str, u64>,
    opened: (u64, u64),
    handed_on: u64,
    age_ms: Option<i64>,
    window: RateWindow,
    published: Instant,
    asked: Option<Instant>,
}

impl Media {
    pub(super) fn new(parts: Parts) -> Self {
        let now = Instant::now();
        Self {
            parts,
            began: now,
            opener: FrameOpener::new(),
            proof: Proof::new(now),
            live: Live::new(now),
            unopened: Unopened::default(),
            waiting: Waiting::default(),
            tracks: BTreeMap::new(),
            counted_before: Counters::default(),
            scratch: Vec::new(),
            plain: Vec::new(),
            failed: BTreeMap::new(),
            opened: (0, 0),
            handed_on: 0,
            age_ms: None,
            window: RateWindow::begin(now),
            published: now,
            asked: None,
        }
    }

    /// Runs until stopped.
    pub(super) async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>, stop: CancellationToken) {
        loop {
            let wake = tokio::time::Instant::from_std(self.next_wake());
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(news) = self.parts.news.recv() => self.take_news(news),
                arrival = arrivals.recv() => match arrival {
                    Some(Arrival::Packet(packet)) => self.take_packet(packet),
                    Some(Arrival::NewConnection) => self.begin_connection(),
                    None => break,
                },
                () = sleep_until(wake) => {}
            }
            self.pop_frames();
            self.look_after_key_frames().await;
            self.tell_figures();
        }
        self.publish_figures(None);
        self.parts.output.finish().await;
    }

    fn next_wake(&self) -> Instant {
        let now = Instant::now();
        let deadlines = self.tracks.values().filter_map(|track| track.jitter.deadline());
        let idle = if self.waiting.is_empty() { IDLE_WAKE } else { WAITING_WAKE };
        deadlines.chain([now + idle]).min().unwrap_or(now)
    }

    fn take_news(&mut self, news: News) {
        match news {
            News::Epoch { keys, removed } => self.take_keys(keys, removed),
            News::Ended { epoch, last } => {
                if !self.opener.end_epoch(epoch, &last).is_empty() {
                    let alarm = self.proof.opened_beyond_the_end(Instant::now());
                    self.raise(alarm);
                }
            }
            News::Answered { asked, answered, camera_ms, counters } => {
                self.live.answered(asked, answered, camera_ms, counters);
            }
            News::CameraKey(key) => self.proof.camera_key(key),
        }
    }

    fn take_keys(&mut self, keys: EpochKeys, removed: bool) {
        self.proof.group(keys.group());
        let (epoch, now) = (keys.epoch(), self.began.elapsed());
        self.opener.add_epoch(keys, now);
        if removed {
            self.opener.limit_before(epoch, now);
        }
        self.parts.teller.done(Step::KeyKnown);
        for frame in self.waiting.take() {
            self.open(frame);
        }
    }

    fn take_packet(&mut self, packet: IncomingPacket) {
        let order = MediaKindOrder(u8::from(packet.kind == MediaKind::Audio));
        let codec = packet.codec;
        if self.tracks.get(&order).is_some_and(|track| track.codec != codec) {
            self.forget(order);
        }
        self.tracks.entry(order).or_insert_with(|| Track::new(codec)).jitter.push(packet);
    }

    /// Numbers of a new connection have nothing to do with those of the one before.
    fn begin_connection(&mut self) {
        self.live.new_connection(Instant::now());
        for order in self.tracks.keys().copied().collect::<Vec<_>>() {
            self.forget(order);
        }
    }

    fn forget(&mut self, order: MediaKindOrder) {
        if let Some(track) = self.tracks.remove(&order) {
            add(&mut self.counted_before, track.jitter.counters());
        }
    }

    fn pop_frames(&mut self) {
        let now = Instant::now();
        self.opener.retire_epochs(self.began.elapsed(), KEEP_EPOCHS);
        let expired = self.waiting.expire(now);
        if expired > 0 {
            self.fail("unknown_epoch", expired);
            self.blind();
        }
        for order in self.tracks.keys().copied().collect::<Vec<_>>() {
            while let Some(track) = self.tracks.get_mut(&order)
                && let Some(frame) = track.jitter.pop(now)
            {
                let codec = track.codec;
                self.open(WaitingFrame { codec, wire: frame.wire, timestamp: frame.timestamp });
            }
        }
    }

    fn open(&mut self, frame: WaitingFrame) {
        let WaitingFrame { codec, wire, timestamp } = &frame;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut plain = std::mem::take(&mut self.plain);
        let now = Instant::now();
        let mut alarm = None;
        let outcome = match envelope::split(*codec, wire, &mut scratch) {
            Ok(parts) => {
                self.observe(*codec, parts.sframe, wire);
                let opened = self.opener.open(parts.sframe, parts.envelope, &mut plain);
                if let Ok(opened) = &opened {
                    alarm = self.proof.opened(opened, parts.sframe, self.opener.block(), now);
                } else if let Some(block) = self.opener.block() {
                    alarm = self.proof.block(block, now);
                }
                self.proof.teach(&mut self.opener);
                opened.map_err(Failure::from)
            }
            Err(envelope::SplitError::Empty) => Err(Failure::Empty),
            Err(_) => Err(Failure::Reason("malformed")),
        };
        match outcome {
            Ok(opened) if opened.header.codec != *codec => self.failed_frame("malformed"),
            Ok(opened) => self.judge(*codec, *timestamp, &opened, &plain, now),
            Err(Failure::Empty) => {}
            Err(Failure::UnknownEpoch) => self.wait_for_keys(frame),
            Err(Failure::Reason(reason)) => self.failed_frame(reason),
        }
        self.raise(alarm);
        self.scratch = scratch;
        self.plain = plain;
    }

    fn raise(&self, alarm: Option<Alarm>) {
        if let Some(alarm) = alarm {
            self.parts.teller.tell(Event::Alarm(alarm));
        }
    }

    /// Hands on what is not older than anything that an honest relay sends.
    fn judge(&mut self, codec: Codec, timestamp: u64, opened: &Opened, plain: &[u8], now: Instant) {
        self.unopened.opened();
        let (judged, alarm) = self.live.judge(codec.kind(), opened, now);
        self.raise(alarm);
        if judged == Judged::Stale {
            self.fail("stale", 1);
            return self.blind();
        }
        self.hand_on(codec, timestamp, opened, plain, judged == Judged::Live);
    }

    fn observe(&self, codec: Codec, sframe: &[u8], wire: &Bytes) {
        let Some(observer) = &self.parts.observer else { return };
        if let Ok(header) = SframeHeader::read(sframe) {
            let track = u8::from(codec.kind() == MediaKind::Audio);
            observer.received(&WireFrame::new(track, header.kid, header.ctr, wire));
        }
    }

    fn wait_for_keys(&mut self, frame: WaitingFrame) {
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

    fn failed_frame(&mut self, reason: &'static str) {
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

    fn fail(&mut self, reason: &'static str, count: u64) {
        *self.failed.entry(reason).or_default() += count;
    }

    /// A frame of video is missing: what follows cannot be decoded until the next key frame.
    fn blind(&mut self) {
        if let Some(track) = self.tracks.get_mut(&MediaKindOrder(0)) {
            track.needs_key = true;
        }
    }

    fn tell_blindness(&self, reason: &str) {
        if let Some(step @ (Step::KeyKnown | Step::FirstFrame)) = self.parts.teller.story().open_step() {
            self.parts.teller.trying(step, reason);
        }
    }

    fn hand_on(&mut self, codec: Codec, timestamp: u64, opened: &Opened, plain: &[u8], live: bool) {
        let kind = codec.kind();
        self.window.count(plain.len(), kind == MediaKind::Video);
        match kind {
            MediaKind::Video => self.opened.0 += 1,
            MediaKind::Audio => self.opened.1 += 1,
        }
        let order = MediaKindOrder(u8::from(kind == MediaKind::Audio));
        let track = self.tracks.entry(order).or_insert_with(|| Track::new(codec));
        if track.needs_key && !opened.header.key_frame {
            return;
        }
        track.needs_key = false;
        track.blind_since = None;
        let ticks = timestamp.saturating_sub(*track.first_timestamp.get_or_insert(timestamp));
        let pts = duration_of(ticks, codec);
        let data = Bytes::copy_from_slice(plain);
        let frame = MediaFrame::opened(codec, opened.header.key_frame, pts, data);
        if !self.parts.output.write(&frame) {
            self.fail("output_too_slow", 1);
        }
        let captured = opened.header.captured();
        if kind == MediaKind::Video {
            self.age_ms = Some(age_ms(captured));
            self.first_frame();
        }
        if let Some(frames) = &self.parts.frames {
            let frame = OpenedFrame { frame, captured, epoch: opened.epoch, live };
            if frames.try_send(frame).is_err() {
                self.fail("output_too_slow", 1);
            }
        }
        if kind == MediaKind::Video {
            self.handed_on += 1;
            if self.parts.stop_after.is_some_and(|enough| self.handed_on >= enough) {
                self.publish_figures(None);
                self.parts.ender.end(Ended::Enough);
            }
        }
    }

    fn first_frame(&self) {
        if let Some(subscriber) = &*self.parts.line.borrow() {
            subscriber.note_picture();
        }
        let first = self.handed_on == 0;
        if let Some(ms) = self.parts.teller.done(Step::FirstFrame)
            && first
        {
            self.parts.teller.tell(Event::FirstFrameOpened { ms });
        }
    }

    /// Asks for a key frame when there has been nothing to show for a second, once a second.
    async fn look_after_key_frames(&mut self) {
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

    fn tell_figures(&mut self) {
        let now = Instant::now();
        let Some(rates) = self.window.turn(now) else {
            if now.duration_since(self.published) >= PUBLISH_EVERY {
                self.published = now;
                self.publish_figures(None);
            }
            return;
        };
        let alarm = self.proof.expire(now);
        self.raise(alarm);
        let stats = self.publish_figures(Some(rates));
        self.parts.teller.tell(Event::Stats(stats));
    }

    fn publish_figures(&self, rates: Option<(f64, u64)>) -> ViewerStats {
        let mut counted = self.counted_before;
        for track in self.tracks.values() {
            add(&mut counted, track.jitter.counters());
        }
        let live = self.parts.line.borrow().as_ref().map_or(0, |subscriber| subscriber.overflow());
        let mut stats = self.parts.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.opened_video = self.opened.0;
        stats.opened_audio = self.opened.1;
        stats.failed.clone_from(&self.failed);
        stats.packets = counted.packets;
        self.parts.packets.store(counted.packets, Ordering::Relaxed);
        stats.packets_lost = counted.lost;
        stats.frames_incomplete = counted.gaps;
        stats.overflow = self.parts.counters.overflow.load(Ordering::Relaxed) + live;
        stats.reconnects = self.parts.counters.reconnects.load(Ordering::Relaxed);
        stats.age_ms = self.age_ms;
        let verdicts = self.proof.tally();
        (stats.signed, stats.unverified, stats.forged) =
            (verdicts.signed, verdicts.unverified, verdicts.forged);
        stats.authenticity = self.proof.now();
        stats.live = self.live.now();
        if let Some((fps, bits_per_second)) = rates {
            stats.fps = fps;
            stats.bits_per_second = bits_per_second;
        }
        stats.clone()
    }
}

fn age_ms(captured: SystemTime) -> i64 {
    let ms = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        i64::try_from(since).unwrap_or(i64::MAX)
    };
    ms(SystemTime::now()) - ms(captured)
}

/// How often totals are brought up to date for those who ask in between.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);
/// How often figures are looked at when nothing comes.
const IDLE_WAKE: Duration = Duration::from_millis(500);
/// How often waiting frames are looked at.
const WAITING_WAKE: Duration = Duration::from_millis(50);
/// How long the relay's own memory of the last key frame is trusted to come.
const ASK_AFTER: Duration = Duration::from_secs(1);
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How long keys of an epoch that is over are kept: the relay may still hold its frames.
const KEEP_EPOCHS: Duration = Duration::from_secs(15);

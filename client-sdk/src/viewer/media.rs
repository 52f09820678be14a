//! The viewer's hot path: packets in, frames put together, opened, handed on.

mod blindness;
mod figures;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use bytes::Bytes;
use latchkey_e2ee::key_schedule::EpochKeys;
use latchkey_e2ee::open::{FrameOpener, Opened};
use latchkey_household::alarm::Alarm;
use latchkey_household::event::{Event, Teller};
use latchkey_household::observer::{FrameObserver, WireFrame};
use latchkey_household::stats::RateWindow;
use latchkey_household::story::Step;
use latchkey_household::viewer::failure::{Failure, Unopened};
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
            self.age_ms = Some(figures::age_ms(captured));
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
}

/// How often figures are looked at when nothing comes.
const IDLE_WAKE: Duration = Duration::from_millis(500);
/// How often waiting frames are looked at.
const WAITING_WAKE: Duration = Duration::from_millis(50);
/// How long keys of an epoch that is over are kept: the relay may still hold its frames.
const KEEP_EPOCHS: Duration = Duration::from_secs(15);

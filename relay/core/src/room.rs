//! One camera's live session: takes the publisher's opened packets in, sends them to every viewer, answers their RTCP.
//!
//! The state machine of the whole crate. It owns no socket, clock or key: the shell calls it with opened packets and the
//! time, passes what comes through the [`Sink`] on, and carries out its [`Event`]s.

mod branch;

use std::time::{Duration, Instant};

use latchkey_wire::rtcp::TransportFeedback;
use latchkey_wire::rtp::RtpView;
use latchkey_wire::shape::Refusal;

use crate::bandwidth::{Estimate, PROBE_PACKETS};
use crate::config::RoomConfig;
use crate::event::{Event, StartedFrom};
use crate::id::{SubscriberId, TrackId};
use crate::news::News;
use crate::pace::Pace;
use crate::roster::{Leg, Roster};
use crate::sink::Sink;
use crate::stats::{DropReason, Stats};
use crate::subscription::{Subscription, SubscriptionParams};
use crate::track::{Track, TrackParams};
use crate::train::Train;

pub use branch::Seeding;

/// A room. See the [crate documentation](crate) for how a shell drives it.
#[derive(Debug)]
pub struct Room {
    config: RoomConfig,
    tracks: Vec<Option<Track>>,
    roster: Roster,
    pace: Pace,
    /// When those who wait for their pacer are served again.
    next_paced: Option<Instant>,
    next_tick: Option<Instant>,
    ticks: u64,
    news: News,
}

/// Why a track was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Us: the room has as many tracks as it may have.
    #[error("the room is full of tracks")]
    TooManyTracks,
    /// Caller: no such track.
    #[error("no such track")]
    UnknownTrack,
    /// Caller: the new publisher sends another codec, so the legs cannot go on; remove the track and publish anew.
    #[error("the track has another codec")]
    CodecChanged,
}

/// Why a subscription was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// Us: the room has as many viewers as it may have.
    #[error("the room is full of viewers")]
    TooManySubscribers,
    /// Caller: no such track.
    #[error("no such track")]
    UnknownTrack,
    /// Caller: the viewer has this track already.
    #[error("already subscribed to this track")]
    AlreadySubscribed,
}

impl Room {
    /// Returns an empty room. Memory for packets is allocated when a track is published.
    pub fn new(config: RoomConfig) -> Self {
        Self {
            pace: Pace::new(&config),
            config,
            tracks: Vec::new(),
            roster: Roster::default(),
            next_paced: None,
            next_tick: None,
            ticks: 0,
            news: News::new(),
        }
    }

    /// Adds a track and returns its name.
    ///
    /// # Errors
    /// [`PublishError::TooManyTracks`]
    pub fn publish(&mut self, params: TrackParams, now: Instant) -> Result<TrackId, PublishError> {
        let index = self.tracks.iter().position(Option::is_none).unwrap_or(self.tracks.len());
        if index >= self.config.tracks.min(usize::from(u8::MAX)) {
            return Err(PublishError::TooManyTracks);
        }
        let id = TrackId(index as u8);
        let track = Some(Track::new(id, params, &self.config));
        match self.tracks.get_mut(index) {
            Some(free) => *free = track,
            None => self.tracks.push(track),
        }
        self.next_tick.get_or_insert(now + TICK);
        Ok(id)
    }

    /// Gives a track another publisher, after a restart or when a newer session takes over. Viewers' numbers and timestamps
    /// go on without a break; the new publisher's frames are checked like the first one's.
    ///
    /// # Errors
    /// [`PublishError::UnknownTrack`], [`PublishError::CodecChanged`]; nothing has changed then.
    pub fn replace(&mut self, track: TrackId, params: TrackParams) -> Result<(), PublishError> {
        let track = find_mut(&mut self.tracks, track).ok_or(PublishError::UnknownTrack)?;
        if track.params().codec != params.codec {
            return Err(PublishError::CodecChanged);
        }
        track.replace(params);
        Ok(())
    }

    /// The publisher of a track went away. The track and its viewers stay, for [`replace`](Self::replace).
    pub fn vacate(&mut self, track: TrackId) {
        if let Some(track) = find_mut(&mut self.tracks, track) {
            track.vacate();
        }
    }

    /// Removes a track and every subscription to it.
    pub fn unpublish(&mut self, track: TrackId) {
        if let Some(place) = self.tracks.get_mut(usize::from(track.0)) {
            *place = None;
        }
        self.roster.remove_track(track);
        if self.tracks.iter().all(Option::is_none) {
            self.next_tick = None;
        }
    }

    /// Lets a viewer have a track, from the newest key frame kept if there is one. Packets come with the next
    /// [`forward`](Self::forward); call it when the viewer's transport is ready, not before.
    ///
    /// # Errors
    /// [`SubscribeError`]; nothing has changed then.
    pub fn subscribe(
        &mut self,
        subscriber: SubscriberId,
        track: TrackId,
        params: &SubscriptionParams,
        now: Instant,
    ) -> Result<(), SubscribeError> {
        let track = find_mut(&mut self.tracks, track).ok_or(SubscribeError::UnknownTrack)?;
        match self.roster.legs(subscriber) {
            Some(legs) if legs.iter().any(|leg| leg.subscription.track() == track.id()) => {
                return Err(SubscribeError::AlreadySubscribed);
            }
            None if self.roster.len() >= self.config.subscribers => {
                return Err(SubscribeError::TooManySubscribers);
            }
            _ => {}
        }
        let subscription = Subscription::new(subscriber, track, params, &self.config);
        let mut from = StartedFrom::Live;
        if subscription.can_start(track, now, &self.config) {
            self.pace.start(now);
            if track.is_video() {
                from = StartedFrom::GopCache;
                self.news.stats.starts_from_cache += 1;
            }
        } else {
            self.news.stats.key_frame_waits += 1;
            track.want_key_frame(now, &mut self.news);
        }
        track.set_watchers(track.watchers() + 1);
        self.roster.add(subscriber, Leg { subscription, from }, now);
        Ok(())
    }

    /// Takes a viewer out, with all its tracks. Unknown viewers are ignored.
    pub fn unsubscribe(&mut self, subscriber: SubscriberId) {
        let Some(gone) = self.roster.remove(subscriber) else { return };
        for leg in &gone.legs {
            if let Some(track) = find_mut(&mut self.tracks, leg.subscription.track()) {
                track.set_watchers(track.watchers() - 1);
            }
        }
    }

    /// Takes in one packet of the publisher, opened, at the time it arrived. It is sent with the next
    /// [`forward`](Self::forward), so call that once per batch.
    ///
    /// # Errors
    /// The reason why the packet goes no further; it is counted in [`Stats`] already.
    pub fn ingest(&mut self, packet: &[u8], now: Instant) -> Result<TrackId, DropReason> {
        let result = self.ingest_packet(packet, now);
        match result {
            Ok(_) | Err(DropReason::PaddingOnly) => {
                self.news.stats.packets_in += 1;
                self.news.stats.bytes_in += packet.len() as u64;
            }
            Err(_) => {}
        }
        if let Err(reason) = result {
            self.news.stats.drop(reason);
        }
        result
    }

    /// Sends what came in since the last call, and the next chunk to joining viewers when it is due: viewer by viewer,
    /// beginning with another one each time.
    pub fn forward<S: Sink>(&mut self, now: Instant, sink: &mut S) {
        let mut chunk = self.pace.begin(now);
        let mut somebody_is_behind = false;
        let Self { roster, tracks, news, config, .. } = self;
        roster.rotate(|viewer| {
            let mut train = Train::new((viewer.id, &mut viewer.path), now, sink, news);
            for leg in &mut viewer.legs {
                let Some(track) = find(tracks, leg.subscription.track()) else { continue };
                let had_started = leg.subscription.has_started();
                leg.subscription.forward(track, (now, config), &mut chunk, &mut train);
                if leg.subscription.has_started() && !had_started {
                    train.event(Event::ViewingStarted {
                        subscriber: viewer.id,
                        track: track.id(),
                        from: leg.from,
                    });
                }
                somebody_is_behind |= leg.subscription.is_catching_up();
            }
            train.end()
        });
        if self.roster.has_held() {
            self.next_paced.get_or_insert(now + self.config.catch_up_interval);
        }
        let chunk_ends = chunk.is_due() || self.pace.next_due().is_none();
        self.tracks.iter_mut().flatten().for_each(|track| track.end_batch(chunk_ends));
        self.pace.end(chunk, somebody_is_behind, now);
    }

    /// Answers a viewer's generic NACK (RFC 4585 6.2.1) about one of its SSRCs with RTX packets.
    pub fn nack<S: Sink>(
        &mut self,
        subscriber: SubscriberId,
        ssrc: u32,
        lost: impl IntoIterator<Item = u16>,
        now: Instant,
        sink: &mut S,
    ) {
        let Some(viewer) = self.roster.viewer_mut(subscriber) else { return };
        let Some(leg) = viewer.legs.iter_mut().find(|leg| leg.subscription.ssrc() == ssrc) else { return };
        let Some(track) = find(&self.tracks, leg.subscription.track()) else { return };
        let mut train = Train::new((subscriber, &mut viewer.path), now, sink, &mut self.news);
        for sequence in lost {
            let repaired = leg.subscription.repair(track, sequence, now, &mut train);
            let stats = train.stats();
            stats.nacks_received += 1;
            match repaired {
                Ok(()) => stats.repairs_sent += 1,
                Err(reason) => stats.drop(reason),
            }
        }
        train.end();
    }

    /// A viewer's transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    pub fn transport_feedback(
        &mut self,
        subscriber: SubscriberId,
        feedback: &TransportFeedback<'_>,
        now: Instant,
    ) {
        let Some(viewer) = self.roster.viewer_mut(subscriber) else { return };
        self.news.stats.feedback_received += 1;
        let estimate = viewer.path.feedback(feedback, now);
        viewer.learn(estimate);
    }

    /// What a viewer's receiver report (RFC 3550 6.4.2) says about one of its SSRCs: the part lost since the last one, in
    /// 1/256. It counts for viewers that send no transport-wide feedback.
    pub fn reception_report(&mut self, subscriber: SubscriberId, ssrc: u32, fraction_lost: u8, now: Instant) {
        let Some(viewer) = self.roster.viewer_mut(subscriber) else { return };
        if viewer.legs.iter().any(|leg| leg.subscription.ssrc() == ssrc) {
            let estimate = viewer.path.reception(fraction_lost, now);
            viewer.learn(estimate);
        }
    }

    /// What a viewer believes it can take, in bits per second (REMB). It counts like a reception report.
    pub fn receiver_estimate(&mut self, subscriber: SubscriberId, bits_per_second: u64, now: Instant) {
        let Some(viewer) = self.roster.viewer_mut(subscriber) else { return };
        let estimate = viewer.path.most(bits_per_second, now);
        viewer.learn(estimate);
    }

    /// The estimate of a viewer's path; `None` for an unknown viewer and before its first feedback.
    pub fn estimate(&self, subscriber: SubscriberId) -> Option<Estimate> {
        self.roster.viewer(subscriber)?.path.estimate()
    }

    /// A viewer asks for a key frame on one of its SSRCs (PLI or FIR). What is in its GOP cache already, or asked for too
    /// often, is not passed on; the rest is merged per track.
    pub fn key_frame_requested(&mut self, subscriber: SubscriberId, ssrc: u32, now: Instant) {
        let Some(leg) = self.roster.leg_mut(subscriber, ssrc) else { return };
        let Some(track) = find_mut(&mut self.tracks, leg.subscription.track()) else { return };
        self.news.stats.key_frame_requests_received += 1;
        if leg.subscription.is_catching_up() {
            return;
        }
        if leg.subscription.take_key_frame_request(now) {
            track.want_key_frame(now, &mut self.news);
        } else {
            self.news.stats.drop(DropReason::KeyFrameDenied);
        }
    }

    /// The publisher's sender report about `ssrc`: its NTP time (32.32) and RTP timestamp of one instant.
    pub fn sender_report(&mut self, ssrc: u32, ntp: u64, rtp_timestamp: u32, now: Instant) {
        if let Some(track) = self.tracks.iter_mut().flatten().find(|track| track.is_source(ssrc)) {
            track.sender_report(ntp, rtp_timestamp, now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next; `None` for an empty room.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let gaps = self.tracks.iter().flatten().filter_map(Track::next_due);
        gaps.chain(self.pace.next_due()).chain(self.next_paced).chain(self.next_tick).min()
    }

    /// Does what is due: the next chunk for joining viewers, reports, requests to the publisher.
    pub fn handle_timeout<S: Sink>(&mut self, now: Instant, sink: &mut S) {
        for track in self.tracks.iter_mut().flatten() {
            track.ask(now, &mut self.news);
        }
        if self.next_tick.is_some_and(|due| due <= now) {
            self.tick(now, sink);
            self.next_tick = Some(now + TICK);
        }
        if self.pace.begin(now).is_due() {
            self.forward(now, sink);
        }
        if self.next_paced.is_some_and(|due| due <= now) {
            self.forward_held(now, sink);
        }
    }

    /// Returns the next thing asked of the shell.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.news.poll_event()
    }

    /// Returns what happened since the last call.
    pub fn take_stats(&mut self) -> Stats {
        std::mem::take(&mut self.news.stats)
    }

    /// What a track's publisher agreed to send; `None` when there is no such track.
    pub fn track(&self, track: TrackId) -> Option<&TrackParams> {
        find(&self.tracks, track).map(Track::params)
    }

    /// Names of all tracks, those without a publisher included.
    pub fn tracks(&self) -> impl Iterator<Item = TrackId> + '_ {
        self.tracks.iter().flatten().map(Track::id)
    }

    /// Says whether a track's publisher is there; false for an unknown track.
    pub fn is_published(&self, track: TrackId) -> bool {
        find(&self.tracks, track).is_some_and(|track| !track.is_vacant())
    }

    /// Why a track's publisher was refused, if it was.
    pub fn refusal(&self, track: TrackId) -> Option<Refusal> {
        find(&self.tracks, track)?.refusal()
    }

    /// Number of viewers.
    pub fn subscriber_count(&self) -> usize {
        self.roster.len()
    }

    /// Nobody publishes and nobody views.
    pub fn is_empty(&self) -> bool {
        self.roster.len() == 0 && self.tracks.iter().flatten().all(Track::is_vacant)
    }

    /// Serves those whose packets wait for their pacer.
    fn forward_held<S: Sink>(&mut self, now: Instant, sink: &mut S) {
        let Self { roster, tracks, news, config, .. } = self;
        roster.serve_held(|viewer| {
            let mut train = Train::new((viewer.id, &mut viewer.path), now, sink, news);
            for leg in &mut viewer.legs {
                if let Some(track) = find(tracks, leg.subscription.track()) {
                    leg.subscription.forward_held(track, (now, config), &mut train);
                }
            }
            train.end()
        });
        self.next_paced = self.roster.has_held().then(|| now + self.config.catch_up_interval);
    }

    fn ingest_packet(&mut self, packet: &[u8], now: Instant) -> Result<TrackId, DropReason> {
        let view = RtpView::parse(packet).map_err(|_| DropReason::Malformed)?;
        let (ssrc, payload_type) = (view.ssrc(), view.payload_type());
        let mut tracks = self.tracks.iter_mut().flatten();
        let track = tracks.find(|track| track.owns(ssrc, payload_type)).ok_or(DropReason::UnknownTrack)?;
        track.ingest(&view, now, &mut self.news)?;
        Ok(track.id())
    }

    /// Ten times a second: reminders for waiting viewers; once a second per leg: reports.
    fn tick<S: Sink>(&mut self, now: Instant, sink: &mut S) {
        self.ticks += 1;
        let turn = self.ticks % TICKS_PER_REPORT;
        for (index, viewer) in self.roster.iter_mut().enumerate() {
            let report = index as u64 % TICKS_PER_REPORT == turn;
            if let Some(estimate) = viewer.path.estimate().filter(|_| report) {
                self.news.stats.estimated(estimate.bits_per_second);
            }
            let probes = viewer.probes(now);
            let mut train = Train::new((viewer.id, &mut viewer.path), now, sink, &mut self.news);
            for leg in &mut viewer.legs {
                let Some(track) = find_mut(&mut self.tracks, leg.subscription.track()) else { continue };
                if leg.subscription.is_waiting() {
                    track.want_key_frame(now, train.news());
                }
                if let Some(report) = leg.subscription.report(track, now).filter(|_| report) {
                    train.report(&report);
                }
                if probes && track.is_video() {
                    leg.subscription.probe(track, PROBE_PACKETS, &mut train);
                }
            }
            train.stats().probes += u64::from(probes);
            train.end();
        }
        for track in self.tracks.iter_mut().flatten() {
            if turn == 0
                && let Some(report) = track.reception(now)
            {
                self.news.event(Event::Reception { track: track.id(), report });
            }
        }
    }
}

fn find(tracks: &[Option<Track>], id: TrackId) -> Option<&Track> {
    tracks.get(usize::from(id.0))?.as_ref()
}

fn find_mut(tracks: &mut [Option<Track>], id: TrackId) -> Option<&mut Track> {
    tracks.get_mut(usize::from(id.0))?.as_mut()
}

/// Between two rounds of things that are not urgent.
const TICK: Duration = Duration::from_millis(100);
/// Reports go out every so many ticks: once a second.
const TICKS_PER_REPORT: u64 = 10;

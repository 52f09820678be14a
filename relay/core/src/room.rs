//! One camera's live session: takes the publisher's opened packets in, sends them to every viewer, answers their RTCP.
//!
//! The state machine of the whole crate. It owns no socket, clock or key: the shell calls it with opened packets and the
//! time, passes what comes through the [`Sink`] on, and carries out its [`Event`]s.

mod branch;
mod feedback;
mod layers;
mod rounds;

use std::time::{Duration, Instant};

use latchkey_wire::rtp::RtpView;
use latchkey_wire::shape::Refusal;

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
use crate::tracks::Tracks;
use crate::train::Train;

pub use branch::Seeding;
pub use layers::LayerFigures;

/// A room. See the [crate documentation](crate) for how a shell drives it.
#[derive(Debug)]
pub struct Room {
    config: RoomConfig,
    tracks: Tracks,
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
            tracks: Tracks::default(),
            roster: Roster::default(),
            next_paced: None,
            next_tick: None,
            ticks: 0,
            news: News::new(),
        }
    }

    /// Adds a track and returns its name. Further simulcast layers of a source are tracks that name its first one, in the
    /// order of the offer.
    ///
    /// # Errors
    /// [`PublishError::TooManyTracks`], [`PublishError::UnknownTrack`] for a layer of a source that is not there.
    pub fn publish(&mut self, params: TrackParams, now: Instant) -> Result<TrackId, PublishError> {
        let index = self.tracks.free();
        if index >= self.config.tracks.min(usize::from(u8::MAX)) {
            return Err(PublishError::TooManyTracks);
        }
        if params.first.is_some_and(|first| self.tracks.source(first).is_none()) {
            return Err(PublishError::UnknownTrack);
        }
        let id = TrackId(index as u8);
        self.tracks.insert(Track::new(id, params, &self.config));
        self.next_tick.get_or_insert(now + TICK);
        Ok(id)
    }

    /// Gives a track another publisher, after a restart or when a newer session takes over. Viewers' numbers and timestamps
    /// go on without a break; the new publisher's frames are checked like the first one's.
    ///
    /// # Errors
    /// [`PublishError::UnknownTrack`], [`PublishError::CodecChanged`]; nothing has changed then.
    pub fn replace(&mut self, track: TrackId, params: TrackParams) -> Result<(), PublishError> {
        let track = self.tracks.find_mut(track).ok_or(PublishError::UnknownTrack)?;
        if track.params().codec != params.codec {
            return Err(PublishError::CodecChanged);
        }
        track.replace(params);
        Ok(())
    }

    /// The publisher of a track went away. The track and its viewers stay, for [`replace`](Self::replace).
    pub fn vacate(&mut self, track: TrackId) {
        if let Some(track) = self.tracks.find_mut(track) {
            track.vacate();
        }
    }

    /// Removes a track. With the first track of a source its other layers go, and every subscription to it; who got another
    /// layer goes on with what is left.
    pub fn unpublish(&mut self, track: TrackId) {
        self.tracks.remove(track);
        self.roster.remove_track(track);
        if self.tracks.iter().next().is_none() {
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
        let source = self.tracks.source(track).ok_or(SubscribeError::UnknownTrack)?;
        match self.roster.legs(subscriber) {
            Some(legs) if legs.iter().any(|leg| leg.subscription.source() == source.first()) => {
                return Err(SubscribeError::AlreadySubscribed);
            }
            None if self.roster.len() >= self.config.subscribers => {
                return Err(SubscribeError::TooManySubscribers);
            }
            _ => {}
        }
        let track = self.tracks.find(track).ok_or(SubscribeError::UnknownTrack)?;
        let is_video = track.is_video();
        let mut subscription = Subscription::new(subscriber, track, params, (&self.config, now));
        subscription.decide(&self.tracks, 0, now);
        let mut from = StartedFrom::Live;
        if subscription.can_start(&self.tracks, now, &self.config) {
            self.pace.start(now);
            if is_video {
                from = StartedFrom::GopCache;
                self.news.stats.starts_from_cache += 1;
            }
        } else {
            self.news.stats.key_frame_waits += 1;
        }
        let waits = from == StartedFrom::Live;
        if let Some(track) = self.tracks.find_mut(subscription.chosen()) {
            track.set_watchers(track.watchers() + 1);
            if waits {
                track.want_key_frame(now, &mut self.news);
            }
        }
        self.roster.add(subscriber, Leg { subscription, from }, now);
        Ok(())
    }

    /// Takes a viewer out, with all its tracks. Unknown viewers are ignored.
    pub fn unsubscribe(&mut self, subscriber: SubscriberId) {
        self.roster.remove(subscriber);
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
                let had_started = leg.subscription.has_started();
                leg.subscription.forward(tracks, (now, config), &mut chunk, &mut train);
                if leg.subscription.has_started() && !had_started {
                    train.event(Event::ViewingStarted {
                        subscriber: viewer.id,
                        track: leg.subscription.track(),
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
        self.tracks.iter_mut().for_each(|track| track.end_batch(chunk_ends));
        self.pace.end(chunk, somebody_is_behind, now);
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
        self.tracks.find(track).map(Track::params)
    }

    /// Names of all tracks, those without a publisher included.
    pub fn tracks(&self) -> impl Iterator<Item = TrackId> + '_ {
        self.tracks.iter().map(Track::id)
    }

    /// Says whether a track's publisher is there; false for an unknown track.
    pub fn is_published(&self, track: TrackId) -> bool {
        self.tracks.find(track).is_some_and(|track| !track.is_vacant())
    }

    /// Why a track's publisher was refused, if it was.
    pub fn refusal(&self, track: TrackId) -> Option<Refusal> {
        self.tracks.find(track)?.refusal()
    }

    /// Number of viewers.
    pub fn subscriber_count(&self) -> usize {
        self.roster.len()
    }

    /// Nobody publishes and nobody views.
    pub fn is_empty(&self) -> bool {
        self.roster.len() == 0 && self.tracks.iter().all(Track::is_vacant)
    }

    fn ingest_packet(&mut self, packet: &[u8], now: Instant) -> Result<TrackId, DropReason> {
        let view = RtpView::parse(packet).map_err(|_| DropReason::Malformed)?;
        let track = self.tracks.owner(&view).ok_or(DropReason::UnknownTrack)?;
        track.ingest(&view, now, &mut self.news)?;
        Ok(track.id())
    }
}

/// Between two rounds of things that are not urgent.
const TICK: Duration = Duration::from_millis(100);

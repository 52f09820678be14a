//! A track as one of several layers: how its packets are told, what it takes, and when it is paused.

use std::time::Instant;

use latchkey_wire::extension::ExtensionKind;
use latchkey_wire::rtp::RtpView;

use crate::event::Event;
use crate::news::News;
use crate::pause::Request;
use crate::track::{State, Track};

impl Track {
    /// Says whether a packet with these numbers is this track's.
    #[inline]
    pub(crate) fn owns(&self, ssrc: u32, payload_type: u8) -> bool {
        if self.state == State::Vacant {
            return false;
        }
        if payload_type == self.params.payload_type {
            let told = if self.params.rid.is_some() { self.ssrc } else { self.params.ssrc };
            return told.map_or(self.params.rid.is_none(), |told| told == ssrc);
        }
        let told = if self.params.rid.is_some() { self.rtx_ssrc } else { self.params.rtx_ssrc };
        Some(payload_type) == self.params.rtx_payload_type
            && told.map_or(self.params.rid.is_none(), |told| told == ssrc)
    }

    /// Takes a packet of an SSRC not heard before for this track's, when it carries its rid.
    pub(crate) fn adopts(&mut self, packet: &RtpView<'_>) -> bool {
        let Some(rid) = self.params.rid.filter(|_| self.state != State::Vacant) else { return false };
        let repair = Some(packet.payload_type()) == self.params.rtx_payload_type;
        if !repair && packet.payload_type() != self.params.payload_type {
            return false;
        }
        let named = |kind| {
            let id = self.params.extensions.id(kind)?;
            packet.extension()?.find(id)
        };
        let name = match repair {
            true => named(ExtensionKind::RepairedRid).or_else(|| named(ExtensionKind::Rid)),
            false => named(ExtensionKind::Rid),
        };
        let ours = name == Some(rid.as_bytes());
        if ours && repair {
            self.rtx_ssrc = Some(packet.ssrc());
        } else if ours {
            self.ssrc = Some(packet.ssrc());
            self.timeline.restart();
        }
        ours
    }

    /// A round of measuring is over.
    pub(crate) fn measure(&mut self, now: Instant) {
        if !self.follows {
            self.rates.round(now);
        }
    }

    /// A leg may have it: packets come, or would if it were not paused.
    pub(crate) fn is_available(&self, now: Instant) -> bool {
        let comes = self.rates.is_live(now) || self.is_held_back();
        self.state == State::Forwarding && self.rates.is_known() && comes
    }

    /// Nothing comes of it because of a pause, or because its end has not shown yet.
    pub(crate) fn is_held_back(&self) -> bool {
        if self.follows { self.paused } else { !self.pause.is_running() }
    }

    /// The publisher was asked not to send it.
    pub(crate) fn is_paused(&self) -> bool {
        self.pause.is_paused()
    }

    /// Legs of a branch watch it, or do no longer.
    pub(crate) fn set_watched_elsewhere(&mut self, watched: bool) {
        self.watched_elsewhere = watched;
    }

    /// Asks the publisher to pause a layer that nobody watches, and to go on with one that somebody does; the branches are told.
    /// A branch tells its home instead. `may_pause`: there is a smaller one for whoever comes.
    pub(crate) fn ask_for_pause(&mut self, may_pause: bool, now: Instant, news: &mut News) {
        let (track, watched) = (self.id, self.watchers > 0);
        if self.follows {
            if self.watched != watched {
                self.watched = watched;
                news.event(Event::WatchChanged { track, watched });
            }
            return;
        }
        self.ask_publisher(watched, may_pause, now, news);
        let paused = self.is_held_back();
        if self.paused != paused {
            self.paused = paused;
            news.event(Event::PauseChanged { track, paused });
        }
    }

    fn ask_publisher(&mut self, watched: bool, may_pause: bool, now: Instant, news: &mut News) {
        let track = self.id;
        let Some(ssrc) = self.ssrc.filter(|_| self.params.pause && self.state == State::Forwarding) else {
            return;
        };
        let watched = watched || self.watched_elsewhere || !may_pause;
        match self.pause.due(watched, |since| self.rates.came_since(since), now) {
            Some(Request::Pause(pause_id)) => news.event(Event::PauseWanted { track, ssrc, pause_id }),
            Some(Request::Resume(pause_id)) => news.event(Event::ResumeWanted { track, ssrc, pause_id }),
            None => {}
        }
    }
}

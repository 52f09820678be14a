//! What a room does without being asked: chunks for joining viewers, reminders, reports, and choosing layers.

use std::time::Instant;

use crate::bandwidth::PROBE_PACKETS;
use crate::event::Event;
use crate::room::{Room, TICK};
use crate::sink::Sink;
use crate::track::Track;
use crate::train::Train;

impl Room {
    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next; `None` for an empty room.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_packets().into_iter().chain(self.next_round()).min()
    }

    /// The same for what has to be punctual: packets that are missing, or that wait for their turn.
    pub fn next_packets(&self) -> Option<Instant> {
        let gaps = self.tracks.iter().filter_map(Track::next_due);
        gaps.chain(self.pace.next_due()).chain(self.next_paced).min()
    }

    /// The same for the round of reports and reminders. It may be some tens of milliseconds late: right after packets were
    /// forwarded it costs least.
    pub fn next_round(&self) -> Option<Instant> {
        self.next_tick
    }

    /// Does what is due: the next chunk for joining viewers, reports, requests to the publisher.
    pub fn handle_timeout<S: Sink>(&mut self, now: Instant, sink: &mut S) {
        for track in self.tracks.iter_mut() {
            track.ask(now, &mut self.news);
        }
        if let Some(due) = self.next_tick.filter(|due| *due <= now) {
            self.tick(now, sink);
            self.next_tick = Some((due + TICK).max(now));
        }
        if self.pace.begin(now).is_due() {
            self.forward(now, sink);
        }
        if self.next_paced.is_some_and(|due| due <= now) {
            self.forward_held(now, sink);
        }
    }

    /// Serves those whose packets wait for their pacer.
    fn forward_held<S: Sink>(&mut self, now: Instant, sink: &mut S) {
        let Self { roster, tracks, news, config, .. } = self;
        roster.serve_held(|viewer| {
            let mut train = Train::new((viewer.id, &mut viewer.path), now, sink, news);
            for leg in &mut viewer.legs {
                leg.subscription.forward_held(tracks, (now, config), &mut train);
            }
            train.end()
        });
        self.next_paced = self.roster.has_held().then(|| now + self.config.catch_up_interval);
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
            let wants_sign_of_life = !probes && viewer.path.wants_sign_of_life(now);
            let mut train = Train::new((viewer.id, &mut viewer.path), now, sink, &mut self.news);
            let others = viewer.legs.iter().filter_map(|leg| leg.subscription.takes(&self.tracks)).sum();
            for leg in &mut viewer.legs {
                let subscription = &mut leg.subscription;
                let wanted = subscription.decide(&self.tracks, others, now);
                let waiting = subscription.is_waiting().then(|| subscription.chosen());
                for track in wanted.into_iter().chain(waiting) {
                    if let Some(track) = self.tracks.find_mut(track) {
                        track.want_key_frame(now, train.news());
                    }
                }
                if let Some((before, level)) = subscription.changed_level(&self.tracks) {
                    let stats = train.stats();
                    let counter = if level > before { &mut stats.layers_up } else { &mut stats.layers_down };
                    *counter += 1;
                }
                if let Some(report) = subscription.report(&self.tracks, now).filter(|_| report) {
                    train.report(&report);
                }
                if probes && subscription.is_video() {
                    subscription.probe(&self.tracks, PROBE_PACKETS, &mut train);
                } else if wants_sign_of_life && subscription.is_kept_waiting(&self.tracks, now) {
                    subscription.probe(&self.tracks, 1, &mut train);
                }
            }
            train.stats().probes += u64::from(probes);
            train.end();
        }
        self.look_after_layers(turn == 0, now);
        for track in self.tracks.iter_mut() {
            if turn == 0
                && let Some(report) = track.reception(now)
            {
                self.news.event(Event::Reception { track: track.id(), report });
            }
        }
    }
}

/// Reports go out every so many ticks: once a second.
const TICKS_PER_REPORT: u64 = 10;

//! The viewers of a room: found by name in constant time, walked from another one each time.

use std::collections::HashMap;

use crate::event::StartedFrom;
use crate::id::{SubscriberId, TrackId};
use crate::subscription::Subscription;

/// All viewers with their legs.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    viewers: Vec<Viewer>,
    places: HashMap<SubscriberId, usize>,
    /// Where the next walk begins, so that nobody is always last.
    first: usize,
}

/// One viewer.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) id: SubscriberId,
    pub(crate) legs: Vec<Leg>,
}

/// One viewer's subscription to one track.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) subscription: Subscription,
    /// Where its first packet will come from.
    pub(crate) from: StartedFrom,
}

impl Roster {
    /// Gives a viewer one more leg; a viewer not known before is added.
    pub(crate) fn add(&mut self, id: SubscriberId, leg: Leg) {
        let place = *self.places.entry(id).or_insert_with(|| {
            self.viewers.push(Viewer { id, legs: Vec::with_capacity(LEGS) });
            self.viewers.len() - 1
        });
        self.viewers[place].legs.push(leg);
    }

    /// Takes a viewer out.
    pub(crate) fn remove(&mut self, id: SubscriberId) -> Option<Viewer> {
        let place = self.places.remove(&id)?;
        let gone = self.viewers.swap_remove(place);
        if let Some(moved) = self.viewers.get(place) {
            self.places.insert(moved.id, place);
        }
        Some(gone)
    }

    /// Takes all legs of a track out, and viewers who then have none.
    pub(crate) fn remove_track(&mut self, track: TrackId) {
        for place in (0..self.viewers.len()).rev() {
            let Viewer { id, legs } = &mut self.viewers[place];
            legs.retain(|leg| leg.subscription.track() != track);
            if legs.is_empty() {
                let id = *id;
                self.remove(id);
            }
        }
    }

    /// Number of viewers.
    pub(crate) fn len(&self) -> usize {
        self.viewers.len()
    }

    /// Returns a viewer's legs; empty for an unknown viewer.
    pub(crate) fn legs(&self, id: SubscriberId) -> Option<&[Leg]> {
        self.places.get(&id).map(|&place| &self.viewers[place].legs[..])
    }

    /// Finds a leg by its media SSRC.
    pub(crate) fn leg_mut(&mut self, id: SubscriberId, ssrc: u32) -> Option<&mut Leg> {
        let place = *self.places.get(&id)?;
        self.viewers[place].legs.iter_mut().find(|leg| leg.subscription.ssrc() == ssrc)
    }

    /// Walks all viewers, beginning one further each time.
    pub(crate) fn rotate(&mut self) -> impl Iterator<Item = &mut Viewer> {
        self.first = if self.first + 1 < self.viewers.len() { self.first + 1 } else { 0 };
        let (before, from_first) = self.viewers.split_at_mut(self.first);
        from_first.iter_mut().chain(before)
    }

    /// Walks all viewers in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Viewer> {
        self.viewers.iter()
    }
}

/// Audio and video.
const LEGS: usize = 2;

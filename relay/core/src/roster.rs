//! The viewers of a room: found by name in constant time, walked from another one each time.

use std::collections::HashMap;
use std::time::Instant;

use crate::bandwidth::{Estimate, Path};
use crate::event::StartedFrom;
use crate::id::{SubscriberId, TrackId};
use crate::subscription::Subscription;

/// All viewers with their legs.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    viewers: Vec<Viewer>,
    places: HashMap<SubscriberId, usize>,
    /// Where the next walk begins, as a part of the whole round in 1/2^64, so that nobody is always last.
    turn: u64,
    /// Viewers for whom something waits until their path has taken what came before.
    held: Vec<SubscriberId>,
}

/// One viewer.
#[derive(Debug)]
pub(crate) struct Viewer {
    pub(crate) id: SubscriberId,
    pub(crate) legs: Vec<Leg>,
    /// The transport that all legs share.
    pub(crate) path: Box<Path>,
    /// It is in the list of those who wait for their pacer.
    held: bool,
}

/// One viewer's subscription to one track.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) subscription: Subscription,
    /// Where its first packet will come from.
    pub(crate) from: StartedFrom,
}

impl Viewer {
    /// Tells every leg what the path carries.
    pub(crate) fn learn(&mut self, estimate: Option<Estimate>) {
        if let Some(estimate) = estimate {
            self.legs.iter_mut().for_each(|leg| leg.subscription.on_estimate(&estimate));
        }
    }

    /// Whether old packets are to be sent again now to see if the path carries more. When new ones wait, they go instead.
    pub(crate) fn probes(&mut self, now: Instant) -> bool {
        let wanted = self.legs.iter().map(|leg| leg.subscription.wanted_bits_per_second()).sum();
        self.path.set_starving(self.legs.iter().any(|leg| leg.subscription.starves()));
        self.path.wants_probe(wanted, now) && !self.path.begin_probe(now)
    }
}

impl Roster {
    /// Gives a viewer one more leg; a viewer not known before is added.
    pub(crate) fn add(&mut self, id: SubscriberId, leg: Leg, now: Instant) {
        let place = *self.places.entry(id).or_insert_with(|| {
            let path = Box::new(Path::new(false, now));
            self.viewers.push(Viewer { id, legs: Vec::with_capacity(LEGS), path, held: false });
            self.held.reserve(self.viewers.len());
            self.viewers.len() - 1
        });
        let viewer = &mut self.viewers[place];
        viewer.path.add_leg(leg.subscription.has_number());
        viewer.legs.push(leg);
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
            let Viewer { id, legs, .. } = &mut self.viewers[place];
            legs.retain(|leg| leg.subscription.source() != track);
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

    /// Looks a viewer up.
    pub(crate) fn viewer(&self, id: SubscriberId) -> Option<&Viewer> {
        self.places.get(&id).map(|&place| &self.viewers[place])
    }

    /// Finds a viewer.
    pub(crate) fn viewer_mut(&mut self, id: SubscriberId) -> Option<&mut Viewer> {
        self.places.get(&id).map(|&place| &mut self.viewers[place])
    }

    /// Somebody waits for a pacer.
    pub(crate) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    /// Serves those who wait for their pacer, in turn; `serve` says whether one still waits.
    pub(crate) fn serve_held(&mut self, mut serve: impl FnMut(&mut Viewer) -> bool) {
        let mut held = std::mem::take(&mut self.held);
        held.retain(|id| {
            let Some(viewer) = self.viewer_mut(*id) else { return false };
            viewer.held = serve(viewer);
            viewer.held
        });
        self.held = held;
    }

    /// Walks all viewers, beginning with another one each time.
    ///
    /// The beginnings are spread evenly however the walks repeat: if a frame takes two walks, beginning one further each time
    /// would let the same of two viewers see every frame's end last.
    /// `serve` says of each whether something waits for its pacer.
    pub(crate) fn rotate(&mut self, mut serve: impl FnMut(&mut Viewer) -> bool) {
        self.turn = self.turn.wrapping_add(GOLDEN);
        let first = ((u128::from(self.turn) * self.viewers.len() as u128) >> 64) as usize;
        let (before, from_first) = self.viewers.split_at_mut(first);
        for viewer in from_first.iter_mut().chain(before) {
            if serve(viewer) && !viewer.held {
                viewer.held = true;
                self.held.push(viewer.id);
            }
        }
    }

    /// Walks all viewers in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Viewer> {
        self.viewers.iter()
    }

    /// Walks all viewers in no particular order.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Viewer> {
        self.viewers.iter_mut()
    }
}

/// The golden ratio's part of a round: multiples of it fill the round most evenly, and so do those of every second or third.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// Audio and video.
const LEGS: usize = 2;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)]
    use super::*;

    /// Mean places of the viewers in the walks that `counts` picks, in parts of the last place.
    fn mean_places(viewers: u64, walks: usize, counts: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut roster = Roster::default();
        for id in 0..viewers {
            let path = Box::new(Path::new(false, Instant::now()));
            roster.viewers.push(Viewer { id: SubscriberId(id), legs: Vec::new(), path, held: false });
        }
        let (mut sums, mut counted) = (vec![0.0; viewers as usize], 0);
        for walk in 0..walks {
            let mut order = Vec::new();
            roster.rotate(|viewer| {
                order.push(viewer.id);
                false
            });
            assert_eq!(order.len(), viewers as usize);
            if counts(walk) {
                counted += 1;
                for (place, id) in order.iter().enumerate() {
                    sums[id.0 as usize] += place as f64 / (viewers - 1) as f64;
                }
            }
        }
        sums.iter().map(|sum| sum / f64::from(counted)).collect()
    }

    #[test]
    fn nobody_is_always_last() {
        for viewers in [2, 3, 7, 100, 101, 300] {
            for period in [1, 2, 3, 10] {
                let means = mean_places(viewers, 3000, |walk| walk % period == 0);
                for (viewer, mean) in means.iter().enumerate() {
                    assert!(
                        (mean - 0.5).abs() < 0.02,
                        "viewer {viewer} of {viewers}, every {period}: {mean}"
                    );
                }
            }
        }
    }
}

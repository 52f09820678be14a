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
    /// Where the next walk begins, as a part of the whole round in 1/2^64, so that nobody is always last.
    turn: u64,
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

    /// Walks all viewers, beginning with another one each time.
    ///
    /// The beginnings are spread evenly however the walks repeat: if a frame takes two walks, beginning one further each time
    /// would let the same of two viewers see every frame's end last.
    pub(crate) fn rotate(&mut self) -> impl Iterator<Item = &mut Viewer> {
        self.turn = self.turn.wrapping_add(GOLDEN);
        let first = ((u128::from(self.turn) * self.viewers.len() as u128) >> 64) as usize;
        let (before, from_first) = self.viewers.split_at_mut(first);
        from_first.iter_mut().chain(before)
    }

    /// Walks all viewers in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Viewer> {
        self.viewers.iter()
    }
}

/// The golden ratio's part of a round: multiples of it fill the round most evenly, and so do those of every second or third.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// Audio and video.
const LEGS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean places of the viewers in the walks that `counts` picks, in parts of the last place.
    fn mean_places(viewers: u64, walks: usize, counts: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut roster = Roster::default();
        for id in 0..viewers {
            roster.viewers.push(Viewer { id: SubscriberId(id), legs: Vec::new() });
        }
        let (mut sums, mut counted) = (vec![0.0; viewers as usize], 0);
        for walk in 0..walks {
            let order: Vec<_> = roster.rotate().map(|viewer| viewer.id).collect();
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

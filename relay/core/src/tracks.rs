//! All tracks of a room, and the sources that they belong to: a source is one track, or several that are its simulcast layers.

use std::time::Instant;

use latchkey_wire::dependency_descriptor::Layer;
use latchkey_wire::rtp::RtpView;

use crate::id::TrackId;
use crate::ladder::Ladder;
use crate::track::Track;

/// Tracks by name.
#[derive(Debug, Default)]
pub(crate) struct Tracks {
    places: Vec<Option<Track>>,
    sources: Vec<Source>,
}

/// What one viewer gets of one m-line is chosen among these.
#[derive(Debug)]
pub(crate) struct Source {
    /// The track that viewers subscribe to.
    first: TrackId,
    /// All its tracks, from the least to the most.
    order: Vec<TrackId>,
    ladder: Ladder,
}

impl Tracks {
    /// The first name that is free.
    pub(crate) fn free(&self) -> usize {
        self.places.iter().position(Option::is_none).unwrap_or(self.places.len())
    }

    /// Puts a track in its place. The first one of its source comes before the others.
    pub(crate) fn insert(&mut self, track: Track) {
        let (id, first) = (track.id(), track.params().first.unwrap_or(track.id()));
        let index = usize::from(id.0);
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        self.places[index] = Some(track);
        match self.sources.iter_mut().find(|source| source.first == first) {
            Some(source) if source.order.contains(&id) => {}
            Some(source) => source.order.push(id),
            None => self.sources.push(Source { first, order: vec![id], ladder: Ladder::of(first) }),
        }
    }

    /// Takes a track out, and with the first one of a source all of it.
    pub(crate) fn remove(&mut self, id: TrackId) {
        let mut gone = vec![id];
        self.sources.retain_mut(|source| {
            if source.first == id {
                gone.extend(&source.order);
            }
            source.order.retain(|other| *other != id);
            source.first != id
        });
        for id in gone {
            if let Some(place) = self.places.get_mut(usize::from(id.0)) {
                *place = None;
            }
        }
    }

    #[inline]
    pub(crate) fn find(&self, id: TrackId) -> Option<&Track> {
        self.places.get(usize::from(id.0))?.as_ref()
    }

    pub(crate) fn find_mut(&mut self, id: TrackId) -> Option<&mut Track> {
        self.places.get_mut(usize::from(id.0))?.as_mut()
    }

    /// The track at a place; places may be empty.
    pub(crate) fn at(&self, place: usize) -> Option<&Option<Track>> {
        self.places.get(place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Track> {
        self.places.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Track> {
        self.places.iter_mut().flatten()
    }

    /// Goes through all tracks, each with its place in the order of its source.
    pub(crate) fn for_each_with_place(&mut self, mut each: impl FnMut(usize, &mut Track)) {
        let Self { places, sources } = self;
        for source in sources {
            for (place, id) in source.order.iter().enumerate() {
                if let Some(track) = places.get_mut(usize::from(id.0)).and_then(Option::as_mut) {
                    each(place, track);
                }
            }
        }
    }

    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The source that begins with this track.
    #[inline]
    pub(crate) fn source(&self, first: TrackId) -> Option<&Source> {
        self.sources.iter().find(|source| source.first == first)
    }

    /// The track of a publisher's packet: by its numbers, or for a simulcast layer heard the first time by its rid.
    pub(crate) fn owner(&mut self, packet: &RtpView<'_>) -> Option<&mut Track> {
        let (ssrc, payload_type) = (packet.ssrc(), packet.payload_type());
        let is_owner =
            |place: &Option<Track>| place.as_ref().is_some_and(|track| track.owns(ssrc, payload_type));
        let place = match self.places.iter().position(is_owner) {
            Some(place) => place,
            None => {
                let adopts =
                    |place: &mut Option<Track>| place.as_mut().is_some_and(|track| track.adopts(packet));
                self.places.iter_mut().position(adopts)?
            }
        };
        self.places[place].as_mut()
    }

    /// Measures what every layer takes, and with `sorting` puts the tracks of a source in order of it.
    pub(crate) fn measure(&mut self, sorting: bool, now: Instant) {
        let Self { places, sources } = self;
        let find = |id: TrackId| places.get(usize::from(id.0)).and_then(Option::as_ref);
        for source in sources {
            if sorting {
                source.sort(find, now);
            }
            source.ladder.measure(source.order.iter().filter_map(|id| find(*id)), now);
        }
        self.iter_mut().for_each(|track| track.measure(now));
    }
}

impl Source {
    /// The track that viewers subscribe to.
    pub(crate) fn first(&self) -> TrackId {
        self.first
    }

    /// Its tracks, from the least to the most.
    pub(crate) fn order(&self) -> &[TrackId] {
        &self.order
    }

    pub(crate) fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// A layer that takes clearly more than the next is above it. Offers name layers in either order, so only this tells.
    fn sort<'a>(&mut self, find: impl Fn(TrackId) -> Option<&'a Track>, now: Instant) {
        let takes = |id: TrackId| {
            let track = find(id).filter(|track| track.is_available(now))?;
            Some(track.rates().bits_per_second(Layer::TOP))
        };
        for index in 1..self.order.len() {
            let [one, next] = [self.order[index - 1], self.order[index]];
            if let (Some(one), Some(next)) = (takes(one), takes(next))
                && one > next + next / 4
            {
                self.order.swap(index - 1, index);
            }
        }
    }
}

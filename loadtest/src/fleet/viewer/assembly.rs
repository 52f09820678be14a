//! The packets of one viewer become whole frames, each as soon as its last piece is there, in whatever order they come.

use std::collections::VecDeque;
use std::sync::Arc;

use latchkey_wire::codec::Codec;
use latchkey_wire::payload;

use crate::fleet::viewer::playout::Complete;

/// One authentic packet.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Sequence number, counted on beyond 16 bits.
    pub(crate) sequence: u64,
    /// RTP timestamp.
    pub(crate) timestamp: u32,
    /// Last packet of its frame.
    pub(crate) marker: bool,
    /// Payload, packetised.
    pub(crate) payload: Arc<[u8]>,
    /// When it came to the client, nanoseconds since the Unix epoch.
    pub(crate) arrival_ns: u64,
}

/// A frame of which nothing is missing.
#[derive(Debug)]
pub(crate) struct Whole {
    /// RTP timestamp.
    pub(crate) timestamp: u32,
    /// Its packets, in order.
    pub(crate) pieces: Vec<Piece>,
    /// Where it stands among the others.
    pub(crate) place: Complete,
}

/// The frames of one viewer that are not whole yet.
pub(crate) struct Assembly {
    codec: Codec,
    /// Whether frames begin with an envelope, which shows in the first payload.
    sealed: bool,
    partial: VecDeque<Partial>,
    /// Last packets of frames, the newest behind: a frame begins behind the end of another.
    ends: VecDeque<u64>,
    begun: bool,
    /// Used again.
    spare: Vec<Vec<Piece>>,
}

struct Partial {
    timestamp: u32,
    first: Option<u64>,
    last: Option<u64>,
    pieces: Vec<Piece>,
}

impl Assembly {
    pub(crate) fn new(codec: Codec, sealed: bool) -> Self {
        Self {
            codec,
            sealed,
            partial: VecDeque::new(),
            ends: VecDeque::with_capacity(ENDS),
            begun: false,
            spare: Vec::new(),
        }
    }

    /// Takes a packet that was not there before; returns its frame where nothing of that is missing any more.
    pub(crate) fn take(&mut self, piece: Piece) -> Option<Whole> {
        if piece.payload.is_empty() {
            return None;
        }
        if piece.marker {
            if self.ends.len() == ENDS {
                self.ends.pop_front();
            }
            self.ends.push_back(piece.sequence);
        }
        let at = self.partial_of(piece.timestamp);
        let begins = self.shows_its_begin(&piece.payload);
        let partial = &mut self.partial[at];
        if begins {
            partial.first = Some(partial.first.map_or(piece.sequence, |first| first.min(piece.sequence)));
        }
        if piece.marker {
            partial.last = Some(piece.sequence);
        }
        partial.insert(piece);
        if partial.first.is_none() && partial.last.is_some() {
            partial.first = partial
                .pieces
                .first()
                .map(|piece| piece.sequence)
                .filter(|first| self.ends.iter().rev().any(|end| end + 1 == *first));
        }
        partial.is_whole().then(|| self.take_out(at))
    }

    /// Takes back the room of a frame that is done with.
    pub(crate) fn recycle(&mut self, mut pieces: Vec<Piece>) {
        pieces.clear();
        if self.spare.len() < SPARE {
            self.spare.push(pieces);
        }
    }

    /// Forgets everything: another stream begins.
    pub(crate) fn restart(&mut self) {
        self.partial.clear();
        self.ends.clear();
        self.begun = false;
    }

    fn partial_of(&mut self, timestamp: u32) -> usize {
        // Nearly always it is the newest.
        if let Some(at) = self.partial.iter().rposition(|partial| partial.timestamp == timestamp) {
            return at;
        }
        if self.partial.len() == MOST_PARTIAL
            && let Some(lost) = self.partial.pop_front()
        {
            self.recycle(lost.pieces);
        }
        let pieces = self.spare.pop().unwrap_or_default();
        self.partial.push_back(Partial { timestamp, first: None, last: None, pieces });
        self.partial.len() - 1
    }

    /// Whether this payload alone shows that a frame begins with it. An H.264 frame that is not sealed may have anything
    /// in front of its slices; there the end of the frame before tells.
    fn shows_its_begin(&self, payload: &[u8]) -> bool {
        let tells = self.sealed || self.codec != Codec::H264 || !self.begun;
        tells && payload::starts_frame(self.codec, payload)
    }

    fn take_out(&mut self, at: usize) -> Whole {
        let partial = self.partial.remove(at).expect("the caller has just looked at it");
        self.begun = true;
        // What is behind it by so much is not repaired any more.
        while at >= MOST_BEHIND && self.partial.len() > MOST_BEHIND {
            let Some(lost) = self.partial.pop_front() else { break };
            self.recycle(lost.pieces);
        }
        let key = partial
            .pieces
            .iter()
            .take(LOOKED_AT)
            .any(|piece| payload::is_key_frame(self.codec, &piece.payload));
        let place = Complete {
            first: partial.first.unwrap_or_default(),
            last: partial.last.unwrap_or_default(),
            timestamp: partial.timestamp,
            key: key && partial.first.is_some(),
        };
        Whole { timestamp: partial.timestamp, pieces: partial.pieces, place }
    }
}

impl Partial {
    fn insert(&mut self, piece: Piece) {
        match self.pieces.last() {
            Some(last) if last.sequence >= piece.sequence => {
                let at = self.pieces.partition_point(|before| before.sequence < piece.sequence);
                if self.pieces[at].sequence != piece.sequence {
                    self.pieces.insert(at, piece);
                }
            }
            _ => self.pieces.push(piece),
        }
    }

    fn is_whole(&self) -> bool {
        let (Some(first), Some(last)) = (self.first, self.last) else { return false };
        let begins = self.pieces.first().map(|piece| piece.sequence) == Some(first);
        begins && last.checked_sub(first).is_some_and(|more| more + 1 == self.pieces.len() as u64)
    }
}

/// Frames that may be in pieces at once: some two seconds.
const MOST_PARTIAL: usize = 64;
/// Frames in pieces that may lie before one that became whole.
const MOST_BEHIND: usize = 32;
/// Packets of a frame that are asked whether it is a key frame: something may stand in front of its parameter sets.
const LOOKED_AT: usize = 3;
const ENDS: usize = 64;
const SPARE: usize = 4;

#[cfg(test)]
mod tests {
    use latchkey_wire::payload::Payloads;
    use proptest::prelude::*;

    use super::*;

    /// The packets of frames of VP8, the numbers counting on from `begin`.
    fn pieces(frames: &[usize], begin: u64) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (number, len) in frames.iter().enumerate() {
            let (mut payloads, mut wire) = (Payloads::default(), vec![number as u8; len + 1]);
            wire[0] = u8::from(number > 0);
            payload::split(Codec::Vp8, &wire, number == 0, 100, &mut payloads).unwrap();
            let last = payloads.len() - 1;
            for (index, payload) in payloads.iter().enumerate() {
                pieces.push(Piece {
                    sequence: begin + pieces.len() as u64,
                    timestamp: number as u32 * 3000,
                    marker: index == last,
                    payload: payload.into(),
                    arrival_ns: 0,
                });
            }
        }
        pieces
    }

    proptest! {
        #[test]
        fn every_frame_of_which_all_came_is_whole_once(
            frames in proptest::collection::vec(1usize..900, 1..20),
            order in proptest::collection::vec(any::<u32>(), 200),
            lost in proptest::collection::vec(0..12u8, 200),
        ) {
            let all = pieces(&frames, 65_530);
            let is_lost = |piece: &Piece| lost[(piece.sequence % 200) as usize] == 0;
            let mut line: Vec<(u32, Piece)> = order.iter().cycle().copied().zip(all.clone()).collect();
            // Shuffled within some frames of each other.
            for (place, (key, _)) in line.iter_mut().enumerate() {
                *key = place as u32 + *key % 40;
            }
            line.sort_by_key(|(key, _)| *key);
            let mut assembly = Assembly::new(Codec::Vp8, true);
            let mut whole = Vec::new();
            for (_, piece) in line.into_iter().filter(|(_, piece)| !is_lost(piece)) {
                if let Some(frame) = assembly.take(piece) {
                    prop_assert_eq!(frame.place.key, frame.timestamp == 0);
                    let numbers: Vec<u64> = frame.pieces.iter().map(|piece| piece.sequence).collect();
                    prop_assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
                    let mut wire = Vec::new();
                    payload::assemble(Codec::Vp8, frame.pieces.iter().map(|piece| &*piece.payload), &mut wire).unwrap();
                    prop_assert_eq!(wire.len(), frames[frame.timestamp as usize / 3000] + 1);
                    whole.push(frame.timestamp);
                    assembly.recycle(frame.pieces);
                }
            }
            whole.sort_unstable();
            let all_there = |number: &usize| {
                all.iter().filter(|piece| piece.timestamp as usize == number * 3000).all(|piece| !is_lost(piece))
            };
            let truth: Vec<u32> = (0..frames.len()).filter(all_there).map(|number| number as u32 * 3000).collect();
            prop_assert_eq!(whole, truth);
        }
    }

    #[test]
    fn frames_in_clear_begin_behind_the_end_of_another() {
        let nal = |sequence: u64, timestamp: u32, kind: u8, marker: bool| Piece {
            sequence,
            timestamp,
            marker,
            payload: Arc::from([kind, 1, 2, 3].as_slice()),
            arrival_ns: 0,
        };
        let mut assembly = Assembly::new(Codec::H264, false);
        assert!(assembly.take(nal(1, 0, 0x67, false)).is_none());
        assert!(assembly.take(nal(2, 0, 0x65, true)).unwrap().place.key);
        // A message in front of the slice, which comes last.
        assert!(assembly.take(nal(4, 3000, 0x41, true)).is_none());
        let whole = assembly.take(nal(3, 3000, 0x06, false)).unwrap();
        assert_eq!((whole.place.first, whole.place.last, whole.place.key), (3, 4, false));
    }
}

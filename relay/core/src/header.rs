//! One leg's RTP header: fixed fields and an extension block with the ids of that leg, padded so that trains are even.

use latchkey_wire::dependency_descriptor::{Mandatory, rewrite_frame_number};
use latchkey_wire::extension::{self, ExtensionKind, ExtensionMap, PlayoutDelay};
use latchkey_wire::rtp::RtpHeader;

use crate::history::Parts;

/// A leg's `a=mid`, kept inline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mid {
    bytes: [u8; Mid::MAX_LEN],
    len: u8,
}

impl Mid {
    /// Longest mid in bytes: what an element of the one-byte form holds (RFC 8285 4.2).
    pub const MAX_LEN: usize = 16;

    /// Returns the mid, or `None` when it is empty or longer than [`MAX_LEN`](Self::MAX_LEN) bytes.
    pub fn new(mid: &str) -> Option<Self> {
        let len =
            u8::try_from(mid.len()).ok().filter(|&len| (1..=Self::MAX_LEN).contains(&usize::from(len)))?;
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..mid.len()].copy_from_slice(mid.as_bytes());
        Some(Self { bytes, len })
    }

    /// The mid as SDP has it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for Mid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

/// Which extensions a leg carries, under which ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegExtensions {
    mid: Option<(u8, Mid)>,
    capture_time: Option<u8>,
    dependency_descriptor: Option<u8>,
    playout_delay: Option<u8>,
    transport_cc: Option<u8>,
}

/// Lengths of the longest values in a train; what its blocks are padded for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Widest {
    descriptor: usize,
    capture: usize,
}

impl Widest {
    /// Takes one more packet into the train. A descriptor with a structure opens a key frame and may be larger than the
    /// rest; the others are widened to it, as long as that stays within [`WIDEST_DESCRIPTOR`].
    #[inline]
    pub(crate) fn include(&mut self, parts: &Parts<'_>) {
        if parts.dependency_descriptor.len() <= WIDEST_DESCRIPTOR {
            self.descriptor = self.descriptor.max(parts.dependency_descriptor.len());
        }
        self.capture = self.capture.max(parts.capture_time.len());
    }
}

impl LegExtensions {
    /// Keeps what the relay writes on a viewer's leg; everything else negotiated stays unused.
    pub(crate) fn new(map: &ExtensionMap, mid: Mid) -> Self {
        Self {
            mid: map.id(ExtensionKind::Mid).map(|id| (id, mid)),
            capture_time: map.id(ExtensionKind::AbsCaptureTime),
            dependency_descriptor: map.id(ExtensionKind::DependencyDescriptor),
            playout_delay: map.id(ExtensionKind::PlayoutDelay),
            transport_cc: map.id(ExtensionKind::TransportCc),
        }
    }

    /// Whether packets carry a transport-wide number.
    pub(crate) fn has_number(&self) -> bool {
        self.transport_cc.is_some()
    }

    /// Bytes of the extension block that holds the widest packet of a train; 0 when this leg carries none.
    pub(crate) fn block_len(&self, widest: Widest, playout_delay: bool) -> usize {
        let zeros = [0; WIDEST_DESCRIPTOR];
        let capture = &zeros[..widest.capture.min(zeros.len())];
        let parts =
            Parts { dependency_descriptor: &zeros[..widest.descriptor], capture_time: capture, payload: &[] };
        let mut elements = EMPTY_ELEMENTS;
        match self.fill(&mut elements, &parts, (playout_delay.then_some(&[0; 3]), Some(&[0; 2]))) {
            0 => 0,
            count => extension::block_len(&elements[..count]),
        }
    }

    /// Writes the header of one packet, its frame number moved on by `frame_number`, its block padded to `block_len`, and
    /// returns the header's length.
    #[inline]
    pub(crate) fn write(
        &self,
        header: &RtpHeader,
        parts: &Parts<'_>,
        (playout_delay, number): (Option<PlayoutDelay>, Option<u16>),
        (frame_number, block_len, out): (u16, usize, &mut [u8; MAX_HEADER]),
    ) -> usize {
        if frame_number == 0 {
            return self.write_as_it_is(header, parts, (playout_delay, number), (block_len, out));
        }
        let mut descriptor = [0; MAX_DESCRIPTOR];
        let parts = &renumbered(parts, frame_number, &mut descriptor);
        self.write_as_it_is(header, parts, (playout_delay, number), (block_len, out))
    }

    #[inline]
    fn write_as_it_is(
        &self,
        header: &RtpHeader,
        parts: &Parts<'_>,
        (playout_delay, number): (Option<PlayoutDelay>, Option<u16>),
        (block_len, out): (usize, &mut [u8; MAX_HEADER]),
    ) -> usize {
        let delay = playout_delay.map(PlayoutDelay::to_bytes);
        let number = number.map(u16::to_be_bytes);
        let mut elements = EMPTY_ELEMENTS;
        let count = self.fill(&mut elements, parts, (delay.as_ref(), number.as_ref()));
        let rest = header.write(count > 0, out).expect("the buffer holds a fixed header");
        let block = match count {
            0 => 0,
            _ => extension::write_block(&elements[..count], block_len, rest)
                .expect("ids are negotiated ones and the buffer holds the largest block"),
        };
        latchkey_wire::rtp::FIXED_HEADER_LEN + block
    }

    /// Puts this leg's elements in order and returns how many there are.
    #[inline]
    fn fill<'a>(
        &'a self,
        elements: &mut Elements<'a>,
        parts: &Parts<'a>,
        (delay, number): (Option<&'a [u8; 3]>, Option<&'a [u8; 2]>),
    ) -> usize {
        let mut count = 0;
        let mut add = |id: Option<u8>, value: &'a [u8]| {
            if let Some(id) = id.filter(|_| !value.is_empty()) {
                elements[count] = (id, value);
                count += 1;
            }
        };
        if let Some((id, mid)) = &self.mid {
            add(Some(*id), mid.as_bytes());
        }
        add(self.capture_time, parts.capture_time);
        add(self.dependency_descriptor, parts.dependency_descriptor);
        add(self.playout_delay, delay.map_or(&[], |delay| delay));
        add(self.transport_cc, number.map_or(&[], |number| number));
        count
    }
}

/// Moves the frame number of a descriptor on, for a leg that went over from another layer.
fn renumbered<'a>(parts: &Parts<'a>, by: u16, descriptor: &'a mut [u8; MAX_DESCRIPTOR]) -> Parts<'a> {
    let len = parts.dependency_descriptor.len();
    match Mandatory::read(parts.dependency_descriptor) {
        Ok(read) if len <= MAX_DESCRIPTOR => {
            descriptor[..len].copy_from_slice(parts.dependency_descriptor);
            rewrite_frame_number(&mut descriptor[..len], read.frame_number.wrapping_add(by));
            Parts { dependency_descriptor: &descriptor[..len], ..*parts }
        }
        _ => *parts,
    }
}

/// Makes the packet just written a padding-only one: sets the P bit; the payload must then be [`PADDING`].
pub(crate) fn set_padding(header: &mut [u8; MAX_HEADER]) {
    header[0] |= 0x20;
}

/// One byte of padding, counting itself (RFC 3550 5.1).
pub(crate) const PADDING: &[u8] = &[1];

/// Longest header this module writes: fixed part, block head, mid, capture time, largest descriptor, playout delay,
/// transport-wide number.
pub(crate) const MAX_HEADER: usize = 160;
/// Longest dependency descriptor that is passed on; nine spatial and temporal layers take 50 bytes.
pub(crate) const MAX_DESCRIPTOR: usize = 96;
/// Longest descriptor that the other packets of a train are widened to: a single layer's is at most 13 bytes.
const WIDEST_DESCRIPTOR: usize = 16;

type Elements<'a> = [(u8, &'a [u8]); 5];
const EMPTY_ELEMENTS: Elements<'static> = [(0, &[]); 5];

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_wire::rtp::RtpView;

    fn map(kinds: &[(ExtensionKind, u8)]) -> ExtensionMap {
        let mut map = ExtensionMap::new();
        for &(kind, id) in kinds {
            map.insert(kind, id).unwrap();
        }
        map
    }

    const HEADER: RtpHeader =
        RtpHeader { marker: true, payload_type: 102, sequence_number: 7, timestamp: 8, ssrc: 9 };

    #[test]
    fn a_train_has_one_header_size() {
        let map = map(&[
            (ExtensionKind::Mid, 4),
            (ExtensionKind::DependencyDescriptor, 12),
            (ExtensionKind::AbsCaptureTime, 2),
            (ExtensionKind::TransportCc, 5),
        ]);
        let leg = LegExtensions::new(&map, Mid::new("1").unwrap());
        let key = Parts { dependency_descriptor: &[9; 13], capture_time: &[8; 8], payload: b"" };
        let plain = Parts { dependency_descriptor: &[9; 3], ..Parts::default() };
        let mut widest = Widest::default();
        widest.include(&key);
        widest.include(&plain);
        let block = leg.block_len(widest, false);
        let mut out = [0; MAX_HEADER];
        let len = leg.write(&HEADER, &key, (None, Some(7)), (0, block, &mut out));
        let view = RtpView::parse(&out[..len]).unwrap();
        assert_eq!(view.extension().unwrap().find(12), Some(&[9; 13][..]));
        assert_eq!(leg.write(&HEADER, &plain, (None, Some(8)), (0, block, &mut out)), len);
        let view = RtpView::parse(&out[..len]).unwrap();
        assert_eq!(view.header(), HEADER);
        assert_eq!(
            view.extension().unwrap().iter().collect::<Vec<_>>(),
            [(4, &b"1"[..]), (12, &[9; 3][..]), (5, &[0, 8][..])]
        );
    }

    #[test]
    fn what_is_not_negotiated_is_not_sent() {
        let leg = LegExtensions::new(&map(&[]), Mid::new("video").unwrap());
        let parts = Parts { dependency_descriptor: &[9; 13], capture_time: &[8; 8], payload: b"" };
        let mut widest = Widest::default();
        widest.include(&parts);
        assert_eq!(leg.block_len(widest, true), 0);
        let mut out = [0; MAX_HEADER];
        let len = leg.write(&HEADER, &parts, (Some(PlayoutDelay::NONE), Some(9)), (0, 0, &mut out));
        assert_eq!(len, 12);
        assert!(RtpView::parse(&out[..len]).unwrap().extension().is_none());
    }

    #[test]
    fn the_largest_header_fits() {
        let kinds = [
            ExtensionKind::Mid,
            ExtensionKind::AbsCaptureTime,
            ExtensionKind::DependencyDescriptor,
            ExtensionKind::PlayoutDelay,
            ExtensionKind::TransportCc,
        ];
        let map = map(&kinds.map(|kind| (kind, 200 + kind as u8)));
        let leg = LegExtensions::new(&map, Mid::new("0123456789abcdef").unwrap());
        let parts =
            Parts { dependency_descriptor: &[9; MAX_DESCRIPTOR], capture_time: &[8; 16], payload: b"" };
        let mut out = [0; MAX_HEADER];
        let len = leg.write(&HEADER, &parts, (Some(PlayoutDelay::NONE), Some(9)), (0, 64, &mut out));
        assert!(RtpView::parse(&out[..len]).unwrap().extension().unwrap().iter().count() == 5);
    }

    #[test]
    fn a_mid_is_short() {
        assert!(Mid::new("").is_none());
        assert!(Mid::new("0123456789abcdefg").is_none());
        assert_eq!(Mid::new("0").unwrap().as_bytes(), b"0");
    }
}

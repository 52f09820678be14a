//! What an operator keeps of its relay's packets and shows again later, with numbers and times that go on.

use std::collections::HashMap;

use latchkey_wire::rtp::{RtpHeaderMut, RtpView};

/// The first packets of a publisher, track by track, to be played again and again.
#[derive(Default)]
pub struct Reel {
    tracks: HashMap<u8, Track>,
}

#[derive(Default)]
struct Track {
    packets: Vec<Vec<u8>>,
    /// The next to be played.
    at: usize,
    /// Number and time of the last packet that went out.
    last: (u16, u32),
    /// What was added to the times of the lap at hand.
    shift: u32,
}

impl Reel {
    /// Keeps a packet that goes out as it is.
    pub fn record(&mut self, packet: &[u8]) {
        if let Ok(view) = RtpView::parse(packet) {
            let track = self.tracks.entry(view.payload_type()).or_default();
            track.packets.push(packet.to_vec());
            track.last = (view.sequence_number(), view.timestamp());
        }
    }

    /// Notes a packet that goes out as it is and is not kept.
    pub fn pass(&mut self, packet: &[u8]) {
        if let Ok(view) = RtpView::parse(packet) {
            let track = self.tracks.entry(view.payload_type()).or_default();
            track.last = (view.sequence_number(), view.timestamp());
        }
    }

    /// Returns the next kept packet of the same track in place of `packet`.
    pub fn play(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let track = self.tracks.get_mut(&RtpView::parse(packet).ok()?.payload_type())?;
        let mut again = track.packets.get(track.at)?.clone();
        let recorded = RtpView::parse(&again).ok()?.timestamp();
        if track.at == 0 {
            track.shift = track.last.1.wrapping_add(STEP).wrapping_sub(recorded);
        }
        track.at = (track.at + 1) % track.packets.len();
        track.last = (track.last.0.wrapping_add(1), recorded.wrapping_add(track.shift));
        let mut header = RtpHeaderMut::new(&mut again)?;
        header.set_sequence_number(track.last.0);
        header.set_timestamp(track.last.1);
        Some(again)
    }
}

/// Ticks between the end of a lap and the next one: some frame's worth in either clock.
const STEP: u32 = 3000;

//! What an operator does to frames on their way through its relay: puts them together, changes them, and cuts them up again.

use std::collections::HashMap;

use latchkey_wire::codec::Codec;
use latchkey_wire::payload::{self, DEFAULT_MAX_PAYLOAD, Payloads};
use latchkey_wire::rtp::{RtpHeaderMut, RtpView};

use crate::hostile::ear::codec_of;

/// Changes the frames of one publisher. Packets must come in order and without loss, as on loopback.
#[derive(Default)]
pub struct Retake {
    tracks: HashMap<u8, Track>,
}

/// What becomes of a wire frame; `None` when it stays as it is.
pub type Change<'a> = dyn FnMut(Codec, &[u8]) -> Option<Vec<u8>> + 'a;

#[derive(Default)]
struct Track {
    /// Packets of the frame at hand.
    packets: Vec<Vec<u8>>,
    /// Number of the next packet that goes out.
    next: Option<u16>,
}

impl Retake {
    /// Takes a packet; once its frame is whole, returns the packets of what `change` makes of it. A frame for which
    /// `change` has nothing stays as it is.
    pub fn take(&mut self, packet: &[u8], change: &mut Change<'_>) -> Vec<Vec<u8>> {
        let Ok(view) = RtpView::parse(packet) else { return vec![packet.to_vec()] };
        let Some(codec) = codec_of(view.payload_type()) else { return Vec::new() };
        let track = self.tracks.entry(view.payload_type()).or_default();
        track.next.get_or_insert(view.sequence_number());
        track.packets.push(packet.to_vec());
        if !view.marker() && codec != Codec::Opus {
            return Vec::new();
        }
        let frame = std::mem::take(&mut track.packets);
        let mut out = changed(codec, &frame, change).unwrap_or(frame);
        for packet in &mut out {
            let number = track.next.unwrap_or_default();
            if let Some(mut header) = RtpHeaderMut::new(packet) {
                header.set_sequence_number(number);
            }
            track.next = Some(number.wrapping_add(1));
        }
        out
    }
}

fn changed(codec: Codec, frame: &[Vec<u8>], change: &mut Change<'_>) -> Option<Vec<Vec<u8>>> {
    let views: Vec<RtpView<'_>> = frame.iter().filter_map(|packet| RtpView::parse(packet).ok()).collect();
    let mut wire = Vec::new();
    payload::assemble(codec, views.iter().map(RtpView::payload), &mut wire).ok()?;
    let wire = change(codec, &wire)?;
    let mut payloads = Payloads::new();
    payload::split(codec, &wire, false, DEFAULT_MAX_PAYLOAD, &mut payloads).ok()?;
    let last = payloads.len().checked_sub(1)?;
    let packets = payloads.iter().enumerate().map(|(at, payload)| {
        // The first header says that a frame begins, the last that it ends.
        let like = match at {
            0 => 0,
            at if at == last => views.len() - 1,
            at => at.min(views.len().saturating_sub(2)),
        };
        let header = frame[like].get(..views[like].header_len()).unwrap_or_default();
        let mut packet = [header, payload].concat();
        if let Some(mut header) = RtpHeaderMut::new(&mut packet) {
            header.set_marker(at == last && views[views.len() - 1].marker());
        }
        packet
    });
    Some(packets.collect())
}

//! What every viewer got, and the questions a test asks about it.

use std::collections::{BTreeMap, BTreeSet};

use latchkey_relay_core::{Outgoing, OutgoingKind, SenderReport, Sink, SubscriberId};
use latchkey_wire::codec::Codec;
use latchkey_wire::payload;
use latchkey_wire::rtp::RtpView;

use super::media_ssrc;

/// A sink that keeps everything and checks how it is called.
#[derive(Default)]
pub struct Log {
    pub sent: Vec<Sent>,
    pub reports: Vec<SenderReport>,
    /// Viewers in the order their trains began.
    pub trains: Vec<SubscriberId>,
    open: Option<SubscriberId>,
    /// Indices given out per viewer and SSRC.
    indices: BTreeSet<(SubscriberId, u32, u64)>,
}

/// One packet.
#[derive(Clone, Debug)]
pub struct Sent {
    pub subscriber: SubscriberId,
    pub ssrc: u32,
    pub index: u64,
    pub kind: OutgoingKind,
    pub bytes: Vec<u8>,
    pub header_len: usize,
}

impl Sink for Log {
    fn begin(&mut self, subscriber: SubscriberId) {
        assert_eq!(self.open.replace(subscriber), None, "one train at a time");
        self.trains.push(subscriber);
    }

    fn packet(&mut self, packet: &Outgoing<'_>) {
        assert_eq!(self.open, Some(packet.subscriber));
        let bytes = [packet.header, packet.prefix, packet.payload].concat();
        let view = RtpView::parse(&bytes).unwrap();
        assert_eq!(view.header_len(), packet.header.len());
        assert_eq!(view.ssrc(), packet.ssrc);
        assert_eq!(view.sequence_number(), packet.index as u16);
        assert_eq!(view.marker(), packet.marker);
        let fresh = self.indices.insert((packet.subscriber, packet.ssrc, packet.index));
        assert!(fresh, "an SRTP index came twice: {packet:?}");
        self.sent.push(Sent {
            subscriber: packet.subscriber,
            ssrc: packet.ssrc,
            index: packet.index,
            kind: packet.kind,
            header_len: packet.header.len(),
            bytes,
        });
    }

    fn report(&mut self, report: &SenderReport) {
        assert_eq!(self.open, Some(report.subscriber));
        self.reports.push(*report);
    }

    fn end(&mut self, subscriber: SubscriberId) {
        assert_eq!(self.open.take(), Some(subscriber));
    }
}

impl Sent {
    pub fn view(&self) -> RtpView<'_> {
        RtpView::parse(&self.bytes).unwrap()
    }

    /// Value of an extension under a viewer's id.
    pub fn extension(&self, id: u8) -> Option<&[u8]> {
        self.view().extension()?.find(id)
    }
}

impl Log {
    /// Media packets of one viewer, in the order they were sent.
    pub fn media(&self, viewer: u64) -> Vec<&Sent> {
        self.sent.iter().filter(|sent| sent.ssrc == media_ssrc(viewer)).collect()
    }

    /// Repairs of one viewer.
    pub fn repairs(&self, viewer: u64) -> Vec<&Sent> {
        let id = SubscriberId(viewer);
        self.sent.iter().filter(|sent| sent.subscriber == id && sent.kind == OutgoingKind::Repair).collect()
    }

    /// Media packets of one viewer by number, after checking that none is missing.
    pub fn seamless(&self, viewer: u64) -> Vec<&Sent> {
        let sorted = self.by_number(viewer);
        for pair in sorted.windows(2) {
            assert_eq!(pair[1].index, pair[0].index + 1, "viewer {viewer}: numbers without a gap");
        }
        sorted
    }

    /// Media packets of one viewer by number.
    pub fn by_number(&self, viewer: u64) -> Vec<&Sent> {
        let mut sorted = self.media(viewer);
        sorted.sort_by_key(|sent| sent.index);
        sorted
    }

    /// Whole frames that one viewer can put together, in order of number. Panics on a frame that cannot be.
    pub fn frames(&self, codec: Codec, viewer: u64) -> Vec<Vec<u8>> {
        let mut frames: Vec<(u32, Vec<&[u8]>)> = Vec::new();
        for sent in self.seamless(viewer) {
            let view = sent.view();
            match frames.last_mut().filter(|(timestamp, _)| *timestamp == view.timestamp()) {
                Some((_, payloads)) => payloads.push(view.payload()),
                None => frames.push((view.timestamp(), vec![view.payload()])),
            }
        }
        let mut out = Vec::new();
        let frames = frames.into_iter().map(|(_, payloads)| {
            payload::assemble(codec, payloads.into_iter().filter(|payload| !payload.is_empty()), &mut out)
                .unwrap();
            out.clone()
        });
        frames.collect()
    }

    /// Packets per viewer in each train, for looking at sizes.
    pub fn per_viewer(&self) -> BTreeMap<SubscriberId, Vec<&Sent>> {
        let mut viewers: BTreeMap<SubscriberId, Vec<&Sent>> = BTreeMap::new();
        for sent in &self.sent {
            viewers.entry(sent.subscriber).or_default().push(sent);
        }
        viewers
    }
}

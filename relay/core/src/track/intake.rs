//! What a track does with a packet of its publisher: find its place, judge its shape, keep it, let it out.

use std::time::Instant;

use latchkey_wire::dependency_descriptor::{self, Mandatory, Reader};
use latchkey_wire::extension::{AbsCaptureTime, ExtensionKind};
use latchkey_wire::payload;
use latchkey_wire::rtp::RtpView;
use latchkey_wire::shape::{ShapeCheck, Verdict};

use crate::event::Event;
use crate::header::MAX_DESCRIPTOR;
use crate::history::{Facts, LayerFacts, Parts, StoreError};
use crate::news::News;
use crate::pause::Pause;
use crate::stats::DropReason;
use crate::timeline::Place;
use crate::track::{MOST_LATE, State, Track};

impl Track {
    /// Takes in one opened packet.
    ///
    /// # Errors
    /// The reason why it will not be forwarded.
    pub(crate) fn ingest(
        &mut self,
        packet: &RtpView<'_>,
        now: Instant,
        news: &mut News,
    ) -> Result<(), DropReason> {
        if matches!(self.state, State::Refused(_)) {
            return Err(DropReason::Unsealed);
        }
        let repair = Some(packet.payload_type()) == self.params.rtx_payload_type;
        let (place, payload) =
            if repair { self.place_repair(packet)? } else { self.place_media(packet, now)? };
        if place.restarted {
            self.begin_stretch(place.position);
        }
        self.history.admits(place.position, packet.header_len() + payload.len())?;
        let verdict = self.shape.inspect(payload);
        if let Verdict::Refuse(reason) = verdict {
            self.state = State::Refused(reason);
            news.event(Event::TrackRefused { track: self.id, reason });
            return Err(DropReason::Unsealed);
        }
        if !repair {
            self.reception.received(packet.sequence_number(), packet.timestamp(), now);
        }
        self.store(packet, place, payload, (now, news))?;
        news.stats.repaired_in += u64::from(repair);
        news.stats.frames_in += u64::from(packet.marker());
        self.note_gaps(place.position, now);
        self.admit(place.position, verdict, news);
        self.ask(now, news);
        if payload.is_empty() { Err(DropReason::PaddingOnly) } else { Ok(()) }
    }

    /// A publisher begins, with its first packet at `position`.
    pub(super) fn begin_stretch(&mut self, position: u64) {
        self.state = State::Holding;
        self.shape = ShapeCheck::new(self.params.codec);
        self.layers = Reader::new();
        self.rates.restart();
        self.pause = Pause::new();
        self.gop.clear();
        self.key_frames.restart();
        self.missing.clear();
        self.seen = position;
        self.reception.restart();
        self.clock.clear();
        self.batch.late.clear();
    }

    fn place_media<'a>(
        &mut self,
        packet: &RtpView<'a>,
        now: Instant,
    ) -> Result<(Place, &'a [u8]), DropReason> {
        if self.ssrc != Some(packet.ssrc()) {
            self.ssrc = Some(packet.ssrc());
            self.timeline.restart();
        }
        let place = self
            .timeline
            .place(packet.sequence_number(), packet.timestamp(), now)
            .map_err(|_| DropReason::Stale)?;
        Ok((place, packet.payload()))
    }

    fn place_repair<'a>(&self, packet: &RtpView<'a>) -> Result<(Place, &'a [u8]), DropReason> {
        let (sequence, payload) = packet.payload().split_first_chunk().ok_or(DropReason::PaddingOnly)?;
        if payload.is_empty() {
            return Err(DropReason::PaddingOnly);
        }
        let sequence = u16::from_be_bytes(*sequence);
        let place =
            self.timeline.place_repair(sequence, packet.timestamp()).map_err(|_| DropReason::Stale)?;
        Ok((place, payload))
    }

    fn store(
        &mut self,
        packet: &RtpView<'_>,
        place: Place,
        payload: &[u8],
        (now, news): (Instant, &mut News),
    ) -> Result<(), DropReason> {
        let mut descriptor = [0; MAX_DESCRIPTOR];
        let mut parts = Parts { payload, ..Parts::default() };
        for (id, value) in packet.extension().into_iter().flatten() {
            match self.params.extensions.kind(id) {
                Some(ExtensionKind::DependencyDescriptor) if value.len() <= MAX_DESCRIPTOR => {
                    descriptor[..value.len()].copy_from_slice(value);
                    parts.dependency_descriptor = value;
                }
                Some(ExtensionKind::AbsCaptureTime) if AbsCaptureTime::read(value).is_some() => {
                    parts.capture_time = value;
                }
                _ => {}
            }
        }
        let starts_key_frame = self.starts_key_frame(&parts);
        let layers = self.layers_of(parts.dependency_descriptor);
        if let Ok(mandatory) = Mandatory::read(parts.dependency_descriptor) {
            let descriptor = &mut descriptor[..parts.dependency_descriptor.len()];
            dependency_descriptor::rewrite_frame_number(
                descriptor,
                self.timeline.frame_number(mandatory.frame_number),
            );
            parts.dependency_descriptor = descriptor;
        } else {
            parts.dependency_descriptor = &[];
        }
        let facts = Facts { timestamp: place.timestamp, marker: packet.marker(), starts_key_frame, layers };
        self.history.store(place.position, facts, parts)?;
        self.rates.took(packet.header_len() + payload.len(), layers.needed_by, now);
        if let Some(time) = AbsCaptureTime::read(parts.capture_time) {
            self.clock.captured(time.ntp(), place.timestamp, now);
        }
        if starts_key_frame {
            self.gop.key_frame(place.position, now);
            if let Some(after) = self.key_frames.arrived(now) {
                news.event(Event::KeyFrameCame { track: self.id, after });
            }
            news.stats.key_frames_in += 1;
        }
        self.batch.widest.include(&parts);
        Ok(())
    }

    /// Keeps account of what is missing before the newest packet.
    fn note_gaps(&mut self, position: u64, now: Instant) {
        if position < self.seen {
            self.missing.arrived(position);
            return;
        }
        if self.params.nack && self.missing.passed_over(self.seen, position, now).is_err() {
            self.key_frames.want();
        }
        self.seen = position + 1;
    }

    /// Lets a stored packet out, and with the one that settles the track's shape all that were held.
    fn admit(&mut self, position: u64, verdict: Verdict, news: &mut News) {
        let late = position < self.batch.from;
        match self.state {
            State::Holding if verdict == Verdict::Forward => self.release(news),
            State::Forwarding if !late => self.end = self.timeline.end(),
            // One that finds no room here is still there for whoever asks for it.
            State::Forwarding if self.batch.late.len() < MOST_LATE => self.batch.late.push(position),
            _ => {}
        }
    }

    /// Video begins at its key frame; audio with the next packet, since what was held is late by now.
    fn release(&mut self, news: &mut News) {
        let end = self.timeline.end();
        let begin = if self.is_video() { self.gop.position() } else { Some(end) };
        let Some(begin) = begin else {
            self.key_frames.want();
            return;
        };
        (self.begin, self.end, self.end_at_chunk, self.batch.from) = (begin, end, end, end);
        self.state = State::Forwarding;
        news.event(Event::TrackAccepted { track: self.id });
    }

    /// What a descriptor says of layers. One that does not read, or whose structure was lost, is needed by all of them.
    fn layers_of(&mut self, descriptor: &[u8]) -> LayerFacts {
        if descriptor.is_empty() {
            return LayerFacts::WITHOUT_LAYERS;
        }
        let Ok(read) = self.layers.read(descriptor) else { return LayerFacts::WITHOUT_LAYERS };
        LayerFacts {
            needed_by: read.needed_by,
            switches_to: read.switches_to,
            spatial: read.spatial_id,
            ends_frame: read.mandatory.end_of_frame,
            starts_frame: read.mandatory.start_of_frame,
        }
    }

    fn starts_key_frame(&self, parts: &Parts<'_>) -> bool {
        if !self.is_video() || parts.payload.is_empty() {
            return false;
        }
        match Mandatory::read(parts.dependency_descriptor) {
            Ok(mandatory) => {
                mandatory.start_of_frame && dependency_descriptor::has_structure(parts.dependency_descriptor)
            }
            Err(_) => {
                payload::starts_frame(self.params.codec, parts.payload)
                    && payload::is_key_frame(self.params.codec, parts.payload)
            }
        }
    }
}

impl From<StoreError> for DropReason {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Duplicate => DropReason::Duplicate,
            StoreError::Stale => DropReason::Stale,
            StoreError::TooLarge => DropReason::TooLarge,
        }
    }
}

//! Sends a leg's packets in order, and those that came late.

use std::time::Instant;

use latchkey_wire::dependency_descriptor::Mandatory;
use latchkey_wire::rtp::RtpHeader;

use crate::header::{self, MAX_HEADER};
use crate::history::{Facts, Found, Parts};
use crate::munger::Line;
use crate::sink::{Outgoing, Sink};
use crate::subscription::{MOST_PACED, Stage, Subscription};
use crate::track::Track;
use crate::train::Train;

impl Subscription {
    pub(super) fn forward_run<S: Sink>(
        &mut self,
        track: &Track,
        until: u64,
        now: Instant,
        train: &mut Train<'_, S>,
    ) {
        let until = if train.is_paced() { until.min(self.cursor + MOST_PACED) } else { until };
        if self.cursor >= until {
            return;
        }
        let widest = track.widest(self.cursor..until);
        let block_len = self.extensions.block_len(widest, self.playout_delay().is_some());
        self.sent_at = now;
        while self.cursor < until && train.may_send() {
            let position = self.cursor;
            match track.find(position) {
                Found::Packet(facts, parts) => {
                    if !parts.payload.is_empty() && self.filter.takes(&facts) {
                        let index = self.munger.advance(position);
                        self.send(index, self.munger.line(), &facts, (&parts, block_len), train);
                        self.sequence = index as u16;
                        self.note_frame_number(&parts);
                    }
                    (self.timestamp, self.picture_ended) = (facts.timestamp, facts.marker);
                }
                Found::Missing if self.filter.reserves() => {
                    self.munger.advance(position);
                }
                Found::Missing => {}
                Found::Gone => {
                    self.stage = Stage::Waiting;
                    return;
                }
            }
            self.cursor += 1;
        }
    }

    /// Sends a packet whose turn had passed before it came; one whose turn is still to come has no number yet. Padding fills
    /// its number when it is nothing for this leg, lest the viewer ask for it for ever.
    pub(super) fn forward_late<S: Sink>(&mut self, track: &Track, position: u64, train: &mut Train<'_, S>) {
        let Some((index, line)) = self.munger.number(track.id(), position) else { return };
        let Found::Packet(facts, parts) = track.find(position) else { return };
        let left_out = line.track == self.track && !self.filter.would_take(&facts);
        let parts = if left_out { Parts::default() } else { parts };
        self.send(index, line, &facts, (&parts, 0), train);
    }

    #[inline]
    fn send<S: Sink>(
        &mut self,
        index: u64,
        line: Line,
        facts: &Facts,
        (parts, block_len): (&Parts<'_>, usize),
        train: &mut Train<'_, S>,
    ) {
        let marker = self.filter.ends_picture(facts);
        let header = RtpHeader {
            marker,
            payload_type: self.payload_type,
            sequence_number: index as u16,
            timestamp: facts.timestamp.wrapping_add(line.timestamp),
            ssrc: self.ssrc,
        };
        let mut out = [0; MAX_HEADER];
        let number = self.number(train);
        let extras = (self.playout_delay(), number);
        let len = self.extensions.write(&header, parts, extras, (line.frame_number, block_len, &mut out));
        let mut payload = parts.payload;
        if payload.is_empty() {
            header::set_padding(&mut out);
            payload = header::PADDING;
        }
        self.started = true;
        self.settling = self.settling.saturating_sub(1);
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        train.packet(&Outgoing {
            subscriber: self.subscriber,
            ssrc: self.ssrc,
            index,
            header: &out[..len],
            prefix: &[],
            payload,
            marker,
            kind: self.kind,
        });
    }

    #[inline]
    fn note_frame_number(&mut self, parts: &Parts<'_>) {
        if self.layered
            && let Ok(read) = Mandatory::read(parts.dependency_descriptor)
        {
            self.frame_number = read.frame_number.wrapping_add(self.munger.line().frame_number);
        }
    }

    #[inline]
    pub(super) fn number<S: Sink>(&self, train: &mut Train<'_, S>) -> Option<u16> {
        if self.extensions.has_number() { train.number() } else { None }
    }
}

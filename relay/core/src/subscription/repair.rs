//! What a leg sends again by RTX: for a viewer that lost it, and to see whether the path carries more.

use std::time::Instant;

use latchkey_wire::rtp::RtpHeader;

use crate::header::MAX_HEADER;
use crate::history::Found;
use crate::sink::{Outgoing, OutgoingKind, Sink};
use crate::stats::DropReason;
use crate::subscription::Subscription;
use crate::tracks::Tracks;
use crate::train::Train;

impl Subscription {
    /// Repeats the packet that this leg sent as `sequence`, by RTX.
    ///
    /// # Errors
    /// The reason why it cannot or may not.
    pub(crate) fn repair<S: Sink>(
        &mut self,
        tracks: &Tracks,
        sequence: u16,
        now: Instant,
        train: &mut Train<'_, S>,
    ) -> Result<(), DropReason> {
        let rtx = self.rtx.as_mut().ok_or(DropReason::RepairDenied)?;
        let (position, line) = self.munger.position(sequence).ok_or(DropReason::RepairGone)?;
        let found = tracks.find(line.track).map(|track| track.find(position));
        if !matches!(found, Some(Found::Packet(_, parts)) if !parts.payload.is_empty()) {
            return Err(DropReason::RepairGone);
        }
        if !rtx.budget.take(1.0, now) {
            return Err(DropReason::RepairDenied);
        }
        self.send_again(tracks, sequence, train)
    }

    /// Sends up to `count` of the newest packets again by RTX, which the viewer has and throws away: to see whether the path
    /// carries them, or as a sign of life. Returns how many went.
    pub(crate) fn probe<S: Sink>(
        &mut self,
        tracks: &Tracks,
        count: usize,
        train: &mut Train<'_, S>,
    ) -> usize {
        let newest = self.started.then_some(self.sequence);
        let mut sent = 0;
        for back in 0..2 * count as u16 {
            let Some(sequence) = newest.map(|newest| newest.wrapping_sub(back)).filter(|_| sent < count)
            else {
                break;
            };
            sent += usize::from(self.send_again(tracks, sequence, train).is_ok());
        }
        sent
    }

    fn send_again<S: Sink>(
        &mut self,
        tracks: &Tracks,
        sequence: u16,
        train: &mut Train<'_, S>,
    ) -> Result<(), DropReason> {
        let (position, line) = self.munger.position(sequence).ok_or(DropReason::RepairGone)?;
        let track = tracks.find(line.track).ok_or(DropReason::RepairGone)?;
        let Found::Packet(facts, parts) = track.find(position) else { return Err(DropReason::RepairGone) };
        if parts.payload.is_empty() {
            return Err(DropReason::RepairGone);
        }
        let number = self.number(train);
        let marker = self.filter.ends_picture(&facts);
        let rtx = self.rtx.as_mut().ok_or(DropReason::RepairDenied)?;
        let index = rtx.next;
        rtx.next += 1;
        let header = RtpHeader {
            marker,
            payload_type: rtx.params.payload_type,
            sequence_number: index as u16,
            timestamp: facts.timestamp.wrapping_add(line.timestamp),
            ssrc: rtx.params.ssrc,
        };
        let mut out = [0; MAX_HEADER];
        let len = self.extensions.write(&header, &parts, (None, number), (line.frame_number, 0, &mut out));
        train.packet(&Outgoing {
            subscriber: self.subscriber,
            ssrc: rtx.params.ssrc,
            index,
            header: &out[..len],
            prefix: &sequence.to_be_bytes(),
            payload: parts.payload,
            marker,
            kind: OutgoingKind::Repair,
        });
        Ok(())
    }
}

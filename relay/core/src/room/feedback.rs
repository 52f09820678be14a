//! What viewers and the publisher say by RTCP.

use std::time::Instant;

use latchkey_wire::rtcp::TransportFeedback;

use crate::bandwidth::Estimate;
use crate::id::SubscriberId;
use crate::room::Room;
use crate::sink::Sink;
use crate::stats::DropReason;
use crate::train::Train;

impl Room {
    /// Answers a viewer's generic NACK (RFC 4585 6.2.1) about one of its SSRCs with RTX packets.
    pub fn nack<S: Sink>(
        &mut self,
        subscriber: SubscriberId,
        ssrc: u32,
        lost: impl IntoIterator<Item = u16>,
        now: Instant,
        sink: &mut S,
    ) {
        let Some(viewer) = self.roster.viewer_mut(subscriber) else { return };
        let Some(leg) = viewer.legs.iter_mut().find(|leg| leg.subscription.ssrc() == ssrc) else { return };
        let mut train = Train::new((subscriber, &mut viewer.path), now, sink, &mut self.news);
        for sequence in lost {
            let repaired = leg.subscription.repair(&self.tracks, sequence, now, &mut train);
            let stats = train.stats();
            stats.nacks_received += 1;
            match repaired {
                Ok(()) => stats.repairs_sent += 1,
                Err(reason) => stats.drop(reason),
            }
        }
        train.end();
    }

    /// A viewer's transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    pub fn transport_feedback(
        &mut self,
        subscriber: SubscriberId,
        feedback: &TransportFeedback<'_>,
        now: Instant,
    ) {
        let Some(viewer) = self.roster.viewer_mut(subscriber) else { return };
        self.news.stats.feedback_received += 1;
        let estimate = viewer.path.feedback(feedback, now);
        viewer.learn(estimate);
    }

    /// What a viewer's receiver report (RFC 3550 6.4.2) says about one of its SSRCs: the part lost since the last one, in
    /// 1/256. It counts for viewers that send no transport-wide feedback.
    pub fn reception_report(&mut self, subscriber: SubscriberId, ssrc: u32, fraction_lost: u8, now: Instant) {
        let Some(viewer) = self.roster.viewer_mut(subscriber) else { return };
        if viewer.legs.iter().any(|leg| leg.subscription.ssrc() == ssrc) {
            let estimate = viewer.path.reception(fraction_lost, now);
            viewer.learn(estimate);
        }
    }

    /// What a viewer believes it can take, in bits per second (REMB). It counts like a reception report.
    pub fn receiver_estimate(&mut self, subscriber: SubscriberId, bits_per_second: u64, now: Instant) {
        let Some(viewer) = self.roster.viewer_mut(subscriber) else { return };
        let estimate = viewer.path.most(bits_per_second, now);
        viewer.learn(estimate);
    }

    /// The estimate of a viewer's path; `None` for an unknown viewer and before its first feedback.
    pub fn estimate(&self, subscriber: SubscriberId) -> Option<Estimate> {
        self.roster.viewer(subscriber)?.path.estimate()
    }

    /// A viewer asks for a key frame on one of its SSRCs (PLI or FIR). What is in its GOP cache already, or asked for too
    /// often, is not passed on; the rest is merged per track.
    pub fn key_frame_requested(&mut self, subscriber: SubscriberId, ssrc: u32, now: Instant) {
        let Some(leg) = self.roster.leg_mut(subscriber, ssrc) else { return };
        let Some(track) = self.tracks.find_mut(leg.subscription.track()) else { return };
        self.news.stats.key_frame_requests_received += 1;
        if leg.subscription.is_catching_up() {
            return;
        }
        if leg.subscription.take_key_frame_request(now) {
            track.want_key_frame(now, &mut self.news);
        } else {
            self.news.stats.drop(DropReason::KeyFrameDenied);
        }
    }

    /// The publisher's sender report about `ssrc`: its NTP time (32.32) and RTP timestamp of one instant.
    pub fn sender_report(&mut self, ssrc: u32, ntp: u64, rtp_timestamp: u32, now: Instant) {
        if let Some(track) = self.tracks.iter_mut().find(|track| track.is_source(ssrc)) {
            track.sender_report(ntp, rtp_timestamp, now);
        }
    }
}

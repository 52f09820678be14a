//! One viewer's copy of one track: its numbers, its ids, how far it has come.

use std::time::{Duration, Instant};

use latchkey_wire::extension::{ExtensionMap, PlayoutDelay};
use latchkey_wire::rtp::RtpHeader;

use crate::config::RoomConfig;
use crate::header::{self, LegExtensions, MAX_HEADER, Mid};
use crate::history::{Facts, Found, Parts};
use crate::id::{SubscriberId, TrackId};
use crate::munger::Munger;
use crate::pace::Chunk;
use crate::rate::{Rate, TokenBucket};
use crate::selector::{Choice, Selector};
use crate::sink::{Outgoing, OutgoingKind, SenderReport, Sink};
use crate::stats::DropReason;
use crate::track::Track;
use crate::train::Train;

/// What the relay agreed with a viewer for one m-line.
#[derive(Clone, Copy, Debug)]
pub struct SubscriptionParams {
    /// SSRC the relay sends media with; its own per leg and m-line, and never subscribed with before under the viewer's
    /// present SRTP keys: its packet indices begin anew with the subscription.
    pub ssrc: u32,
    /// Payload type the viewer gave the codec.
    pub payload_type: u8,
    /// RTX (RFC 4588), when negotiated; without it lost packets are not repeated.
    pub rtx: Option<RtxParams>,
    /// The m-line's mid.
    pub mid: Mid,
    /// Extension ids of the m-line.
    pub extensions: ExtensionMap,
    /// Where the leg's numbers begin: random.
    pub origin: Origin,
}

/// RTX of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtxParams {
    /// SSRC the relay sends repairs with; as new as the media SSRC.
    pub ssrc: u32,
    /// Payload type the viewer gave RTX.
    pub payload_type: u8,
}

/// Random first numbers of a leg (RFC 3550 5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// First media sequence number; the top bit is ignored.
    pub sequence: u16,
    /// First RTX sequence number; the top bit is ignored.
    pub rtx_sequence: u16,
    /// Added to every timestamp.
    pub timestamp: u32,
}

/// One leg of one viewer.
#[derive(Debug)]
pub(crate) struct Subscription {
    track: TrackId,
    subscriber: SubscriberId,
    ssrc: u32,
    payload_type: u8,
    kind: OutgoingKind,
    extensions: LegExtensions,
    timestamp_offset: u32,
    selector: Selector,
    munger: Munger,
    stage: Stage,
    /// A packet was sent.
    started: bool,
    /// Everything before this position was sent, has a number kept for it, or was left out.
    cursor: u64,
    /// Packets since going live that tell the viewer to keep its usual playout delay again.
    settling: u16,
    rtx: Option<Rtx>,
    key_frames: TokenBucket,
    packets: u32,
    octets: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Until a key frame is there.
    Waiting,
    /// Behind the publisher; goes on in paced chunks.
    CatchingUp,
    /// Gets every packet at once.
    Live,
}

#[derive(Debug)]
struct Rtx {
    params: RtxParams,
    next: u64,
    budget: TokenBucket,
}

impl Subscription {
    pub(crate) fn new(
        subscriber: SubscriberId,
        track: &Track,
        params: &SubscriptionParams,
        config: &RoomConfig,
    ) -> Self {
        let repairs = f64::from(config.repairs_per_second.max(1));
        let asked_in = config.key_frame_viewer_interval.as_secs_f64();
        Self {
            track: track.id(),
            subscriber,
            ssrc: params.ssrc,
            payload_type: params.payload_type,
            kind: if track.is_video() { OutgoingKind::Video } else { OutgoingKind::Audio },
            extensions: LegExtensions::new(&params.extensions, params.mid),
            timestamp_offset: params.origin.timestamp,
            selector: Selector,
            munger: Munger::new(params.origin.sequence),
            stage: Stage::Waiting,
            started: false,
            cursor: 0,
            settling: 0,
            rtx: params.rtx.map(|rtx| Rtx {
                params: rtx,
                next: u64::from(params.origin.rtx_sequence & 0x7FFF),
                budget: TokenBucket::new(Rate::per_second(repairs)),
            }),
            key_frames: TokenBucket::new(Rate { per_second: asked_in.recip(), burst: KEY_FRAMES_AT_ONCE }),
            packets: 0,
            octets: 0,
        }
    }

    /// The track it is of.
    pub(crate) fn track(&self) -> TrackId {
        self.track
    }

    /// The leg's media SSRC.
    pub(crate) fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// A packet went out on this leg.
    pub(crate) fn has_started(&self) -> bool {
        self.started
    }

    /// Takes one key-frame request from the viewer's budget; false when it asks too often.
    pub(crate) fn take_key_frame_request(&mut self, now: Instant) -> bool {
        self.key_frames.take(1.0, now)
    }

    /// Only a key frame can help this leg.
    pub(crate) fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// The leg is behind the publisher and wants more chunks.
    pub(crate) fn is_catching_up(&self) -> bool {
        self.stage == Stage::CatchingUp
    }

    /// Says whether the leg can start now, without waiting for a key frame that is still to come.
    pub(crate) fn can_start(&self, track: &Track, now: Instant, config: &RoomConfig) -> bool {
        !track.is_video() || self.selector.start(track, self.cursor, now, config.gop_age).is_some()
    }

    /// Sends what there is for this leg. A leg that catches up takes its part of `chunk`.
    pub(crate) fn forward<S: Sink>(
        &mut self,
        track: &Track,
        (now, config): (Instant, &RoomConfig),
        chunk: &mut Chunk,
        train: &mut Train<'_, S>,
    ) {
        if !self.position_cursor(track, now, config) {
            return;
        }
        for &position in track.late() {
            self.forward_late(track, position, train);
        }
        let until = match self.stage {
            Stage::CatchingUp => {
                let behind = track.end().saturating_sub(self.cursor);
                self.cursor + chunk.take(behind, track.arrived_since_chunk())
            }
            _ => track.end(),
        };
        self.forward_run(track, until, train);
        if self.stage == Stage::CatchingUp && self.cursor == track.end() {
            self.stage = Stage::Live;
            self.settling = SETTLING_PACKETS;
        }
    }

    /// Repeats the packet that this leg sent as `sequence`, by RTX.
    ///
    /// # Errors
    /// The reason why it cannot or may not.
    pub(crate) fn repair<S: Sink>(
        &mut self,
        track: &Track,
        sequence: u16,
        now: Instant,
        train: &mut Train<'_, S>,
    ) -> Result<(), DropReason> {
        let rtx = self.rtx.as_mut().ok_or(DropReason::RepairDenied)?;
        let position = self.munger.position(sequence).ok_or(DropReason::RepairGone)?;
        let Found::Packet(facts, parts) = track.find(position) else { return Err(DropReason::RepairGone) };
        if parts.payload.is_empty() {
            return Err(DropReason::RepairGone);
        }
        if !rtx.budget.take(1.0, now) {
            return Err(DropReason::RepairDenied);
        }
        let index = rtx.next;
        rtx.next += 1;
        let header = RtpHeader {
            marker: facts.marker,
            payload_type: rtx.params.payload_type,
            sequence_number: index as u16,
            timestamp: facts.timestamp.wrapping_add(self.timestamp_offset),
            ssrc: rtx.params.ssrc,
        };
        let mut out = [0; MAX_HEADER];
        let len = self.extensions.write(&header, &parts, None, (0, &mut out));
        train.packet(&Outgoing {
            subscriber: self.subscriber,
            ssrc: rtx.params.ssrc,
            index,
            header: &out[..len],
            prefix: &sequence.to_be_bytes(),
            payload: parts.payload,
            marker: facts.marker,
            kind: OutgoingKind::Repair,
        });
        Ok(())
    }

    /// Makes this leg's sender report; `None` before the first packet, or when the publisher's clock is not known.
    pub(crate) fn report(&self, track: &Track, now: Instant) -> Option<SenderReport> {
        let (ntp, timestamp) = track.source_clock(now).filter(|_| self.started)?;
        Some(SenderReport {
            subscriber: self.subscriber,
            ssrc: self.ssrc,
            ntp,
            rtp_timestamp: timestamp.wrapping_add(self.timestamp_offset),
            packets: self.packets,
            octets: self.octets,
        })
    }

    /// Gets a waiting leg going, and one whose publisher restarted on to the new one. False: the leg waits on.
    fn position_cursor(&mut self, track: &Track, now: Instant, config: &RoomConfig) -> bool {
        if self.stage == Stage::Waiting {
            let Some(start) = self.selector.start(track, self.cursor, now, config.gop_age) else {
                return false;
            };
            self.jump(start, track, config);
        } else if self.cursor < track.begin() {
            self.jump(track.begin(), track, config);
        }
        true
    }

    fn jump(&mut self, position: u64, track: &Track, config: &RoomConfig) {
        self.cursor = position;
        let behind = track.end().saturating_sub(position);
        self.stage = if behind > config.catch_up_packets as u64 { Stage::CatchingUp } else { Stage::Live };
    }

    fn forward_run<S: Sink>(&mut self, track: &Track, until: u64, train: &mut Train<'_, S>) {
        if self.cursor >= until {
            return;
        }
        let widest = track.widest(self.cursor..until);
        let block_len = self.extensions.block_len(widest, self.playout_delay().is_some());
        while self.cursor < until {
            let position = self.cursor;
            match track.find(position) {
                Found::Packet(facts, parts) => {
                    if self.selector.choose(&parts) == Choice::Keep {
                        let index = self.munger.advance(position);
                        self.send(index, &facts, &parts, block_len, train);
                    }
                }
                Found::Missing => {
                    self.munger.advance(position);
                }
                Found::Gone => {
                    self.stage = Stage::Waiting;
                    return;
                }
            }
            self.cursor += 1;
        }
    }

    /// Sends a packet whose turn had passed before it came; one whose turn is still to come has no number yet. Padding fills
    /// its number, lest the viewer ask for it for ever.
    fn forward_late<S: Sink>(&mut self, track: &Track, position: u64, train: &mut Train<'_, S>) {
        let (Some(index), Found::Packet(facts, parts)) = (self.munger.number(position), track.find(position))
        else {
            return;
        };
        self.send(index, &facts, &parts, 0, train);
    }

    #[inline]
    fn send<S: Sink>(
        &mut self,
        index: u64,
        facts: &Facts,
        parts: &Parts<'_>,
        block_len: usize,
        train: &mut Train<'_, S>,
    ) {
        let header = RtpHeader {
            marker: facts.marker,
            payload_type: self.payload_type,
            sequence_number: index as u16,
            timestamp: facts.timestamp.wrapping_add(self.timestamp_offset),
            ssrc: self.ssrc,
        };
        let mut out = [0; MAX_HEADER];
        let len = self.extensions.write(&header, parts, self.playout_delay(), (block_len, &mut out));
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
            marker: facts.marker,
            kind: self.kind,
        });
    }

    fn playout_delay(&self) -> Option<PlayoutDelay> {
        match self.stage {
            Stage::CatchingUp => Some(PlayoutDelay::NONE),
            _ if self.settling > 0 => Some(USUAL_PLAYOUT_DELAY),
            _ => None,
        }
    }
}

/// Receivers keep the last playout delay they were told, so after the catch-up they are told libwebrtc's own again.
const USUAL_PLAYOUT_DELAY: PlayoutDelay = PlayoutDelay { min: Duration::ZERO, max: Duration::from_secs(10) };
/// Enough packets that some frame's first one among them arrives.
const SETTLING_PACKETS: u16 = 256;
/// Key-frame requests that one viewer may make in a row.
const KEY_FRAMES_AT_ONCE: f64 = 3.0;

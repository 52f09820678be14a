//! The viewers of a run: every packet's SRTP is checked, and a sample of them opens every frame.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use hdrhistogram::Histogram;
use latchkey_e2ee::open::FrameOpener;
use latchkey_relay::batch::{Receiver, SendArena};
use latchkey_wire::codec::Codec;
use latchkey_wire::{envelope, payload};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use str0m::rtp::RtpPacket;

use crate::peer::Peer;
use crate::publisher::Closings;
use crate::workload::{Births, Workload};

/// RTP ticks of a frame: 90 kHz at 30 frames a second.
pub(crate) const TICKS: u32 = 3000;

/// One viewer with what it has seen.
pub(crate) struct Viewer {
    peer: Peer,
    /// Only viewers of the sample hold keys.
    opener: Option<FrameOpener>,
    parts: Vec<Vec<u8>>,
    /// RTP timestamp that frame 0 has on this leg, once a frame was recognised.
    base: Option<u32>,
    seen: Seen,
}

/// What viewers saw in the measured window.
pub(crate) struct Seen {
    /// Authentic packets.
    pub(crate) packets: u64,
    /// Packets of frames that were opened.
    pub(crate) opened: u64,
    /// Frames of the sample that did not open.
    pub(crate) failed: u64,
    /// Publisher's send call to the viewer's socket, last packet of each frame, microseconds.
    pub(crate) latency: Histogram<u64>,
}

impl Viewer {
    /// Returns a viewer around a client whose answer was accepted.
    pub(crate) fn new(peer: Peer, opener: Option<FrameOpener>) -> Self {
        Self { peer, opener, parts: Vec::new(), base: None, seen: Seen::new() }
    }
}

impl Seen {
    /// Returns nothing seen.
    pub(crate) fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order");
        Self { packets: 0, opened: 0, failed: 0, latency }
    }

    /// Adds what another viewer saw.
    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.opened += other.opened;
        self.failed += other.failed;
        self.latency.add(&other.latency).expect("all have the same bounds");
    }
}

/// Drives viewers until `stop`; counts those that are connected into `connected`.
pub(crate) fn run(
    viewers: &mut [Viewer],
    workload: &Workload,
    births: &Births,
    closings: &Closings,
    connected: &AtomicUsize,
    stop: &AtomicBool,
) -> anyhow::Result<Seen> {
    crate::cores::driver(workload.measured_cores);
    let (mut receiver, mut arena) = (Receiver::new(), SendArena::new());
    let mut known = vec![false; viewers.len()];
    while !stop.load(Ordering::Relaxed) {
        let ready = wait(viewers.iter().map(|viewer| &viewer.peer), Duration::from_millis(20))?;
        for (index, viewer) in viewers.iter_mut().enumerate() {
            if ready[index] || Instant::now() >= viewer.peer.due() {
                viewer.turn(&mut receiver, &mut arena, workload, births, closings)?;
            }
            if !known[index] && viewer.peer.is_connected() {
                known[index] = true;
                connected.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    let mut all = Seen::new();
    viewers.iter().for_each(|viewer| all.add(&viewer.seen));
    Ok(all)
}

impl Viewer {
    fn turn(
        &mut self,
        receiver: &mut Receiver,
        arena: &mut SendArena,
        workload: &Workload,
        births: &Births,
        closings: &Closings,
    ) -> anyhow::Result<()> {
        let (opener, parts, base, seen) = (&mut self.opener, &mut self.parts, &mut self.base, &mut self.seen);
        let mut on_packet = |packet: &RtpPacket, arrival: SystemTime| {
            let (marker, timestamp) = (packet.header.marker, packet.header.timestamp);
            if marker && base.is_none() {
                *base = closings.frame(&packet.payload).map(|frame| timestamp.wrapping_sub(frame * TICKS));
            }
            let frame = base.map(|base| timestamp.wrapping_sub(base) / TICKS);
            let counted = frame.filter(|frame| *frame >= workload.warm_up_frames());
            seen.packets += u64::from(counted.is_some());
            if marker && let Some(age) = counted.and_then(|frame| births.age(frame, arrival)) {
                seen.latency.saturating_record(age);
            }
            if let Some(opener) = opener {
                parts.push(packet.payload.to_vec());
                if marker {
                    let opened = open(opener, parts);
                    if counted.is_some() {
                        seen.opened += if opened { parts.len() as u64 } else { 0 };
                        seen.failed += u64::from(!opened);
                    }
                    parts.clear();
                }
            }
        };
        self.peer.receive(receiver, arena, &mut on_packet)?;
        self.peer.drive(arena, &mut on_packet)
    }
}

/// Puts a frame's payloads together and opens it; false when either cannot be done.
pub(crate) fn open(opener: &mut FrameOpener, parts: &[Vec<u8>]) -> bool {
    let (mut wire, mut scratch, mut picture) = (Vec::new(), Vec::new(), Vec::new());
    if payload::assemble(Codec::Vp8, parts.iter().map(Vec::as_slice), &mut wire).is_err() {
        return false;
    }
    let Ok(split) = envelope::split(Codec::Vp8, &wire, &mut scratch) else { return false };
    opener.open(split.sframe, split.envelope, &mut picture).is_ok()
}

/// Waits for any client's socket or the next timer, at most for `longest`; returns whose socket is ready.
pub(crate) fn wait<'a>(
    peers: impl Iterator<Item = &'a Peer> + Clone,
    longest: Duration,
) -> anyhow::Result<Vec<bool>> {
    let now = Instant::now();
    let due = peers.clone().map(Peer::due).min().unwrap_or(now + longest);
    let patience = due.saturating_duration_since(now).clamp(Duration::from_micros(200), longest);
    let mut polled: Vec<PollFd<'_>> = peers.map(|peer| PollFd::new(&peer.socket, PollFlags::IN)).collect();
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) };
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(polled.iter().map(|polled| !polled.revents().is_empty()).collect())
}

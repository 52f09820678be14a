//! Drives the viewers of a storm, those who watch and those who come while it is on.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Receiver as Newcomers;
use std::time::{Duration, Instant, SystemTime};

use latchkey_relay::batch::{Receiver, SendArena};
use str0m::rtp::RtpPacket;

use crate::cores;
use crate::peer::Peer;
use crate::publisher::Closings;
use crate::viewers::{TICKS, wait};
use crate::workload::Births;

/// One viewer.
pub(super) struct Member<E> {
    pub(super) peer: Peer,
    /// What it looks at, and has seen.
    pub(super) eyes: E,
}

/// What a viewer does with what arrives.
pub(super) trait Eyes {
    /// Takes an authentic packet that the kernel had for the viewer's socket at `arrival`.
    fn packet(&mut self, packet: &RtpPacket, arrival: SystemTime, clock: &Clock<'_>);
}

/// What is known of the camera's frames, and where among them the windows begin.
#[derive(Clone, Copy)]
pub(super) struct Clock<'a> {
    pub(super) births: &'a Births,
    pub(super) closings: &'a Closings,
    /// First frame of the steady window.
    pub(super) steady: u32,
    /// First frame of the storm.
    pub(super) storm: u32,
}

/// Which frame a packet of a viewer belongs to.
#[derive(Default)]
pub(super) struct Frames {
    /// RTP timestamp that frame 0 has for this viewer, once a frame was recognised.
    base: Option<u32>,
}

impl Frames {
    /// Returns the packet's frame; none before the first end of a frame that is recognised.
    pub(super) fn of(&mut self, packet: &RtpPacket, clock: &Clock<'_>) -> Option<u32> {
        let timestamp = packet.header.timestamp;
        if self.base.is_none() && packet.header.marker {
            let frame = clock.closings.frame(&packet.payload)?;
            self.base = Some(timestamp.wrapping_sub(frame * TICKS));
        }
        self.base.map(|base| timestamp.wrapping_sub(base) / TICKS)
    }
}

/// How the threads drive their viewers.
pub(super) struct Drive<'a> {
    /// Processors that are measured.
    pub(super) cores: usize,
    pub(super) clock: Clock<'a>,
    /// Viewers that are connected.
    pub(super) connected: &'a AtomicUsize,
    pub(super) stop: &'a AtomicBool,
}

impl Drive<'_> {
    /// Drives these viewers and those who come, until it is to stop; returns them all.
    pub(super) fn run<E: Eyes>(
        &self,
        mut members: Vec<Member<E>>,
        newcomers: &Newcomers<Member<E>>,
    ) -> anyhow::Result<Vec<Member<E>>> {
        cores::driver(self.cores);
        let (mut receiver, mut arena) = (Receiver::new(), SendArena::new());
        let mut known = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            members.extend(newcomers.try_iter());
            known.resize(members.len(), false);
            let ready = wait(members.iter().map(|member| &member.peer), LONGEST_WAIT)?;
            for (index, Member { peer, eyes }) in members.iter_mut().enumerate() {
                if ready[index] || Instant::now() >= peer.due() {
                    let mut on_packet =
                        |packet: &RtpPacket, arrival| eyes.packet(packet, arrival, &self.clock);
                    peer.receive(&mut receiver, &mut arena, &mut on_packet)?;
                    peer.drive(&mut arena, &mut on_packet)?;
                }
                if !known[index] && peer.is_connected() {
                    known[index] = true;
                    self.connected.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        Ok(members)
    }
}

/// A newcomer's first turn is at most so late.
const LONGEST_WAIT: Duration = Duration::from_millis(1);

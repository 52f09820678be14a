//! The camera of a run: seals frames as a household's camera does, and sends them in the workload's shape.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_relay::batch::{Receiver, SendArena};
use latchkey_wire::codec::Codec;
use latchkey_wire::envelope::{self, EnvelopeBuilder};
use latchkey_wire::payload::{self, Payloads};
use str0m::rtp::{RtpPacket, RtpWrite};

use crate::peer::Peer;
use crate::workload::{Births, PACKET_BYTES, PACKETS_PER_FRAME, Shape, Workload};

/// RTP header with the one extension (mid) that the driver negotiates.
const HEADER_BYTES: usize = 20;
/// How a VP8 key frame of 1280 x 720 begins (RFC 6386 section 9.1).
const KEY_FRAME: [u8; 10] = [0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x00, 0x05, 0xD0, 0x02];
/// Bytes that sealing, envelope and payload descriptors add to a frame of ten packets, rounded up.
const FRAME_OVERHEAD: usize = 80;

/// Which frame a packet closes, told by the end of its payload: the relay changes headers, never payloads.
#[derive(Default)]
pub(crate) struct Closings(Mutex<HashMap<u64, u32>>);

impl Closings {
    /// Returns the frame that a packet with this payload closes.
    pub(crate) fn frame(&self, payload: &[u8]) -> Option<u32> {
        let tail = payload.last_chunk::<8>()?;
        self.0.lock().expect("nobody panics with it").get(&u64::from_le_bytes(*tail)).copied()
    }

    fn note(&self, payload: &[u8], frame: u32) {
        if let Some(tail) = payload.last_chunk::<8>() {
            self.0.lock().expect("nobody panics with it").insert(u64::from_le_bytes(*tail), frame);
        }
    }
}

/// What was sent in the measured window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Published {
    /// RTP packets.
    pub(crate) packets: u64,
    /// Those of them that left more than 2 ms after their time: the driver was too slow.
    pub(crate) late: u64,
}

/// Publishes the whole workload; `on_edge` is told the first (true) and the last moment of the measured window.
pub(crate) fn run(
    peer: &mut Peer,
    sealer: &mut FrameSealer,
    workload: &Workload,
    births: &Births,
    closings: &Closings,
    on_edge: &mut dyn FnMut(bool) -> anyhow::Result<()>,
) -> anyhow::Result<Published> {
    let (mut receiver, mut arena) = (Receiver::new(), SendArena::new());
    let payload_type = peer.payload_type()?;
    let mut picture =
        vec![0x5Au8; PACKETS_PER_FRAME as usize * (PACKET_BYTES - HEADER_BYTES) - FRAME_OVERHEAD];
    let mut envelopes = EnvelopeBuilder::new(Codec::Vp8);
    picture[..KEY_FRAME.len()].copy_from_slice(&KEY_FRAME);
    let (mut clear, mut sealed, mut wire, mut payloads) =
        (Vec::new(), Vec::new(), Vec::new(), Payloads::default());
    let (mut sequence, mut published) = (1u64, Published::default());
    let begin = Instant::now();
    for frame in 0..workload.frames() {
        if frame == workload.warm_up_frames() {
            on_edge(true)?;
        }
        // A key frame every two seconds, as a camera sends.
        let key = frame % 60 == 0;
        let header = InnerHeader::new(SystemTime::now(), key, Codec::Vp8);
        clear.clear();
        envelopes.build(key, &picture, &mut clear)?;
        sealed.clear();
        sealer.seal(0, header, &clear, &picture, &mut sealed)?;
        wire.clear();
        envelope::join(Codec::Vp8, &clear, &sealed, &mut wire);
        payload::split(Codec::Vp8, &wire, key, PACKET_BYTES - HEADER_BYTES, &mut payloads)?;
        anyhow::ensure!(
            payloads.len() == PACKETS_PER_FRAME as usize,
            "a frame has {} packets",
            payloads.len()
        );
        let packets: Vec<&[u8]> = payloads.iter().collect();
        closings.note(packets[packets.len() - 1], frame);
        for (index, packet) in (0..).zip(&packets) {
            let last = index + 1 == PACKETS_PER_FRAME;
            let due = begin + workload.due(frame, index);
            wait_until(peer, &mut receiver, &mut arena, due)?;
            let time = frame.wrapping_mul(3000);
            let write =
                RtpWrite::new(payload_type, sequence.into(), time, Instant::now(), *packet).marker(last);
            let mid = peer.mid;
            let mut api = peer.rtc.direct_api();
            api.stream_tx_by_mid(mid, None).context("the stream exists")?.write_rtp(write.nackable(true));
            sequence += 1;
            if frame >= workload.warm_up_frames() {
                published.packets += 1;
                published.late += u64::from(due.elapsed() > LATE);
            }
            if workload.shape == Shape::Spread || last {
                peer.send_written(&mut arena, || {
                    if last {
                        births.note(frame);
                    }
                })?;
            }
        }
    }
    // The window ends where the next frame would begin.
    wait_until(peer, &mut receiver, &mut arena, begin + workload.due(workload.frames(), 0))?;
    on_edge(false)?;
    wait_until(peer, &mut receiver, &mut arena, Instant::now() + Duration::from_millis(400))?;
    Ok(published)
}

/// Keeps the client alive for `time`.
pub(crate) fn idle(peer: &mut Peer, time: Duration) -> anyhow::Result<()> {
    wait_until(peer, &mut Receiver::new(), &mut SendArena::new(), Instant::now() + time)
}

/// Keeps the client alive until it is connected.
pub(crate) fn connect(peer: &mut Peer) -> anyhow::Result<()> {
    let (mut receiver, mut arena) = (Receiver::new(), SendArena::new());
    let deadline = Instant::now() + Duration::from_secs(30);
    while !peer.is_connected() {
        anyhow::ensure!(Instant::now() < deadline, "the publisher did not connect within 30 s");
        wait_until(peer, &mut receiver, &mut arena, Instant::now() + Duration::from_millis(5))?;
    }
    Ok(())
}

fn wait_until(
    peer: &mut Peer,
    receiver: &mut Receiver,
    arena: &mut SendArena,
    until: Instant,
) -> anyhow::Result<()> {
    loop {
        peer.receive(receiver, arena, &mut ignore)?;
        peer.drive(arena, &mut ignore)?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(2)));
    }
}

fn ignore(_: &RtpPacket, _: SystemTime) {}

const LATE: Duration = Duration::from_millis(2);

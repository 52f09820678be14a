//! The kernel floor: the least that a fan-out can cost on this machine, with no crate of ours in it.
//!
//! One thread receives plain packets and, for each viewer, copies them, rewrites the SSRC, seals with AES-128-GCM under
//! that viewer's key and sends: one UDP_SEGMENT train per frame and viewer for a burst, one `sendto` per packet when
//! they come spread. Viewers are sockets with UDP_GRO that other threads drain.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use hdrhistogram::Histogram;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::workload::{Births, PACKET_BYTES, PACKETS_PER_FRAME, Shape, Workload};
use crate::{DRIVERS, cores, kernel};

const HEADER: usize = 12;
const TAG: usize = 16;
const SEALED: usize = PACKET_BYTES + TAG;

/// What the floor cost.
pub(crate) struct Floor {
    /// CPU microseconds per packet sent, of the forwarding thread alone.
    pub(crate) us_per_packet: f64,
    /// Publisher's send call to a viewer's socket, last packet of each frame, microseconds.
    pub(crate) latency: Histogram<u64>,
    /// Share of packets that no viewer read, percent.
    pub(crate) loss_pct: f64,
}

/// Runs the floor under `workload` and returns what it cost.
pub(crate) fn run(workload: &Workload) -> std::io::Result<Floor> {
    let door = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    kernel::widen(&door);
    let viewers =
        (0..workload.viewers).map(|_| kernel::viewer_socket()).collect::<std::io::Result<Vec<_>>>()?;
    let addresses = viewers.iter().map(address_of).collect::<std::io::Result<Vec<_>>>()?;
    let to = door.local_addr()?;
    let births = Births::new(workload.frames());
    let (stop_forward, stop_receive) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let forwarder = scope.spawn(|| forward(&door, &addresses, workload, &stop_forward));
        // As many readers as the relay's viewers have.
        let receivers: Vec<_> = viewers
            .chunks(viewers.len().div_ceil(DRIVERS))
            .map(|some| scope.spawn(|| receive(some, workload, &births, &stop_receive)))
            .collect();
        let published = publish(workload, to, &births);
        std::thread::sleep(Duration::from_millis(300));
        stop_forward.store(true, Ordering::Relaxed);
        let (cpu, sent) = forwarder.join().expect("the forwarder does not panic");
        std::thread::sleep(Duration::from_millis(100));
        stop_receive.store(true, Ordering::Relaxed);
        let (mut latency, mut received) = (empty_histogram(), 0);
        for receiver in receivers {
            let (some, packets) = receiver.join().expect("a receiver does not panic");
            latency.add(&some).expect("all have the same bounds");
            received += packets;
        }
        published?;
        let expected = u64::from(workload.frames() - workload.warm_up_frames())
            * u64::from(PACKETS_PER_FRAME)
            * workload.viewers as u64;
        Ok(Floor {
            us_per_packet: cpu.as_secs_f64() * 1e6 / sent.max(1) as f64,
            latency,
            loss_pct: 100.0 * (1.0 - received as f64 / expected as f64),
        })
    })
}

/// Sends every frame at its time.
fn publish(workload: &Workload, to: SocketAddr, births: &Births) -> std::io::Result<()> {
    cores::driver(1);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut packet = [0xA5u8; PACKET_BYTES];
    packet[0] = 0x80;
    let begin = Instant::now();
    for frame in 0..workload.frames() {
        for index in 0..PACKETS_PER_FRAME {
            let due = begin + workload.due(frame, index);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let last = index + 1 == PACKETS_PER_FRAME;
            // The age of a frame counts from its first packet in a burst, from its last when spread.
            if (workload.shape == Shape::Burst && index == 0) || (workload.shape == Shape::Spread && last) {
                births.note(frame);
            }
            let sequence = frame * PACKETS_PER_FRAME + index;
            packet[1] = 96 | if last { 0x80 } else { 0 };
            packet[2..4].copy_from_slice(&sequence.to_be_bytes()[2..]);
            packet[4..8].copy_from_slice(&frame.to_be_bytes());
            socket.send_to(&packet, to)?;
        }
    }
    Ok(())
}

/// Forwards until told to stop; returns CPU time and packets sent, both of the measured window.
fn forward(
    door: &UdpSocket,
    viewers: &[SocketAddrV4],
    workload: &Workload,
    stop: &AtomicBool,
) -> (Duration, u64) {
    cores::measured(1);
    let keys: Vec<LessSafeKey> = (0..viewers.len() as u64)
        .map(|viewer| {
            let mut key = [7u8; 16];
            key[..8].copy_from_slice(&viewer.to_be_bytes());
            LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).expect("16 bytes are a key"))
        })
        .collect();
    let mut frame: Vec<[u8; PACKET_BYTES]> = Vec::with_capacity(kernel::BATCH);
    let mut arena = vec![0u8; SEALED * kernel::BATCH];
    let (mut begin, mut sent) = (None, 0u64);
    while !stop.load(Ordering::Relaxed) {
        kernel::receive_batch(door, &mut frame);
        let Some(newest) = frame.last() else { continue };
        // A burst leaves as one train, so it waits for its last packet.
        if workload.shape == Shape::Burst && newest[1] & 0x80 == 0 && frame.len() < kernel::BATCH {
            continue;
        }
        let number = u32::from_be_bytes([newest[4], newest[5], newest[6], newest[7]]);
        if begin.is_none() && number >= workload.warm_up_frames() {
            (begin, sent) = (Some(cores::thread_cpu()), 0);
        }
        for (viewer, (address, key)) in viewers.iter().zip(&keys).enumerate() {
            for (packet, out) in frame.iter().zip(arena.chunks_exact_mut(SEALED)) {
                seal(packet, viewer as u32, key, out);
            }
            let bytes = &arena[..frame.len() * SEALED];
            match workload.shape {
                Shape::Burst => kernel::send_train(door, bytes, SEALED, *address),
                Shape::Spread => bytes.chunks_exact(SEALED).for_each(|packet| {
                    let _ = door.send_to(packet, address);
                }),
            }
        }
        sent += (frame.len() * viewers.len()) as u64;
        frame.clear();
    }
    (begin.map_or(Duration::ZERO, |begin| cores::thread_cpu() - begin), sent)
}

fn seal(packet: &[u8; PACKET_BYTES], viewer: u32, key: &LessSafeKey, out: &mut [u8]) {
    out[..PACKET_BYTES].copy_from_slice(packet);
    out[8..12].copy_from_slice(&(viewer + 1).to_be_bytes());
    let mut nonce = [0u8; 12];
    nonce[..6].copy_from_slice(&packet[2..8]);
    let (header, rest) = out.split_at_mut(HEADER);
    let (body, tag) = rest.split_at_mut(PACKET_BYTES - HEADER);
    let sealed = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(&*header), body)
        .expect("a packet is short enough to seal");
    tag.copy_from_slice(sealed.as_ref());
}

/// Drains viewers; returns the age of frames and the packets of the measured window.
fn receive(
    viewers: &[UdpSocket],
    workload: &Workload,
    births: &Births,
    stop: &AtomicBool,
) -> (Histogram<u64>, u64) {
    cores::driver(1);
    let (mut latency, mut received) = (empty_histogram(), 0);
    let mut polled: Vec<PollFd<'_>> =
        viewers.iter().map(|viewer| PollFd::new(viewer, PollFlags::IN)).collect();
    let patience = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    let mut buffer = vec![0u8; 1 << 16];
    while !stop.load(Ordering::Relaxed) {
        // When it is interrupted, nobody is ready.
        let _ = poll(&mut polled, Some(&patience));
        for (viewer, _) in viewers.iter().zip(&polled).filter(|(_, polled)| !polled.revents().is_empty()) {
            while let Some((length, arrival)) = kernel::receive_train(viewer, &mut buffer) {
                for packet in buffer[..length].chunks_exact(SEALED) {
                    let frame = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                    if frame < workload.warm_up_frames() {
                        continue;
                    }
                    received += 1;
                    if packet[1] & 0x80 != 0
                        && let Some(age) = births.age(frame, arrival)
                    {
                        latency.saturating_record(age);
                    }
                }
            }
        }
    }
    (latency, received)
}

fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000, 3).expect("the bounds are in order")
}

fn address_of(socket: &UdpSocket) -> std::io::Result<SocketAddrV4> {
    match socket.local_addr()? {
        SocketAddr::V4(address) => Ok(address),
        SocketAddr::V6(_) => Err(std::io::ErrorKind::AddrNotAvailable.into()),
    }
}

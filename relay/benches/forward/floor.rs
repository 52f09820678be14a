//! The kernel floor under a workload of the bench: publisher and viewers are here, what lies between is `latchkey-relay-floor`.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use latchkey_relay_floor::viewer::{self, Reader};
use latchkey_relay_floor::{self as floor, Leaving, Spent, TAG};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::workload::{Births, PACKET_BYTES, PACKETS_PER_FRAME, Shape, Workload};
use crate::{DRIVERS, cores};

/// Bytes of a packet as viewers get it.
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
    let viewers = (0..workload.viewers).map(|_| viewer::socket()).collect::<std::io::Result<Vec<_>>>()?;
    let addresses = viewers.iter().map(address_of).collect::<std::io::Result<Vec<_>>>()?;
    let leaving = match workload.shape {
        Shape::Burst => Leaving::Trains,
        Shape::Spread => Leaving::Packets,
    };
    let floor = floor::Floor::start(leaving, addresses, cores::of_measured(1))?;
    let births = Births::new(workload.frames());
    let stop_receive = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // As many readers as the relay's viewers have.
        let receivers: Vec<_> = viewers
            .chunks(viewers.len().div_ceil(DRIVERS))
            .map(|some| scope.spawn(|| receive(some, workload, &births, &stop_receive)))
            .collect();
        let published = publish(workload, &floor, &births);
        std::thread::sleep(Duration::from_millis(300));
        let spent = floor.stop();
        std::thread::sleep(Duration::from_millis(100));
        stop_receive.store(true, Ordering::Relaxed);
        let (mut latency, mut received) = (empty_histogram(), 0);
        for receiver in receivers {
            let (some, packets) = receiver.join().expect("a receiver does not panic");
            latency.add(&some).expect("all have the same bounds");
            received += packets;
        }
        let before = published?;
        let expected = u64::from(workload.frames() - workload.warm_up_frames())
            * u64::from(PACKETS_PER_FRAME)
            * workload.viewers as u64;
        Ok(Floor {
            us_per_packet: (spent.cpu - before.cpu).as_secs_f64() * 1e6
                / (spent.sent - before.sent).max(1) as f64,
            latency,
            loss_pct: 100.0 * (1.0 - received as f64 / expected as f64),
        })
    })
}

/// Sends every frame at its time; returns what the floor had spent before the first measured one.
fn publish(workload: &Workload, floor: &floor::Floor, births: &Births) -> std::io::Result<Spent> {
    cores::driver(1);
    let (to, mut before) = (floor.door(), Spent::default());
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut packet = [0xA5u8; PACKET_BYTES];
    packet[0] = 0x80;
    let begin = Instant::now();
    for frame in 0..workload.frames() {
        if frame == workload.warm_up_frames() {
            before = floor.spent();
        }
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
    Ok(before)
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
    let mut reader = Reader::default();
    while !stop.load(Ordering::Relaxed) {
        // When it is interrupted, nobody is ready.
        let _ = poll(&mut polled, Some(&patience));
        for (viewer, _) in viewers.iter().zip(&polled).filter(|(_, polled)| !polled.revents().is_empty()) {
            while reader.read(viewer, |train| {
                for packet in train.packets().filter(|packet| packet.len() == SEALED) {
                    let frame = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
                    if frame < workload.warm_up_frames() {
                        continue;
                    }
                    received += 1;
                    if packet[1] & 0x80 != 0
                        && let Some(age) = births.age(frame, train.arrival)
                    {
                        latency.saturating_record(age);
                    }
                }
            }) {}
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

//! The floor forwards what it is given, sealed for each viewer, and tells what that cost.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant, SystemTime};

use latchkey_relay_floor::viewer::{self, Reader};
use latchkey_relay_floor::{Floor, Leaving, TAG};

/// For how long something may not come before the test gives up.
const LIMIT: Duration = Duration::from_secs(30);
const FRAMES: u32 = 6;
/// The last one of a frame is shorter, as a camera's are.
const LENGTHS: [usize; 4] = [1100, 1100, 1100, 407];

fn viewers(count: usize) -> (Vec<UdpSocket>, Vec<SocketAddrV4>) {
    let sockets: Vec<UdpSocket> = (0..count).map(|_| viewer::socket().expect("a socket")).collect();
    let address = |socket: &UdpSocket| match socket.local_addr().expect("an address") {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(_) => panic!("an address of the other kind"),
    };
    let addresses = sockets.iter().map(address).collect();
    (sockets, addresses)
}

/// The packet with this number, which is the `index`th of its frame.
fn packet(frame: u32, index: usize) -> Vec<u8> {
    let mut packet = vec![0xA5; LENGTHS[index]];
    let number = frame * LENGTHS.len() as u32 + index as u32;
    packet[0] = 0x80;
    packet[1] = if index + 1 == LENGTHS.len() { 0x80 | 96 } else { 96 };
    packet[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&frame.to_be_bytes());
    packet[8..12].copy_from_slice(&[0; 4]);
    packet
}

fn publish(to: SocketAddr, frames: std::ops::Range<u32>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    for frame in frames {
        for index in 0..LENGTHS.len() {
            socket.send_to(&packet(frame, index), to).expect("it is sent");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads so many packets of each viewer.
fn read(sockets: &[UdpSocket], packets: usize) -> Vec<Vec<Vec<u8>>> {
    let (deadline, mut reader) = (Instant::now() + LIMIT, Reader::default());
    let mut read = vec![Vec::new(); sockets.len()];
    while read.iter().any(|packets_of| packets_of.len() < packets) {
        assert!(
            Instant::now() < deadline,
            "{:?} packets came",
            read.iter().map(Vec::len).collect::<Vec<_>>()
        );
        for (socket, into) in sockets.iter().zip(&mut read) {
            reader.read(socket, |train| {
                assert!(train.arrival <= SystemTime::now() && train.arrival > SystemTime::UNIX_EPOCH);
                into.extend(train.packets().map(<[u8]>::to_vec));
            });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    read
}

fn every_viewer_gets_everything_sealed(leaving: Leaving) {
    let (sockets, addresses) = viewers(5);
    let floor = Floor::start(leaving, addresses, &[]).expect("a floor");
    publish(floor.door(), 0..FRAMES);
    let all = FRAMES as usize * LENGTHS.len();
    let read = read(&sockets, all);
    let mut bodies = Vec::new();
    for (viewer, packets) in read.iter().enumerate() {
        assert_eq!(packets.len(), all);
        for (number, sealed) in packets.iter().enumerate() {
            let plain = packet((number / LENGTHS.len()) as u32, number % LENGTHS.len());
            assert_eq!(sealed.len(), plain.len() + TAG);
            assert_eq!(sealed[..8], plain[..8], "the head stays in the clear");
            assert_eq!(
                sealed[8..12],
                (viewer as u32 + 1).to_be_bytes(),
                "each viewer has an SSRC of its own"
            );
            assert_ne!(sealed[12..plain.len()], plain[12..], "nothing of the payload is left");
        }
        bodies.push(packets[0][12..].to_vec());
    }
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 5, "each viewer has a key of its own");
    let spent = floor.stop();
    assert_eq!((spent.received, spent.sent), (all as u64, 5 * all as u64));
    assert!(spent.cpu > Duration::ZERO);
}

#[test]
fn frames_leave_as_trains() {
    every_viewer_gets_everything_sealed(Leaving::Trains);
}

#[test]
fn packets_leave_one_by_one() {
    every_viewer_gets_everything_sealed(Leaving::Packets);
}

#[test]
fn viewers_can_be_set_while_it_runs_and_work_is_counted() {
    let (sockets, addresses) = viewers(5);
    let floor = Floor::start(Leaving::Trains, addresses[..2].to_vec(), &[]).unwrap();
    publish(floor.door(), 0..1);
    read(&sockets[..2], LENGTHS.len());
    let before = floor.spent();
    floor.set_viewers(addresses);
    // It looks for news before each wait, which may be 50 ms long.
    std::thread::sleep(Duration::from_millis(200));
    publish(floor.door(), 1..FRAMES);
    read(&sockets, (FRAMES as usize - 1) * LENGTHS.len());
    let after = floor.spent();
    assert!(after.cpu > before.cpu, "{before:?} {after:?}");
    assert_eq!(before.sent, 2 * LENGTHS.len() as u64);
    assert_eq!(after.sent - before.sent, 5 * u64::from(FRAMES - 1) * LENGTHS.len() as u64);
    drop(floor);
}

#[test]
fn a_processor_that_is_not_there_is_refused() {
    assert!(Floor::start(Leaving::Trains, Vec::new(), &[rustix::thread::CpuSet::MAX_CPU]).is_err());
}

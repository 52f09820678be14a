//! Garbage at the media port: datagrams that look like what the relay takes, and are not.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{MissedTickBehavior, interval};

use crate::fleet::intruder::{Seen, lock};

/// What a datagram looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Garbage {
    /// Noise of any length.
    Noise,
    /// An RTP packet of a video stream, as large as ours, sealed with nobody's key.
    Rtp,
    /// An RTCP sender report that asks for nothing anybody can read.
    Rtcp,
    /// A STUN binding request (RFC 8489) of a user that there is not.
    Stun,
    /// A DTLS 1.2 client hello, cut off.
    Dtls,
    /// The head of a QUIC version 1 initial packet.
    Quic,
}

impl Garbage {
    /// All shapes, in the order in which they take turns.
    pub const ALL: [Self; 6] = [Self::Noise, Self::Rtp, Self::Rtcp, Self::Stun, Self::Dtls, Self::Quic];

    /// Returns its name, as reports tell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Rtp => "RTP-shaped",
            Self::Rtcp => "RTCP-shaped",
            Self::Stun => "STUN-shaped",
            Self::Dtls => "DTLS-shaped",
            Self::Quic => "QUIC-shaped",
        }
    }

    /// Fills `datagram` with one of these; `random` is as long as the longest, and differs from datagram to datagram.
    fn write(self, random: &[u8], datagram: &mut Vec<u8>) {
        datagram.clear();
        let (head, length): (&[u8], usize) = match self {
            Self::Noise => (&[], 1 + usize::from(random[0]) * 4),
            Self::Rtp => (&[0x90, 96], 1116),
            Self::Rtcp => (&[0x80, 200, 0, 6], 72),
            Self::Stun => (&[0, 1, 0, 12, 0x21, 0x12, 0xA4, 0x42], 32),
            Self::Dtls => (&[22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 180, 1, 0, 0, 168], 193),
            Self::Quic => (&[0xC3, 0, 0, 0, 1, 8], 1200),
        };
        datagram.extend_from_slice(&random[..length]);
        datagram[..head.len()].copy_from_slice(head);
        if self == Self::Stun {
            // USERNAME of eight bytes behind the transaction id.
            datagram[20..24].copy_from_slice(&[0, 6, 0, 8]);
        }
    }
}

/// Opens the sockets that garbage comes from.
pub(crate) fn sockets(media: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    let any =
        if media.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    let open = |_| {
        let socket = std::net::UdpSocket::bind((any, 0))?;
        socket.connect(media)?;
        socket.set_nonblocking(true)?;
        UdpSocket::from_std(socket)
    };
    (0..count.max(1)).map(open).collect()
}

/// Sends garbage at that rate, in small portions, until it is aborted.
pub(crate) async fn run(sockets: Vec<UdpSocket>, per_second: f64, seen: Arc<Mutex<Seen>>) {
    let every = Duration::from_secs_f64(1.0 / per_second).max(PORTION);
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut random, mut datagram) = (vec![0; LONGEST], Vec::with_capacity(LONGEST));
    let (mut owed, mut sent) = (0.0, 0usize);
    loop {
        ticks.tick().await;
        owed += per_second * every.as_secs_f64();
        while owed >= 1.0 {
            owed -= 1.0;
            let shape = Garbage::ALL[sent % Garbage::ALL.len()];
            let socket = &sockets[sent / Garbage::ALL.len() % sockets.len()];
            sent += 1;
            // Without randomness the noise of the datagram before is noise enough.
            let _ = getrandom::fill(&mut random);
            shape.write(&random, &mut datagram);
            // A port that is closed says so by an error on the next send; the garbage is sent all the same.
            if socket.try_send(&datagram).is_ok() {
                let mut seen = lock(&seen);
                seen.since_taken.garbage += 1;
                *seen.garbage.entry(shape).or_default() += 1;
            }
        }
    }
}

const LONGEST: usize = 1200;
const PORTION: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_begins_as_what_it_pretends_to_be() {
        let random = vec![0xAB; LONGEST];
        let mut datagram = Vec::new();
        let firsts = Garbage::ALL.map(|shape| {
            shape.write(&random, &mut datagram);
            (datagram[0], datagram.len())
        });
        // RFC 9443 section 3: STUN 0 to 3, DTLS 20 to 63, RTP and RTCP 128 to 191, QUIC 192 and above.
        assert_eq!(firsts[1..], [(0x90, 1116), (0x80, 72), (0, 32), (22, 193), (0xC3, 1200)]);
        assert_eq!(firsts[0].1, 1 + 0xAB * 4);
    }
}

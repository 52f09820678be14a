//! What a camera's client sends, counted on its way out: first transmissions, and those asked for again.

use std::net::SocketAddr;

use latchkey_relay::batch::{SendArena, Socket};

use crate::fleet::peer::Outlet;
use crate::measure::tally::CameraTally;

/// Counts RTP by the clear header of each datagram.
pub(crate) struct Counting<'a> {
    arena: &'a mut SendArena,
    payload_type: Option<u8>,
    tally: &'a mut CameraTally,
}

impl<'a> Counting<'a> {
    /// `payload_type` is that of first transmissions.
    pub(crate) fn new(
        arena: &'a mut SendArena,
        payload_type: Option<u8>,
        tally: &'a mut CameraTally,
    ) -> Self {
        Self { arena, payload_type, tally }
    }
}

impl Outlet for Counting<'_> {
    fn send(&mut self, socket: &Socket, remote: SocketAddr, bytes: &[u8]) {
        match rtp_payload_type(bytes) {
            Some(seen) if Some(seen) == self.payload_type => {
                self.tally.packets += 1;
                self.tally.bytes += bytes.len() as u64;
            }
            Some(_) => self.tally.nacks += 1,
            None => {}
        }
        self.arena.send(socket, remote, bytes);
    }
}

/// Returns the payload type of an RTP packet; `None` for RTCP, DTLS and STUN (RFC 7983, RFC 5761).
fn rtp_payload_type(datagram: &[u8]) -> Option<u8> {
    let [first, second, ..] = datagram else { return None };
    let payload_type = second & 0x7F;
    ((128..192).contains(first) && !(64..96).contains(&payload_type)).then_some(payload_type)
}

#[cfg(test)]
mod tests {
    use super::rtp_payload_type;

    #[test]
    fn rtp_is_told_from_what_else_a_client_sends() {
        assert_eq!(rtp_payload_type(&[0x90, 0x80 | 96, 0, 0]), Some(96));
        assert_eq!(rtp_payload_type(&[0x90, 111, 0, 0]), Some(111));
        assert_eq!(rtp_payload_type(&[0x80, 200, 0, 0]), None, "a sender report");
        assert_eq!(rtp_payload_type(&[22, 254, 253]), None, "DTLS");
        assert_eq!(rtp_payload_type(&[0, 1, 0, 0]), None, "STUN");
        assert_eq!(rtp_payload_type(&[]), None);
    }
}

//! What is looked at before the DTLS parser sees a datagram: its records, how much there was, and whose hello it is.

/// Lets through only what can be part of a handshake of this size, and of that a bounded amount.
#[derive(Default)]
pub(super) struct Gate {
    datagrams: u32,
    fragments: u32,
    datagrams_after: u32,
}

impl Gate {
    /// Whether the parser may see the datagram.
    pub(super) fn admits(&mut self, datagram: &[u8], connected: bool) -> bool {
        let mut rest = datagram;
        let mut carries_handshake = false;
        while !rest.is_empty() {
            let Some((record, next)) = split_record(rest) else { return false };
            let allowed = match record.epoch {
                // In the clear only the handshake itself: an alert in the clear could be anybody's. That goes for afterwards,
                // too: who did not get our last flight repeats its own, ChangeCipherSpec included (RFC 6347 section 4.2.4).
                0 => matches!(record.kind, HANDSHAKE | CHANGE_CIPHER_SPEC),
                _ => matches!(record.kind, ALERT | HANDSHAKE | APPLICATION_DATA),
            };
            if !allowed || record.kind == HANDSHAKE && record.epoch == 0 && !self.count_fragments(record.body)
            {
                return false;
            }
            carries_handshake |= matches!(record.kind, HANDSHAKE | CHANGE_CIPHER_SPEC);
            rest = next;
        }
        let (count, limit) = match connected {
            false => (&mut self.datagrams, MAX_DATAGRAMS),
            true if carries_handshake => (&mut self.datagrams_after, MAX_DATAGRAMS_AFTER),
            true => return true,
        };
        *count += 1;
        *count <= limit
    }

    fn count_fragments(&mut self, mut body: &[u8]) -> bool {
        while !body.is_empty() {
            let Some(header) = body.first_chunk::<FRAGMENT_HEADER>() else { return false };
            let number = |at: usize| {
                usize::from(header[at]) << 16 | usize::from(header[at + 1]) << 8 | usize::from(header[at + 2])
            };
            let (length, offset, part) = (number(1), number(6), number(9));
            self.fragments += 1;
            if length > MAX_MESSAGE || offset + part > length || self.fragments > MAX_FRAGMENTS {
                return false;
            }
            let Some(next) = body.get(FRAGMENT_HEADER + part..) else { return false };
            body = next;
        }
        true
    }
}

struct Record<'a> {
    kind: u8,
    epoch: u16,
    body: &'a [u8],
}

fn split_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let header = bytes.first_chunk::<RECORD_HEADER>()?;
    let len = usize::from(u16::from_be_bytes([header[11], header[12]]));
    let body = bytes.get(RECORD_HEADER..RECORD_HEADER + len)?;
    if header[1] != 0xFE || len == 0 {
        return None;
    }
    let record = Record { kind: header[0], epoch: u16::from_be_bytes([header[3], header[4]]), body };
    Some((record, &bytes[RECORD_HEADER + len..]))
}

/// The type of the first message of a datagram of the handshake in the clear.
pub(super) fn handshake_type(datagram: &[u8]) -> Option<u8> {
    let (record, _) = split_record(datagram)?;
    (record.kind == HANDSHAKE && record.epoch == 0).then(|| record.body.first().copied())?
}

/// What tells one client's hello from another's; it is the same in the hello with the cookie and in repetitions.
pub(super) fn hello_random(datagram: &[u8]) -> Option<[u8; RANDOM]> {
    if handshake_type(datagram)? != CLIENT_HELLO {
        return None;
    }
    let fragment = datagram.get(RECORD_HEADER..)?;
    let is_first_fragment = fragment.get(6..9)? == [0; 3];
    let random = fragment.get(FRAGMENT_HEADER + 2..)?.first_chunk()?;
    is_first_fragment.then_some(*random)
}

const RECORD_HEADER: usize = 13;
const FRAGMENT_HEADER: usize = 12;
const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// A certificate chain of a WebRTC client is one certificate; post-quantum key shares are about 1.2 kB.
const MAX_MESSAGE: usize = 16 << 10;
/// A handshake takes about 10, more with losses.
pub(super) const MAX_DATAGRAMS: u32 = 96;
const MAX_FRAGMENTS: u32 = 192;
/// Repeated final flights.
pub(super) const MAX_DATAGRAMS_AFTER: u32 = 16;
const CLIENT_HELLO: u8 = 1;
/// Bytes of a hello's random.
pub(super) const RANDOM: usize = 32;

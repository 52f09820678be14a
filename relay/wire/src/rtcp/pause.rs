//! Asks a sender to pause a stream and to go on with it (RFC 7728 section 8), one request a packet.

use super::write::{TRANSPORT_FEEDBACK, packet, word};

/// Appends a PAUSE of `target_ssrc`. `pause_id` names the pause; it counts up with each one that has ended.
pub fn write_pause(sender_ssrc: u32, target_ssrc: u32, pause_id: u16, out: &mut Vec<u8>) {
    write(PAUSE, (sender_ssrc, target_ssrc), pause_id, out);
}

/// Appends a RESUME, which ends the pause of that name.
pub fn write_resume(sender_ssrc: u32, target_ssrc: u32, pause_id: u16, out: &mut Vec<u8>) {
    write(RESUME, (sender_ssrc, target_ssrc), pause_id, out);
}

fn write(kind: u8, (sender_ssrc, target_ssrc): (u32, u32), pause_id: u16, out: &mut Vec<u8>) {
    packet(PAUSE_RESUME, TRANSPORT_FEEDBACK, out, |out| {
        word(sender_ssrc, out);
        // The media source of the head is not used: the entry names its target.
        word(0, out);
        word(target_ssrc, out);
        word(u32::from(kind) << 28 | u32::from(pause_id), out);
    });
}

/// FMT of the RTPFB packet.
const PAUSE_RESUME: u8 = 9;
const PAUSE: u8 = 0;
const RESUME: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::{RtcpMessage, parse};

    #[test]
    fn requests_are_as_the_wire_document_has_them() {
        let document = include_str!("../../../docs/wire.md");
        let mut seen = 0;
        for line in document.lines().filter_map(|line| line.strip_prefix("    pause ")) {
            let [kind, sender, target, id, bytes] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let number = |text| u32::from_str_radix(text, 16).unwrap();
            let write = if kind == "PAUSE" { write_pause } else { write_resume };
            let mut out = Vec::new();
            write(number(sender), number(target), number(id) as u16, &mut out);
            assert_eq!(hex::encode(&out), bytes, "{line}");
            let mut messages = Vec::new();
            parse(&out, &mut messages).unwrap();
            assert_eq!(
                messages,
                [RtcpMessage::Other { packet_type: 205, format: 9 }],
                "it stands as a packet"
            );
            seen += 1;
        }
        assert_eq!(seen, 2, "vectors in the wire document");
    }
}

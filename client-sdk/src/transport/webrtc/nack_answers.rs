//! Sends packets again that the relay asks for, as RTX (RFC 4588) where that was agreed.
//!
//! A repetition has all header extensions of the original (RFC 4588 section 4): without the dependency descriptor
//! viewers could not place it. The crate's own responder leaves them out.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{BufMut, BytesMut};
use rtc::interceptor::{Attribute, AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;

use crate::transport::webrtc::nack_requests::answers_nacks;

/// Keeps what was sent lately and answers NACKs (RFC 4585 6.2.1) with it.
pub(super) struct NackAnswers {
    first: u16,
    streams: Vec<Stream>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

impl NackAnswers {
    /// `first` is the number of each RTX stream's first packet: random (RFC 4588 section 4).
    pub(super) fn new(first: u16) -> Self {
        Self { first, streams: Vec::new(), inbound: VecDeque::new(), outbound: VecDeque::new() }
    }
}

struct Stream {
    ssrc: u32,
    rtx: Option<Rtx>,
    /// By number, modulo its length.
    sent: Box<[Option<rtp::Packet>]>,
}

struct Rtx {
    ssrc: u32,
    payload_type: u8,
    next: u16,
}

impl Stream {
    fn keep(&mut self, packet: &rtp::Packet) {
        self.sent[usize::from(packet.header.sequence_number) % PACKETS_KEPT] = Some(packet.clone());
    }

    /// Returns the packet to send for `number`; nothing when it is too old, or never was.
    fn answer(&mut self, number: u16) -> Option<rtp::Packet> {
        let sent = self.sent[usize::from(number) % PACKETS_KEPT].as_ref()?;
        if sent.header.sequence_number != number {
            return None;
        }
        let mut packet = sent.clone();
        let Some(rtx) = &mut self.rtx else { return Some(packet) };
        let mut payload = BytesMut::with_capacity(2 + packet.payload.len());
        payload.put_u16(number);
        payload.put_slice(&packet.payload);
        packet.payload = payload.freeze();
        packet.header.ssrc = rtx.ssrc;
        packet.header.payload_type = rtx.payload_type;
        packet.header.sequence_number = rtx.next;
        rtx.next = rtx.next.wrapping_add(1);
        Some(packet)
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for NackAnswers {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &message.message.packet {
            let nacks =
                packets.iter().filter_map(|packet| packet.as_any().downcast_ref::<TransportLayerNack>());
            for nack in nacks {
                let asked = self.streams.iter_mut().find(|stream| stream.ssrc == nack.media_ssrc);
                let Some(stream) = asked else { continue };
                let lost = nack.nacks.iter().flat_map(|pair| pair.packet_list());
                let answers = lost.filter_map(|number| stream.answer(number));
                self.outbound.extend(answers.map(|packet| TaggedPacket {
                    now: message.now,
                    transport: TransportContext::default(),
                    message: AttributedPacket::new(Packet::Rtp(packet)).with(Attribute::Retransmission),
                }));
            }
        }
        self.inbound.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(packet) = &message.message.packet
            && let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == packet.header.ssrc)
        {
            stream.keep(packet);
        }
        self.outbound.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }
}

impl Interceptor for NackAnswers {
    fn bind_local_stream(&mut self, info: &StreamInfo) {
        // One that is known goes on as it was: SRTP must not meet a number of its RTX twice.
        let known = self.streams.iter().any(|stream| stream.ssrc == info.ssrc);
        if known || !answers_nacks(info) {
            return;
        }
        let rtx = match (info.ssrc_rtx, info.payload_type_rtx) {
            (Some(ssrc), Some(payload_type)) => Some(Rtx { ssrc, payload_type, next: self.first }),
            _ => None,
        };
        self.streams.push(Stream { ssrc: info.ssrc, rtx, sent: vec![None; PACKETS_KEPT].into_boxed_slice() });
    }

    fn unbind_local_stream(&mut self, info: &StreamInfo) {
        self.streams.retain(|stream| stream.ssrc != info.ssrc);
    }

    fn bind_remote_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _info: &StreamInfo) {}
}

/// Sent packets kept, a divisor of 65536: 2 s at 500 packets per second.
const PACKETS_KEPT: usize = 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rtc::rtcp::transport_feedbacks::transport_layer_nack::nack_pairs_from_sequence_numbers;

    const MEDIA: u32 = 7;
    const RTX: u32 = 8;

    fn answers(payload_type_rtx: Option<u8>) -> NackAnswers {
        let mut answers = NackAnswers::new(65_535);
        let nack = rtc::interceptor::RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() };
        answers.bind_local_stream(&StreamInfo {
            ssrc: MEDIA,
            ssrc_rtx: payload_type_rtx.map(|_| RTX),
            payload_type_rtx,
            rtcp_feedback: vec![nack],
            ..StreamInfo::default()
        });
        answers
    }

    fn tagged(packet: Packet) -> TaggedPacket {
        let transport = TransportContext::default();
        TaggedPacket { now: Instant::now(), transport, message: AttributedPacket::new(packet) }
    }

    fn sent(number: u16) -> rtp::Packet {
        let extension = rtp::header::Extension { id: 3, payload: vec![number as u8; 23].into() };
        let header = rtp::Header {
            version: 2,
            ssrc: MEDIA,
            payload_type: 102,
            sequence_number: number,
            timestamp: 90 * u32::from(number),
            marker: number.is_multiple_of(2),
            extension: true,
            extension_profile: 0x1000,
            extensions: vec![extension],
            ..rtp::Header::default()
        };
        rtp::Packet { header, payload: vec![number as u8; 10].into() }
    }

    fn send(answers: &mut NackAnswers, numbers: impl IntoIterator<Item = u16>) {
        for number in numbers {
            answers.handle_write(tagged(Packet::Rtp(sent(number)))).unwrap();
            assert!(answers.poll_write().is_some(), "it goes on");
        }
    }

    fn ask(answers: &mut NackAnswers, media_ssrc: u32, numbers: &[u16]) -> Vec<rtp::Packet> {
        let nacks = nack_pairs_from_sequence_numbers(numbers);
        let nack = TransportLayerNack { sender_ssrc: 1, media_ssrc, nacks };
        answers.handle_read(tagged(Packet::Rtcp(vec![Box::new(nack)]))).unwrap();
        assert!(answers.poll_read().is_some(), "it goes on");
        let out = std::iter::from_fn(|| answers.poll_write());
        let packets = out.map(|message| match message.message.packet {
            Packet::Rtp(packet) => packet,
            other => panic!("{other:?}"),
        });
        packets.collect()
    }

    #[test]
    fn a_repetition_is_the_original_but_for_its_stream_and_number() {
        let mut answers = answers(Some(103));
        send(&mut answers, 65_530..=65_535);
        send(&mut answers, 0..10);
        let repeated = ask(&mut answers, MEDIA, &[65_535, 4]);
        assert_eq!(repeated.len(), 2);
        for (repeated, (original, next)) in repeated.iter().zip([(65_535_u16, 65_535), (4, 0)]) {
            let wanted =
                rtp::Header { ssrc: RTX, payload_type: 103, sequence_number: next, ..sent(original).header };
            assert_eq!(repeated.header, wanted);
            assert_eq!(repeated.payload[..2], original.to_be_bytes());
            assert_eq!(repeated.payload[2..], sent(original).payload);
        }
    }

    #[test]
    fn what_is_gone_or_another_s_is_not_answered() {
        let mut answers = answers(Some(103));
        send(&mut answers, 0..1100);
        assert_eq!(ask(&mut answers, MEDIA, &[0, 75, 1100, 40_000]).len(), 0);
        assert_eq!(ask(&mut answers, MEDIA, &[76, 1099]).len(), 2);
        assert_eq!(ask(&mut answers, MEDIA + 9, &[1099]).len(), 0);
    }

    #[test]
    fn without_rtx_the_packet_itself_comes_again() {
        let mut answers = answers(None);
        send(&mut answers, 0..3);
        assert_eq!(ask(&mut answers, MEDIA, &[1]), [sent(1)]);
    }
}

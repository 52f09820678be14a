//! Asks the relay again for packets that did not come (generic NACK, RFC 4585 6.2.1), and knows the answer when it comes.
//!
//! The crate's own generator stands where answers are still RTX (RFC 4588) of another SSRC: it never sees one come, and
//! asks ten times for every packet. This one reads the original number inside, and asks again only when a round trip has
//! passed, which it measures by its own questions.

use std::collections::VecDeque;
use std::time::Instant;

use latchkey_wire::codec::Codec;
use latchkey_wire::payload;
use rtc::interceptor::{AttributedPacket, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc::rtp;
use rtc::sansio::Protocol;
use rtc::shared::TransportContext;
use rtc::shared::error::Error;

use crate::transport::webrtc::gaps::Gaps;

/// Looks for gaps in every stream whose sender answers NACKs.
pub(super) struct NackRequests {
    sender_ssrc: u32,
    streams: Vec<Stream>,
    inbound: VecDeque<TaggedPacket>,
    outbound: VecDeque<TaggedPacket>,
}

struct Stream {
    ssrc: u32,
    ssrc_rtx: Option<u32>,
    codec: Option<Codec>,
    gaps: Gaps,
}

impl NackRequests {
    /// `sender_ssrc` is what requests are sent as.
    pub(super) fn new(sender_ssrc: u32) -> Self {
        Self { sender_ssrc, streams: Vec::new(), inbound: VecDeque::new(), outbound: VecDeque::new() }
    }

    fn note(&mut self, packet: &rtp::Packet, now: Instant) {
        let rtp::Packet { header, payload } = packet;
        for stream in &mut self.streams {
            if header.ssrc == stream.ssrc {
                let starts = stream.codec.is_none_or(|codec| {
                    payload::starts_frame(codec, payload) && payload::is_key_frame(codec, payload)
                });
                stream.gaps.came(header.sequence_number, starts, now);
            } else if Some(header.ssrc) == stream.ssrc_rtx
                && let Some(number) = payload.first_chunk()
            {
                stream.gaps.came_again(u16::from_be_bytes(*number), now);
            }
        }
    }
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for NackRequests {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, message: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtp(packet) = &message.message.packet {
            self.note(packet, message.now);
        }
        self.inbound.push_back(message);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.inbound.pop_front()
    }

    fn handle_write(&mut self, message: TaggedPacket) -> Result<(), Error> {
        self.outbound.push_back(message);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.outbound.pop_front()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        for stream in &mut self.streams {
            let due = stream.gaps.due(now);
            if due.is_empty() {
                continue;
            }
            let request = TransportLayerNack {
                sender_ssrc: self.sender_ssrc,
                media_ssrc: stream.ssrc,
                nacks: nack_pairs_from_sequence_numbers(&due),
            };
            self.outbound.push_back(TaggedPacket {
                now,
                transport: TransportContext::default(),
                message: AttributedPacket::new(Packet::Rtcp(vec![Box::new(request)])),
            });
        }
        Ok(())
    }

    fn poll_timeout(&mut self) -> Option<Instant> {
        self.streams.iter().filter_map(|stream| stream.gaps.next_due()).min()
    }
}

impl Interceptor for NackRequests {
    fn bind_local_stream(&mut self, _info: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _info: &StreamInfo) {}

    fn bind_remote_stream(&mut self, info: &StreamInfo) {
        // The crate names the answers' stream, too, with all that its original can.
        let answers = self.streams.iter().any(|stream| stream.ssrc_rtx == Some(info.ssrc));
        let known = self.streams.iter().any(|stream| stream.ssrc == info.ssrc);
        if answers || known || !answers_nacks(info) {
            return;
        }
        self.streams.push(Stream {
            ssrc: info.ssrc,
            ssrc_rtx: info.ssrc_rtx,
            codec: info.mime_type.split_once('/').and_then(|(_, name)| Codec::from_sdp_name(name)),
            gaps: Gaps::default(),
        });
    }

    fn unbind_remote_stream(&mut self, info: &StreamInfo) {
        self.streams.retain(|stream| stream.ssrc != info.ssrc);
    }
}

/// Returns whether generic NACKs were agreed for a stream.
pub(super) fn answers_nacks(info: &StreamInfo) -> bool {
    info.rtcp_feedback.iter().any(|line| line.typ == "nack" && line.parameter.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    const MEDIA: u32 = 7;
    const RTX: u32 = 8;

    /// A stream and its answers, as the crate binds them.
    fn bound() -> NackRequests {
        let mut requests = NackRequests::new(1);
        let nack = rtc::interceptor::RTCPFeedback { typ: "nack".to_owned(), parameter: String::new() };
        let mut info = StreamInfo {
            ssrc: MEDIA,
            ssrc_rtx: Some(RTX),
            mime_type: "video/VP8".to_owned(),
            rtcp_feedback: vec![nack],
            ..StreamInfo::default()
        };
        requests.bind_remote_stream(&info);
        (info.ssrc, info.ssrc_rtx) = (RTX, None);
        requests.bind_remote_stream(&info);
        requests
    }

    struct Scene {
        requests: NackRequests,
        start: Instant,
        /// The next number of an answer.
        answer: u16,
    }

    impl Scene {
        fn new() -> Self {
            Self { requests: bound(), start: Instant::now(), answer: 900 }
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn read(&mut self, ssrc: u32, sequence_number: u16, payload: &[u8], ms: u64) {
            let header = rtp::Header { ssrc, sequence_number, ..rtp::Header::default() };
            let packet = rtp::Packet { header, payload: payload.to_vec().into() };
            let message = AttributedPacket::new(Packet::Rtp(packet));
            let transport = TransportContext::default();
            self.requests.handle_read(TaggedPacket { now: self.at(ms), transport, message }).unwrap();
            assert!(self.requests.poll_read().is_some(), "it goes on");
        }

        /// A packet with the beginning of a key frame.
        fn comes(&mut self, number: u16, ms: u64) {
            self.read(MEDIA, number, &[0x10, 0x10, 0, 0, 0x9d, 1, 0x2a], ms);
        }

        fn comes_again(&mut self, number: u16, ms: u64) {
            // Answers are lost, too; nobody asks for those.
            self.answer += 2;
            self.read(RTX, self.answer, &[&number.to_be_bytes()[..], &[0x10, 0]].concat(), ms);
        }

        /// Runs timers up to `ms`; returns what was asked for, and when.
        fn asked(&mut self, ms: u64) -> Vec<(u64, Vec<u16>)> {
            let mut asked = Vec::new();
            while let Some(due) = self.requests.poll_timeout().filter(|due| *due <= self.at(ms)) {
                self.requests.handle_timeout(due).unwrap();
                while let Some(message) = self.requests.poll_write() {
                    let Packet::Rtcp(packets) = message.message.packet else { panic!("not RTCP") };
                    let nack = packets[0].as_any().downcast_ref::<TransportLayerNack>().unwrap();
                    assert_eq!((nack.sender_ssrc, nack.media_ssrc), (1, MEDIA));
                    let numbers = nack.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
                    asked.push(((due - self.start).as_millis() as u64, numbers));
                }
            }
            asked
        }
    }

    #[test]
    fn what_was_repeated_is_not_asked_for_again() {
        let mut scene = Scene::new();
        scene.comes(65_534, 0);
        scene.comes(1, 40);
        assert_eq!(scene.asked(50), [(50, vec![65_535, 0])], "across the wrap");
        scene.comes_again(0, 90);
        scene.comes_again(65_535, 90);
        assert_eq!(scene.asked(10_000), []);
    }

    #[test]
    fn disorder_is_no_loss() {
        let mut scene = Scene::new();
        for (number, ms) in [(10, 0), (12, 5), (13, 6), (11, 14), (14, 20), (14, 21)] {
            scene.comes(number, ms);
        }
        assert_eq!(scene.asked(10_000), []);
    }

    #[test]
    fn it_is_asked_again_after_a_round_trip_until_nobody_waits_any_more() {
        let mut scene = Scene::new();
        scene.comes(1, 0);
        scene.comes(3, 0);
        let moments = |asked: Vec<(u64, Vec<u16>)>| asked.into_iter().map(|(ms, _)| ms).collect::<Vec<_>>();
        let every_100_ms: Vec<u64> = (0..10).map(|round| 10 + 100 * round).collect();
        assert_eq!(moments(scene.asked(1500)), every_100_ms, "as long as nothing is known of the path");
        for round in 0..40 {
            let (at, number) = (2000 + round * 100, 4 + 2 * round as u16);
            scene.comes(number + 1, at);
            assert_eq!(scene.asked(at + 10).last().unwrap().1, [number]);
            scene.comes_again(number, at + 40);
        }
        scene.comes(100, 9000);
        let asked = moments(scene.asked(9060));
        assert!(asked.len() == 2 && asked[1] < 9050, "a path of 30 ms: {asked:?}");
    }

    #[test]
    fn a_lost_beginning_is_asked_for() {
        let mut scene = Scene::new();
        scene.read(MEDIA, 5, &[0x00, 1, 2, 3], 0);
        let before: Vec<u16> = vec![65_533, 65_534, 65_535, 0, 1, 2, 3, 4];
        assert_eq!(scene.asked(10), [(10, before)]);
    }

    #[test]
    fn an_outage_is_not_asked_for() {
        let mut scene = Scene::new();
        scene.comes(1, 0);
        scene.comes(600, 0);
        assert_eq!(scene.asked(1000), []);
        scene.comes(602, 2000);
        assert_eq!(scene.asked(2010), [(2010, vec![601])]);
    }
}

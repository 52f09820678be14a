//! What runs for each packet allocates nothing.
#![allow(clippy::unwrap_used)]

use latchkey_wire::codec::Codec;
use latchkey_wire::dependency_descriptor::{Reader, write_single_layer};
use latchkey_wire::envelope::{self, EnvelopeBuilder};
use latchkey_wire::extension;
use latchkey_wire::payload::{self, Payloads};
use latchkey_wire::rtp::{RtpHeader, RtpHeaderMut, RtpView};
use latchkey_wire::sframe_header::{self, SframeHeader};
use latchkey_wire::shape::{ShapeCheck, Verdict};

const KEY_FRAME: &str =
    "00000001674d400b26ca16276022000003000200000300641e28532c0000000168212be3cb200000000165882040021f";

/// Twenty frames of two or three packets, as packets with Dependency Descriptor and mid.
fn packets(codec: Codec) -> Vec<Vec<u8>> {
    let (mut envelope, mut wire, mut payloads) = (Vec::new(), Vec::new(), Payloads::new());
    let mut builder = EnvelopeBuilder::new(codec);
    let real =
        if codec == Codec::H264 { hex::decode(KEY_FRAME) } else { hex::decode("d0dc019d012a4001b400aa") };
    let real = real.unwrap();
    let mut packets = Vec::new();
    for ctr in 0..20 {
        let key = ctr % 10 == 0;
        builder.build(key, &real, &mut envelope).unwrap();
        let mut sealed = vec![0x5A; 900];
        let mut header = [0; sframe_header::MAX_LEN];
        let header_len = SframeHeader::write(0x8BAD_F00D << 24, ctr, &mut header);
        sealed[..header_len].copy_from_slice(&header[..header_len]);
        envelope::join(codec, &envelope, &sealed, &mut wire);
        payload::split(codec, &wire, key, 500, &mut payloads).unwrap();
        let last = payloads.len() - 1;
        for (index, payload) in payloads.iter().enumerate() {
            let descriptor =
                write_single_layer(key, (index == 0, index == last), ctr as u16, Some((320, 180)));
            let mut packet = vec![0; 64];
            let header = RtpHeader {
                marker: index == last,
                payload_type: 96,
                sequence_number: packets.len() as u16,
                timestamp: ctr as u32 * 3000,
                ssrc: 1,
            };
            let rest = header.write(true, &mut packet).unwrap();
            let block = extension::write_block(&[(1, b"0"), (3, descriptor.as_bytes())], 24, rest).unwrap();
            packet.truncate(12 + block);
            packet.extend_from_slice(payload);
            packets.push(packet);
        }
    }
    packets
}

#[test]
fn a_packet_is_read_judged_and_rewritten_without_allocation() {
    for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        let packets = packets(codec);
        let mut reader = Reader::new();
        let mut check = ShapeCheck::new(codec);
        let mut out = [0; 1200];
        let mut key_frames = 0;
        let counted = allocation_counter::measure(|| {
            for packet in &packets {
                let view = RtpView::parse(packet).unwrap();
                let descriptor = view.extension().unwrap().find(3).unwrap();
                reader.read(descriptor).unwrap();
                check.inspect(view.payload());
                let starts_key = payload::starts_frame(codec, view.payload())
                    && payload::is_key_frame(codec, view.payload());
                key_frames += usize::from(starts_key);
                let rest = view.header().write(true, &mut out).unwrap();
                extension::write_block(&[(2, b"a"), (5, descriptor)], 24, rest).unwrap();
                RtpHeaderMut::new(&mut out).unwrap().set_sequence_number(7);
            }
        });
        assert_eq!((check.verdict(), key_frames), (Verdict::Forward, 2), "{codec}");
        assert_eq!(counted.count_total, 0, "{codec}: {} packets", packets.len());
    }
}

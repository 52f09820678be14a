//! Media in the clear is refused, whatever wrote it.

use super::*;

fn ivf_frames(file: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &file[32..];
    let mut frames = Vec::new();
    while let Some((head, after)) = rest.split_at_checked(12) {
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        frames.push(after[..len].to_vec());
        rest = &after[len..];
    }
    frames
}

/// An Annex B file cut before each slice's parameter sets, as an encoder hands it over.
fn annex_b_frames(file: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = vec![Vec::new()];
    for nal in envelope::h264::nal_units(file) {
        frames.last_mut().unwrap().extend([&[0, 0, 0, 1], nal].concat());
        if matches!(nal[0] & 0x1F, 1 | 5) {
            frames.push(Vec::new());
        }
    }
    frames.pop();
    frames
}

fn ogg_packets(file: &'static [u8]) -> Vec<Vec<u8>> {
    let mut reader = ogg::PacketReader::new(std::io::Cursor::new(file));
    let mut packets = Vec::new();
    while let Some(packet) = reader.read_packet().unwrap() {
        packets.push(packet.data);
    }
    packets.split_off(2)
}

/// Feeds real frames through a packetiser and returns the first refusal and how many frames it took.
fn refusal_of_plaintext(codec: Codec, frames: &[Vec<u8>], writer: &mut dyn Payloader) -> (Refusal, usize) {
    let mut check = ShapeCheck::new(codec);
    for (index, frame) in frames.iter().enumerate() {
        for payload in writer.payload(1100, &Bytes::copy_from_slice(frame)).unwrap() {
            match check.inspect(&payload) {
                Verdict::Refuse(refusal) => return (refusal, index + 1),
                verdict => assert_eq!(verdict, Verdict::Hold, "{codec} forwarded"),
            }
        }
    }
    panic!("{codec} plaintext is still held after {} frames", frames.len());
}

#[test]
fn plain_video_is_refused_at_its_first_frame_of_any_kind() {
    let h264 = annex_b_frames(include_bytes!("../../../tests/data/plain.h264"));
    let vp8 = ivf_frames(include_bytes!("../../../tests/data/plain.vp8.ivf"));
    let vp9 = ivf_frames(include_bytes!("../../../tests/data/plain.vp9.ivf"));
    let av1 = ivf_frames(include_bytes!("../../../tests/data/plain.av1.ivf"));
    // One in eight VP8 frames happens to begin like the envelope; what follows is no SFrame header then.
    let any = &[Refusal::NoEnvelope, Refusal::NoSframeHeader, Refusal::KeyId, Refusal::TooShort][..];
    let cases = [
        (Codec::H264, h264, &any[..1]),
        (Codec::Vp8, vp8, any),
        (Codec::Vp9, vp9, &any[1..]),
        (Codec::Av1, av1, any),
    ];
    for (codec, frames, want) in cases {
        assert_eq!(frames.len(), 12, "{codec}");
        // From each frame on, as a relay sees it whose first packets were lost.
        for from in 0..frames.len() {
            let mut writer: Box<dyn Payloader> = match codec {
                Codec::H264 => Box::new(H264Payloader::default()),
                Codec::Vp8 => Box::new(Vp8Payloader::default()),
                Codec::Vp9 => Box::new(Vp9Payloader::default()),
                _ => Box::new(Av1Payloader::default()),
            };
            let rotated = [&frames[from..], &frames[..from]].concat();
            let (refusal, after) = refusal_of_plaintext(codec, &rotated, &mut *writer);
            assert!(want.contains(&refusal), "{codec} from {from}: {refusal:?}");
            assert!(after <= 2, "{codec} from {from}: refused after {after} frames");
        }
    }
}

#[test]
fn plain_opus_is_refused() {
    for (what, file) in [
        ("hybrid voice", &include_bytes!("../../../tests/data/plain.voice.opus.ogg")[..]),
        ("CELT stereo", include_bytes!("../../../tests/data/plain.music.opus.ogg")),
        ("CELT 5 ms", include_bytes!("../../../tests/data/plain.lowdelay.opus.ogg")),
        ("super wide band 10 ms", include_bytes!("../../../tests/data/plain.wide.opus.ogg")),
        ("silence 60 ms", include_bytes!("../../../tests/data/plain.silence.opus.ogg")),
    ] {
        let packets = ogg_packets(file);
        assert!(packets.len() >= 8, "{what}");
        for (from, packet) in packets.iter().enumerate() {
            let mut check = ShapeCheck::new(Codec::Opus);
            let verdict = check.inspect(packet);
            assert!(matches!(verdict, Verdict::Refuse(_)), "{what} packet {from}: {verdict:?}");
        }
    }
}

#[test]
fn constant_packets_of_any_opus_mode_never_settle() {
    // Digital silence repeats one packet: whatever it holds, a counter that stands still settles nothing.
    for toc in 0..=255u8 {
        let mut check = ShapeCheck::new(Codec::Opus);
        let mut packet = vec![0x42; 60];
        packet[0] = toc;
        packet[5] = 1;
        let verdicts: Vec<_> = (0..64).map(|_| check.inspect(&packet)).collect();
        assert!(!verdicts.contains(&Verdict::Forward), "TOC {toc:02x}");
        assert!(matches!(verdicts[63], Verdict::Refuse(_)), "TOC {toc:02x}");
    }
}

proptest! {
    #[test]
    fn random_opus_of_any_mode_is_refused_before_the_eighth_packet(
        packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 8),
    ) {
        for toc in 0..=255u8 {
            let mut check = ShapeCheck::new(Codec::Opus);
            for packet in &packets {
                let mut packet = packet.clone();
                packet[0] = toc;
                check.inspect(&packet);
            }
            prop_assert!(matches!(check.verdict(), Verdict::Refuse(_)), "TOC {:02x}", toc);
        }
    }
}

//! What is written is read back; known packets of browsers are read; garbage is refused without panic.

use super::*;
use proptest::prelude::*;
use rtc_rtcp::extended_report::{DLRRReport, DLRRReportBlock, ExtendedReport};
use rtc_shared::marshal::Unmarshal;

fn parsed(compound: &[u8]) -> Result<Vec<RtcpMessage>, RtcpError> {
    let mut out = Vec::new();
    parse(compound, &mut out).map(|()| out)
}

fn report(ssrc: u32) -> ReceptionReport {
    ReceptionReport {
        ssrc,
        fraction_lost: 3,
        total_lost: 0x00FF_FFFE,
        highest_sequence_number: 0x0001_0002,
        jitter: 90,
        last_sender_report: 0x1234_5678,
        delay: 65_536,
    }
}

#[test]
fn a_compound_of_all_we_write_is_read_back() {
    let sender = SenderReport {
        ssrc: 1,
        ntp_time: 0x0102_0304_0506_0708,
        rtp_time: 9,
        packet_count: 10,
        octet_count: 11,
        reports: vec![report(2)],
    };
    let mut compound = Vec::new();
    write_sender_report(&sender, "latchkey", &mut compound);
    write_receiver_report(3, &[report(4), report(5)], "latchkey", &mut compound);
    write_pli(6, 7, &mut compound);
    write_nack(6, 7, &[100, 101, 116, 117, 65_535, 0], &mut compound);
    let sdes = RtcpMessage::Other { packet_type: 202, format: 1 };
    let want = [
        RtcpMessage::SenderReport(sender),
        sdes.clone(),
        RtcpMessage::ReceiverReport { ssrc: 3, reports: vec![report(4), report(5)] },
        sdes,
        RtcpMessage::Pli { sender_ssrc: 6, media_ssrc: 7 },
        RtcpMessage::Nack { sender_ssrc: 6, media_ssrc: 7, lost: vec![100, 101, 116, 117, 65_535, 0] },
    ];
    assert_eq!(parsed(&compound).unwrap(), want);
}

#[test]
fn another_implementation_reads_what_we_say_of_a_receivers_time() {
    let mut answer = Vec::new();
    write_reference_answer(1, (7, 0x3344_5566), 655, &mut answer);
    let read = ExtendedReport::unmarshal(&mut &answer[..]).unwrap();
    let reports = vec![DLRRReport { ssrc: 7, last_rr: 0x3344_5566, dlrr: 655 }];
    assert_eq!(read, ExtendedReport { sender_ssrc: 1, reports: vec![Box::new(DLRRReportBlock { reports })] });
    assert_eq!(parsed(&answer), Ok(vec![RtcpMessage::Other { packet_type: 207, format: 0 }]));
}

#[test]
fn limits_of_the_format_are_kept() {
    let mut compound = Vec::new();
    write_receiver_report(3, &vec![report(4); 40], &"é".repeat(200), &mut compound);
    write_nack(6, 7, &(0..9000).step_by(20).collect::<Vec<_>>(), &mut compound);
    let messages = parsed(&compound).unwrap();
    assert!(matches!(&messages[0], RtcpMessage::ReceiverReport { reports, .. } if reports.len() == 31));
    let lost: usize = messages[2..]
        .iter()
        .map(|message| match message {
            RtcpMessage::Nack { lost, .. } => lost.len(),
            other => panic!("{other:?}"),
        })
        .sum();
    assert_eq!((lost, messages.len()), (450, 2 + 3));
    let mut none = Vec::new();
    write_nack(6, 7, &[], &mut none);
    assert!(none.is_empty());
}

#[test]
fn packets_of_other_senders_are_read() {
    // FIR (RFC 5104 section 4.3.1.1) for one stream, then BYE with a reason.
    let fir = hex::decode("84ce0004000000010000000000000007 0a000000".replace(' ', "")).unwrap();
    assert_eq!(parsed(&fir).unwrap(), [RtcpMessage::Fir { sender_ssrc: 1, media_ssrcs: vec![7] }]);
    let bye = hex::decode("81cb0002000000070346 4f4f".replace(' ', "")).unwrap();
    assert_eq!(parsed(&bye).unwrap(), [RtcpMessage::Bye { ssrcs: vec![7] }]);
    // REMB of libwebrtc: 2.5 Mbit/s is mantissa 0x2625A, exponent 4, rounded down.
    let remb = hex::decode("8fce000500000001 00000000 52454d42 01126259 00000007".replace(' ', "")).unwrap();
    let want = RtcpMessage::Remb { bits_per_second: 156_249 << 4, ssrcs: vec![7] };
    assert_eq!(parsed(&remb).unwrap(), [want]);
    // Transport-wide feedback of Firefox: base 12, three packets, feedback 0.
    let feedback = hex::decode("8fcd000541e3b831 76f34e60 000c0003 0ca2a600 20030400".replace(' ', ""));
    let want = TransportCc { base_sequence_number: 12, packet_status_count: 3, feedback_packet_count: 0 };
    assert_eq!(parsed(&feedback.unwrap()).unwrap(), [RtcpMessage::TransportCc(want)]);
    // XR is none of our business, an application packet neither.
    assert_eq!(
        parsed(&[0x80, 207, 0, 1, 0, 0, 0, 1]).unwrap(),
        [RtcpMessage::Other { packet_type: 207, format: 0 }]
    );
}

#[test]
fn remb_does_not_overflow() {
    let remb = |bits: [u8; 3]| {
        let mut packet = hex::decode("8fce0004000000010000000052454d42").unwrap();
        packet.push(0);
        packet.extend(bits);
        match parsed(&packet).unwrap()[..] {
            [RtcpMessage::Remb { bits_per_second, .. }] => bits_per_second,
            _ => panic!("no REMB"),
        }
    };
    assert_eq!(remb([0, 0, 0]), 0);
    assert_eq!(remb([0xFC, 0, 0]), 0);
    assert_eq!(remb([0xFC, 0, 1]), 1 << 63);
    assert_eq!(remb([0xFC, 0, 2]), u64::MAX);
}

#[test]
fn padding_is_not_content() {
    // A NACK padded by four bytes as RFC 3550 allows it for the last packet.
    let nack = [0xA1, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9, 0, 0, 0, 0, 0, 4];
    let want = RtcpMessage::Nack { sender_ssrc: 1, media_ssrc: 2, lost: vec![9] };
    assert_eq!(parsed(&nack).unwrap(), [want]);
    for impossible in [0, 3, 20] {
        let mut nack = nack;
        nack[19] = impossible;
        assert_eq!(parsed(&nack), Err(RtcpError::Malformed), "{impossible}");
    }
}

#[test]
fn the_good_packets_before_a_bad_one_are_kept() {
    let mut compound = Vec::new();
    write_pli(1, 2, &mut compound);
    compound.extend([0x81, 206, 0, 9]);
    let mut out = Vec::new();
    assert_eq!(parse(&compound, &mut out), Err(RtcpError::Truncated));
    assert_eq!(out, [RtcpMessage::Pli { sender_ssrc: 1, media_ssrc: 2 }]);
    assert_eq!(parsed(&[]), Err(RtcpError::Truncated));
    assert_eq!(parsed(&[0x41, 206, 0, 0]), Err(RtcpError::Version));
    assert_eq!(parsed(&[0x81, 206, 0, 0]), Err(RtcpError::Malformed));
    assert_eq!(parsed(&vec![0x80; 70_000]), Err(RtcpError::Truncated));
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(
        packets in proptest::collection::vec(
            (any::<u8>(), 198u8..209, proptest::collection::vec(any::<u8>(), 0..64), -1i32..2), 1..5),
        garbage in proptest::collection::vec(any::<u8>(), 0..80),
        cut in 0usize..300,
    ) {
        let _ = parsed(&garbage);
        let mut compound = Vec::new();
        for (flags, packet_type, mut body, off) in packets {
            body.resize(body.len().next_multiple_of(4), 0);
            let words = (body.len() as i32 / 4 + off).max(0) as u16;
            let [high, low] = words.to_be_bytes();
            compound.extend([flags & 0x3F | 0x80, packet_type, high, low]);
            compound.extend(body);
        }
        let _ = parsed(&compound);
        let _ = parsed(&compound[..cut.min(compound.len())]);
    }

    #[test]
    fn every_lost_packet_is_named(mut lost in proptest::collection::btree_set(any::<u16>(), 1..400)) {
        lost.insert(0);
        let lost: Vec<_> = lost.into_iter().collect();
        let mut compound = Vec::new();
        write_nack(1, 2, &lost, &mut compound);
        let named: Vec<_> = parsed(&compound).unwrap().into_iter().flat_map(|message| match message {
            RtcpMessage::Nack { lost, .. } => lost,
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(named, lost);
    }
}

proptest! {
    /// The library, which everything is read by, finds in what we write what was meant.
    #[test]
    fn what_is_written_is_what_the_library_reads(
        ssrc: u32,
        cname in "[a-zé]{0,300}",
        mut lost in prop::collection::vec(any::<u16>(), 0..500),
        reports in 0usize..40,
    ) {
        lost.sort_unstable();
        lost.dedup();
        let mut compound = Vec::new();
        write_receiver_report(ssrc, &vec![report(9); reports], &cname, &mut compound);
        prop_assert_eq!(compound.len() % 4, 0);
        write_nack(ssrc, 7, &lost, &mut compound);
        write_pli(ssrc, 7, &mut compound);
        let messages = parsed(&compound).unwrap();
        prop_assert_eq!(
            &messages[0],
            &RtcpMessage::ReceiverReport { ssrc, reports: vec![report(9); reports.min(31)] }
        );
        prop_assert_eq!(&messages[1], &RtcpMessage::Other { packet_type: 202, format: 1 });
        prop_assert_eq!(messages.last(), Some(&RtcpMessage::Pli { sender_ssrc: ssrc, media_ssrc: 7 }));
        let read: Vec<u16> = messages
            .iter()
            .filter_map(|message| match message {
                RtcpMessage::Nack { sender_ssrc, media_ssrc: 7, lost } if *sender_ssrc == ssrc => Some(lost),
                _ => None,
            })
            .flatten()
            .copied()
            .collect();
        prop_assert_eq!(read, lost);
    }

    /// The library reads the name, too.
    #[test]
    fn the_name_is_read_back(cname in "[a-zé]{0,120}") {
        use rtc_rtcp::source_description::SourceDescription;
        use rtc_shared::marshal::Unmarshal;

        let mut compound = Vec::new();
        write_receiver_report(5, &[], &cname, &mut compound);
        let description = SourceDescription::unmarshal(&mut &compound[8..]).unwrap();
        let chunk = &description.chunks[0];
        prop_assert_eq!((chunk.source, &chunk.items[0].text[..]), (5, cname.as_bytes()));
    }
}

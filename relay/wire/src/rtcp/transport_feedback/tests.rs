//! What is written is read back, by us and by another implementation; nothing makes the reader panic.

use proptest::prelude::*;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, TransportLayerCc};
use rtc_shared::marshal::{Marshal, Unmarshal};

use super::*;
use crate::rtcp::{Request, requests};

fn written(base: u16, deltas: &[Option<i16>]) -> Vec<u8> {
    let mut out = Vec::new();
    let report = TransportFeedbackReport {
        sender_ssrc: 1,
        media_ssrc: 2,
        base,
        reference: 0x00FE_DCBA,
        number: 7,
        deltas,
    };
    write_transport_feedback(&report, &mut out);
    out
}

/// Every status of every feedback packet of a compound.
fn read(compound: &[u8]) -> Result<Vec<PacketStatus>, RtcpError> {
    let mut all = Vec::new();
    requests(compound, |request| {
        if let Request::Arrivals(feedback) = request {
            assert_eq!(feedback.packets().count(), usize::from(feedback.packet_status_count()));
            all.extend(feedback.packets());
        }
    })?;
    Ok(all)
}

fn expected(base: u16, deltas: &[Option<i16>]) -> Vec<PacketStatus> {
    let mut time = 0;
    let statuses = deltas.iter().enumerate().map(|(place, delta)| {
        time += i32::from(delta.unwrap_or(0));
        PacketStatus { sequence: base.wrapping_add(place as u16), arrival: delta.map(|_| time) }
    });
    statuses.collect()
}

/// What libwebrtc sends: run of two, vector of two-bit symbols, deltas, two bytes of padding with the bit set.
#[test]
fn feedback_padded_as_libwebrtc_does_is_read() {
    let packet = [
        0xAF, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFF, 0, 3, 0, 0, 5, 9, 0x20, 0x02, 0xE0, 0x00, 4, 8,
        0xFF, 0xFE,
    ];
    let statuses = read(&packet).unwrap();
    let of = |sequence, arrival| PacketStatus { sequence, arrival: Some(arrival) };
    assert_eq!(statuses, [of(65_535, 4), of(0, 12), of(1, 10)]);
}

#[test]
fn too_few_chunks_or_deltas_are_malformed() {
    let whole = written(1, &[Some(1), None, Some(300)]);
    for cut in 0..whole.len() / 4 {
        let mut short = whole[..4 * cut].to_vec();
        if cut > 0 {
            short[0] &= !0x20;
            short[3] = cut as u8 - 1;
        }
        assert!(read(&short).is_err(), "{cut} words");
    }
    let reserved = [0x8F, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 5, 9, 0x60, 1, 0, 0];
    assert_eq!(read(&reserved), Err(RtcpError::Malformed));
}

fn deltas() -> impl Strategy<Value = Vec<Option<i16>>> {
    let delta = prop_oneof![
        8 => (0i16..256).prop_map(Some),
        2 => any::<i16>().prop_map(Some),
        3 => Just(None),
    ];
    let run = (delta, 1usize..40, any::<bool>());
    let runs = prop::collection::vec(run, 1..12);
    runs.prop_map(|runs| {
        let runs = runs.into_iter().map(|(delta, len, alone)| vec![delta; if alone { 1 } else { len }]);
        let mut all: Vec<_> = runs.flatten().collect();
        all.truncate(MOST_REPORTED);
        all
    })
}

proptest! {
    /// What is written is read back, by us and by the library.
    #[test]
    fn feedback_comes_back(base: u16, deltas in deltas()) {
        let packet = written(base, &deltas);
        prop_assert_eq!(read(&packet).unwrap(), expected(base, &deltas));
        let library = TransportLayerCc::unmarshal(&mut &packet[..]).unwrap();
        prop_assert_eq!((library.base_sequence_number, library.fb_pkt_count), (base, 7));
        prop_assert_eq!(usize::from(library.packet_status_count), deltas.len());
        prop_assert_eq!(library.reference_time, 0x00FE_DCBA);
        let theirs: Vec<_> = library.recv_deltas.iter().map(|delta| delta.delta / TICK_MICROS).collect();
        let ours: Vec<_> = deltas.iter().flatten().map(|delta| i64::from(*delta)).collect();
        prop_assert_eq!(theirs, ours);
    }

    /// What the library writes, one-bit vectors among it, is read as it reads it.
    #[test]
    fn the_library_is_understood(base: u16, deltas in deltas()) {
        let mut library = TransportLayerCc::unmarshal(&mut &written(base, &deltas)[..]).unwrap();
        let small = |delta: &Option<i16>| delta.is_none_or(|delta| (0..256).contains(&delta));
        if deltas.iter().all(small) {
            library.packet_chunks = one_bit(&deltas);
        }
        let bytes = library.marshal().unwrap();
        prop_assert_eq!(read(&bytes).unwrap(), expected(base, &deltas));
    }

    #[test]
    fn any_body_is_read_without_panic(
        body in prop::collection::vec(any::<u8>(), 0..60),
        count in 0u16..200,
    ) {
        let mut packet = vec![0x8F, 205, 0, (body.len() / 4) as u8];
        packet.extend(&body[..body.len() / 4 * 4]);
        if packet.len() >= 16 {
            packet[14..16].copy_from_slice(&count.to_be_bytes());
        }
        let _ = read(&packet);
    }
}

fn one_bit(deltas: &[Option<i16>]) -> Vec<PacketStatusChunk> {
    use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
        StatusChunkTypeTcc, StatusVectorChunk, SymbolSizeTypeTcc, SymbolTypeTcc,
    };
    let symbol = |delta: &Option<i16>| match delta {
        None => SymbolTypeTcc::PacketNotReceived,
        Some(_) => SymbolTypeTcc::PacketReceivedSmallDelta,
    };
    let chunks = deltas.chunks(14).map(|part| {
        let mut symbol_list: Vec<_> = part.iter().map(symbol).collect();
        symbol_list.resize(14, SymbolTypeTcc::PacketNotReceived);
        PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
            type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
            symbol_size: SymbolSizeTypeTcc::OneBit,
            symbol_list,
        })
    });
    chunks.collect()
}

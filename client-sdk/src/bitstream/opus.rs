//! Length of an Opus packet by its first bytes (RFC 6716 section 3.1).

use std::time::Duration;

/// The time a packet covers; `None` for an empty packet or one longer than the 120 ms that Opus allows.
pub(crate) fn duration(packet: &[u8]) -> Option<Duration> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    let frame_us: u64 = match config {
        0..=11 => [10_000, 20_000, 40_000, 60_000][usize::from(config & 3)],
        12..=15 => [10_000, 20_000][usize::from(config & 1)],
        _ => [2_500, 5_000, 10_000, 20_000][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    let total = frame_us * frames;
    (1..=120_000).contains(&total).then(|| Duration::from_micros(total))
}

/// Whether the packet is stereo.
pub(crate) fn is_stereo(packet: &[u8]) -> bool {
    packet.first().is_some_and(|toc| toc & 4 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_rfc_6716_table_2() {
        let ms = |packet: &[u8]| duration(packet).map(|d| d.as_micros());
        assert_eq!(ms(&[0x78]), Some(20_000)); // config 15, hybrid 20 ms
        assert_eq!(ms(&[0x80]), Some(2_500)); // config 16, CELT 2.5 ms
        assert_eq!(ms(&[0x18]), Some(60_000)); // config 3, SILK 60 ms
        assert_eq!(ms(&[0xf9]), Some(40_000)); // two frames of 20 ms
        assert_eq!(ms(&[0xfb, 0x83]), Some(60_000)); // three frames, VBR flag ignored
        assert_eq!(ms(&[0x1b, 3]), None); // 180 ms
        assert_eq!(ms(&[0xfb]), None);
        assert_eq!(ms(&[0xfb, 0]), None);
        assert_eq!(ms(&[]), None);
    }
}

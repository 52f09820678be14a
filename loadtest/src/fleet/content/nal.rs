//! Where in an H.264 frame (Annex B byte stream) a NAL unit of ours may stand.

/// Bytes of a stamp's SEI beside the stamp: start code, header, type, length, UUID, stop bit.
pub(crate) const SEI_AROUND: usize = 4 + 1 + 2 + 16 + 1;

/// Returns where the start code of the first slice begins; the frame's end when there is none.
pub(crate) fn first_slice(frame: &[u8]) -> usize {
    let mut from = 0;
    while let Some(at) = frame[from..].windows(3).position(|bytes| bytes == [0, 0, 1]) {
        let code = from + at;
        if frame.get(code + 3).is_some_and(|header| (1..=5).contains(&(header & NAL_TYPE))) {
            return if code > 0 && frame[code - 1] == 0 { code - 1 } else { code };
        }
        from = code + 3;
    }
    frame.len()
}

const NAL_TYPE: u8 = 0x1F;

#[cfg(test)]
mod tests {
    use super::first_slice;

    #[test]
    fn the_first_slice_is_found_behind_parameter_sets() {
        assert_eq!(first_slice(&[0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 9, 0, 0, 0, 1, 0x65, 7]), 11);
        assert_eq!(first_slice(&[0, 0, 0, 1, 0x41, 7]), 0);
        assert_eq!(first_slice(&[0, 0, 1, 0x41, 7]), 0);
        assert_eq!(first_slice(&[0, 0, 0, 1, 0x67, 9]), 6);
        assert_eq!(first_slice(&[]), 0);
    }
}

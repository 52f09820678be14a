//! Emulation prevention of H.264 (7.4.1.1): inside a NAL unit `00 00` is never followed by a byte below 4; where it
//! would be, a `03` stands between.

/// Counts zero bytes in a row, the only state of escaping and unescaping.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ZeroRun(u8);

impl ZeroRun {
    /// Returns the state after bytes that need no escape themselves, such as a slice header.
    pub(crate) fn after(bytes: &[u8]) -> Self {
        Self(bytes.iter().rev().take(2).take_while(|&&byte| byte == 0).count() as u8)
    }

    /// Takes a byte of the escaped form; returns false for one that only escapes.
    fn keeps(&mut self, byte: u8) -> bool {
        let keep = self.0 < 2 || byte != ESCAPE;
        self.0 = if byte == 0 { (self.0 + 1).min(2) } else { 0 };
        keep
    }
}

/// Appends `bytes`, escaped.
pub(crate) fn escape(mut run: ZeroRun, bytes: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if run.0 == 2 && byte <= ESCAPE {
            out.extend_from_slice(&bytes[copied..index]);
            out.push(ESCAPE);
            copied = index;
            run.0 = 0;
        }
        run.0 = if byte == 0 { run.0 + 1 } else { 0 };
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Escapes `bytes` into `out`, which has room for half as much again, and returns the length written.
pub(crate) fn escape_into(bytes: &[u8], out: &mut [u8]) -> usize {
    let mut run = ZeroRun::default();
    let mut len = 0;
    for &byte in bytes {
        if run.0 == 2 && byte <= ESCAPE {
            out[len] = ESCAPE;
            len += 1;
            run.0 = 0;
        }
        out[len] = byte;
        len += 1;
        run.0 = if byte == 0 { run.0 + 1 } else { 0 };
    }
    len
}

/// Appends `bytes`, unescaped.
pub(crate) fn unescape(mut run: ZeroRun, bytes: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if !run.keeps(byte) {
            out.extend_from_slice(&bytes[copied..index]);
            copied = index + 1;
        }
    }
    out.extend_from_slice(&bytes[copied..]);
}

/// Unescapes until `out` is full or `bytes` end, without allocation. Returns what was filled.
pub(crate) fn unescape_front<'a>(mut run: ZeroRun, bytes: &[u8], out: &'a mut [u8]) -> &'a [u8] {
    let kept = bytes.iter().filter(|&&byte| run.keeps(byte));
    let mut len = 0;
    for (slot, &byte) in out.iter_mut().zip(kept) {
        *slot = byte;
        len += 1;
    }
    &out[..len]
}

const ESCAPE: u8 = 0x03;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_of_the_standard() {
        for (plain, escaped) in [
            (&[0u8, 0, 0][..], &[0u8, 0, 3, 0][..]),
            (&[0, 0, 1], &[0, 0, 3, 1]),
            (&[0, 0, 3], &[0, 0, 3, 3]),
            (&[0, 0, 4], &[0, 0, 4]),
            (&[0, 0, 0, 0, 1], &[0, 0, 3, 0, 0, 3, 1]),
        ] {
            let mut out = Vec::new();
            escape(ZeroRun::default(), plain, &mut out);
            assert_eq!(out, escaped);
        }
        let mut out = Vec::new();
        escape(ZeroRun::after(&[0x88, 0]), &[0, 1], &mut out);
        assert_eq!(out, [0, 3, 1], "the run goes on over the seam");
    }

    proptest! {
        /// Bytes that are mostly 0 to 4, where all the cases are.
        #[test]
        fn escaped_bytes_come_back_and_hold_no_start_code(
            head in proptest::collection::vec(0u8..3, 0..3),
            plain in proptest::collection::vec(prop_oneof![9 => 0u8..5, 1 => any::<u8>()], 0..200),
            room in 0usize..40,
        ) {
            let run = ZeroRun::after(&head);
            let mut escaped = head.clone();
            escape(run, &plain, &mut escaped);
            for window in escaped[head.len().saturating_sub(2)..].windows(3) {
                prop_assert!(window[..2] != [0, 0] || window[2] > 2);
            }
            let mut array = vec![0; plain.len() * 3 / 2 + 1];
            let len = escape_into(&plain, &mut array);
            let mut alone = Vec::new();
            escape(ZeroRun::default(), &plain, &mut alone);
            prop_assert_eq!(&array[..len], &alone);
            let mut back = Vec::new();
            unescape(run, &escaped[head.len()..], &mut back);
            prop_assert_eq!(&back, &plain);
            let mut front = vec![0; room];
            let front = unescape_front(run, &escaped[head.len()..], &mut front);
            prop_assert_eq!(front, &plain[..room.min(plain.len())]);
        }
    }
}

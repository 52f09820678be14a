//! Base32 without padding (RFC 4648 section 6): upper case and digits, which a QR code holds in its alphanumeric mode.

use zeroize::Zeroizing;

/// Writes bytes as upper-case base32.
pub(super) fn encode(bytes: &[u8]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(bytes.len().div_ceil(5) * 8));
    for group in bytes.chunks(5) {
        let mut bits = [0; 5];
        bits[..group.len()].copy_from_slice(group);
        let bits = bits.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for at in 0..(group.len() * 8).div_ceil(5) {
            text.push(char::from(ALPHABET[(bits >> (35 - 5 * at) & 31) as usize]));
        }
    }
    text
}

/// Reads base32 in upper or lower case; `None` for other letters, impossible lengths and bits that are not zero.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8));
    for group in text.as_bytes().chunks(8) {
        let mut bits = 0_u64;
        for letter in group {
            let letter = letter.to_ascii_uppercase();
            let value = ALPHABET.iter().position(|known| *known == letter)?;
            bits = bits << 5 | value as u64;
        }
        let whole = group.len() * 5 / 8;
        let spare = group.len() * 5 % 8;
        if spare >= 5 || bits & ((1 << spare) - 1) != 0 {
            return None;
        }
        bytes.extend_from_slice(&(bits >> spare).to_be_bytes()[8 - whole..]);
    }
    Some(bytes)
}

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_vectors_of_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(encode(plain.as_bytes()).as_str(), coded);
            assert_eq!(decode(coded).unwrap().as_slice(), plain.as_bytes());
            assert_eq!(decode(&coded.to_lowercase()).unwrap().as_slice(), plain.as_bytes());
        }
        for bad in ["M", "MZX", "MZXW6Y", "MZ", "M1", "MY=", "M Y"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert_eq!(decode(&encode(&bytes)).unwrap().to_vec(), bytes);
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "[A-Z2-7]{0,40}") {
            if let Some(bytes) = decode(&text) {
                let written = encode(&bytes);
                prop_assert_eq!(written.as_str(), text.as_str());
            }
        }
    }
}

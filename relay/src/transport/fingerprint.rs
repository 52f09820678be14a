//! The fingerprint of a DTLS certificate, as an offer or answer names it (RFC 8122).

use std::fmt;
use std::str::FromStr;

/// SHA-256 of a DTLS certificate (RFC 8122).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

/// Colon-separated upper-case hexadecimal pairs, as in `a=fingerprint:sha-256`.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha-256 {:02X}:{:02X}…", self.0[0], self.0[1])
    }
}

/// The text is not 32 colon-separated hexadecimal pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sha-256 fingerprint is 32 colon-separated hexadecimal pairs")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let mut digits = Vec::with_capacity(64);
        for pair in text.split(':') {
            if pair.len() != 2 {
                return Err(FingerprintError);
            }
            digits.extend_from_slice(pair.as_bytes());
        }
        Ok(Self(decode_hex(&digits).ok_or(FingerprintError)?))
    }
}

/// The bytes that exactly `2 * N` hexadecimal digits stand for.
pub(crate) fn decode_hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn fingerprints_survive_their_text_form() {
        let text = (0..32).map(|i| format!("{:02X}", i * 7)).collect::<Vec<_>>().join(":");
        let print = text.parse::<Fingerprint>().unwrap();
        assert_eq!(print.to_string(), text);
        assert_eq!(text.to_lowercase().parse::<Fingerprint>().unwrap(), print);
        assert!(text.replace(':', "").parse::<Fingerprint>().is_err());
        assert!(text[3..].parse::<Fingerprint>().is_err());
    }
}

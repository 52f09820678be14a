//! Six digits that two people compare.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Six decimal digits. They are no secret: they show that both devices saw the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digits(u32);

impl Digits {
    /// The digits of a hash.
    pub(super) fn of(hash: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = *hash;
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) % 1_000_000;
        // 2^64 is no multiple of 10^6; the difference is below 1 in 10^13.
        Self(number as u32)
    }

    /// Returns whether a person typed these digits; spaces and dashes do not matter.
    #[must_use]
    pub fn are(self, typed: &str) -> bool {
        let typed: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let plain = format!("{:06}", self.0);
        typed.as_bytes().ct_eq(plain.as_bytes()).into()
    }
}

impl fmt::Display for Digits {
    /// Two groups of three.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03} {:03}", self.0 / 1000, self.0 % 1000)
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digits({self})")
    }
}

/// SHA-256 over `parts`; callers give parts of fixed lengths, or one of variable length at the end.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_as_people_write_them() {
        let mut hash = [0; 32];
        hash[6..8].copy_from_slice(&1234_u16.to_be_bytes());
        let digits = Digits::of(&hash);
        assert_eq!(digits.to_string(), "001 234");
        for typed in ["001234", "001 234", " 001-234\n"] {
            assert!(digits.are(typed), "{typed:?}");
        }
        for typed in ["", "1234", "001235", "0012340", "١٢٣٤"] {
            assert!(!digits.are(typed), "{typed:?}");
        }
    }
}

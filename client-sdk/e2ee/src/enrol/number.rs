//! The pairing number: eight digits that name a mailbox. No secret: whoever guesses one can only make a pairing fail.

use std::fmt;
use std::str::FromStr;

use super::digits::sha256;

/// What a new device shows when no camera can scan its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairingNumber(u32);

impl PairingNumber {
    /// Draws a number.
    ///
    /// # Errors
    /// [`NumberError::NoRandomness`] when the operating system gives none.
    pub fn draw() -> Result<Self, NumberError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|_| NumberError::NoRandomness)?;
        Ok(Self((u64::from_be_bytes(bytes) % u64::from(ALL)) as u32))
    }

    /// Returns the name of the mailbox, 16 bytes.
    #[must_use]
    pub fn mailbox(self) -> [u8; 16] {
        let hash = sha256(&[b"latchkey pairing number v1", &self.to_bytes()]);
        let mut name = [0; 16];
        name.copy_from_slice(&hash[..16]);
        name
    }

    pub(super) const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

/// The text is no pairing number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// Not eight digits.
    #[error("this is not a pairing number: type the eight digits that the new device shows")]
    NotANumber,
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

impl FromStr for PairingNumber {
    type Err = NumberError;

    /// Spaces and dashes do not matter.
    fn from_str(text: &str) -> Result<Self, NumberError> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        if digits.len() != 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(NumberError::NotANumber);
        }
        digits.parse().map(Self).map_err(|_| NumberError::NotANumber)
    }
}

impl fmt::Display for PairingNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04} {:04}", self.0 / 10_000, self.0 % 10_000)
    }
}

const ALL: u32 = 100_000_000;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_number_comes_back(number in 0..ALL) {
            let number = PairingNumber(number);
            prop_assert_eq!(number.to_string().parse::<PairingNumber>(), Ok(number));
            prop_assert_eq!(number.to_string().replace(' ', "").parse::<PairingNumber>(), Ok(number));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,20}") {
            if let Ok(number) = text.parse::<PairingNumber>() {
                prop_assert!(number.0 < ALL);
            }
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for bad in ["", "1234567", "123456789", "1234 567x", "+1234567"] {
            assert_eq!(bad.parse::<PairingNumber>(), Err(NumberError::NotANumber), "{bad}");
        }
        assert_ne!(PairingNumber(1).mailbox(), PairingNumber(2).mailbox());
    }
}

//! Names of rooms and devices as the relay knows them: sixteen opaque bytes, shown shortened.
//!
//! The text form is base64url without padding (RFC 4648 section 5), always 22 characters. Signaling derives
//! both from names the relay never learns.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not an id. The fault is the text's author's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// Not exactly 22 characters, the length of sixteen bytes in base64url.
    #[error("an id has 22 characters of base64url, this text has {0} bytes")]
    Length(usize),
    /// Holds a character outside base64url, or its unused last bits are not zero.
    #[error("an id is base64url without padding (letters, digits, '-' and '_')")]
    Alphabet,
}

macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Wraps sixteen bytes.
            #[must_use]
            pub const fn new(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// Returns the sixteen bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl From<[u8; 16]> for $name {
            fn from(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                decode(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; TEXT_LEN];
                f.write_str(encode(&self.0, &mut text))
            }
        }

        /// Shows four characters only, so that a log never holds a whole id.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; TEXT_LEN];
                write!(f, "{}…", &encode(&self.0, &mut text)[..SHOWN_LEN])
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut text = [0; TEXT_LEN];
                serializer.serialize_str(encode(&self.0, &mut text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

opaque_id! {
    /// One camera's live session on a relay.
    RoomId
}

opaque_id! {
    /// One device as a relay sees it: enough to cut it off, not enough to know it.
    DeviceHandle
}

fn encode<'a>(bytes: &[u8; 16], text: &'a mut [u8; TEXT_LEN]) -> &'a str {
    let written = URL_SAFE_NO_PAD.encode_slice(bytes, text).expect("22 characters hold 16 bytes");
    std::str::from_utf8(&text[..written]).expect("base64url is ASCII")
}

pub(crate) fn decode(text: &str) -> Result<[u8; 16], IdError> {
    if text.len() != TEXT_LEN {
        return Err(IdError::Length(text.len()));
    }
    let mut bytes = [0; 16];
    match URL_SAFE_NO_PAD.decode_slice_unchecked(text, &mut bytes) {
        Ok(16) => Ok(bytes),
        _ => Err(IdError::Alphabet),
    }
}

const TEXT_LEN: usize = 22;
const SHOWN_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn debug_shows_four_characters() {
        let room = RoomId::new([7; 16]);
        assert_eq!(format!("{room:?}"), "BwcH…");
        assert_eq!(room.to_string(), "BwcHBwcHBwcHBwcHBwcHBw");
    }

    #[test]
    fn wrong_texts_are_refused() {
        assert_eq!("short".parse::<RoomId>(), Err(IdError::Length(5)));
        assert_eq!("BwcHBwcHBwcHBwcHBwcHB+".parse::<RoomId>(), Err(IdError::Alphabet));
        // The last character may carry two bits only; a second spelling of one id must not exist.
        assert_eq!("BwcHBwcHBwcHBwcHBwcHBx".parse::<RoomId>(), Err(IdError::Alphabet));
    }

    proptest! {
        #[test]
        fn text_and_json_come_back(bytes: [u8; 16]) {
            let handle = DeviceHandle::new(bytes);
            prop_assert_eq!(handle.to_string().parse::<DeviceHandle>(), Ok(handle));
            let json = serde_json::to_string(&handle).unwrap();
            prop_assert_eq!(serde_json::from_str::<DeviceHandle>(&json).unwrap(), handle);
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,40}") {
            let _ = text.parse::<RoomId>();
        }
    }
}

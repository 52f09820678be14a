//! The invite code: what one person pastes to another so that a device can join.
//!
//! ```text
//! latchkey1-<base64url of>  mailbox id (16) | secret (16) | household root public key (32) | server address
//! ```
//!
//! The code is a secret for the ten minutes it lives: whoever has it first may join.

use std::fmt;
use std::str::FromStr;

use latchkey_api::encoding::{from_text, to_text};
use latchkey_e2ee::enrol::{Offer, OfferError};
use zeroize::Zeroizing;

/// One invitation, as it is pasted.
pub struct InviteCode {
    pub(crate) mailbox: [u8; 16],
    pub(crate) secret: Zeroizing<[u8; 16]>,
    /// The household's root public key, which the joining device pins.
    pub root_public: [u8; 32],
    /// The server's address.
    pub server: String,
}

/// The text is not an invite code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// It does not begin like one.
    #[error(
        "this is not an invite code: paste the whole code that the admin's invite shows, it begins with {PREFIX}"
    )]
    NoCode,
    /// It is the code that a new device shows, for an admin.
    #[error(
        "this is the code that a new device shows, and belongs to an admin: type it there, where devices are added"
    )]
    OfNewDevice,
    /// It is an invite code of another version.
    #[error(
        "this invite code was made by another version of latchkey: bring both devices to the same version and ask for a new code"
    )]
    OtherVersion,
    /// It begins like one, but something is missing or changed.
    #[error("the invite code is cut off or changed: copy the whole code that the admin's invite shows")]
    Damaged,
}

impl InviteCode {
    /// Draws mailbox and secret for a household on `server`.
    pub(crate) fn draw(root_public: [u8; 32], server: &str) -> Result<Self, getrandom::Error> {
        let mut mailbox = [0; 16];
        let mut secret = Zeroizing::new([0; 16]);
        getrandom::fill(&mut mailbox)?;
        getrandom::fill(secret.as_mut_slice())?;
        Ok(Self { mailbox, secret, root_public, server: server.to_owned() })
    }

    /// Returns the code as it is pasted.
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED + self.server.len()));
        bytes.extend_from_slice(&self.mailbox);
        bytes.extend_from_slice(self.secret.as_slice());
        bytes.extend_from_slice(&self.root_public);
        bytes.extend_from_slice(self.server.as_bytes());
        let text = Zeroizing::new(to_text(&bytes));
        Zeroizing::new(format!("{PREFIX}{}", text.as_str()))
    }

    /// Returns the mailbox's name in addresses.
    pub(crate) fn mailbox_name(&self) -> String {
        to_text(&self.mailbox)
    }
}

impl FromStr for InviteCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let text = text.trim();
        let text = text.strip_prefix(PREFIX).ok_or_else(|| other(text))?;
        let bytes = Zeroizing::new(from_text(text).map_err(|_| CodeError::Damaged)?);
        let (mailbox, rest) = bytes.split_first_chunk().ok_or(CodeError::Damaged)?;
        let (secret, rest) = rest.split_first_chunk().ok_or(CodeError::Damaged)?;
        let (root_public, server) = rest.split_first_chunk().ok_or(CodeError::Damaged)?;
        let server = std::str::from_utf8(server).map_err(|_| CodeError::Damaged)?;
        if !server.starts_with("http://") && !server.starts_with("https://") {
            return Err(CodeError::Damaged);
        }
        Ok(Self {
            mailbox: *mailbox,
            secret: Zeroizing::new(*secret),
            root_public: *root_public,
            server: server.to_owned(),
        })
    }
}

/// What a text is that is no invite code of this version.
fn other(text: &str) -> CodeError {
    let versions = text.strip_prefix(NAME).and_then(|rest| rest.split_once('-'));
    if versions.is_some_and(|(version, _)| !version.is_empty() && version.bytes().all(|c| c.is_ascii_digit()))
    {
        return CodeError::OtherVersion;
    }
    match text.parse::<Offer>() {
        Err(OfferError::NoCode) => CodeError::NoCode,
        _ => CodeError::OfNewDevice,
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteCode(…)")
    }
}

const NAME: &str = "latchkey";
const PREFIX: &str = "latchkey1-";
const FIXED: usize = 16 + 16 + 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_code_comes_back_and_does_not_print_itself() {
        let code = InviteCode::draw([3; 32], "http://127.0.0.1:8080/").unwrap();
        let text = code.reveal();
        let read: InviteCode = format!("  {}\n", text.as_str()).parse().unwrap();
        assert_eq!(read.mailbox, code.mailbox);
        assert_eq!(read.secret, code.secret);
        assert_eq!(read.root_public, [3; 32]);
        assert_eq!(read.server, "http://127.0.0.1:8080/");
        assert_eq!(format!("{read:?}"), "InviteCode(…)");
    }

    #[test]
    fn other_texts_and_cut_codes_are_refused() {
        assert_eq!("hello".parse::<InviteCode>().unwrap_err(), CodeError::NoCode);
        assert_eq!("latchkey-x".parse::<InviteCode>().unwrap_err(), CodeError::NoCode);
        assert_eq!("latchkey2-AAAA".parse::<InviteCode>().unwrap_err(), CodeError::OtherVersion);
        assert_eq!("LK1:AAAA".parse::<InviteCode>().unwrap_err(), CodeError::OfNewDevice);
        let text = InviteCode::draw([3; 32], "http://a").unwrap().reveal();
        for cut in [PREFIX.len(), PREFIX.len() + 1, 60, 90] {
            assert_eq!(text[..cut].parse::<InviteCode>().unwrap_err(), CodeError::Damaged, "{cut}");
        }
        let inner = format!("{}!", text.as_str());
        assert_eq!(inner.parse::<InviteCode>().unwrap_err(), CodeError::Damaged);
    }
}

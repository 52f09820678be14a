//! The offer: what a new device shows, as a QR code or as text.
//!
//! ```text
//! LK1:<base32 of>  kind (1) | key hash (16) | secret (16) | mailbox (16) | server address | check (4)
//! ```
//!
//! `key hash` is the beginning of SHA-256 over kind and public keys, so that nobody can put other keys in the mailbox;
//! `check` is the beginning of SHA-256 over all before, for eyes and cameras that misread. The secret is good once.

use std::fmt;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::digits::sha256;
use super::mail::key_hash;
use super::{Kind, base32};
use crate::identity::DevicePublic;

/// What a new device shows. Whoever sees it while it is good can enrol the device: keep it from strangers' eyes.
pub struct Offer {
    pub(super) kind: Kind,
    pub(super) key_hash: [u8; 16],
    pub(super) secret: Zeroizing<[u8; 16]>,
    pub(super) mailbox: [u8; 16],
    server: String,
}

/// The text is not an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// It does not begin like one.
    #[error(
        "this is not the code of a new device: scan or paste the one that it shows, it begins with {PREFIX}"
    )]
    NoCode,
    /// It is an offer of another version of its format.
    #[error(
        "this code was made by another version of latchkey: bring both devices to the same version and join again"
    )]
    OtherVersion,
    /// It begins like one, but something is missing or changed.
    #[error(
        "the code of the new device is cut off or misread: scan it again, or paste the whole text that it shows"
    )]
    Damaged,
    /// The caller's server address is not an http(s) address of at most 300 bytes.
    #[error("the server address does not fit a code: write it like https://cam.example.org")]
    BadServer,
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

impl Offer {
    /// Draws mailbox and secret for a new device that waits at `server`.
    ///
    /// # Errors
    /// [`OfferError::BadServer`], [`OfferError::NoRandomness`].
    pub(super) fn draw(kind: Kind, public: &DevicePublic, server: &str) -> Result<Self, OfferError> {
        if !is_address(server) {
            return Err(OfferError::BadServer);
        }
        let mut mailbox = [0; 16];
        let mut secret = Zeroizing::new([0; 16]);
        getrandom::fill(&mut mailbox).map_err(|_| OfferError::NoRandomness)?;
        getrandom::fill(secret.as_mut_slice()).map_err(|_| OfferError::NoRandomness)?;
        Ok(Self { kind, key_hash: key_hash(kind, public), secret, mailbox, server: server.to_owned() })
    }

    /// What the new device says it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The address at which the new device waits. An admin asks its own server, never this one.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The name of the mailbox, 16 bytes.
    #[must_use]
    pub fn mailbox(&self) -> [u8; 16] {
        self.mailbox
    }

    /// Returns the text that is shown: upper-case letters, digits and a colon.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(FIXED + self.server.len() + CHECK));
        bytes.push(self.kind as u8);
        bytes.extend_from_slice(&self.key_hash);
        bytes.extend_from_slice(self.secret.as_slice());
        bytes.extend_from_slice(&self.mailbox);
        bytes.extend_from_slice(self.server.as_bytes());
        let check = sha256(&[&bytes]);
        bytes.extend_from_slice(&check[..CHECK]);
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + bytes.len() * 2));
        text.push_str(PREFIX);
        text.push_str(&base32::encode(&bytes));
        text
    }
}

impl FromStr for Offer {
    type Err = OfferError;

    /// Case, spaces and line breaks do not matter.
    fn from_str(text: &str) -> Result<Self, OfferError> {
        let text = Zeroizing::new(text.split_whitespace().collect::<String>());
        let (head, body) = text.split_once(':').ok_or(OfferError::NoCode)?;
        let version = strip_letters(head).ok_or(OfferError::NoCode)?;
        if version.is_empty() || !version.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(OfferError::NoCode);
        }
        if version != VERSION {
            return Err(OfferError::OtherVersion);
        }
        if body.len() > LONGEST {
            return Err(OfferError::Damaged);
        }
        let bytes = base32::decode(body).ok_or(OfferError::Damaged)?;
        read(&bytes).ok_or(OfferError::Damaged)
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Offer({:?}, …)", self.kind)
    }
}

fn read(bytes: &[u8]) -> Option<Offer> {
    let (content, check) = bytes.split_last_chunk::<CHECK>()?;
    if sha256(&[content])[..CHECK] != *check {
        return None;
    }
    let (&[kind], rest) = content.split_first_chunk::<1>()?;
    let (key_hash, rest) = rest.split_first_chunk::<16>()?;
    let (secret, rest) = rest.split_first_chunk::<16>()?;
    let (mailbox, server) = rest.split_first_chunk::<16>()?;
    let server = std::str::from_utf8(server).ok().filter(|server| is_address(server))?;
    Some(Offer {
        kind: Kind::from_byte(kind)?,
        key_hash: *key_hash,
        secret: Zeroizing::new(*secret),
        mailbox: *mailbox,
        server: server.to_owned(),
    })
}

/// What follows `LK` in upper or lower case.
fn strip_letters(head: &str) -> Option<&str> {
    let (letters, version) = head.split_at_checked(2)?;
    letters.eq_ignore_ascii_case("LK").then_some(version)
}

fn is_address(server: &str) -> bool {
    (server.starts_with("http://") || server.starts_with("https://"))
        && server.len() <= LONGEST_SERVER
        && server.bytes().all(|byte| byte.is_ascii_graphic())
}

const PREFIX: &str = "LK1:";
const VERSION: &str = "1";
const FIXED: usize = 1 + 16 + 16 + 16;
const CHECK: usize = 4;
const LONGEST_SERVER: usize = 300;
const LONGEST: usize = (FIXED + LONGEST_SERVER + CHECK) * 2;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identity::DeviceIdentity;
    use proptest::prelude::*;

    fn offer(server: &str) -> Offer {
        Offer::draw(Kind::Camera, &DeviceIdentity::generate().unwrap().public(), server).unwrap()
    }

    #[test]
    fn an_offer_comes_back_and_does_not_print_itself() {
        let offer = offer("https://cam.example.org/");
        let text = offer.reveal();
        assert!(text.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b':'), "{}", *text);
        let wrapped = format!(" {}\n {}\r\n", &text[..50], text[50..].to_lowercase());
        for shown in [text.as_str(), &wrapped] {
            let read: Offer = shown.parse().unwrap();
            assert_eq!(read.kind, Kind::Camera);
            assert_eq!(read.key_hash, offer.key_hash);
            assert_eq!(read.secret, offer.secret);
            assert_eq!(read.mailbox, offer.mailbox);
            assert_eq!(read.server(), "https://cam.example.org/");
        }
        assert_eq!(format!("{offer:?}"), "Offer(Camera, …)");
    }

    #[test]
    fn each_way_to_be_wrong_has_its_name() {
        let text = offer("http://127.0.0.1:9601/").reveal();
        assert_eq!("hello".parse::<Offer>().unwrap_err(), OfferError::NoCode);
        assert_eq!("LK:AAAA".parse::<Offer>().unwrap_err(), OfferError::NoCode);
        assert_eq!("latchkey1-AAAA".parse::<Offer>().unwrap_err(), OfferError::NoCode);
        assert_eq!(text.replacen("LK1", "LK2", 1).parse::<Offer>().unwrap_err(), OfferError::OtherVersion);
        for cut in 4..text.len() {
            assert_eq!(text[..cut].parse::<Offer>().unwrap_err(), OfferError::Damaged, "cut at {cut}");
        }
        for at in 4..text.len() {
            let mut bent = text.to_string().into_bytes();
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            let bent = String::from_utf8(bent).unwrap();
            assert_eq!(bent.parse::<Offer>().unwrap_err(), OfferError::Damaged, "letter {at}");
        }
        for bad in ["ftp://x", "http://a b", &format!("http://{}", "x".repeat(300))] {
            let public = DeviceIdentity::generate().unwrap().public();
            assert_eq!(Offer::draw(Kind::Viewer, &public, bad).unwrap_err(), OfferError::BadServer);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}", body in "[A-Z2-7]{0,200}") {
            prop_assert!(text.parse::<Offer>().is_err());
            let shaped = format!("LK1:{body}");
            prop_assert!(shaped.parse::<Offer>().is_err());
        }
    }
}

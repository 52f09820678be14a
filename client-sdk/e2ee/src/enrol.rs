//! Enrolment: how a new device and a household get to know each other although everything passes a hostile server.
//!
//! Two state machines, [`NewDevice`] and [`Admin`], meet in a mailbox that anybody may read and write.
//! They do no input or output: mail and the time come as arguments, what is to be posted comes back.
//! Both may be given the whole mailbox again and again, in any order: what was read before changes nothing.
//!
//! There are two ways to begin, and one way to go on:
//!
//! ```text
//! by code    the new device shows an Offer (QR or text): hash of its keys, one-time secret, mailbox
//!            new ▶ hello: its keys                        admin: their hash must be the one in the offer
//! by number  the new device shows a short number that names the mailbox, and six digits to be compared
//!            new ▶ commitment                             admin ▶ its key and nonce
//!            new ▶ reveal: its keys and nonce             the admin types the digits, the new device's user says yes
//!
//! then       admin ▶ invitation: HPKE PSK mode (RFC 9180) to the new device: root key, label key, role, name, head
//!            new   ▶ confirmation                         only now does the admin sign the list that names the device
//!            admin ▶ verdict: listed as version n, or not
//! ```
//!
//! The server can drop, delay, repeat and change mail; it can make an enrolment fail, and not become part of it.

mod admin;
mod base32;
mod channel;
mod digits;
mod invitation;
mod mail;
mod new_device;
mod number;
mod offer;
mod terms;

pub use admin::{Admin, AdminError, AdminStage, Confirmed, Typed};
pub use digits::Digits;
pub use invitation::{Household, Membership};
pub use new_device::{NewDevice, NewDeviceError, NewDeviceStage, Outcome};
pub use number::{NumberError, PairingNumber};
pub use offer::{Offer, OfferError};
pub use terms::{Terms, TermsError};

use std::time::Duration;

use latchkey_api::device_list::Role;

/// How long a code or a number is good, from the moment it is shown.
pub const LIFETIME: Duration = Duration::from_secs(600);
/// How many wrong messages, or wrong digits, end an enrolment.
pub const TRIES: usize = 3;
/// How far the clocks of admin and new device may differ.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(300);

/// What a new device is; it says so itself, and the admin sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// It sends.
    Camera = 0,
    /// It watches: an admin, a viewer or a guest, as the admin decides.
    Viewer = 1,
}

impl Kind {
    /// Returns whether a device of this kind can have `role`.
    #[must_use]
    pub fn suits(self, role: Role) -> bool {
        (self == Self::Camera) == (role == Role::Camera)
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Camera),
            1 => Some(Self::Viewer),
            _ => None,
        }
    }
}

/// The time, by both clocks of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// A clock that never goes back, from any beginning; for how long things last.
    pub uptime: Duration,
    /// The wall clock in seconds since the Unix epoch; `None` while the device has no time it can trust.
    pub unix_seconds: Option<u64>,
}

/// Counts messages that do not fit, each one once.
#[derive(Default)]
struct Strikes(Vec<[u8; 32]>);

impl Strikes {
    /// Notes a message; returns true when it was one too many.
    fn note(&mut self, mail: &[u8]) -> bool {
        let hash = digits::sha256(&[mail]);
        if !self.0.contains(&hash) {
            self.0.push(hash);
        }
        self.0.len() >= TRIES
    }

    fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests;

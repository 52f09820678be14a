//! How far an admin has come with a new device, and why it may come to nothing.

use crate::enrol::Kind;
use crate::enrol::terms::TermsError;

/// How far an admin has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminStage {
    /// Nobody is there yet.
    Looking,
    /// Somebody is there; keys are being exchanged.
    Exchanging,
    /// The user is to type the digits that the new device shows ([`Admin::type_digits`](super::Admin::type_digits)).
    Comparing,
    /// The keys are the new device's: [`Admin::invite`](super::Admin::invite) is next.
    Ready(Kind),
    /// The new device's confirmation is waited for.
    Invited,
    /// The new device has accepted: [`Admin::confirmed`](super::Admin::confirmed) is next.
    Confirmed,
    /// It has come to nothing.
    Failed(AdminError),
}

/// What became of typed digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed {
    /// They are the right ones.
    Right,
    /// They are not; so many more tries are left.
    Wrong {
        /// 0 when the pairing is over.
        left: usize,
    },
    /// No digits are asked for.
    NotAsked,
}

/// Why a device was not let in. Nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The device cannot be let in like this.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// Nobody is behind code or number.
    #[error(
        "nobody waits behind this code any more: it is good for 10 minutes and only while the new device shows it; have it join again and use the new one"
    )]
    NobodyThere,
    /// An admin has answered before.
    #[error("this code was used already: each is good once; join again and use the new one")]
    Used,
    /// Keys came that are not the ones of the code.
    #[error(
        "ALARM: the keys at the server are not those of the device whose code this is, so somebody in between exchanged them: nobody was let in; join again, and if this comes back do not trust the server"
    )]
    KeysSwapped,
    /// Messages came that fit nothing.
    #[error(
        "three messages came that do not fit: somebody in between changes them, or has seen the code; nobody was let in; join again"
    )]
    TooManyTries,
    /// Wrong digits, three times, or the new device's user said no.
    #[error(
        "the digits differ, so somebody may be in between: nobody was let in; join again by digits, or use the QR code"
    )]
    DigitsDiffer,
    /// The new device's clock and this one differ.
    #[error(
        "the clocks of this admin and of the new device differ by more than 5 minutes: nobody was let in; set the wrong one right and join again"
    )]
    ClockOff,
    /// The new device cannot use the invitation.
    #[error(
        "the new device cannot use this invitation: bring both devices to the same version of latchkey and join again"
    )]
    Refused,
    /// The new device is silent.
    #[error(
        "the new device answers no more, and nobody was let in: does it still wait there? have it join again and use the new code"
    )]
    NoAnswer,
    /// The admin's clock is not set.
    #[error("this admin has no clock it can trust: set the time and try again")]
    NoClock,
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

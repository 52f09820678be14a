//! The new device's side: show keys, be invited by whoever holds the code or the digits, and confirm.

use zeroize::Zeroizing;

use super::channel::{Channel, Ties};
use super::digits::Digits;
use super::invitation::{self, Membership};
use super::mail::{self, Answer, Exchange, Mail, Reveal};
use super::number::PairingNumber;
use super::offer::{Offer, OfferError};
use super::{CLOCK_TOLERANCE, Kind, LIFETIME, Moment, Strikes};
use crate::identity::{DeviceIdentity, DevicePublic};

/// A device that wants to be enrolled.
pub struct NewDevice {
    kind: Kind,
    public: DevicePublic,
    ends: std::time::Duration,
    strikes: Strikes,
    stage: Stage,
}

enum Stage {
    /// A code is shown; whoever has seen it may invite.
    Showing(Channel),
    /// A number is shown; the keys are committed to.
    Committed { number: PairingNumber, reveal: Reveal },
    /// An admin, or somebody in between, has answered: only people can tell.
    Comparing(Box<Comparing>),
    /// The invitation is accepted; the list is waited for.
    Confirmed { membership: Box<Membership>, ties: Ties, outcome: Option<Outcome> },
    /// It has come to nothing.
    Failed(NewDeviceError),
}

struct Comparing {
    channel: Channel,
    exchange: Exchange,
    digits: Digits,
    fits: bool,
    opened: Option<(Membership, Ties)>,
}

/// How far a new device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewDeviceStage {
    /// Code or number is shown and nobody has come.
    Waiting,
    /// These digits are to be typed at the admin, and its answer to be told by [`NewDevice::digits_fit`].
    Comparing(Digits),
    /// The user said that the digits fit; the invitation is waited for.
    Agreed,
    /// The invitation is accepted ([`NewDevice::membership`]) and the confirmation posted.
    Confirmed,
    /// The admin says what became of it.
    Done(Outcome),
    /// It has come to nothing.
    Failed(NewDeviceError),
}

/// The admin's last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The list of this version names the device.
    Listed(u64),
    /// The admin did not put the device on the list after all.
    NotListed,
}

/// Why a device was not enrolled. Nothing of it may be kept: the next try draws new keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NewDeviceError {
    /// Nobody came in time.
    #[error(
        "no admin has let this device in within 10 minutes, and what was shown is good no more: join again"
    )]
    Expired,
    /// Messages came that fit nothing.
    #[error(
        "three messages came that do not fit what this device shows: somebody in between changes them, or has seen the code; join again"
    )]
    TooManyTries,
    /// The user said that the digits differ.
    #[error(
        "the digits differ, so somebody may be in between: nothing was let in; join again by digits, or use the QR code"
    )]
    DigitsDiffer,
    /// The clocks of admin and device differ.
    #[error("the clocks of this device and of the admin differ by {} minutes, this one is {}: set the wrong one right and join again", minutes(*.seconds_ahead), if *.seconds_ahead < 0 { "behind" } else { "ahead" })]
    ClockOff {
        /// How much this device's clock is ahead of the admin's, in seconds; negative when it is behind.
        seconds_ahead: i64,
    },
    /// The invitation is of another version, or its role does not fit this device.
    #[error(
        "the admin's invitation cannot be used here: bring both devices to the same version of latchkey and choose a role that fits"
    )]
    Unusable,
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

impl NewDevice {
    /// Begins by code: returns the machine, what to show, and what to post.
    ///
    /// `server` is the address at which the device waits.
    ///
    /// # Errors
    /// [`OfferError::BadServer`], [`OfferError::NoRandomness`].
    pub fn by_code(
        identity: &DeviceIdentity,
        kind: Kind,
        server: &str,
        now: Moment,
    ) -> Result<(Self, Offer, Vec<u8>), OfferError> {
        let public = identity.public();
        let offer = Offer::draw(kind, &public, server)?;
        let machine = Self::new(kind, public, now, Stage::Showing(Channel::by_code(&offer)));
        Ok((machine, offer, mail::hello(kind, &public)))
    }

    /// Begins by number, whose mailbox must be empty: returns the machine and what to post.
    ///
    /// # Errors
    /// [`NewDeviceError::NoRandomness`].
    pub fn by_number(
        identity: &DeviceIdentity,
        kind: Kind,
        number: PairingNumber,
        now: Moment,
    ) -> Result<(Self, Vec<u8>), NewDeviceError> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| NewDeviceError::NoRandomness)?;
        let reveal = Reveal { kind, public: identity.public(), nonce };
        let commitment = mail::commitment(&mail::commit(number, &reveal));
        let machine = Self::new(kind, reveal.public, now, Stage::Committed { number, reveal });
        Ok((machine, commitment))
    }

    fn new(kind: Kind, public: DevicePublic, now: Moment, stage: Stage) -> Self {
        Self { kind, public, ends: now.uptime + LIFETIME, strikes: Strikes::default(), stage }
    }

    /// Takes one message of the mailbox; returns what is to be posted.
    ///
    /// `identity` is the one the machine began with. A message that was taken before changes nothing.
    pub fn receive(&mut self, identity: &DeviceIdentity, mail: &[u8], now: Moment) -> Option<Vec<u8>> {
        self.tick(now);
        match Mail::read(mail) {
            Some(Mail::Exchange(exchange)) => self.exchanged(identity, exchange, mail),
            Some(Mail::Invitation { encapsulated, sealed }) => {
                self.invited(identity, encapsulated, sealed, mail, now)
            }
            Some(Mail::Verdict { version, tag }) => {
                if let Stage::Confirmed { ties, outcome, .. } = &mut self.stage
                    && outcome.is_none()
                    && ties.is_verdict(version, &tag)
                {
                    *outcome = Some(if version == 0 { Outcome::NotListed } else { Outcome::Listed(version) });
                }
                None
            }
            // Its own.
            Some(Mail::Hello(..) | Mail::Commitment(_) | Mail::Reveal(_) | Mail::Confirmation { .. }) => None,
            None => self.strike(mail),
        }
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Moment) {
        let open = !matches!(self.stage, Stage::Confirmed { .. } | Stage::Failed(_));
        if open && now.uptime >= self.ends {
            self.stage = Stage::Failed(NewDeviceError::Expired);
        }
    }

    /// Tells what the user says: whether the admin took the digits for right. Returns what is to be posted.
    ///
    /// Without digits on the screen it changes nothing. A no is final.
    pub fn digits_fit(&mut self, fit: bool, now: Moment) -> Option<Vec<u8>> {
        self.tick(now);
        let Stage::Comparing(comparing) = &mut self.stage else { return None };
        let opened = comparing.opened.take();
        if !fit {
            self.stage = Stage::Failed(NewDeviceError::DigitsDiffer);
            return opened.map(|(_, ties)| ties.confirmation(Answer::DigitsDiffer));
        }
        comparing.fits = true;
        let (membership, ties) = opened?;
        Some(self.answer(membership, ties, now))
    }

    /// Returns how far it has come.
    #[must_use]
    pub fn stage(&self) -> NewDeviceStage {
        match &self.stage {
            Stage::Showing(_) | Stage::Committed { .. } => NewDeviceStage::Waiting,
            Stage::Comparing(comparing) if comparing.fits => NewDeviceStage::Agreed,
            Stage::Comparing(comparing) => NewDeviceStage::Comparing(comparing.digits),
            Stage::Confirmed { outcome: None, .. } => NewDeviceStage::Confirmed,
            Stage::Confirmed { outcome: Some(outcome), .. } => NewDeviceStage::Done(*outcome),
            Stage::Failed(error) => NewDeviceStage::Failed(*error),
        }
    }

    /// Returns what the device was told of its household, once it has accepted the invitation.
    #[must_use]
    pub fn membership(&self) -> Option<&Membership> {
        match &self.stage {
            Stage::Confirmed { membership, .. } => Some(membership),
            _ => None,
        }
    }

    /// The first answer decides with whom the digits are compared; the keys are shown only now.
    fn exchanged(&mut self, identity: &DeviceIdentity, exchange: Exchange, mail: &[u8]) -> Option<Vec<u8>> {
        match &self.stage {
            Stage::Committed { number, reveal } => {
                let (number, reveal) = (*number, *reveal);
                let Some(shared) = identity.agree(&exchange.public) else { return self.strike(mail) };
                let (channel, digits) = Channel::by_number(&shared, number, &exchange, &reveal);
                let comparing = Comparing { channel, exchange, digits, fits: false, opened: None };
                self.stage = Stage::Comparing(Box::new(comparing));
                Some(mail::reveal(&reveal))
            }
            Stage::Comparing(comparing) if comparing.exchange == exchange => None,
            Stage::Comparing(_) | Stage::Showing(_) => self.strike(mail),
            Stage::Confirmed { .. } | Stage::Failed(_) => None,
        }
    }

    fn invited(
        &mut self,
        identity: &DeviceIdentity,
        encapsulated: &[u8; 32],
        sealed: &[u8],
        mail: &[u8],
        now: Moment,
    ) -> Option<Vec<u8>> {
        let channel = match &self.stage {
            Stage::Showing(channel) => channel,
            Stage::Comparing(comparing) if comparing.opened.is_none() => &comparing.channel,
            // By number nothing can be opened before keys are exchanged; it is read again then.
            _ => return None,
        };
        let Some((content, ties)) = channel.open(identity, encapsulated, sealed) else {
            return self.strike(mail);
        };
        let Some(membership) = invitation::read(&content, ties.digits) else {
            return Some(self.refuse(&ties, Answer::Unusable, NewDeviceError::Unusable));
        };
        if let Stage::Comparing(comparing) = &mut self.stage
            && !comparing.fits
        {
            comparing.opened = Some((membership, ties));
            return None;
        }
        Some(self.answer(membership, ties, now))
    }

    /// Accepts or refuses; either way the secret of the code or pairing is gone.
    fn answer(&mut self, membership: Membership, ties: Ties, now: Moment) -> Vec<u8> {
        if !self.kind.suits(membership.role) {
            return self.refuse(&ties, Answer::Unusable, NewDeviceError::Unusable);
        }
        let ahead = now.unix_seconds.map_or(0, |own| seconds_between(own, membership.issued_at));
        if ahead.unsigned_abs() > CLOCK_TOLERANCE.as_secs() {
            let error = NewDeviceError::ClockOff { seconds_ahead: ahead };
            return self.refuse(&ties, Answer::ClockOff, error);
        }
        let confirmation = ties.confirmation(Answer::Accepted);
        self.stage = Stage::Confirmed { membership: Box::new(membership), ties, outcome: None };
        confirmation
    }

    fn refuse(&mut self, ties: &Ties, answer: Answer, error: NewDeviceError) -> Vec<u8> {
        self.stage = Stage::Failed(error);
        ties.confirmation(answer)
    }

    fn strike(&mut self, mail: &[u8]) -> Option<Vec<u8>> {
        let open = !matches!(self.stage, Stage::Confirmed { .. } | Stage::Failed(_));
        if open && self.strikes.note(mail) {
            self.stage = Stage::Failed(NewDeviceError::TooManyTries);
        }
        None
    }
}

impl std::fmt::Debug for NewDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewDevice")
            .field("device", &self.public.device)
            .field("stage", &self.stage())
            .finish_non_exhaustive()
    }
}

impl DeviceIdentity {
    /// X25519 with another key; `None` when that key is of small order.
    pub(super) fn agree(&self, other: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        let shared = self.enrol_secret().diffie_hellman(&(*other).into());
        shared.was_contributory().then(|| Zeroizing::new(*shared.as_bytes()))
    }
}

fn seconds_between(later: u64, earlier: u64) -> i64 {
    i64::try_from(i128::from(later) - i128::from(earlier)).unwrap_or(i64::MAX)
}

/// Minutes, rounded up.
fn minutes(seconds: i64) -> u64 {
    seconds.unsigned_abs().div_ceil(60)
}

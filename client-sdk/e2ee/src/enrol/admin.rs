//! The admin's side: take the new device's keys, be sure they are its, invite it, and sign only after its confirmation.

mod confirmed;
mod outcome;

use std::time::Duration;

use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::channel::{Channel, Ties};
use super::digits::Digits;
use super::invitation::{self, Household};
use super::mail::{self, Answer, Exchange, Mail, Reveal};
use super::number::PairingNumber;
use super::offer::Offer;
use super::terms::Terms;
use super::{Kind, LIFETIME, Moment, Strikes, TRIES};
use crate::identity::DevicePublic;

pub use confirmed::Confirmed;
pub use outcome::{AdminError, AdminStage, Typed};

/// An admin that lets a device in.
pub struct Admin {
    terms: Terms,
    ends: Duration,
    strikes: Strikes,
    /// Keys came that are not the ones which the code or the commitment names.
    swapped: bool,
    stage: Stage,
}

enum Stage {
    /// By code: the keys are waited for.
    Scanned {
        channel: Channel,
        kind: Kind,
        key_hash: [u8; 16],
    },
    /// By number: the commitment is waited for.
    Dialled(PairingNumber),
    /// By number: the keys are waited for.
    Exchanging {
        number: PairingNumber,
        commitment: [u8; 32],
        secret: StaticSecret,
        exchange: Exchange,
    },
    /// By number: the user is to type the digits that the new device shows.
    Comparing {
        channel: Channel,
        found: Found,
        digits: Digits,
        wrong: usize,
        exchange: Exchange,
    },
    /// The keys are the new device's.
    Ready {
        channel: Channel,
        found: Found,
    },
    /// The confirmation is waited for.
    Invited {
        found: Found,
        ties: Ties,
    },
    /// The new device has accepted.
    Confirmed {
        found: Found,
        ties: Ties,
    },
    Failed(AdminError),
}

#[derive(Clone, Copy)]
struct Found {
    kind: Kind,
    public: DevicePublic,
}

impl Admin {
    /// Begins with what a new device shows.
    ///
    /// # Errors
    /// [`AdminError::Terms`] when such a device cannot be let in like this, [`AdminError::NoClock`].
    pub fn scan(offer: &Offer, terms: Terms, now: Moment) -> Result<Self, AdminError> {
        terms.fits(offer.kind)?;
        let stage =
            Stage::Scanned { channel: Channel::by_code(offer), kind: offer.kind, key_hash: offer.key_hash };
        Self::new(terms, now, stage)
    }

    /// Begins with the number that a new device shows.
    ///
    /// # Errors
    /// [`AdminError::Terms`], [`AdminError::NoClock`].
    pub fn dial(number: PairingNumber, terms: Terms, now: Moment) -> Result<Self, AdminError> {
        Self::new(terms, now, Stage::Dialled(number))
    }

    fn new(terms: Terms, now: Moment, stage: Stage) -> Result<Self, AdminError> {
        terms.check(now.unix_seconds.ok_or(AdminError::NoClock)?)?;
        Ok(Self { terms, ends: now.uptime + LIFETIME, strikes: Strikes::default(), swapped: false, stage })
    }

    /// Takes one message of the mailbox; returns what is to be posted.
    ///
    /// A message that was taken before changes nothing.
    pub fn receive(&mut self, mail: &[u8], now: Moment) -> Option<Vec<u8>> {
        self.tick(now);
        match Mail::read(mail) {
            Some(Mail::Hello(kind, public)) => self.hello(kind, public, mail),
            Some(Mail::Commitment(commitment)) => return self.committed(commitment, mail),
            Some(Mail::Reveal(reveal)) => self.revealed(&reveal, mail),
            Some(Mail::Exchange(other)) => self.other_exchange(&other),
            Some(Mail::Invitation { .. } | Mail::Verdict { .. }) => {
                // Its own would not be there yet.
                if matches!(self.stage, Stage::Scanned { .. } | Stage::Dialled(_) | Stage::Ready { .. }) {
                    self.stage = Stage::Failed(AdminError::Used);
                }
            }
            Some(Mail::Confirmation { answer, tag }) => self.answered(answer, &tag, mail),
            None => self.strike(mail),
        }
        None
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Moment) {
        if now.uptime >= self.ends {
            self.give_up();
        }
    }

    /// Ends what has not come about yet; the stage then says why.
    pub fn give_up(&mut self) {
        let error = match &self.stage {
            Stage::Confirmed { .. } | Stage::Failed(_) => return,
            _ if self.swapped => AdminError::KeysSwapped,
            _ if self.strikes.any() => AdminError::TooManyTries,
            Stage::Scanned { .. } | Stage::Dialled(_) => AdminError::NobodyThere,
            _ => AdminError::NoAnswer,
        };
        self.stage = Stage::Failed(error);
    }

    /// Takes the digits that the user reads on the new device. The third wrong ones end the pairing.
    pub fn type_digits(&mut self, typed: &str, now: Moment) -> Typed {
        self.tick(now);
        let Stage::Comparing { digits, wrong, .. } = &mut self.stage else { return Typed::NotAsked };
        if !digits.are(typed) {
            *wrong += 1;
            let left = TRIES.saturating_sub(*wrong);
            if left == 0 {
                self.stage = Stage::Failed(AdminError::DigitsDiffer);
            }
            return Typed::Wrong { left };
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Failed(AdminError::NoAnswer));
        if let Stage::Comparing { channel, found, .. } = stage {
            self.stage = Stage::Ready { channel, found };
        }
        Typed::Right
    }

    /// Invites the device; returns what is to be posted.
    ///
    /// # Errors
    /// The reason why it failed, or [`AdminError::NoAnswer`] when it is not [`AdminStage::Ready`];
    /// [`AdminError::NoClock`]; [`AdminError::KeysSwapped`] when the device's key is unusable.
    pub fn invite(&mut self, household: &Household<'_>, now: Moment) -> Result<Vec<u8>, AdminError> {
        self.tick(now);
        let (channel, found) = match &self.stage {
            Stage::Ready { channel, found } => (channel, *found),
            Stage::Failed(error) => return Err(*error),
            _ => return Err(AdminError::NoAnswer),
        };
        let issued_at = now.unix_seconds.ok_or(AdminError::NoClock)?;
        // HPKE draws its key without a way to fail.
        getrandom::fill(&mut [0; 1]).map_err(|_| AdminError::NoRandomness)?;
        let content = invitation::write(household, &self.terms, issued_at);
        let sealed = channel.seal(&found.public.enrol_public, &content);
        let (mail, ties) = sealed.ok_or(AdminError::KeysSwapped)?;
        self.stage = Stage::Invited { found, ties };
        Ok(mail)
    }

    /// Returns how far it has come.
    #[must_use]
    pub fn stage(&self) -> AdminStage {
        match &self.stage {
            Stage::Scanned { .. } | Stage::Dialled(_) => AdminStage::Looking,
            Stage::Exchanging { .. } => AdminStage::Exchanging,
            Stage::Comparing { .. } => AdminStage::Comparing,
            Stage::Ready { found, .. } => AdminStage::Ready(found.kind),
            Stage::Invited { .. } => AdminStage::Invited,
            Stage::Confirmed { .. } => AdminStage::Confirmed,
            Stage::Failed(error) => AdminStage::Failed(*error),
        }
    }

    /// Returns what the next list needs; only a device that has confirmed can be signed for.
    ///
    /// # Errors
    /// The reason why it failed, or [`AdminError::NoAnswer`] before the confirmation.
    pub fn confirmed(self) -> Result<Confirmed, AdminError> {
        match self.stage {
            Stage::Confirmed { found, ties } => {
                Ok(Confirmed { public: found.public, terms: self.terms, ties })
            }
            Stage::Failed(error) => Err(error),
            _ => Err(AdminError::NoAnswer),
        }
    }

    fn hello(&mut self, kind: Kind, public: DevicePublic, mail: &[u8]) {
        let Stage::Scanned { kind: shown, key_hash, .. } = &self.stage else { return };
        if kind != *shown || !bool::from(mail::key_hash(kind, &public).ct_eq(key_hash)) {
            self.swapped = true;
            return self.strike(mail);
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Failed(AdminError::NoAnswer));
        if let Stage::Scanned { channel, .. } = stage {
            self.stage = Stage::Ready { channel, found: Found { kind, public } };
        }
    }

    /// The admin's nonce is drawn and shown only now that the new device can change nothing any more.
    fn committed(&mut self, commitment: [u8; 32], mail: &[u8]) -> Option<Vec<u8>> {
        match &self.stage {
            Stage::Dialled(number) => {
                let number = *number;
                let mut secret = Zeroizing::new([0; 32]);
                let mut nonce = [0; 32];
                let drawn = getrandom::fill(secret.as_mut_slice()).and_then(|()| getrandom::fill(&mut nonce));
                if drawn.is_err() {
                    self.stage = Stage::Failed(AdminError::NoRandomness);
                    return None;
                }
                let secret = StaticSecret::from(*secret);
                let exchange = Exchange { public: PublicKey::from(&secret).to_bytes(), nonce };
                self.stage = Stage::Exchanging { number, commitment, secret, exchange };
                Some(mail::exchange(&exchange))
            }
            Stage::Exchanging { commitment: known, .. } if *known == commitment => None,
            Stage::Exchanging { .. } | Stage::Scanned { .. } => {
                self.strike(mail);
                None
            }
            _ => None,
        }
    }

    fn revealed(&mut self, reveal: &Reveal, mail: &[u8]) {
        let Stage::Exchanging { number, commitment, secret, exchange } = &self.stage else { return };
        let shared = secret.diffie_hellman(&reveal.public.enrol_public.into());
        let kept = mail::commit(*number, reveal).ct_eq(commitment);
        if !bool::from(kept) || !shared.was_contributory() {
            self.swapped = true;
            return self.strike(mail);
        }
        if let Err(error) = self.terms.fits(reveal.kind) {
            self.stage = Stage::Failed(error.into());
            return;
        }
        let exchange = *exchange;
        let (channel, digits) = Channel::by_number(shared.as_bytes(), *number, &exchange, reveal);
        let found = Found { kind: reveal.kind, public: reveal.public };
        self.stage = Stage::Comparing { channel, found, digits, wrong: 0, exchange };
    }

    /// Another admin, or somebody in between, has answered the same number.
    fn other_exchange(&mut self, other: &Exchange) {
        let used = match &self.stage {
            Stage::Dialled(_) => true,
            Stage::Exchanging { exchange, .. } | Stage::Comparing { exchange, .. } => exchange != other,
            _ => false,
        };
        if used {
            self.stage = Stage::Failed(AdminError::Used);
        }
    }

    fn answered(&mut self, answer: Answer, tag: &[u8; 32], mail: &[u8]) {
        let Stage::Invited { ties, .. } = &self.stage else { return };
        if !ties.is_confirmation(answer, tag) {
            return self.strike(mail);
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Failed(AdminError::NoAnswer));
        self.stage = match (answer, stage) {
            (Answer::Accepted, Stage::Invited { found, ties }) => Stage::Confirmed { found, ties },
            (Answer::ClockOff, _) => Stage::Failed(AdminError::ClockOff),
            (Answer::DigitsDiffer, _) => Stage::Failed(AdminError::DigitsDiffer),
            _ => Stage::Failed(AdminError::Refused),
        };
    }

    fn strike(&mut self, mail: &[u8]) {
        let open = !matches!(self.stage, Stage::Confirmed { .. } | Stage::Failed(_));
        if open && self.strikes.note(mail) {
            let error = if self.swapped { AdminError::KeysSwapped } else { AdminError::TooManyTries };
            self.stage = Stage::Failed(error);
        }
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("stage", &self.stage()).finish_non_exhaustive()
    }
}

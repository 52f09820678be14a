//! Sign-in challenges that cost the server no memory until they are answered.
//!
//! ```text
//! nonce (32 bytes) = random (8) | good until, ms since the Unix epoch (8, big endian) | tag (16)
//! tag = HMAC-SHA-256(server secret, audience, household, device, first 16 bytes), cut to 16
//! ```
//! Anyone may ask for a nonce for any name; only an answer with a valid signature is remembered, for as long as
//! its nonce could be answered again. The secret lives as long as the process: a restart voids open challenges.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit as _, Mac as _};
use latchkey_api::id::{DeviceId, HouseholdId};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::clock::unix_millis;

/// How long a challenge may be answered.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(60);

/// Issues nonces and takes each of them once.
pub struct Challenger {
    secret: Zeroizing<[u8; 32]>,
    answered: Mutex<HashMap<[u8; NONCE_LEN], u64>>,
}

/// For whom a nonce is issued.
#[derive(Clone, Copy, Debug)]
pub struct ChallengeFor<'a> {
    /// The server's authority as the client sees it.
    pub audience: &'a str,
    /// The household named in the request.
    pub household: HouseholdId,
    /// The device named in the request.
    pub device: DeviceId,
}

impl Challenger {
    /// A challenger with a fresh random secret.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret: Zeroizing::new(secret), answered: Mutex::default() }
    }

    /// A nonce for `whom` and until when it may be answered. `random` must be fresh.
    #[must_use]
    pub fn issue(
        &self,
        whom: ChallengeFor<'_>,
        random: [u8; 8],
        now: SystemTime,
    ) -> ([u8; NONCE_LEN], SystemTime) {
        let until = now + CHALLENGE_LIFETIME;
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&random);
        nonce[8..16].copy_from_slice(&unix_millis(until).to_be_bytes());
        let tag = self.mac(whom, &nonce[..16]).finalize().into_bytes();
        nonce[16..].copy_from_slice(&tag[..16]);
        (nonce, until)
    }

    /// Whether this server issued `nonce` for `whom` and it is neither too old nor answered.
    ///
    /// # Errors
    /// [`StaleNonce`] otherwise; it does not say which.
    pub fn check(
        &self,
        whom: ChallengeFor<'_>,
        nonce: &[u8],
        now: SystemTime,
    ) -> Result<OpenNonce, StaleNonce> {
        let nonce: [u8; NONCE_LEN] = nonce.try_into().map_err(|_| StaleNonce)?;
        self.mac(whom, &nonce[..16]).verify_truncated_left(&nonce[16..]).map_err(|_| StaleNonce)?;
        let mut until = [0; 8];
        until.copy_from_slice(&nonce[8..16]);
        let until = u64::from_be_bytes(until);
        if until <= unix_millis(now) || self.lock().contains_key(&nonce) {
            return Err(StaleNonce);
        }
        Ok(OpenNonce { nonce, until })
    }

    /// Uses the nonce up, once its signature has been found good.
    ///
    /// # Errors
    /// [`StaleNonce`] when another answer was faster.
    #[allow(clippy::needless_pass_by_value, reason = "an open nonce is taken, not lent")]
    pub fn use_up(&self, open: OpenNonce, now: SystemTime) -> Result<(), StaleNonce> {
        let OpenNonce { nonce, until } = open;
        let now = unix_millis(now);
        let mut answered = self.lock();
        answered.retain(|_, until| *until > now);
        match answered.insert(nonce, until) {
            None => Ok(()),
            Some(_) => Err(StaleNonce),
        }
    }

    fn mac(&self, whom: ChallengeFor<'_>, head: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&*self.secret).expect("HMAC takes keys of any length");
        mac.update(&(whom.audience.len() as u64).to_be_bytes());
        mac.update(whom.audience.as_bytes());
        mac.update(whom.household.as_ref());
        mac.update(whom.device.as_ref());
        mac.update(head);
        mac
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; NONCE_LEN], u64>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Challenger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Challenger").finish_non_exhaustive()
    }
}

/// A nonce that may still be answered: what [`Challenger::use_up`] takes.
#[derive(Debug)]
pub struct OpenNonce {
    nonce: [u8; NONCE_LEN],
    until: u64,
}

/// The nonce is foreign, too old or answered already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the nonce cannot be answered any more")]
pub struct StaleNonce;

const NONCE_LEN: usize = 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const WHOM: ChallengeFor<'static> =
        ChallengeFor { audience: "cam.example", household: HouseholdId([1; 16]), device: DeviceId([2; 16]) };

    #[test]
    fn a_nonce_is_good_once_and_for_a_minute() {
        let challenger = Challenger::new([7; 32]);
        let (nonce, until) = challenger.issue(WHOM, [1; 8], NOW);
        assert_eq!(until, NOW + Duration::from_secs(60));
        let first = challenger.check(WHOM, &nonce, NOW).unwrap();
        let second = challenger.check(WHOM, &nonce, NOW).unwrap();
        challenger.use_up(first, NOW).unwrap();
        assert_eq!(challenger.use_up(second, NOW), Err(StaleNonce));
        assert!(challenger.check(WHOM, &nonce, NOW).is_err());
        let (late, _) = challenger.issue(WHOM, [2; 8], NOW);
        assert!(challenger.check(WHOM, &late, NOW + Duration::from_secs(60)).is_err());
    }

    #[test]
    fn a_nonce_is_bound_to_server_name_and_audience() {
        let challenger = Challenger::new([7; 32]);
        let (nonce, _) = challenger.issue(WHOM, [1; 8], NOW);
        for whom in [
            ChallengeFor { audience: "evil.example", ..WHOM },
            ChallengeFor { household: HouseholdId([9; 16]), ..WHOM },
            ChallengeFor { device: DeviceId([9; 16]), ..WHOM },
        ] {
            assert!(challenger.check(whom, &nonce, NOW).is_err());
        }
        assert!(Challenger::new([8; 32]).check(WHOM, &nonce, NOW).is_err());
        let mut later = nonce;
        later[15] ^= 1;
        assert!(challenger.check(WHOM, &later, NOW).is_err());
        assert!(challenger.check(WHOM, &nonce[..31], NOW).is_err());
    }

    #[test]
    fn answered_nonces_are_forgotten_when_they_could_not_be_answered_again() {
        let challenger = Challenger::new([7; 32]);
        for step in 0..100 {
            let now = NOW + Duration::from_secs(step * 10);
            let (nonce, _) = challenger.issue(WHOM, step.to_be_bytes(), now);
            let open = challenger.check(WHOM, &nonce, now).unwrap();
            challenger.use_up(open, now).unwrap();
        }
        assert!(challenger.lock().len() <= 7);
    }
}

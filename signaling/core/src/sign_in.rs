//! Signing in by challenge, and knowing a device again by its token.

use std::time::{Duration, SystemTime};

use ed25519_dalek::{Signature, VerifyingKey};
use latchkey_api::audit::AuditKind;
use latchkey_api::auth::{Challenge, ChallengeRequest, ROOT_DEVICE, SignIn, SignedIn, signing_input};
use latchkey_api::encoding::{ByteString, to_text};
use latchkey_api::id::{DeviceId, HouseholdId};
use sha2::{Digest as _, Sha256};

use crate::audit::AuditEntry;
use crate::challenge::{ChallengeFor, StaleNonce};
use crate::clock::{unix_millis, unix_seconds};
use crate::signaling::{Bearer, Caller, Signaling};
use crate::store::{NewSession, Store, StoreError};

/// How long a session token lasts.
pub const SESSION_LIFETIME: Duration = Duration::from_secs(3600);
/// How many sessions a device may have at once; the oldest give way.
pub const SESSIONS_PER_DEVICE: u32 = 16;

impl<S: Store> Signaling<S> {
    /// A challenge for the device named in the request, whether it exists or not. `random` must be fresh.
    #[must_use]
    pub fn challenge(
        &self,
        request: &ChallengeRequest,
        audience: &str,
        random: [u8; 8],
        now: SystemTime,
    ) -> Challenge {
        let whom = ChallengeFor { audience, household: request.household, device: request.device };
        let (nonce, until) = self.challenger.issue(whom, random, now);
        Challenge {
            nonce: ByteString(nonce.to_vec()),
            audience: audience.to_owned(),
            expires_at: unix_seconds(until),
        }
    }

    /// Takes the answer to a challenge and returns a session token made of `random`, which must be fresh.
    ///
    /// # Errors
    /// [`SignInRefused`]; unknown devices look like wrong signatures.
    pub async fn sign_in(
        &self,
        request: &SignIn,
        audience: &str,
        random: [u8; 32],
        now: SystemTime,
    ) -> Result<SignedIn, SignInRefused> {
        let SignIn { household, device, .. } = *request;
        let whom = ChallengeFor { audience, household, device };
        let nonce = self.challenger.check(whom, request.nonce.as_slice(), now)?;
        let listed = self.bearer_named(household, device, now).await?;
        let key = listed.as_ref().map_or(NOBODY, Bearer::public_key);
        let input = signing_input(audience, &household, &device, request.nonce.as_slice());
        if !is_signed(&key, &input, request.signature.as_slice()) || listed.is_none() {
            return Err(SignInRefused::Failed);
        }
        self.challenger.use_up(nonce, now)?;
        let until = now + SESSION_LIFETIME;
        let token = to_text(&random);
        let session =
            NewSession { token_hash: hash_of(&token), household, device, expires_ms: unix_millis(until) };
        let audit = AuditEntry {
            kind: AuditKind::SignedIn,
            actor: (device != ROOT_DEVICE).then_some(device),
            subject: None,
            detail: 0,
            at_ms: unix_millis(now),
        };
        self.store.put_session(session, SESSIONS_PER_DEVICE, audit).await?;
        Ok(SignedIn { token, expires_at: unix_seconds(until) })
    }

    /// Whose token this is; a device must be on the present list and its entry valid.
    ///
    /// # Errors
    /// [`NotSignedIn`].
    pub async fn authenticate(&self, token: &str, now: SystemTime) -> Result<Bearer, NotSignedIn> {
        let session = self.store.session(hash_of(token), unix_millis(now)).await?;
        let (household, device) = session.ok_or(NotSignedIn::Unknown)?;
        self.bearer_named(household, device, now).await?.ok_or(NotSignedIn::Unknown)
    }

    /// The same caller by the household's present list; `None` when it is not on it any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renewed(&self, caller: &Caller, now: SystemTime) -> Result<Option<Caller>, StoreError> {
        let present = self.directory.present(&self.store, caller.household_id()).await?;
        Ok(present.and_then(|household| Caller::new(household, caller.device(), now)))
    }

    async fn bearer_named(
        &self,
        household: HouseholdId,
        device: DeviceId,
        now: SystemTime,
    ) -> Result<Option<Bearer>, StoreError> {
        let present = self.directory.present(&self.store, household).await?;
        Ok(present.and_then(|household| match device {
            ROOT_DEVICE => Some(Bearer::Root(household)),
            device => Caller::new(household, device, now).map(Bearer::Device),
        }))
    }
}

impl Bearer {
    /// The Ed25519 key with which it signs.
    pub(crate) fn public_key(&self) -> [u8; 32] {
        match self {
            Self::Device(caller) => caller.entry().mls_public,
            Self::Root(household) => *household.root_public(),
        }
    }
}

/// Why signing in failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignInRefused {
    /// The caller's: stale nonce, unknown device or wrong signature; not said which.
    #[error("signing in failed: ask for a new challenge and sign it with the key of the device list")]
    Failed,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<StaleNonce> for SignInRefused {
    fn from(_: StaleNonce) -> Self {
        Self::Failed
    }
}

/// Why a token is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSignedIn {
    /// The caller's: unknown or expired token, or the device is off the list.
    #[error("the token is unknown or over: sign in")]
    Unknown,
    /// Ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A token at rest: nobody who reads the store can use it.
fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

pub(crate) fn is_signed(key: &[u8; 32], input: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(key) else { return false };
    let Ok(signature) = Signature::from_slice(signature) else { return false };
    key.verify_strict(input, &signature).is_ok()
}

/// A key nobody holds (the base point), so that an unknown device costs as much time as a known one.
const NOBODY: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

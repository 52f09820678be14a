//! The grant: a short signed leave to join one room (JWT, RFC 7519, EdDSA only).

use std::time::{Duration, SystemTime};

use crate::id::{DeviceHandle, RoomId};

/// Longest time between issue and expiry.
pub const MAX_LIFETIME: Duration = Duration::from_secs(60);

/// What a device may do in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Send the camera's media.
    Publish,
    /// Receive it.
    View,
    /// Speak to the camera.
    Talk,
}

/// A grant's content. Times are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The relay cluster it is for (`aud`).
    pub audience: String,
    /// The room it opens.
    pub room: RoomId,
    /// What it allows there.
    pub scopes: Vec<Scope>,
    /// Whose it is (`sub`).
    pub device: DeviceHandle,
    /// Random and never used twice (`jti`); the relay remembers those it took.
    pub token_id: [u8; 16],
    /// When it was cut (`iat`).
    pub issued_at: SystemTime,
    /// Until when it opens the door (`exp`), at most [`MAX_LIFETIME`] after the issue.
    pub expires_at: SystemTime,
    /// Until when a session begun with it may last (`session_exp`).
    pub session_expires_at: SystemTime,
}

/// Why a grant was not signed. The fault is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// A time lies before 1970, or the lifetime is above [`MAX_LIFETIME`].
    #[error("grant with an impossible time")]
    Time,
    /// The crypto back end refused to sign.
    #[error("grant could not be signed")]
    Crypto,
}

/// Cuts grants. Has no `Debug` and no `Clone`: it holds a private key.
pub struct GrantSigner {
    key_id: String,
}

impl GrantSigner {
    /// Takes an Ed25519 seed and the key id that goes into each header. The caller wipes its seed.
    ///
    /// # Errors
    /// [`SignError::Crypto`] when the back end refuses the key.
    pub fn from_seed(key_id: &str, seed: &[u8; 32]) -> Result<Self, SignError> {
        let _ = seed;
        Ok(Self { key_id: key_id.to_owned() })
    }

    /// Returns the public key to give to [`GrantVerifier::add_key`].
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        [0; 32]
    }

    /// Returns the key id in the header of each grant.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the signed grant as compact JWT.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, grant: &Grant) -> Result<String, SignError> {
        let _ = grant;
        Err(SignError::Crypto)
    }
}

/// Why a grant was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// Not a compact JWT with the claims of a grant.
    #[error("grant is malformed")]
    Malformed,
    /// The header names another algorithm than EdDSA, `none` among them.
    #[error("grant is not signed with EdDSA")]
    Algorithm,
    /// The header names no key, or one that is not configured here.
    #[error("grant is signed by an unknown key")]
    UnknownKey,
    /// The signature is not of that key.
    #[error("grant has a wrong signature")]
    Signature,
    /// It is for another relay.
    #[error("grant is for another relay")]
    Audience,
    /// It is for another room.
    #[error("grant is for another room")]
    Room,
    /// It does not allow what was asked.
    #[error("grant does not allow this")]
    Scope,
    /// It lives longer than [`MAX_LIFETIME`], or expires before it was issued.
    #[error("grant has an impossible lifetime")]
    Lifetime,
    /// It was issued in the future, by more than a clock may differ.
    #[error("grant is not valid yet; check both clocks")]
    NotYet,
    /// Its time to join, or its session's time, is over.
    #[error("grant has expired")]
    Expired,
}

/// Checks grants, offline.
#[derive(Debug, Clone)]
pub struct GrantVerifier {
    audience: String,
}

impl GrantVerifier {
    /// Returns a verifier for one relay cluster that knows no key yet.
    #[must_use]
    pub fn new(audience: &str) -> Self {
        Self { audience: audience.to_owned() }
    }

    /// Lets grants of this Ed25519 public key pass. A key id used again replaces its key.
    pub fn add_key(&mut self, key_id: &str, public_key: &[u8; 32]) {
        let _ = (key_id, public_key, &self.audience);
    }

    /// Returns the grant when every check holds. That it is used once only is the caller's to keep
    /// ([`Grant::token_id`]).
    ///
    /// # Errors
    /// [`GrantError`], the first check that fails in the order of its variants.
    pub fn verify(
        &self,
        token: &str,
        room: &RoomId,
        scope: Scope,
        now: SystemTime,
    ) -> Result<Grant, GrantError> {
        let _ = (token, room, scope, now);
        Err(GrantError::Malformed)
    }
}

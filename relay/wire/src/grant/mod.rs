//! The grant: a short signed leave to join one room (JWT, RFC 7519; EdDSA by RFC 8037 only).
//!
//! ```text
//! header  {"typ":"JWT","alg":"EdDSA","kid":"<key id>"}
//! claims  {"aud":"<relay cluster>","room":"<22 chars>","scope":["view"],"sub":"<22 chars>","jti":"<22 chars>",
//!          "iat":<seconds>,"exp":<at most iat + 60>,"session_exp":<seconds>}
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::id::{self, DeviceHandle, RoomId};

#[cfg(test)]
mod tests;

/// Longest time between issue and expiry.
pub const MAX_LIFETIME: Duration = Duration::from_secs(60);

/// By how much the clock of who signs may run ahead of the relay's.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// What a device may do in the room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

/// Cuts grants. Has no `Debug` and no `Clone`: it holds a private key, which is wiped when it goes.
pub struct GrantSigner {
    key_id: String,
    key: EncodingKey,
    public_key: [u8; 32],
}

impl GrantSigner {
    /// Takes an Ed25519 seed and the key id that goes into each header. The caller wipes its seed.
    ///
    /// # Errors
    /// [`SignError::Crypto`] when the back end refuses the key.
    pub fn from_seed(key_id: &str, seed: &[u8; 32]) -> Result<Self, SignError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| SignError::Crypto)?;
        let public_key = pair.public_key().as_ref().try_into().map_err(|_| SignError::Crypto)?;
        let mut document = Zeroizing::new([0; PKCS8_HEAD.len() + 32]);
        document[..PKCS8_HEAD.len()].copy_from_slice(&PKCS8_HEAD);
        document[PKCS8_HEAD.len()..].copy_from_slice(seed);
        Ok(Self { key_id: key_id.to_owned(), key: EncodingKey::from_ed_der(&*document), public_key })
    }

    /// Returns the public key to give to [`GrantVerifier::add_key`].
    #[must_use]
    pub const fn public_key(&self) -> [u8; 32] {
        self.public_key
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
        let claims = Claims::from_grant(grant)?;
        if !has_possible_lifetime(claims.iat, claims.exp) {
            return Err(SignError::Time);
        }
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.key_id.clone());
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|_| SignError::Crypto)
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
    /// It was issued in the future, by more than [`CLOCK_TOLERANCE`].
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
    /// By key id; an installation has one or two.
    keys: Vec<(String, DecodingKey)>,
}

impl GrantVerifier {
    /// Returns a verifier for one relay cluster that knows no key yet.
    #[must_use]
    pub fn new(audience: &str) -> Self {
        Self { audience: audience.to_owned(), keys: Vec::new() }
    }

    /// Lets grants of this Ed25519 public key pass. A key id used again replaces its key.
    pub fn add_key(&mut self, key_id: &str, public_key: &[u8; 32]) {
        self.keys.retain(|(known, _)| known != key_id);
        self.keys.push((key_id.to_owned(), DecodingKey::from_ed_der(public_key)));
    }

    /// Returns the grant when every check holds. That it is used once only is the caller's to keep
    /// ([`Grant::token_id`]).
    ///
    /// # Errors
    /// [`GrantError`], the first check that fails in the order of its variants. Nothing a token says is looked at
    /// before its signature holds, but which algorithm and key it names.
    pub fn verify(
        &self,
        token: &str,
        room: &RoomId,
        scope: Scope,
        now: SystemTime,
    ) -> Result<Grant, GrantError> {
        let claims = self.open(token)?;
        let possible_lifetime = has_possible_lifetime(claims.iat, claims.exp);
        let grant = claims.into_grant()?;
        let checks = [
            (grant.audience == self.audience, GrantError::Audience),
            (grant.room == *room, GrantError::Room),
            (grant.scopes.contains(&scope), GrantError::Scope),
            (possible_lifetime, GrantError::Lifetime),
            (grant.issued_at <= now + CLOCK_TOLERANCE, GrantError::NotYet),
            (grant.expires_at > now && grant.session_expires_at > now, GrantError::Expired),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, error)) => Err(error),
            None => Ok(grant),
        }
    }

    /// Checks form, algorithm, key and signature.
    fn open(&self, token: &str) -> Result<Claims, GrantError> {
        if token.len() > MAX_TOKEN_LEN || token.matches('.').count() != 2 {
            return Err(GrantError::Malformed);
        }
        let header = HeaderView::read(token).ok_or(GrantError::Malformed)?;
        if header.alg != "EdDSA" {
            return Err(GrantError::Algorithm);
        }
        // RFC 7515 section 4.1.11: an extension that must be understood and is not.
        if header.crit.is_some() {
            return Err(GrantError::Malformed);
        }
        let key_id = header.kid.ok_or(GrantError::UnknownKey)?;
        let key = self.keys.iter().find_map(|(known, key)| (*known == key_id).then_some(key));
        let key = key.ok_or(GrantError::UnknownKey)?;
        // The library's own checks of time would ask the clock, and those of the audience have one error for two.
        let mut checks = Validation::new(Algorithm::EdDSA);
        checks.required_spec_claims.clear();
        checks.validate_exp = false;
        checks.validate_aud = false;
        match jsonwebtoken::decode::<Claims>(token, key, &checks) {
            Ok(token) => Ok(token.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature | ErrorKind::InvalidEddsaKey => GrantError::Signature,
                _ => GrantError::Malformed,
            }),
        }
    }
}

/// What the header says, whatever algorithm it names.
#[derive(Deserialize)]
struct HeaderView {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl HeaderView {
    fn read(token: &str) -> Option<Self> {
        let (header, _) = token.split_once('.')?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()
    }
}

/// The claims as they stand in the token, times in seconds since the Unix epoch.
#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    room: RoomId,
    scope: Vec<Scope>,
    sub: DeviceHandle,
    jti: String,
    iat: u64,
    exp: u64,
    session_exp: u64,
}

impl Claims {
    fn from_grant(grant: &Grant) -> Result<Self, SignError> {
        let seconds = |time: SystemTime| {
            time.duration_since(UNIX_EPOCH).map(|age| age.as_secs()).map_err(|_| SignError::Time)
        };
        Ok(Self {
            aud: grant.audience.clone(),
            room: grant.room,
            scope: grant.scopes.clone(),
            sub: grant.device,
            jti: URL_SAFE_NO_PAD.encode(grant.token_id),
            iat: seconds(grant.issued_at)?,
            exp: seconds(grant.expires_at)?,
            session_exp: seconds(grant.session_expires_at)?,
        })
    }

    fn into_grant(self) -> Result<Grant, GrantError> {
        let time =
            |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).ok_or(GrantError::Malformed);
        Ok(Grant {
            audience: self.aud,
            room: self.room,
            scopes: self.scope,
            device: self.sub,
            token_id: id::decode(&self.jti).map_err(|_| GrantError::Malformed)?,
            issued_at: time(self.iat)?,
            expires_at: time(self.exp)?,
            session_expires_at: time(self.session_exp)?,
        })
    }
}

fn has_possible_lifetime(iat: u64, exp: u64) -> bool {
    (1..=MAX_LIFETIME.as_secs()).contains(&exp.saturating_sub(iat))
}

/// PKCS#8 v1 (RFC 8410 section 7) up to the seed.
const PKCS8_HEAD: [u8; 16] =
    [0x30, 0x2E, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// A grant has about 400 bytes.
const MAX_TOKEN_LEN: usize = 2048;

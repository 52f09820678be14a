//! What an intruder makes of a real grant: each a request that must be refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_wire::grant::{Grant, GrantSigner, Scope};
use latchkey_wire::id::{DeviceHandle, RoomId};
use serde_json::Value;
use url::Url;
use zeroize::Zeroizing;

use crate::fleet::intruder::RealGrant;

/// A kind of request that must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Trick {
    /// No grant at all.
    NoGrant,
    /// Something that is no grant.
    Noise,
    /// The claims of a real grant, signed by the intruder under the server's key id.
    ForgedSignature,
    /// The claims of a real grant, not signed (`alg: none`).
    NoSignature,
    /// A real grant for another room, its signature kept.
    ChangedClaims,
    /// A real grant at another room's door.
    OtherRoom,
    /// A real grant to view at the door where cameras publish.
    WrongScope,
    /// A real grant that opened a session before.
    UsedTwice,
    /// A real grant whose minute is over.
    Expired,
}

impl Trick {
    /// All of them, in the order in which they take turns.
    pub const ALL: [Self; 9] = [
        Self::NoGrant,
        Self::Noise,
        Self::ForgedSignature,
        Self::NoSignature,
        Self::ChangedClaims,
        Self::OtherRoom,
        Self::WrongScope,
        Self::UsedTwice,
        Self::Expired,
    ];

    /// Returns its name, as reports tell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoGrant => "no grant",
            Self::Noise => "noise",
            Self::ForgedSignature => "forged signature",
            Self::NoSignature => "no signature",
            Self::ChangedClaims => "changed claims",
            Self::OtherRoom => "other room",
            Self::WrongScope => "wrong scope",
            Self::UsedTwice => "used twice",
            Self::Expired => "expired",
        }
    }
}

/// A request at the door.
pub(crate) struct Request {
    pub(crate) url: Url,
    pub(crate) bearer: Option<Zeroizing<String>>,
}

impl RealGrant {
    /// Returns the request that a trick makes of this grant; `None` when it cannot be made of it. Of
    /// [`Trick::UsedTwice`] and [`Trick::Expired`] this is the grant as it is: that it was used, or is over, is the caller's.
    pub(crate) fn turned(&self, trick: Trick) -> Option<Request> {
        let (url, bearer) = (self.url.clone(), Some(self.bearer.clone()));
        match trick {
            Trick::UsedTwice | Trick::Expired => Some(Request { url, bearer }),
            Trick::NoGrant => Some(Request { url, bearer: None }),
            Trick::Noise => Some(Request { url, bearer: Some(Zeroizing::new(noise())) }),
            Trick::ForgedSignature => Some(Request { url, bearer: Some(self.forged()?) }),
            Trick::NoSignature => Some(Request { url, bearer: Some(self.unsigned()?) }),
            Trick::ChangedClaims => self.changed(),
            Trick::OtherRoom => Some(Request { url: elsewhere(&self.url, random_room())?, bearer }),
            Trick::WrongScope => Some(Request { url: publishing(&self.url)?, bearer }),
        }
    }

    /// Whether its time to open a door is over, by more than any clock is wrong.
    pub(crate) fn is_over(&self, now: SystemTime) -> Option<bool> {
        let expires = UNIX_EPOCH + Duration::from_secs(self.part(1)?["exp"].as_u64()?);
        Some(now > expires + CLOCKS_DIFFER)
    }

    fn forged(&self) -> Option<Zeroizing<String>> {
        let (header, claims) = (self.part(0)?, self.part(1)?);
        let time = |name: &str| Some(UNIX_EPOCH + Duration::from_secs(claims[name].as_u64()?));
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).ok()?;
        let signer = GrantSigner::from_seed(header["kid"].as_str()?, &seed).ok()?;
        let grant = Grant {
            audience: claims["aud"].as_str()?.to_owned(),
            room: claims["room"].as_str()?.parse().ok()?,
            scopes: vec![Scope::View],
            device: DeviceHandle::new(random()),
            token_id: random(),
            issued_at: time("iat")?,
            expires_at: time("exp")?,
            session_expires_at: time("session_exp")?,
        };
        signer.sign(&grant).ok().map(Zeroizing::new)
    }

    fn unsigned(&self) -> Option<Zeroizing<String>> {
        let mut header = self.part(0)?;
        header["alg"] = "none".into();
        let claims = self.bearer.split('.').nth(1)?;
        Some(Zeroizing::new(format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(header.to_string()))))
    }

    fn changed(&self) -> Option<Request> {
        let room = random_room();
        let mut claims = self.part(1)?;
        claims["room"] = room.to_string().into();
        let mut parts = self.bearer.split('.');
        let (header, _, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let bearer = Zeroizing::new(format!("{header}.{claims}.{signature}"));
        Some(Request { url: elsewhere(&self.url, room)?, bearer: Some(bearer) })
    }

    /// Header (0) or claims (1).
    fn part(&self, index: usize) -> Option<Value> {
        let part = self.bearer.split('.').nth(index)?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    }
}

/// The same door of another room.
fn elsewhere(url: &Url, room: RoomId) -> Option<Url> {
    let mut url = url.clone();
    url.path_segments_mut().ok()?.pop().push(&room.to_string());
    Some(url)
}

/// The door where a camera publishes into the same room.
fn publishing(url: &Url) -> Option<Url> {
    let mut url = url.clone();
    let room = url.path_segments()?.next_back()?.to_owned();
    url.path_segments_mut().ok()?.pop().pop().push("whip").push(&room);
    Some(url)
}

/// Text of the length and the letters of a grant.
fn noise() -> String {
    let bytes: Vec<u8> = (0..18).flat_map(|_| random::<16>()).collect();
    let text = URL_SAFE_NO_PAD.encode(bytes);
    format!("{}.{}.{}", &text[..60], &text[60..300], &text[300..])
}

fn random_room() -> RoomId {
    RoomId::new(random())
}

/// Where the system gives no randomness, an intruder is one without.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let _ = getrandom::fill(&mut bytes);
    bytes
}

const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

//! What the two sides of a check know each other by (RFC 8445 section 5.3), and how STUN signs with it.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// User fragment and password of one side.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) ufrag: String,
    pub(crate) pwd: Zeroizing<String>,
}

impl Credentials {
    /// Draws new ones. The first character of the user fragment names the shard, the rest is random: 42 bits of user
    /// fragment and 144 bits of password (RFC 8445 section 5.3 wants 24 and 128).
    pub(crate) fn random(shard: usize) -> Result<Self, getrandom::Error> {
        let mut random = Zeroizing::new([0; UFRAG - 1 + PASSWORD]);
        getrandom::fill(&mut random[..])?;
        let mut characters = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 63)]));
        let mut ufrag = String::from(char::from(ALPHABET[shard]));
        ufrag.extend(characters.by_ref().take(UFRAG - 1));
        Ok(Self { ufrag, pwd: Zeroizing::new(characters.collect()) })
    }
}

/// The shard that a user fragment of ours names; `None` when it is not one of ours.
pub(crate) fn shard_of(ufrag: &str) -> Option<usize> {
    let first = ufrag.bytes().next()?;
    ALPHABET.iter().position(|character| *character == first)
}

/// What STUN signs with (RFC 8489 section 14.5).
pub(crate) fn hmac_sha1(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 20];
    out.copy_from_slice(context.sign().as_ref());
    out
}

/// The characters that ICE allows (RFC 8839 section 5.4).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const UFRAG: usize = 8;
const PASSWORD: usize = 24;

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Credentials that are known by a name.
    pub(crate) fn credentials(name: &str) -> Credentials {
        Credentials {
            ufrag: name.to_owned(),
            pwd: Zeroizing::new(format!("password of {name}, long enough")),
        }
    }

    #[test]
    fn user_fragments_name_their_shard() {
        for shard in [0, 1, 25, 61] {
            let drawn = Credentials::random(shard).unwrap();
            assert_eq!(shard_of(&drawn.ufrag), Some(shard));
            assert_eq!((drawn.ufrag.len(), drawn.pwd.len()), (UFRAG, PASSWORD));
            assert_ne!(drawn.ufrag, Credentials::random(shard).unwrap().ufrag);
        }
        assert_eq!(shard_of("é"), None);
        assert_eq!(shard_of(""), None);
    }
}

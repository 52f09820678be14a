//! Invite codes of the operator: who brings one may register a household. The store keeps a hash, never the code.

use std::fmt;
use std::time::{Duration, SystemTime};

use latchkey_api::encoding::{from_text, to_text};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::clock::unix_millis;
use crate::store::{InviteUse, NewInvite, Store, StoreError};

/// Longest time in days that a code may be good for.
pub const MAX_DAYS: u32 = 365;
/// Most households that one code may register.
pub const MAX_USES: u32 = 10_000;

/// A code that lets its bearer register households.
///
/// ```text
/// base64url without padding of: name (4 bytes, by which the store finds it) | secret (16 bytes)
/// ```
pub struct InviteCode {
    name: [u8; 4],
    secret: Zeroizing<[u8; 16]>,
}

impl InviteCode {
    /// Makes a code of `random`, which must be fresh, and keeps its hash: good `uses` times, for `days`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn make<S: Store>(
        store: &S,
        random: [u8; 20],
        (uses, days): (u32, u32),
        now: SystemTime,
    ) -> Result<Self, StoreError> {
        let code = Self::of(&random);
        let until = now + Duration::from_secs(u64::from(days) * 24 * 3600);
        let new = NewInvite { name: code.name, hash: code.hash(), uses, expires_ms: unix_millis(until) };
        store.put_invite(new).await?;
        Ok(code)
    }

    /// Reads a code as somebody copied it: white space around it does not count. `None` when it cannot be one.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(from_text(text.trim()).ok()?);
        bytes.as_slice().try_into().ok().map(Self::of)
    }

    /// The code to be handed to somebody.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new([self.name.as_slice(), self.secret.as_slice()].concat());
        Zeroizing::new(to_text(&bytes))
    }

    pub(crate) fn use_at(&self, now: SystemTime) -> InviteUse {
        InviteUse { name: self.name, hash: self.hash(), at_ms: unix_millis(now) }
    }

    fn of(bytes: &[u8; 20]) -> Self {
        let (mut name, mut secret) = ([0; 4], Zeroizing::new([0; 16]));
        name.copy_from_slice(&bytes[..4]);
        secret.copy_from_slice(&bytes[4..]);
        Self { name, secret }
    }

    /// SHA-256("latchkey invite v1" || name || secret): 128 random bits need no slow hash.
    fn hash(&self) -> [u8; 32] {
        let hasher = Sha256::new().chain_update(b"latchkey invite v1").chain_update(self.name);
        hasher.chain_update(self.secret.as_slice()).finalize().into()
    }
}

impl fmt::Debug for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InviteCode").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_code_is_read_back_and_any_text_is_judged(bytes: [u8; 20], text: String) {
            let code = InviteCode::of(&bytes);
            let read = InviteCode::read(&format!(" {}\n", code.text().as_str())).unwrap();
            prop_assert_eq!((read.name, read.hash()), (code.name, code.hash()));
            let _ = InviteCode::read(&text);
        }
    }

    #[test]
    fn what_is_no_code_is_not_read() {
        let code = InviteCode::of(&[7; 20]).text();
        for bad in ["", "x", &code[1..], &format!("{}A", code.as_str()), &code.replace('B', "+")] {
            assert!(InviteCode::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn debug_and_hash_hide_the_code() {
        let code = InviteCode::of(&[7; 20]);
        assert_eq!(format!("{code:?}"), "InviteCode { .. }");
        assert!(!code.hash().windows(16).any(|window| window == [7; 16]));
    }
}

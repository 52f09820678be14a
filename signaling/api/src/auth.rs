//! Signing in: a device, or the household root, answers a single-use challenge with its key; no passwords exist.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::ByteString;
use crate::id::{DeviceId, HouseholdId};

/// `POST /v1/auth/challenge`: asks for a nonce to sign. Answered alike for unknown devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChallengeRequest {
    /// The household the device belongs to.
    pub household: HouseholdId,
    /// The device that wants to sign in; [`ROOT_DEVICE`] for the household root.
    pub device: DeviceId,
}

/// Reply to [`ChallengeRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Challenge {
    /// 32 random bytes, good for one answer.
    pub nonce: ByteString,
    /// Who is asking: the authority (`host` or `host:port`) of the server. The device signs only if it
    /// equals the authority of the URL it dialled ([`audience_of`]), so that a server in the middle
    /// cannot pass on another one's challenge.
    pub audience: String,
    /// Until when the nonce may be answered, in seconds since the Unix epoch (60 s from now).
    pub expires_at: u64,
}

/// `POST /v1/auth/session`: the signed nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The household of the challenge.
    pub household: HouseholdId,
    /// The device of the challenge.
    pub device: DeviceId,
    /// The nonce of the challenge.
    pub nonce: ByteString,
    /// Ed25519 (the device's MLS signature key, or the household root's) over [`signing_input`], 64 bytes.
    pub signature: ByteString,
}

/// Reply to [`SignIn`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedIn {
    /// Opaque bearer token for the `Authorization` header; never put it in a URL.
    pub token: String,
    /// When it ends, in seconds since the Unix epoch (1 h from now). Sign in again before.
    pub expires_at: u64,
}

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// The device id under which the household root signs in. Such a session reads lists, brings a list that the root signed,
/// and deletes the household; nothing else. No device can sign in under this id.
pub const ROOT_DEVICE: DeviceId = DeviceId([0; 16]);

/// The bytes a device signs to sign in:
/// `"latchkey auth v1" || 0x00 || audience || 0x00 || household || device || nonce`.
#[must_use]
pub fn signing_input(audience: &str, household: &HouseholdId, device: &DeviceId, nonce: &[u8]) -> Vec<u8> {
    bound_input(SIGN_IN, audience, (household, device), nonce)
}

/// The bytes an admin device or the root signs to delete its household:
/// `"latchkey delete v1" || 0x00 || audience || 0x00 || household || device || nonce`.
#[must_use]
pub fn deletion_input(audience: &str, household: &HouseholdId, device: &DeviceId, nonce: &[u8]) -> Vec<u8> {
    bound_input(DELETION, audience, (household, device), nonce)
}

fn bound_input(
    context: &[u8],
    audience: &str,
    (household, device): (&HouseholdId, &DeviceId),
    nonce: &[u8],
) -> Vec<u8> {
    let mut input = Vec::with_capacity(context.len() + audience.len() + 34 + nonce.len());
    input.extend_from_slice(context);
    input.push(0);
    input.extend_from_slice(audience.as_bytes());
    input.push(0);
    input.extend_from_slice(household.as_bytes());
    input.extend_from_slice(device.as_bytes());
    input.extend_from_slice(nonce);
    input
}

/// The audience of a server URL or `Host` header: its authority in lower case, without user part and
/// without the scheme's own port (`https://Cam.example:443/x` gives `cam.example`).
#[must_use]
pub fn audience_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    let own_port = match scheme.to_ascii_lowercase().as_str() {
        "http" | "ws" => ":80",
        "https" | "wss" => ":443",
        _ => return host,
    };
    host.strip_suffix(own_port).map_or(host.clone(), str::to_owned)
}

const SIGN_IN: &[u8] = b"latchkey auth v1";
const DELETION: &[u8] = b"latchkey delete v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_input_is_the_documented_concatenation() {
        let input = signing_input("h:1", &HouseholdId([1; 16]), &DeviceId([2; 16]), &[3; 32]);
        let expected = [b"latchkey auth v1\0h:1\0".as_slice(), &[1; 16], &[2; 16], &[3; 32]].concat();
        assert_eq!(input, expected);
        let input = deletion_input("h:1", &HouseholdId([1; 16]), &DeviceId([2; 16]), &[3; 32]);
        let expected = [b"latchkey delete v1\0h:1\0".as_slice(), &[1; 16], &[2; 16], &[3; 32]].concat();
        assert_eq!(input, expected);
    }

    #[test]
    fn audience_is_the_authority() {
        for (url, audience) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://Cam.Example:443/v1/x?y", "cam.example"),
            ("https://cam.example:8443", "cam.example:8443"),
            ("http://user@cam.example/", "cam.example"),
            ("ws://[::1]:80/", "[::1]"),
            ("cam.example:8080", "cam.example:8080"),
        ] {
            assert_eq!(audience_of(url), audience, "{url}");
        }
    }

    #[test]
    fn debug_hides_the_token() {
        let signed_in = SignedIn { token: "tok".into(), expires_at: 1 };
        assert!(!format!("{signed_in:?}").contains("tok"));
    }
}

//! Errors on the wire: RFC 9457 problem documents with stable codes that say what to do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Media type of an error body.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// Body of every error reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:latchkey:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// One fixed sentence per code.
    pub title: String,
    /// The HTTP status, repeated.
    pub status: u16,
    /// What is wrong with this request and what to do. Never carries an id, a token or key bytes.
    pub detail: String,
    /// The stable code.
    pub code: ProblemCode,
}

impl Problem {
    /// The problem of this code with this explanation.
    #[must_use]
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:latchkey:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: detail.into(),
            code,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $text:literal $status:literal $title:literal;)*) => {
        /// What went wrong, stable across versions. A code this version does not know reads as
        /// [`ProblemCode::Unknown`]; then the HTTP status says how to go on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[non_exhaustive]
        pub enum ProblemCode {
            $(
                $(#[$doc])*
                #[serde(rename = $text)]
                $name,
            )*
            /// A code of a later version.
            #[serde(other, rename = "unknown")]
            Unknown,
        }

        impl ProblemCode {
            /// Every code of this version.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it stands in `code` and at the end of `type`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Unknown => "unknown",
                }
            }

            /// The HTTP status it comes with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                    Self::Unknown => 500,
                }
            }

            /// One sentence for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                    Self::Unknown => "An error this version does not know",
                }
            }
        }
    };
}

codes! {
    /// The body is not the JSON this route takes, or a path or query part cannot be read.
    BadRequest "bad-request" 400 "The request cannot be read";
    /// An MLS message is not framed as RFC 9420 section 6 says, or of a kind the route does not carry.
    BadMessage "bad-message" 400 "The MLS message cannot be read";
    /// The nonce is unknown, used, or too old, or the signature does not fit; also for unknown devices.
    SignInFailed "sign-in-failed" 401 "Signing in failed";
    /// No token, or one that is unknown, expired, or of a device that the list no longer has.
    NotSignedIn "not-signed-in" 401 "Sign in first";
    /// The signed list does not give this device that right.
    Forbidden "forbidden" 403 "The signed list does not allow this";
    /// A list's signer may not sign it (RFC: neither root nor an admin of the list before).
    ListSignerNotAllowed "list-signer-not-allowed" 403 "The signer may not sign this list";
    /// The operator lets households in by invite code only, and the request has none.
    InviteCodeNeeded "invite-code-needed" 403 "This server asks for an invite code";
    /// The invite code is unknown, used up, or too old; not said which.
    InviteCodeRefused "invite-code-refused" 403 "The invite code is not good";
    /// There is no such route, device, camera, key package, or welcome for this caller.
    NotFound "not-found" 404 "Not there";
    /// The route is there, but not with this method.
    MethodNotAllowed "method-not-allowed" 405 "This route does not take that method";
    /// The device has published no key package.
    NoKeyPackage "no-key-package" 404 "The device has left no key package";
    /// Another commit already ended this epoch: read the messages after yours and start over from them.
    EpochTaken "epoch-taken" 409 "Another commit won this epoch";
    /// The commit's epoch is neither the present one nor the first of a new group.
    EpochNotCurrent "epoch-not-current" 409 "The commit is not for the present epoch";
    /// Another list already has this version: read it and sign the next one.
    ListVersionTaken "list-version-taken" 409 "Another list won this version";
    /// This household is already registered.
    HouseholdExists "household-exists" 409 "The household is already registered";
    /// The body is larger than 64 KiB, or a part of it larger than its own bound.
    TooLarge "too-large" 413 "The request is too large";
    /// The body is not `application/json`.
    UnsupportedMediaType "unsupported-media-type" 415 "Send JSON";
    /// The `Host` of the request is not this server's public URL.
    WrongAudience "wrong-audience" 421 "This server answers under another name";
    /// The list is malformed, unsigned, or does not follow the one before.
    ListInvalid "list-invalid" 422 "The device list is not valid";
    /// The message names another group or epoch than the route or body says.
    MessageMismatch "message-mismatch" 422 "The message is not for this place";
    /// A bound is reached (key packages per device, messages per mailbox, welcomes per device).
    LimitReached "limit-reached" 422 "A limit is reached";
    /// Too many requests: wait as long as `Retry-After` says.
    RateLimited "rate-limited" 429 "Too many requests";
    /// The server failed; the request may be sent again.
    Internal "internal" 500 "The server failed";
    /// The server or its relay is not ready, is shutting down, or its store is busy: try again soon.
    Unavailable "unavailable" 503 "Not available just now";
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_distinct_and_round_trip() {
        let mut seen = HashSet::new();
        for &code in ProblemCode::ALL {
            assert!(seen.insert(code.as_str()));
            assert!((400..600).contains(&code.status()));
            let json = serde_json::to_string(&code).unwrap();
            assert_eq!(json, format!("\"{}\"", code.as_str()));
            assert_eq!(serde_json::from_str::<ProblemCode>(&json).unwrap(), code);
        }
    }

    #[test]
    fn a_later_code_reads_as_unknown() {
        assert_eq!(serde_json::from_str::<ProblemCode>("\"brand-new\"").unwrap(), ProblemCode::Unknown);
    }

    #[test]
    fn body_has_the_five_members() {
        let json = serde_json::to_value(Problem::new(ProblemCode::EpochTaken, "read on")).unwrap();
        assert_eq!(json["type"], "urn:latchkey:problem:epoch-taken");
        assert_eq!(json["status"], 409);
        assert_eq!(json["code"], "epoch-taken");
        assert_eq!(json["detail"], "read on");
        assert_eq!(json["title"], "Another commit won this epoch");
    }
}

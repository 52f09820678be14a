//! Refusals at the door as RFC 9457 problem documents: one table of stable codes, each with its status.
//!
//! `relay/docs/doors.md` lists the same codes for people; a test keeps the two equal.

mod refusal;

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request was refused, ready to be sent. Never names an id, a grant or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: ProblemCode,
    detail: String,
    reason: Option<&'static str>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem of this code; `detail` says what is wrong here and what to do.
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), reason: None, retry_after: None }
    }

    /// Adds the member `reason`, a word that programs may compare.
    pub(crate) fn with_reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds `Retry-After`, in whole seconds.
    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": format!("urn:latchkey:problem:{}", self.code.as_str()),
            "title": self.code.title(),
            "status": self.code.status(),
            "detail": self.detail,
            "code": self.code.as_str(),
        });
        if let Some(reason) = self.reason {
            body["reason"] = reason.into();
        }
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        response
    }
}

macro_rules! codes {
    ($($name:ident $text:literal $status:literal $title:literal;)*) => {
        /// What went wrong at the door, stable across versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum ProblemCode {
            $(#[doc = $title] $name,)*
        }

        impl ProblemCode {
            /// Every code, in the order of its status.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as it stands in `code` and at the end of `type`.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// The HTTP status it comes with.
            pub(crate) const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }

            /// One sentence for people.
            pub(crate) const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }
        }
    };
}

codes! {
    BadRequest "bad-request" 400 "The request cannot be read";
    SdpMalformed "sdp-malformed" 400 "The body is not an SDP offer";
    FragmentMalformed "fragment-malformed" 400 "The body is not an SDP fragment";
    GrantMissing "grant-missing" 401 "A grant is needed";
    GrantInvalid "grant-invalid" 401 "The grant is not one of this relay's signers";
    GrantExpired "grant-expired" 401 "The grant is not valid now";
    GrantUsed "grant-used" 401 "The grant has been used";
    GrantOtherRoom "grant-other-room" 403 "The grant is for another room";
    GrantScope "grant-scope" 403 "The grant does not allow this";
    DeviceCut "device-cut" 403 "The device has been cut off";
    NotFound "not-found" 404 "There is no such route or room name";
    NoSession "no-session" 404 "There is no such session";
    MethodNotAllowed "method-not-allowed" 405 "This route does not take that method";
    NoCommonCodec "no-common-codec" 406 "The offer has no codec that fits";
    RequestTimeout "request-timeout" 408 "The body did not arrive in time";
    NoPublisher "no-publisher" 409 "Nobody publishes into this room now";
    RoomTaken "room-taken" 409 "Another device publishes into this room";
    FramesNotSealed "frames-not-sealed" 410 "The media is not end-to-end encrypted";
    SessionEnded "session-ended" 410 "The session has ended";
    EtagMismatch "etag-mismatch" 412 "The session has restarted ICE since";
    TooLarge "too-large" 413 "The body is too large";
    UnsupportedMediaType "unsupported-media-type" 415 "The body has the wrong media type";
    SdpUnusable "sdp-unusable" 422 "The SDP offer lacks what the relay needs";
    EtagMissing "etag-missing" 428 "If-Match is needed";
    DeviceLimit "device-limit" 429 "The device has too many sessions";
    Internal "internal" 500 "The relay failed";
    Draining "draining" 503 "The relay is stopping";
    RelayFull "relay-full" 503 "The relay or the room is full";
    Unavailable "unavailable" 503 "The relay does not answer just now";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_distinct_and_have_a_status() {
        let mut seen = HashSet::new();
        for &code in ProblemCode::ALL {
            assert!(seen.insert(code.as_str()), "{} twice", code.as_str());
            assert!((400..600).contains(&code.status()));
            assert!(!code.title().ends_with('.'));
        }
    }

    #[test]
    fn the_guide_lists_exactly_these_codes() {
        let guide = include_str!("../../docs/doors.md");
        let listed: Vec<(u16, &str)> = guide
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
            .filter_map(|(code, rest)| Some((rest.split(" |").next()?.parse().ok()?, code)))
            .collect();
        let ours: Vec<(u16, &str)> =
            ProblemCode::ALL.iter().map(|code| (code.status(), code.as_str())).collect();
        assert_eq!(listed, ours);
    }
}

//! Reads what every request at the door has: the room, the session, the bearer, and a body within bounds and in time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use latchkey_wire::id::RoomId;

use crate::problem::{Problem, ProblemCode};
use crate::shard::session_id::SessionId;

/// Whose tag an `If-Match` header names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum IfMatch {
    /// `*`: whatever the session's tag is now; an ICE restart (RFC 9725 section 4.3.3).
    Any,
    /// This tag, without its quotes.
    Tag(String),
}

pub(crate) fn room(text: &str) -> Result<RoomId, Problem> {
    text.parse().map_err(|error| {
        Problem::new(ProblemCode::NotFound, format!("the room in the URL is not one: {error}"))
    })
}

pub(crate) fn session(text: &str) -> Result<SessionId, Problem> {
    text.parse().map_err(|_| {
        Problem::new(
            ProblemCode::NoSession,
            "the session in the URL is not one: use the Location as it was given",
        )
    })
}

/// The bearer of the `Authorization` header (RFC 6750 section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

pub(crate) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    let missing = || {
        let detail = "send If-Match with the session's ETag to trickle, or If-Match: * to restart ICE";
        Problem::new(ProblemCode::EtagMissing, detail)
    };
    let value = headers.get(IF_MATCH).and_then(|value| value.to_str().ok()).ok_or_else(missing)?.trim();
    Ok(match value.trim_matches('"') {
        "*" => IfMatch::Any,
        tag => IfMatch::Tag(tag.to_owned()),
    })
}

/// Refuses a body of another type than `wanted`; parameters such as a charset do not matter.
pub(crate) fn expect_type(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    Err(Problem::new(ProblemCode::UnsupportedMediaType, format!("send Content-Type: {wanted}")))
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn body(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, limit)).await;
    let late = || {
        Problem::new(ProblemCode::RequestTimeout, format!("send the body within {} s", BODY_TIME.as_secs()))
    };
    let too_large =
        || Problem::new(ProblemCode::TooLarge, format!("the relay reads at most {limit} bytes here"));
    read.map_err(|_| late())?.map_err(|_| too_large())
}

const BODY_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, axum::http::HeaderValue::from_static(value))])
    }

    #[test]
    fn only_a_bearer_in_the_header_counts() {
        assert_eq!(bearer(&headers(AUTHORIZATION, "Bearer abc")), Some("abc"));
        assert_eq!(bearer(&headers(AUTHORIZATION, "bearer abc")), Some("abc"));
        assert_eq!(bearer(&headers(AUTHORIZATION, "Basic abc")), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn tags_are_read_with_and_without_quotes() {
        assert_eq!(if_match(&headers(IF_MATCH, "\"ice-0\"")), Ok(IfMatch::Tag("ice-0".to_owned())));
        assert_eq!(if_match(&headers(IF_MATCH, "*")), Ok(IfMatch::Any));
        assert_eq!(if_match(&headers(IF_MATCH, "\"*\"")), Ok(IfMatch::Any));
        assert_eq!(if_match(&HeaderMap::new()).unwrap_err().code, ProblemCode::EtagMissing);
    }
}

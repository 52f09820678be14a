//! The relay's HTTP door: an offer in, an answer back (RFC 9725 for WHIP, its sibling draft for WHEP).

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use serde::Deserialize;
use url::Url;

use crate::reach::{host_of, network_reason};
use crate::transport::{RelayDoor, TransportError};

/// What the relay gave back for an offer.
pub(super) struct Opened {
    /// The SDP answer.
    pub(super) answer: String,
    /// The session's own address; DELETE ends it.
    pub(super) session: Option<Url>,
}

/// Posts `offer` and returns the answer.
///
/// Fails with [`TransportError::Unreachable`] when nobody answers and with
/// [`TransportError::Refused`] when the relay says no.
pub(super) async fn open(
    http: &reqwest::Client,
    door: &RelayDoor,
    offer: String,
) -> Result<Opened, TransportError> {
    let response = http
        .post(door.url.clone())
        .header(AUTHORIZATION, bearer(door))
        .header(CONTENT_TYPE, "application/sdp")
        .timeout(ANSWER_LIMIT)
        .body(offer)
        .send()
        .await
        .map_err(|error| unreachable_door(&door.url, &error))?;
    let status = response.status();
    let session = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|location| door.url.join(location).ok());
    let body = response.text().await.map_err(|error| unreachable_door(&door.url, &error))?;
    if !status.is_success() {
        return Err(refusal(status.as_u16(), &body));
    }
    Ok(Opened { answer: body, session })
}

/// Tells the relay that the session is over. A relay that is gone needs no telling.
pub(super) async fn close(http: &reqwest::Client, session: &Url, door: &RelayDoor) {
    let told =
        http.delete(session.clone()).header(AUTHORIZATION, bearer(door)).timeout(CLOSE_LIMIT).send().await;
    if let Err(error) = told {
        tracing::debug!(reason = %error.without_url(), "could not end the relay session");
    }
}

fn bearer(door: &RelayDoor) -> String {
    format!("Bearer {}", door.grant.as_str())
}

fn unreachable_door(url: &Url, error: &reqwest::Error) -> TransportError {
    TransportError::Unreachable { host: host_of(url), reason: network_reason(error) }
}

fn refusal(status: u16, body: &str) -> TransportError {
    let problem: DoorProblem = serde_json::from_str(body).unwrap_or_default();
    TransportError::Refused {
        status,
        code: problem.code.unwrap_or_else(|| "http".to_owned()),
        detail: problem.detail.or(problem.title).unwrap_or_else(|| "no reason given".to_owned()),
    }
}

/// The members of an RFC 9457 problem that a client acts on.
#[derive(Default, Deserialize)]
struct DoorProblem {
    code: Option<String>,
    title: Option<String>,
    detail: Option<String>,
}

/// How long the relay may take to answer an offer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How long the goodbye may take.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_problem_keeps_its_code_and_sentence() {
        let error = refusal(
            409,
            r#"{"type":"about:blank","title":"No publisher","status":409,"detail":"the camera is not sending","code":"no-publisher"}"#,
        );
        assert!(error.is_no_publisher());
        assert_eq!(
            error.to_string(),
            "the relay refused: the camera is not sending (no-publisher, HTTP 409)"
        );
    }

    #[test]
    fn a_refusal_without_a_problem_still_says_its_status() {
        let error = refusal(401, "<html>");
        assert!(error.wants_new_grant());
        assert!(!error.is_no_publisher());
    }
}

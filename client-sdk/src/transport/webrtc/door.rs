//! The relay's HTTP door: an offer in, an answer back (RFC 9725 for WHIP, its sibling draft for WHEP).

use std::time::Duration;

use latchkey_household::reach::{host_of, network_reason};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use serde::Deserialize;
use url::Url;

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

/// Tells the relay how long the first picture took, for its operator's figures. One that does not want to know misses nothing.
pub(super) async fn tell_first_frame(http: &reqwest::Client, session: &Url, after: Duration) {
    let mut url = session.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.push("first-frame");
    }
    let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
    let body = serde_json::json!({ "after_ms": after_ms });
    if let Err(error) = http.post(url).timeout(CLOSE_LIMIT).json(&body).send().await {
        tracing::debug!(reason = %error.without_url(), "could not tell the relay of the first frame");
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
/// How long words to the relay that it may miss can take.
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

    #[tokio::test]
    async fn the_first_frame_is_told_at_the_session() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let session: Url =
            format!("http://{}/whep/room/session", listener.local_addr().unwrap()).parse().unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let telling = tell_first_frame(&http, &session, Duration::from_millis(81));
        let listening = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            while !request.ends_with('}') {
                let mut bytes = [0; 1024];
                let len = stream.read(&mut bytes).await.unwrap();
                assert!(len > 0, "{request}");
                request.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            request
        };
        let ((), request) = tokio::join!(telling, listening);
        assert!(request.starts_with("POST /whep/room/session/first-frame HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("application/json") && request.ends_with("{\"after_ms\":81}"), "{request}");
    }

    #[test]
    fn a_refusal_without_a_problem_still_says_its_status() {
        let error = refusal(401, "<html>");
        assert!(error.wants_new_grant());
        assert!(!error.is_no_publisher());
    }
}

//! The door to a relay, anybody's: an SDP offer goes in by HTTP and an answer comes back (WHIP, RFC 9725, and WHEP).

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION};
use serde::Deserialize;
use url::Url;

/// A client of WHIP and WHEP endpoints. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Door {
    http: reqwest::Client,
    limit: Duration,
}

/// What an endpoint gave back for an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The SDP answer.
    pub sdp: String,
    /// The session's own address, whole even where the server named it relatively; [`Door::delete`] ends it.
    pub resource: Option<Url>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DoorError {
    /// Nobody answers.
    #[error("nobody answers at {host} ({reason}): check the address and that the server runs")]
    Unreachable {
        /// Host and port that were tried.
        host: String,
        /// What the network said.
        reason: String,
    },
    /// The server is there, but gave no answer within 10 s.
    #[error("{host} gave no answer within {seconds} s: it is overloaded, or not the door that it should be")]
    TooSlow {
        /// Host and port that were asked.
        host: String,
        /// The limit.
        seconds: u64,
    },
    /// The server said no.
    #[error("the server refused: {detail} ({code}, HTTP {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The stable code where the server gives one (RFC 9457 with a code), else `http`.
        code: String,
        /// The server's own sentence, shortened.
        detail: String,
    },
    /// The server said yes, but what it said is no SDP.
    #[error("{host} answered, but not with SDP: is this a WHIP or WHEP address?")]
    NotSdp {
        /// Host and port that were asked.
        host: String,
    },
    /// No HTTP client can be had on this machine.
    #[error("no HTTP client can be had here: {0}")]
    NoClient(String),
    /// The grant cannot stand in a header.
    #[error("the bearer token has characters that no header may have")]
    BadBearer,
}

impl Door {
    /// Returns a client that goes to servers directly, whatever proxy the environment names.
    ///
    /// # Errors
    /// [`DoorError::NoClient`].
    pub fn new() -> Result<Self, DoorError> {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .no_proxy()
            // A storm of offers opens many connections; few of them are worth keeping.
            .pool_max_idle_per_host(IDLE)
            .build()
            .map_err(|error| DoorError::NoClient(error.to_string()))?;
        Ok(Self { http, limit: ANSWER_LIMIT })
    }

    /// Posts an offer that has all its candidates, and returns the answer.
    ///
    /// # Errors
    /// [`DoorError::Unreachable`], [`DoorError::TooSlow`] after 10 s, [`DoorError::Refused`], [`DoorError::NotSdp`],
    /// [`DoorError::BadBearer`].
    pub async fn post(&self, url: &Url, bearer: Option<&str>, offer: String) -> Result<Answer, DoorError> {
        let headers = headers(bearer)?;
        let request = self.http.post(url.clone()).timeout(self.limit).headers(headers);
        let request = request.header(CONTENT_TYPE, "application/sdp").body(offer);
        let response = request.send().await.map_err(|error| self.unanswered(url, &error))?;
        let status = response.status();
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        // Relative to the address that answered, which is another after a redirection.
        let resource = location.and_then(|location| response.url().join(location).ok());
        let body = response.text().await.map_err(|error| self.unanswered(url, &error))?;
        if !status.is_success() {
            return Err(refusal(status.as_u16(), &body));
        }
        if !body.trim_start().starts_with("v=0") {
            return Err(DoorError::NotSdp { host: host_of(url) });
        }
        Ok(Answer { sdp: body, resource })
    }

    /// Ends a session. One that is over already counts as ended.
    ///
    /// # Errors
    /// As [`Door::post`].
    pub async fn delete(&self, resource: &Url, bearer: Option<&str>) -> Result<(), DoorError> {
        let request = self.http.delete(resource.clone()).timeout(self.limit).headers(headers(bearer)?);
        let response = request.send().await.map_err(|error| self.unanswered(resource, &error))?;
        let status = response.status();
        if status.is_success() || matches!(status.as_u16(), 404 | 410) {
            return Ok(());
        }
        let body = response.text().await.map_err(|error| self.unanswered(resource, &error))?;
        Err(refusal(status.as_u16(), &body))
    }

    fn unanswered(&self, url: &Url, error: &reqwest::Error) -> DoorError {
        let host = host_of(url);
        if error.is_timeout() && !error.is_connect() {
            return DoorError::TooSlow { host, seconds: self.limit.as_secs() };
        }
        // The innermost cause says what happened; the error itself prints the whole address.
        let mut innermost: &dyn std::error::Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        let reason = if error.is_timeout() { "no reply in time".to_owned() } else { innermost.to_string() };
        DoorError::Unreachable { host, reason }
    }
}

impl DoorError {
    /// Returns the stable code of a refusal, where the server gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

fn headers(bearer: Option<&str>) -> Result<HeaderMap, DoorError> {
    let mut headers = HeaderMap::new();
    if let Some(bearer) = bearer {
        let text = zeroize::Zeroizing::new(format!("Bearer {bearer}"));
        let mut value = HeaderValue::from_str(&text).map_err(|_| DoorError::BadBearer)?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

fn refusal(status: u16, body: &str) -> DoorError {
    let problem: Problem = serde_json::from_str(body).unwrap_or_default();
    let said = problem.detail.or(problem.title).or(problem.error);
    let detail = said.unwrap_or_else(|| body.lines().next().unwrap_or_default().trim().to_owned());
    let detail = if detail.is_empty() || detail.starts_with('<') { "no reason given".into() } else { detail };
    DoorError::Refused {
        status,
        code: problem.code.unwrap_or_else(|| "http".to_owned()),
        detail: detail.chars().take(MAX_DETAIL).collect(),
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port_or_known_default().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// What of a refusal is read: the members of an RFC 9457 problem, and what other servers say instead.
#[derive(Default, Deserialize)]
struct Problem {
    code: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    error: Option<String>,
}

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a whole answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Connections to one server that are kept for the next offers.
const IDLE: usize = 64;
/// Characters of a server's sentence that are kept.
const MAX_DETAIL: usize = 200;

#[cfg(test)]
mod tests;

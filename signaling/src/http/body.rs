//! Reading what a request says: JSON bodies, path and query parts; each mistake becomes a problem.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use latchkey_api::problem::ProblemCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::refusal::Refusal;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            let detail = "send the body as JSON with Content-Type: application/json";
            return Err(Refusal::new(ProblemCode::UnsupportedMediaType, detail));
        }
        let bytes = timeout(BODY_PATIENCE, Bytes::from_request(request, state)).await;
        let bytes = bytes.map_err(|_| bad("the body did not arrive in time"))?;
        let bytes = bytes.map_err(|rejection| match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Refusal::new(ProblemCode::TooLarge, "the body is larger than this route takes")
            }
            _ => bad("the body did not arrive whole"),
        })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| bad(format!("the body cannot be read: {error}")))
    }
}

/// The variable part of the path.
pub(crate) struct Named<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let named = Path::<T>::from_request_parts(parts, state).await;
        named
            .map(|Path(name)| Self(name))
            .map_err(|_| bad("the path names something in a form that cannot be read"))
    }
}

/// The query of the URL.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        asked.map(|Query(query)| Self(query)).map_err(|_| bad("the query takes after=NUMBER only"))
    }
}

/// Where a reader stands; everything after it is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    #[serde(default)]
    pub(crate) after: u64,
}

fn bad(detail: impl Into<String>) -> Refusal {
    Refusal::new(ProblemCode::BadRequest, detail)
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| {
        given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    })
}

/// A client that sends its body drop by drop does not hold a connection for longer.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

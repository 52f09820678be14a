//! Routes to sign in.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use latchkey_api::auth::{Challenge, ChallengeRequest, SignIn, SignedIn};
use latchkey_api::problem::Problem;

use crate::app::{App, random, to_the_end};
use crate::http::body::Body;
use crate::http::caller::Open;
use crate::refusal::Refusal;

/// Asks for a nonce to sign. The answer is the same for devices that do not exist.
#[utoipa::path(
    post, path = "/v1/auth/challenge", tag = "sign-in", request_body = ChallengeRequest,
    responses(
        (status = 200, body = Challenge),
        (status = 421, body = Problem, description = "`wrong-audience`"),
    ),
)]
pub(crate) async fn challenge(
    State(app): State<App>,
    _: Open,
    headers: HeaderMap,
    Body(request): Body<ChallengeRequest>,
) -> Result<Json<Challenge>, Refusal> {
    let audience = app.addresses.audience(&headers)?;
    Ok(Json(app.signaling.challenge(&request, &audience, random()?, SystemTime::now())))
}

/// Answers a challenge and gets a token for one hour.
#[utoipa::path(
    post, path = "/v1/auth/session", tag = "sign-in", request_body = SignIn,
    responses(
        (status = 201, body = SignedIn),
        (status = 401, body = Problem, description = "`sign-in-failed`"),
        (status = 421, body = Problem, description = "`wrong-audience`"),
    ),
)]
pub(crate) async fn sign_in(
    State(app): State<App>,
    _: Open,
    headers: HeaderMap,
    Body(request): Body<SignIn>,
) -> Result<(StatusCode, Json<SignedIn>), Refusal> {
    let audience = app.addresses.audience(&headers)?;
    let token = random()?;
    to_the_end(async move {
        let signed_in = app.signaling.sign_in(&request, &audience, token, SystemTime::now()).await;
        app.metrics.sign_in(signed_in.is_ok());
        Ok((StatusCode::CREATED, Json(signed_in?)))
    })
    .await
}

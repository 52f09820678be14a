//! Routes of key packages.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use latchkey_api::device::{ClaimKeyPackage, ClaimedKeyPackage, KeyPackagesLeft, PublishKeyPackages};
use latchkey_api::problem::Problem;

use crate::app::{App, to_the_end};
use crate::http::body::Body;
use crate::http::caller::SignedIn;
use crate::refusal::Refusal;

/// Leaves key packages of the calling device. With none in it, asks how many are left.
#[utoipa::path(
    post, path = "/v1/key-packages", tag = "key packages", security(("device" = [])),
    request_body = PublishKeyPackages,
    responses(
        (status = 201, body = KeyPackagesLeft),
        (status = 400, body = Problem, description = "`bad-message`"),
        (status = 422, body = Problem, description = "`limit-reached`"),
    ),
)]
pub(crate) async fn publish(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Body(request): Body<PublishKeyPackages>,
) -> Result<(StatusCode, Json<KeyPackagesLeft>), Refusal> {
    let left =
        to_the_end(async move { Ok(app.signaling.publish_key_packages(&caller, request).await?) }).await?;
    Ok((StatusCode::CREATED, Json(left)))
}

/// Takes a key package of a device that may use the calling camera; each but the last-resort one is given once.
#[utoipa::path(
    post, path = "/v1/key-packages/claim", tag = "key packages", security(("device" = [])),
    request_body = ClaimKeyPackage,
    responses(
        (status = 200, body = ClaimedKeyPackage),
        (status = 403, body = Problem, description = "`forbidden`: only cameras claim"),
        (status = 404, body = Problem, description = "`not-found` or `no-key-package`"),
    ),
)]
pub(crate) async fn claim(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Body(request): Body<ClaimKeyPackage>,
) -> Result<Json<ClaimedKeyPackage>, Refusal> {
    let claimed = to_the_end(async move {
        let done = app.signaling.claim_key_package(&caller, request.device, SystemTime::now()).await?;
        Ok(app.carry_out(done).await)
    })
    .await?;
    Ok(Json(claimed))
}

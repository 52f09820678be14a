//! Routes of MLS delivery.

use std::time::{Instant, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use latchkey_api::group::{
    CursorKept, GroupMessages, MessageAccepted, PostCommit, PostCursor, PostMessage, Rejoin, Welcomes,
};
use latchkey_api::id::GroupId;
use latchkey_api::problem::{Problem, ProblemCode};

use crate::app::{App, to_the_end};
use crate::http::body::{After, Asked, Body, Named};
use crate::http::caller::SignedIn;
use crate::refusal::Refusal;

/// Brings the commit that ends an epoch, with welcomes and, where needed, the list it rests on.
#[utoipa::path(
    post, path = "/v1/groups/{group}/commits", tag = "groups", security(("device" = [])),
    params(("group" = GroupId, Path)), request_body = PostCommit,
    responses(
        (status = 201, body = MessageAccepted),
        (status = 400, body = Problem, description = "`bad-message`"),
        (status = 403, body = Problem, description = "`forbidden`: neither the camera nor an admin who adds nobody"),
        (status = 409, body = Problem, description = "`epoch-taken`, `epoch-not-current` or `list-version-taken`"),
        (status = 422, body = Problem, description = "`message-mismatch` or `list-invalid`"),
    ),
)]
pub(crate) async fn post_commit(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Named(group): Named<GroupId>,
    Body(request): Body<PostCommit>,
) -> Result<(StatusCode, Json<MessageAccepted>), Refusal> {
    let accepted = to_the_end(async move {
        let done = app.signaling.post_commit(&caller, group, request, SystemTime::now()).await;
        let done = done.map_err(Refusal::from).inspect_err(|refusal| {
            let stale = matches!(refusal.code(), ProblemCode::EpochTaken | ProblemCode::EpochNotCurrent);
            app.metrics.commit(if stale { "stale_epoch" } else { "rejected" });
        })?;
        app.metrics.commit("accepted");
        Ok(app.carry_out(done).await)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(accepted)))
}

/// Brings a proposal or an application message.
#[utoipa::path(
    post, path = "/v1/groups/{group}/messages", tag = "groups", security(("device" = [])),
    params(("group" = GroupId, Path)), request_body = PostMessage,
    responses(
        (status = 201, body = MessageAccepted),
        (status = 400, body = Problem, description = "`bad-message`"),
        (status = 404, body = Problem, description = "`not-found`: no such group for this device"),
        (status = 409, body = Problem, description = "`epoch-not-current`"),
        (status = 413, body = Problem, description = "`too-large`: an application message above 32 KiB, or a proposal above 64 KiB"),
        (status = 422, body = Problem, description = "`message-mismatch`"),
    ),
)]
pub(crate) async fn post_message(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Named(group): Named<GroupId>,
    Body(request): Body<PostMessage>,
) -> Result<(StatusCode, Json<MessageAccepted>), Refusal> {
    app.limits
        .message(caller.household_id(), caller.device(), Instant::now())
        .inspect_err(|_| app.metrics.rate_limited("message"))?;
    let accepted = to_the_end(async move {
        let message = request.message.as_slice();
        let done = app.signaling.post_message(&caller, group, message, SystemTime::now()).await?;
        Ok(app.carry_out(done).await)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(accepted)))
}

/// Reads the messages of a group after `after`, oldest first; commits among them.
#[utoipa::path(
    get, path = "/v1/groups/{group}/messages", tag = "groups", security(("device" = [])),
    params(("group" = GroupId, Path), ("after" = Option<u64>, Query, description = "A sequence number.")),
    responses(
        (status = 200, body = GroupMessages),
        (status = 404, body = Problem, description = "`not-found`: no such group for this device"),
    ),
)]
pub(crate) async fn messages(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Named(group): Named<GroupId>,
    Asked(After { after }): Asked<After>,
) -> Result<Json<GroupMessages>, Refusal> {
    Ok(Json(app.signaling.messages(&caller, group, after).await?))
}

/// Says how far the calling device has read a group and saved what came of it. What all have read is dropped.
#[utoipa::path(
    post, path = "/v1/groups/{group}/cursor", tag = "groups", security(("device" = [])),
    params(("group" = GroupId, Path)), request_body = PostCursor,
    responses(
        (status = 200, body = CursorKept),
        (status = 404, body = Problem, description = "`not-found`: no such group for this device"),
    ),
)]
pub(crate) async fn post_cursor(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Named(group): Named<GroupId>,
    Body(request): Body<PostCursor>,
) -> Result<Json<CursorKept>, Refusal> {
    let kept = to_the_end(async move {
        Ok(app.signaling.post_cursor(&caller, group, request.seq, SystemTime::now()).await?)
    });
    Ok(Json(kept.await?))
}

/// Asks the group's camera to put the calling device in anew. Passed on when the camera is connected, and not kept.
#[utoipa::path(
    post, path = "/v1/groups/{group}/rejoin", tag = "groups", security(("device" = [])),
    params(("group" = GroupId, Path)), request_body = Rejoin,
    responses(
        (status = 202, description = "The camera is told, if it is there."),
        (status = 400, body = Problem, description = "`bad-message`"),
        (status = 404, body = Problem, description = "`not-found`: no such group for this device"),
        (status = 429, body = Problem, description = "`rate-limited`: once a minute"),
    ),
)]
pub(crate) async fn rejoin(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Named(group): Named<GroupId>,
    Body(request): Body<Rejoin>,
) -> Result<StatusCode, Refusal> {
    let done = app.signaling.rejoin(&caller, group, request)?;
    app.limits
        .rejoin(caller.device(), group, Instant::now())
        .inspect_err(|_| app.metrics.rate_limited("rejoin"))?;
    app.carry_out(done).await;
    Ok(StatusCode::ACCEPTED)
}

/// Reads the welcomes that wait for the calling device.
#[utoipa::path(
    get, path = "/v1/welcomes", tag = "groups", security(("device" = [])),
    responses((status = 200, body = Welcomes)),
)]
pub(crate) async fn welcomes(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
) -> Result<Json<Welcomes>, Refusal> {
    Ok(Json(app.signaling.welcomes(&caller).await?))
}

/// Says that a welcome was taken; it is not shown again.
#[utoipa::path(
    delete, path = "/v1/welcomes/{id}", tag = "groups", security(("device" = [])),
    params(("id" = u64, Path)),
    responses((status = 204), (status = 404, body = Problem, description = "`not-found`")),
)]
pub(crate) async fn acknowledge_welcome(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Named(id): Named<u64>,
) -> Result<StatusCode, Refusal> {
    if app.signaling.acknowledge_welcome(&caller, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::new(ProblemCode::NotFound, "no such welcome waits for this device"))
    }
}

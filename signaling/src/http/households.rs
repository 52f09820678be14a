//! Routes of households and their device lists.

use std::time::{Instant, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use latchkey_api::household::{CreateHousehold, DeleteHousehold, HouseholdCreated};
use latchkey_api::list::{ListAccepted, Lists, PostList};
use latchkey_api::problem::Problem;

use crate::app::{App, to_the_end};
use crate::http::body::{After, Asked, Body};
use crate::http::caller::{DeviceOrRoot, Open};
use crate::refusal::Refusal;

/// Registers a household by its root key and the first list, which the root signed.
#[utoipa::path(
    post, path = "/v1/households", tag = "households", request_body = CreateHousehold,
    responses(
        (status = 201, body = HouseholdCreated),
        (status = 403, body = Problem, description = "`list-signer-not-allowed`, `invite-code-needed` or `invite-code-refused`"),
        (status = 409, body = Problem, description = "`household-exists`"),
        (status = 422, body = Problem, description = "`list-invalid`, or `limit-reached`: the server is full"),
    ),
)]
pub(crate) async fn found(
    State(app): State<App>,
    Open(client): Open,
    Body(request): Body<CreateHousehold>,
) -> Result<(StatusCode, Json<HouseholdCreated>), Refusal> {
    app.limits.household(client.0, Instant::now()).inspect_err(|_| app.metrics.rate_limited("household"))?;
    let created =
        to_the_end(async move { Ok(app.signaling.found_household(&request, SystemTime::now()).await?) })
            .await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// Reads the lists of the caller's household with a version above `after`, oldest first.
#[utoipa::path(
    get, path = "/v1/lists", tag = "households", security(("device" = [])),
    params(("after" = Option<u64>, Query, description = "A version; 0 reads from the start.")),
    responses((status = 200, body = Lists), (status = 401, body = Problem, description = "`not-signed-in`")),
)]
pub(crate) async fn lists(
    State(app): State<App>,
    DeviceOrRoot(bearer): DeviceOrRoot,
    Asked(After { after }): Asked<After>,
) -> Result<Json<Lists>, Refusal> {
    Ok(Json(app.signaling.lists(&bearer, after).await?))
}

/// Brings the household's next list. Devices that it drops or narrows are signed out and cut off at once.
#[utoipa::path(
    post, path = "/v1/lists", tag = "households", security(("device" = [])), request_body = PostList,
    responses(
        (status = 201, body = ListAccepted),
        (status = 403, body = Problem, description = "`list-signer-not-allowed`, or `forbidden`: the root brings what it did not sign"),
        (status = 409, body = Problem, description = "`list-version-taken`: read the lists and sign the next one"),
        (status = 422, body = Problem, description = "`list-invalid`"),
    ),
)]
pub(crate) async fn post_list(
    State(app): State<App>,
    DeviceOrRoot(bearer): DeviceOrRoot,
    Body(request): Body<PostList>,
) -> Result<(StatusCode, Json<ListAccepted>), Refusal> {
    let accepted = to_the_end(async move {
        let done = app.signaling.post_list(&bearer, request.list.as_slice(), SystemTime::now()).await?;
        Ok(app.carry_out(done).await)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(accepted)))
}

/// Removes everything about the caller's household, cuts all legs and closes all sockets. For a signed-in admin or the
/// root, who also signs a fresh challenge for it.
#[utoipa::path(
    post, path = "/v1/households/self/deletion", tag = "households", security(("device" = [])),
    request_body = DeleteHousehold,
    responses(
        (status = 204, description = "Nothing of the household is left."),
        (status = 401, body = Problem, description = "`sign-in-failed`: the signature over the nonce is not good"),
        (status = 403, body = Problem, description = "`forbidden`: neither an admin nor the root"),
        (status = 421, body = Problem, description = "`wrong-audience`"),
    ),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    DeviceOrRoot(bearer): DeviceOrRoot,
    headers: HeaderMap,
    Body(request): Body<DeleteHousehold>,
) -> Result<StatusCode, Refusal> {
    let audience = app.addresses.audience(&headers)?;
    to_the_end(async move {
        let done = app.signaling.delete_household(&bearer, &request, &audience, SystemTime::now()).await?;
        app.carry_out(done).await;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

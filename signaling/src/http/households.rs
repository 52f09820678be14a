//! Routes of households and their device lists.

use std::time::{Instant, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use latchkey_api::household::{CreateHousehold, HouseholdCreated};
use latchkey_api::list::{ListAccepted, Lists, PostList};
use latchkey_api::problem::Problem;

use crate::app::{App, to_the_end};
use crate::http::body::{After, Asked, Body};
use crate::http::caller::{Open, SignedIn};
use crate::refusal::Refusal;

/// Registers a household by its root key and the first list, which the root signed.
#[utoipa::path(
    post, path = "/v1/households", tag = "households", request_body = CreateHousehold,
    responses(
        (status = 201, body = HouseholdCreated),
        (status = 403, body = Problem, description = "`list-signer-not-allowed`"),
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
    SignedIn(caller): SignedIn,
    Asked(After { after }): Asked<After>,
) -> Result<Json<Lists>, Refusal> {
    Ok(Json(app.signaling.lists(&caller, after).await?))
}

/// Brings the household's next list. Devices that it drops or narrows are signed out and cut off at once.
#[utoipa::path(
    post, path = "/v1/lists", tag = "households", security(("device" = [])), request_body = PostList,
    responses(
        (status = 201, body = ListAccepted),
        (status = 403, body = Problem, description = "`list-signer-not-allowed`"),
        (status = 409, body = Problem, description = "`list-version-taken`: read the lists and sign the next one"),
        (status = 422, body = Problem, description = "`list-invalid`"),
    ),
)]
pub(crate) async fn post_list(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    Body(request): Body<PostList>,
) -> Result<(StatusCode, Json<ListAccepted>), Refusal> {
    let accepted = to_the_end(async move {
        let done = app.signaling.post_list(&caller, request.list.as_slice(), SystemTime::now()).await?;
        Ok(app.carry_out(done).await)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(accepted)))
}

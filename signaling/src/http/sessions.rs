//! Routes to the relay's door: cameras, and grants into their rooms.

use std::time::SystemTime;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use latchkey_api::problem::Problem;
use latchkey_api::session::{CameraStatus, OpenSession, RelayDoor, SessionOpened, SessionScope};
use latchkey_signaling_core::clock::unix_seconds;

use crate::app::{App, random, to_the_end};
use crate::http::body::Body;
use crate::http::caller::SignedIn;
use crate::refusal::Refusal;
use crate::tls::handshake::OverTls;

/// Asks for leave to publish or view a camera: a grant, and the door to take it to.
#[utoipa::path(
    post, path = "/v1/sessions", tag = "sessions", security(("device" = [])), request_body = OpenSession,
    responses(
        (status = 201, body = SessionOpened),
        (status = 403, body = Problem, description = "`forbidden`: the signed list does not allow it"),
        (status = 421, body = Problem, description = "`wrong-audience`"),
    ),
)]
pub(crate) async fn open(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    over_tls: Option<Extension<OverTls>>,
    headers: HeaderMap,
    Body(request): Body<OpenSession>,
) -> Result<(StatusCode, Json<SessionOpened>), Refusal> {
    let door = app.addresses.door(&headers, over_tls.is_some())?;
    let token_id = random()?;
    let granted = to_the_end(async move {
        let OpenSession { camera, scope } = request;
        Ok(app.signaling.open_session(&caller, camera, scope, token_id, SystemTime::now()).await?)
    })
    .await?;
    let room = granted.room.to_string();
    let relay = match request.scope {
        SessionScope::Publish => RelayDoor { whip_url: Some(format!("{door}/whip/{room}")), whep_url: None },
        SessionScope::View => RelayDoor { whip_url: None, whep_url: Some(format!("{door}/whep/{room}")) },
    };
    let expires_at = unix_seconds(granted.expires_at);
    Ok((StatusCode::CREATED, Json(SessionOpened { relay, room, grant: granted.grant, expires_at })))
}

/// Lists the cameras that the caller is or may see, and whether they are live.
#[utoipa::path(
    get, path = "/v1/cameras", tag = "sessions", security(("device" = [])),
    responses((status = 200, body = [CameraStatus])),
)]
pub(crate) async fn cameras(State(app): State<App>, SignedIn(caller): SignedIn) -> Json<Vec<CameraStatus>> {
    let household = caller.household_id();
    let mut cameras = Vec::new();
    for (camera, room) in app.signaling.cameras(&caller) {
        let live = app.bus.is_connected(household, camera) || app.relay.is_live(room).await;
        cameras.push(CameraStatus { camera, live });
    }
    Json(cameras)
}

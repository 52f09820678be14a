//! Routes for somebody outside who looks which ways to this server are open.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, Utf8Bytes, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use latchkey_api::probe::{Probe, SOCKET_GREETING};
use latchkey_api::problem::{Problem, ProblemCode};
use tokio::time::timeout;

use crate::app::App;
use crate::http::caller::Open;
use crate::refusal::Refusal;

/// Gives credentials for a STUN check of the media port. Anyone may ask, a few times a minute.
#[utoipa::path(
    post, path = "/v1/probes", tag = "server",
    responses(
        (status = 201, body = Probe),
        (status = 429, body = Problem, description = "`rate-limited`"),
        (status = 503, body = Problem, description = "`unavailable`: too many look just now"),
    ),
)]
pub(crate) async fn open(
    State(app): State<App>,
    Open(client): Open,
) -> Result<(StatusCode, Json<Probe>), Refusal> {
    app.limits.probe(client.0, Instant::now()).inspect_err(|_| app.metrics.rate_limited("probe"))?;
    let probe = app.relay.open_probe().await.ok_or_else(|| {
        Refusal::new(
            ProblemCode::Unavailable,
            "too many look just now whether this server can be reached: try again in half a minute",
        )
    })?;
    let probe = Probe {
        ufrag: probe.ufrag,
        password: probe.password.to_string(),
        addresses: probe.addresses.iter().map(ToString::to_string).collect(),
        seconds: PROBE_SECONDS,
        seen_from: client.0.to_string(),
    };
    Ok((StatusCode::CREATED, Json(probe)))
}

/// Opens a WebSocket, says one word, and closes it: shows that nothing on the way forbids WebSockets.
#[utoipa::path(
    get, path = "/v1/probes/socket", tag = "server",
    responses(
        (status = 101, description = "One text message, `reached`, and the end."),
        (status = 400, body = Problem, description = "`bad-request`: not a WebSocket handshake"),
    ),
)]
pub(crate) async fn socket(
    _: Open,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let upgrade =
        upgrade.map_err(|_| Refusal::new(ProblemCode::BadRequest, "this route opens a WebSocket"))?;
    Ok(upgrade.max_message_size(MAX_INCOMING).on_upgrade(|mut socket| async move {
        let said = Message::Text(Utf8Bytes::from_static(SOCKET_GREETING));
        let _ = timeout(SEND_PATIENCE, socket.send(said)).await;
        let _ = timeout(SEND_PATIENCE, socket.send(Message::Close(None))).await;
    }))
}

/// As long as the relay answers.
const PROBE_SECONDS: u32 = 30;
const SEND_PATIENCE: Duration = Duration::from_secs(5);
const MAX_INCOMING: usize = 1024;

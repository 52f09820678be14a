//! The private ops port: the relay's routes, with signaling's metrics added to the relay's.

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tower::ServiceExt as _;

use crate::app::App;

/// The routes of the ops port. Never merge them into a public router.
pub(crate) fn router(app: &App, relay: Router) -> Router {
    let state = Ops { app: app.clone(), relay: relay.clone() };
    Router::new().route("/metrics", get(metrics)).with_state(state).fallback_service(relay)
}

#[derive(Clone)]
struct Ops {
    app: App,
    relay: Router,
}

/// The relay decides who may read; its text comes first.
async fn metrics(State(ops): State<Ops>, request: Request) -> Response {
    let answer = match ops.relay.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let Ok(relay) = to_bytes(body, MAX_METRICS).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let own = ops.app.metrics.text(ops.app.bus.len());
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(prometheus::TEXT_FORMAT));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Bytes::from([relay.as_ref(), &own].concat())))
}

const MAX_METRICS: usize = 16 * 1024 * 1024;

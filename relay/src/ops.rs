//! The private ops port: metrics, shards, rooms, health, drain, and cutting a device off. Whoever reaches it may do all of that.

pub(crate) mod figures;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use latchkey_wire::id::DeviceHandle;
use serde::{Deserialize, Serialize};

use crate::door::Door;
use crate::http::request;
use crate::ops::figures::{RoomsAnswer, ShardsAnswer};
use crate::problem::{Problem, ProblemCode};

/// `POST /rooms/{room}/cut`: whom to cut off.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cut {
    /// The device's handle, as in the `sub` of its grants.
    sub: DeviceHandle,
    /// Grants issued up to this second since 1970 open no door any more.
    issued_before: u64,
}

/// What a cut did.
#[derive(Debug, Serialize)]
struct CutDone {
    /// Legs that it ended.
    ended: usize,
}

/// What a drain has left.
#[derive(Debug, Serialize)]
struct Draining {
    draining: bool,
    sessions: usize,
}

pub(crate) fn router(door: &Arc<Door>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/shards", get(shards))
        .route("/rooms", get(rooms))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/drain", post(drain))
        .route("/rooms/{room}/cut", post(cut))
        .fallback(|| async {
            Problem::new(
                ProblemCode::NotFound,
                "the ops port has /metrics, /shards, /rooms, /livez, /readyz, /drain and /rooms/{room}/cut",
            )
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(ProblemCode::MethodNotAllowed, "GET what is read, POST /drain and /rooms/{room}/cut")
        })
        .layer(middleware::from_fn(no_pages))
        .with_state(Arc::clone(door))
}

async fn metrics(State(door): State<Arc<Door>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, HeaderValue::from_static(prometheus::TEXT_FORMAT))], door.metrics())
}

async fn shards(State(door): State<Arc<Door>>) -> Json<ShardsAnswer> {
    let tallies: Vec<_> = door.shards.iter().map(|shard| shard.counters().snapshot()).collect();
    Json(ShardsAnswer::new(door.is_draining(), &tallies))
}

async fn rooms(State(door): State<Arc<Door>>) -> Result<Json<RoomsAnswer>, Problem> {
    let mut by_shard = Vec::with_capacity(door.shards.len());
    for shard in &door.shards {
        by_shard.push(shard.rooms().await?);
    }
    Ok(Json(RoomsAnswer::new(by_shard)))
}

async fn live(State(door): State<Arc<Door>>) -> Result<&'static str, Problem> {
    if door.is_alive().await {
        Ok("ok\n")
    } else {
        Err(Problem::new(ProblemCode::Unavailable, "a shard does not answer: restart the relay"))
    }
}

async fn ready(State(door): State<Arc<Door>>) -> Result<&'static str, Problem> {
    if door.is_draining() {
        Err(Problem::new(ProblemCode::Draining, "the relay takes nobody new"))
    } else {
        Ok("ok\n")
    }
}

async fn drain(State(door): State<Arc<Door>>) -> (StatusCode, Json<Draining>) {
    door.drain();
    (StatusCode::ACCEPTED, Json(Draining { draining: true, sessions: door.admission.crowd().sessions() }))
}

async fn cut(
    State(door): State<Arc<Door>>,
    Path(room): Path<String>,
    body: Result<Json<Cut>, JsonRejection>,
) -> Result<Json<CutDone>, Problem> {
    let room = request::room(&room)?;
    let Json(cut) = body.map_err(|rejection| {
        let detail = format!(
            "{}: send {{\"sub\": device handle, \"issued_before\": seconds since 1970}} as JSON",
            rejection.body_text()
        );
        Problem::new(ProblemCode::BadRequest, detail)
    })?;
    let issued_before =
        UNIX_EPOCH.checked_add(Duration::from_secs(cut.issued_before)).filter(|when| *when < far_future());
    let issued_before = issued_before.ok_or_else(|| {
        Problem::new(
            ProblemCode::BadRequest,
            "issued_before is in seconds since 1970, and not later than tomorrow",
        )
    })?;
    Ok(Json(CutDone { ended: door.cut(room, cut.sub, issued_before).await }))
}

/// A cut is remembered for two minutes after `issued_before`: milliseconds sent by mistake must not make that for ever.
fn far_future() -> SystemTime {
    SystemTime::now() + Duration::from_secs(24 * 60 * 60)
}

/// A page in a browser on this machine could reach a port on loopback; what it sends carries its origin.
async fn no_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(ORIGIN) {
        return Problem::new(
            ProblemCode::BadRequest,
            "the ops port serves no pages: call it without an Origin header",
        )
        .into_response();
    }
    next.run(request).await
}

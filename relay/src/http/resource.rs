//! The two resources of each role: the endpoint that makes sessions, and the session itself.
//!
//! A session's URL holds 128 random bits and is all that it takes to change or end it (RFC 9725 section 4.9 asks for a URL
//! that cannot be guessed): the grant was used up at the door.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, post};
use serde::Deserialize;

use crate::door::{Door, entity_tag};
use crate::http::request::{self, IfMatch};
use crate::problem::{Problem, ProblemCode};
use crate::shard::command::join::Role;

/// `POST /whip/{room}` and `POST /whep/{room}`.
pub(crate) fn endpoint(role: Role) -> MethodRouter<Arc<Door>> {
    let join = move |State(door): State<Arc<Door>>,
                     Path(room): Path<String>,
                     headers: HeaderMap,
                     body: Body| async move { join(door, role, room, headers, body).await };
    let options = || async { allowed("OPTIONS, POST", (HeaderName::from_static("accept-post"), SDP)) };
    post(join)
        .options(options)
        .fallback(|| async { wrong_method("OPTIONS, POST", "POST an SDP offer to join") })
}

/// `PATCH`, `DELETE` and `GET` of a session.
pub(crate) fn session(role: Role) -> MethodRouter<Arc<Door>> {
    let patch = move |State(door): State<Arc<Door>>, path: SessionPath, headers: HeaderMap, body: Body| async move {
        patch(door, role, path, headers, body).await
    };
    let leave = move |State(door): State<Arc<Door>>, Path((_, session)): SessionPath| async move {
        door.leave(role, request::session(&session)?).await.map(|()| StatusCode::OK)
    };
    let show = move |State(door): State<Arc<Door>>, Path((_, session)): SessionPath| async move {
        let running = door.running(role, request::session(&session)?)?;
        let json = HeaderValue::from_static("application/json");
        Ok::<_, Problem>((
            [(CONTENT_TYPE, json), (ETAG, quoted(&entity_tag(running.ice_generation)))],
            "{\"state\":\"running\"}",
        ))
    };
    let methods = "DELETE, GET, OPTIONS, PATCH";
    delete(leave)
        .get(show)
        .patch(patch)
        .options(move || async move { allowed(methods, (accept_patch(), FRAGMENT)) })
        .fallback(
            move || async move { wrong_method(methods, "PATCH to trickle or restart ICE, DELETE to leave") },
        )
}

/// `POST` of what a viewer saw: how long its picture took.
pub(crate) fn first_frame() -> MethodRouter<Arc<Door>> {
    let tell = async |State(door): State<Arc<Door>>, path: SessionPath, headers: HeaderMap, body: Body| {
        tell_first_frame(&door, path, &headers, body).await
    };
    post(tell)
        .options(async || allowed("OPTIONS, POST", (HeaderName::from_static("accept-post"), JSON)))
        .fallback(async || wrong_method("OPTIONS, POST", "POST how long the first frame took"))
}

/// The body of `POST …/first-frame`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstFrame {
    /// Milliseconds from the request to join to the first opened frame.
    after_ms: u64,
}

type SessionPath = Path<(String, String)>;

async fn join(
    door: Arc<Door>,
    role: Role,
    room: String,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let room_id = request::room(&room)?;
    request::expect_type(&headers, SDP)?;
    let bearer = request::bearer(&headers).map(str::to_owned);
    let body = request::body(body, door.max_sdp_bytes).await?;
    // In a task of its own: a client that hangs up half-way must not leave a session that nobody counts.
    let joining = tokio::spawn(async move { door.join(role, room_id, bearer.as_deref(), &body).await });
    let joined =
        joining.await.map_err(|_| Problem::new(ProblemCode::Internal, "the relay failed: try again"))??;
    let path = match role {
        Role::Publish => "whip",
        Role::View => "whep",
    };
    let location = HeaderValue::try_from(format!("/{path}/{room_id}/{}", joined.session))
        .map_err(|_| Problem::new(ProblemCode::Internal, "the relay failed: try again"))?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(SDP)),
        (LOCATION, location),
        (ETAG, quoted(&entity_tag(0))),
        (accept_patch(), HeaderValue::from_static(FRAGMENT)),
    ];
    Ok((StatusCode::CREATED, headers, joined.answer).into_response())
}

async fn tell_first_frame(
    door: &Door,
    Path((_, session)): SessionPath,
    headers: &HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    let session = request::session(&session)?;
    request::expect_type(headers, JSON)?;
    let body = request::body(body, MAX_REPORT_BYTES).await?;
    let told: Option<FirstFrame> = serde_json::from_slice(&body).ok();
    let after = told.map(|told| Duration::from_millis(told.after_ms)).filter(|after| *after <= LONGEST_WAIT);
    let after = after.ok_or_else(|| {
        let detail =
            "send {\"after_ms\": milliseconds from the request to the first opened frame}, at most an hour";
        Problem::new(ProblemCode::BadRequest, detail)
    })?;
    door.first_frame(session, after)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn patch(
    door: Arc<Door>,
    role: Role,
    Path((_, session)): SessionPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let session = request::session(&session)?;
    door.running(role, session)?;
    request::expect_type(&headers, FRAGMENT)?;
    let if_match = request::if_match(&headers)?;
    let body = request::body(body, MAX_FRAGMENT_BYTES).await?;
    match if_match {
        IfMatch::Tag(tag) => {
            door.trickle(role, session, &tag, &body).await?;
            Ok(StatusCode::NO_CONTENT.into_response())
        }
        IfMatch::Any => {
            let (answer, tag) = door.restart_ice(role, session, &body).await?;
            let headers = [(CONTENT_TYPE, HeaderValue::from_static(FRAGMENT)), (ETAG, quoted(&tag))];
            Ok((StatusCode::OK, headers, answer).into_response())
        }
    }
}

/// The answer to `OPTIONS`, a browser's preflight included.
fn allowed(methods: &'static str, accepts: (HeaderName, &'static str)) -> Response {
    let headers = [
        (ALLOW, methods),
        (header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type, If-Match"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
        accepts,
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn wrong_method(methods: &'static str, detail: &'static str) -> Response {
    ([(ALLOW, methods)], Problem::new(ProblemCode::MethodNotAllowed, detail)).into_response()
}

fn quoted(tag: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{tag}\"")).expect("entity tags are ASCII")
}

const SDP: &str = "application/sdp";
const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
const JSON: &str = "application/json";
const MAX_FRAGMENT_BYTES: usize = 16 * 1024;
const MAX_REPORT_BYTES: usize = 1024;
/// Who waited longer has not waited for a picture.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

fn accept_patch() -> HeaderName {
    HeaderName::from_static("accept-patch")
}

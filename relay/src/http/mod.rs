//! The door in HTTP: WHIP (RFC 9725) to publish, WHEP to view; `relay/docs/doors.md` is the guide for clients.

pub(crate) mod request;
mod resource;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::door::Door;
use crate::problem::{Problem, ProblemCode};
use crate::shard::command::join::Role;

/// The public routes. They may be merged into a host's router: no other path and no fallback is taken.
pub(crate) fn router(door: &Arc<Door>) -> Router {
    let one_role = |path: &'static str, role| {
        Router::new()
            .route(&format!("/{path}/{{room}}"), resource::endpoint(role))
            .route(&format!("/{path}/{{room}}/{{session}}"), resource::session(role))
    };
    let routes = one_role("whip", Role::Publish).merge(one_role("whep", Role::View));
    routes
        .route("/whep/{room}/{session}/first-frame", resource::first_frame())
        .layer(middleware::map_response(open_to_pages))
        .layer(middleware::from_fn(unsniffable))
        .with_state(Arc::clone(door))
}

/// For a door of its own: every other path is answered with a problem, too.
pub(crate) fn whole_router(door: &Arc<Door>) -> Router {
    router(door).fallback(|| async { unknown_route() })
}

fn unknown_route() -> Problem {
    Problem::new(ProblemCode::NotFound, "the door has /whip/{room} to publish and /whep/{room} to view")
}

/// Lets pages of any origin in: the grant in the header decides, and no cookie is ever read.
async fn open_to_pages(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("Accept-Patch, Accept-Post, ETag, Location, Retry-After"),
    );
    response
}

/// Answers are neither kept by caches nor guessed at by browsers.
async fn unsniffable(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    response
}

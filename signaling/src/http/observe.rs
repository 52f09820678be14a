//! Around every request: the limit per address, headers of every answer, one log line without ids, and metrics.

use std::net::SocketAddr;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::app::App;
use crate::http::caller::Client;
use crate::refusal::{Refusal, RefusedWith};

pub(crate) async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let within = match peer {
        Some(peer) => {
            let client = app.addresses.client(peer, request.headers());
            request.extensions_mut().insert(Client(client));
            app.limits.address(client, began)
        }
        None => Ok(()),
    };
    let mut response = match within {
        Ok(()) => next.run(request).await,
        Err(too_soon) => {
            app.metrics.rate_limited("address");
            Refusal::from(too_soon).into_response()
        }
    };
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(NOSNIFF).or_insert(HeaderValue::from_static("nosniff"));
    // The template, never the path: a path holds ids.
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let (status, took) = (response.status(), began.elapsed());
    app.metrics.answered(route, status.as_u16(), took);
    let problem = response.extensions().get::<RefusedWith>().map(|refused| refused.0.as_str());
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if status.is_server_error() {
        tracing::warn!(%method, route, status = status.as_u16(), problem, took_ms, "answered");
    } else {
        tracing::debug!(%method, route, status = status.as_u16(), problem, took_ms, "answered");
    }
    response
}

const NOSNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

//! The public routes: signaling under `/v1`, the relay's door beside it.

mod audit;
mod auth;
mod body;
mod caller;
pub(crate) mod cors;
mod events;
mod export;
mod groups;
mod households;
mod key_packages;
mod mailboxes;
mod observe;
pub(crate) mod openapi;
mod probes;
mod sessions;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware;
use axum::routing::{delete, get, post};
use latchkey_api::problem::ProblemCode;

use crate::app::App;
use crate::http::cors::WebOrigins;
use crate::refusal::Refusal;
use crate::web::WebApp;

/// All public routes, the relay's `door` and the web app among them; pages of `origins` may use the API, too.
pub(crate) fn router(app: &App, door: Router, web: WebApp, origins: WebOrigins) -> Router {
    let small = Router::new()
        .route("/v1/households/self/deletion", post(households::delete))
        .route("/v1/auth/challenge", post(auth::challenge))
        .route("/v1/auth/session", post(auth::sign_in))
        .route("/v1/audit", get(audit::read))
        .route("/v1/export", get(export::read))
        .route("/v1/key-packages", post(key_packages::publish))
        .route("/v1/key-packages/claim", post(key_packages::claim))
        .route("/v1/groups/{group}/cursor", post(groups::post_cursor))
        .route("/v1/groups/{group}/rejoin", post(groups::rejoin))
        .route("/v1/welcomes", get(groups::welcomes))
        .route("/v1/welcomes/{id}", delete(groups::acknowledge_welcome))
        .route("/v1/sessions", post(sessions::open))
        .route("/v1/cameras", get(sessions::cameras))
        .route("/v1/events", get(events::connect))
        .route("/v1/mailboxes/{id}", get(mailboxes::read).post(mailboxes::write))
        .route("/v1/probes", post(probes::open))
        .route("/v1/probes/socket", get(probes::socket))
        .route("/v1/openapi.json", get(openapi::serve))
        .route("/livez", get(live))
        .layer(DefaultBodyLimit::max(MAX_BODY));
    let whole = Router::new()
        .route("/v1/households", post(households::found))
        .route("/v1/lists", get(households::lists).post(households::post_list))
        .route("/v1/groups/{group}/messages", get(groups::messages).post(groups::post_message))
        .layer(DefaultBodyLimit::max(MAX_WHOLE_BODY));
    let commits = Router::new()
        .route("/v1/groups/{group}/commits", post(groups::post_commit))
        .layer(DefaultBodyLimit::max(MAX_COMMIT_BODY));
    let addresses = Arc::clone(&app.addresses);
    small
        .merge(whole)
        .merge(commits)
        .method_not_allowed_fallback(async || {
            Refusal::new(
                ProblemCode::MethodNotAllowed,
                "this route does not take that method: see /v1/openapi.json",
            )
        })
        .with_state(app.clone())
        .merge(door)
        .fallback(move |request: Request| async move { web.answer(&addresses, request).await })
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .layer(middleware::from_fn_with_state(origins, cors::cors))
}

/// Says that the server answers.
#[utoipa::path(get, path = "/livez", tag = "server", responses((status = 200, description = "The server answers.")))]
async fn live() -> &'static str {
    "ok\n"
}

/// Longest body in bytes of most routes.
const MAX_BODY: usize = 64 * 1024;
/// A list or an MLS message has up to 64 KiB, which is a third more as base64url.
const MAX_WHOLE_BODY: usize = 96 * 1024;
/// A commit brings a welcome for each device it adds, each up to 64 KiB.
const MAX_COMMIT_BODY: usize = 4 * 1024 * 1024;

//! The web app: static files of a folder beside the API, with headers that let a page do what the app does and no more.
//!
//! The server never holds the app itself, so that anybody may serve another copy of it, or none.

mod headers;

use std::path::{Component, Path, PathBuf};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use latchkey_api::problem::ProblemCode;
use tower::ServiceExt as _;
use tower_http::services::ServeDir;

use crate::addresses::Addresses;
use crate::refusal::Refusal;
use crate::tls::handshake::OverTls;

/// The folder that pages come from, or why there is none.
#[derive(Clone, Debug)]
pub(crate) enum WebApp {
    /// Files of this folder.
    Served { folder: PathBuf, files: ServeDir },
    /// No folder was named, and none is where it usually is.
    Missing,
    /// The operator wants none.
    Off,
}

/// The operator's: the folder named holds no web app.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{folder} holds no web app (no index.html): build it with `make web`, name the folder where it is, or write off"
)]
pub struct NoWebApp {
    /// As configured.
    folder: String,
}

impl WebApp {
    /// Takes the folder that the operator named; with an empty path, the first of the usual ones that holds the app.
    ///
    /// # Errors
    /// [`NoWebApp`] for a folder that was named.
    pub(crate) fn find(configured: &Path) -> Result<Self, NoWebApp> {
        if configured == Path::new("off") {
            return Ok(Self::Off);
        }
        if configured.as_os_str().is_empty() {
            return Ok(usual_folders().find(|folder| holds_app(folder)).map_or(Self::Missing, Self::of));
        }
        if holds_app(configured) {
            return Ok(Self::of(configured.to_owned()));
        }
        Err(NoWebApp { folder: configured.display().to_string() })
    }

    fn of(folder: PathBuf) -> Self {
        let files =
            ServeDir::new(&folder).redirect_to_trailing_slash(false).precompressed_br().precompressed_gzip();
        Self::Served { folder, files }
    }

    /// Where the files are, or what to do to have some, for people.
    pub(crate) fn describe(&self) -> Option<String> {
        match self {
            Self::Served { folder, .. } => Some(format!("the web app of {}", folder.display())),
            Self::Missing => Some(MISSING.to_owned()),
            Self::Off => None,
        }
    }

    /// Answers what no route of the API took: a file of the app, or a problem.
    pub(crate) async fn answer(&self, addresses: &Addresses, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        let wanted = matches!(*request.method(), Method::GET | Method::HEAD) && is_open(&path);
        let files = match self {
            Self::Served { files, .. } if wanted => files.clone(),
            Self::Missing if path == "/" => {
                return Refusal::new(ProblemCode::NotFound, MISSING).into_response();
            }
            _ => return no_such_route(),
        };
        let over_tls = request.extensions().get::<OverTls>().is_some();
        let origin = addresses.door(request.headers(), over_tls).ok();
        let Ok(response) = files.oneshot(request).await;
        if matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) {
            return no_such_route();
        }
        let mut response = response.map(Body::new);
        headers::add(response.headers_mut(), &path, origin.as_deref());
        response
    }
}

fn no_such_route() -> Response {
    Refusal::new(ProblemCode::NotFound, "there is no such route: see /v1/openapi.json").into_response()
}

/// Beside the binary as `make` leaves it (target/debug, target/release) and as packages do, then below the working folder.
fn usual_folders() -> impl Iterator<Item = PathBuf> {
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent).map(Path::to_owned);
    let beside = beside
        .into_iter()
        .flat_map(|folder| ["web", "../web", "../share/latchkey/web"].map(|relative| folder.join(relative)));
    beside.chain(std::iter::once(PathBuf::from("target/web")))
}

fn holds_app(folder: &Path) -> bool {
    folder.join("index.html").is_file()
}

/// Hidden files are nobody's, and what looks like a route of API or door must not turn into a page.
fn is_open(path: &str) -> bool {
    let ours = ["/v1/", "/whip/", "/whep/"].iter().any(|route| path.starts_with(route));
    let plain = |component| match component {
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        Component::RootDir => true,
        _ => false,
    };
    !ours && Path::new(path).components().all(plain)
}

const MISSING: &str =
    "this server has no web app: build it with `make web`, or name its folder with --web-dir";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_named_folder_must_hold_the_app() {
        let folder = tempfile::tempdir().unwrap();
        let said = WebApp::find(folder.path()).unwrap_err().to_string();
        assert!(said.contains("no index.html") && said.contains("make web"), "{said}");
        std::fs::write(folder.path().join("index.html"), "").unwrap();
        assert!(matches!(WebApp::find(folder.path()), Ok(WebApp::Served { .. })));
        assert!(matches!(WebApp::find(Path::new("off")), Ok(WebApp::Off)));
    }

    #[test]
    fn hidden_files_and_routes_are_no_pages() {
        for open in ["/", "/index.html", "/assets/app-12345678.js", "/v1.png"] {
            assert!(is_open(open), "{open}");
        }
        for closed in ["/.git/config", "/assets/.env", "/v1/lists", "/whip/x", "/whep/x", "/../etc/passwd"] {
            assert!(!is_open(closed), "{closed}");
        }
    }
}

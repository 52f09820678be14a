//! The web app beside the API: which files are served and how, and whose pages may use the API.

use std::fs;

use futures_util::StreamExt as _;
use latchkey_api::event::Event;
use latchkey_api::problem::ProblemCode;
use latchkey_signaling::{Server, ServerConfig};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::client::{Answer, Client};
use crate::process::run;
use crate::running::{LIVENESS, Running};

/// A folder as the build leaves it, with files that nobody may have.
fn built() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, contents: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    };
    write("index.html", b"<!doctype html><title>Latchkey</title>");
    write("manifest.webmanifest", b"{}");
    write("assets/index-D4f8x_2a.js", b"export {};");
    write("assets/index-D4f8x_2a.js.br", b"brotli");
    write("assets/index-D4f8x_2a.js.gz", b"gzip");
    write("assets/core-AbCd1234.wasm", b"\0asm");
    write("assets/.secret", b"hidden");
    folder
}

async fn serving(folder: &TempDir) -> Running {
    let path = folder.path().to_owned();
    Running::with(|config| config.web_dir = path).await
}

async fn encoded(client: &Client, path: &str, encoding: &str) -> Answer {
    client.send(client.request(Method::GET, path).header("accept-encoding", encoding)).await
}

#[tokio::test]
async fn files_have_their_types_encodings_and_lifetimes() {
    let folder = built();
    let running = serving(&folder).await;
    let client = &running.client;
    for (path, kind, kept) in [
        ("/", "text/html", "no-cache"),
        ("/index.html", "text/html", "no-cache"),
        ("/manifest.webmanifest", "application/manifest+json", "no-cache"),
        ("/assets/index-D4f8x_2a.js", "text/javascript", "public, max-age=31536000, immutable"),
        ("/assets/core-AbCd1234.wasm", "application/wasm", "public, max-age=31536000, immutable"),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(
            answer.headers["content-type"].to_str().unwrap().starts_with(kind),
            "{path}: {:?}",
            answer.headers
        );
        assert_eq!(answer.headers["cache-control"], kept, "{path}");
        assert!(answer.headers.contains_key("etag"), "{path}");
    }
    for (encoding, body) in [("br, gzip", "brotli"), ("gzip", "gzip"), ("identity", "export {};")] {
        let answer = encoded(client, "/assets/index-D4f8x_2a.js", encoding).await;
        assert_eq!(answer.body, body.as_bytes(), "{encoding}");
        assert_eq!(answer.headers["content-type"], "text/javascript");
        assert!(answer.headers["vary"].to_str().unwrap().to_ascii_lowercase().contains("accept-encoding"));
    }
    let tag = client.get("/").await.headers["etag"].clone();
    let again = client.send(client.request(Method::GET, "/").header("if-none-match", tag)).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert!(again.headers.contains_key("content-security-policy"));
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_page_may_do_what_the_app_does_and_no_more() {
    let folder = built();
    let running = serving(&folder).await;
    let answer = running.client.get("/").await;
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    let host = running.client.base.strip_prefix("http://").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self'",
        "media-src 'self' blob:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        &format!("connect-src 'self' ws://{host}"),
    ] {
        assert!(policy.split("; ").any(|given| given.trim() == part), "{part} is not in {policy}");
    }
    assert!(!policy.contains("unsafe-inline") && !policy.contains("'unsafe-eval'") && !policy.contains('*'));
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["referrer-policy"], "no-referrer");
    assert_eq!(answer.headers["cross-origin-opener-policy"], "same-origin");
    let permissions = answer.headers["permissions-policy"].to_str().unwrap();
    assert!(permissions.contains("camera=(self)") && permissions.contains("microphone=(self)"));
    running.server.shutdown().await;
}

#[tokio::test]
async fn what_is_no_file_of_the_app_stays_a_problem() {
    let folder = built();
    fs::write(folder.path().parent().unwrap().join("outside.txt"), "outside").unwrap();
    let running = serving(&folder).await;
    for path in [
        "/assets/.secret",
        "/assets",
        "/nothing.js",
        "/v1/nothing",
        "/v1",
        "/..%2foutside.txt",
        "/%2e%2e/outside.txt",
    ] {
        running.client.get(path).await.problem(ProblemCode::NotFound);
    }
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        let answer = running.client.send(running.client.request(method, "/index.html")).await;
        answer.problem(ProblemCode::NotFound);
    }
    assert_eq!(running.client.get("/livez").await.status, StatusCode::OK);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_named_folder_without_the_app_starts_no_server() {
    let (data, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = ServerConfig { web_dir: empty.path().to_owned(), ..ServerConfig::loopback(data.path()) };
    let said = Server::start(config).await.unwrap_err().to_string();
    assert!(said.contains("holds no web app") && said.contains("make web"), "{said}");
    let folder = empty.path().to_str().unwrap();
    let output = run(&["--web-dir", folder, "--data-dir", data.path().join("x").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds no web app"));
}

#[tokio::test]
async fn pages_of_named_origins_use_the_api_and_no_others() {
    let app = "https://app.example.org";
    let running = Running::with(|config| config.web_origin = vec![app.to_owned()]).await;
    let client = &running.client;
    let preflight = |origin: &str| {
        client
            .request(Method::OPTIONS, "/v1/lists")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
    };
    let allowed = client.send(preflight(app)).await;
    assert_eq!(allowed.status, StatusCode::NO_CONTENT);
    assert_eq!(allowed.headers["access-control-allow-origin"], app);
    assert_eq!(allowed.headers["access-control-allow-headers"], "Authorization, Content-Type");
    assert!(!allowed.headers.contains_key("access-control-allow-credentials"));
    for other in ["https://app.example.org.evil.example", "http://app.example.org", "null"] {
        let refused = client.send(preflight(other)).await;
        assert!(!refused.headers.contains_key("access-control-allow-origin"), "{other}");
        refused.problem(ProblemCode::MethodNotAllowed);
    }
    // Refusals can be read, too, and caches keep the origins apart.
    let refused = client.send(client.request(Method::GET, "/v1/lists").header("origin", app)).await;
    assert_eq!(refused.headers["access-control-allow-origin"], app);
    assert!(refused.headers["vary"].to_str().unwrap().contains("origin"));
    refused.problem(ProblemCode::NotSignedIn);
    running.server.shutdown().await;

    let closed = Running::start().await;
    let request = closed.client.request(Method::GET, "/v1/lists").header("origin", app);
    assert!(!closed.client.send(request).await.headers.contains_key("access-control-allow-origin"));
    closed.server.shutdown().await;
}

#[tokio::test]
async fn a_page_opens_the_event_socket_with_its_token_as_a_subprotocol() {
    let running = Running::start().await;
    let home = running.home().await;
    let token = running.client.signed_in(&home, &home.viewer).await.token.unwrap();
    let ask = |token: &str| {
        let url = running.client.base.replace("http://", "ws://") + "/v1/events";
        let mut request = url.into_client_request().unwrap();
        let offered = format!("latchkey, latchkey.bearer.{token}");
        request.headers_mut().insert("sec-websocket-protocol", offered.parse().unwrap());
        connect_async(request)
    };
    let (mut socket, answer) = ask(&token).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "latchkey", "the token is never said back");
    // A page sees no pings: with the first comes a text that says the same.
    let told = async {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return serde_json::from_str::<Event>(&text).unwrap();
            }
        }
    };
    assert_eq!(tokio::time::timeout(LIVENESS, told).await.unwrap(), Event::Alive);
    assert!(ask(&"x".repeat(43)).await.is_err());
    running.server.shutdown().await;
}

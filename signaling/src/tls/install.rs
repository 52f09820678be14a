//! The page, over plain HTTP, that helps devices trust the household CA: what it means, how it is done, what to compare.

mod page;
mod profile;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, USER_AGENT,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey_relay::machine_addresses;

use crate::addresses::{home_host, is_home_address};
use crate::tls::install::page::{Page, Platform};
use crate::tls::local_ca::CaCertificate;

/// What the page shows.
#[derive(Clone, Debug)]
pub(crate) struct InstallPage {
    certificate: CaCertificate,
}

struct Shown {
    certificate: CaCertificate,
    /// Port of the HTTPS server.
    https: u16,
    /// Port of this page.
    own: u16,
}

impl InstallPage {
    pub(super) fn new(certificate: CaCertificate) -> Self {
        Self { certificate }
    }

    /// SHA-256 of the CA's certificate: what a person compares.
    pub(crate) fn fingerprint(&self) -> String {
        self.certificate.fingerprint()
    }

    /// Its routes, for a port of their own.
    pub(crate) fn router(self, https: SocketAddr, own: SocketAddr) -> Router {
        let shown = Shown { certificate: self.certificate, https: https.port(), own: own.port() };
        Router::new()
            .route("/", get(front))
            .route("/style.css", get(style))
            .route("/latchkey-ca.crt", get(der))
            .route("/latchkey-ca.pem", get(pem))
            .route("/latchkey-ca.mobileconfig", get(mobileconfig))
            .fallback(async || (StatusCode::NOT_FOUND, "there is only the page /\n"))
            .layer(middleware::map_response(closed))
            .with_state(Arc::new(shown))
    }
}

async fn front(State(shown): State<Arc<Shown>>, headers: HeaderMap) -> Html<String> {
    let host = home_host(&headers).filter(|host| !is_of_this_machine(host)).or_else(first_address);
    let host = host.unwrap_or_else(|| "localhost".to_owned());
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let page = Page {
        ca: &shown.certificate.name,
        fingerprint: &shown.certificate.fingerprint(),
        here: &format!("http://{host}:{}", shown.own),
        server: &format!("https://{host}:{}", shown.https),
        platform: Platform::of(agent),
    };
    Html(page.markup().into_string())
}

async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("install/style.css"))
}

/// Android, Windows and macOS open this one.
async fn der(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/x-x509-ca-cert"),
        (CONTENT_DISPOSITION, "attachment; filename=\"latchkey-ca.crt\""),
    ];
    (headers, shown.certificate.der.to_vec())
}

/// For programs and for Linux.
async fn pem(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/x-pem-file"),
        (CONTENT_DISPOSITION, "attachment; filename=\"latchkey-ca.pem\""),
    ];
    (headers, pem_of(&shown.certificate))
}

/// iOS and iPadOS take a CA only in a profile.
async fn mobileconfig(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/x-apple-aspen-config"),
        (CONTENT_DISPOSITION, "attachment; filename=\"latchkey-ca.mobileconfig\""),
    ];
    (headers, profile::profile(&shown.certificate))
}

/// The page runs nothing, loads nothing from elsewhere and stands in no frame.
async fn closed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn pem_of(certificate: &CaCertificate) -> String {
    let text = STANDARD.encode(&certificate.der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn is_of_this_machine(host: &str) -> bool {
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn first_address() -> Option<String> {
    let address = machine_addresses().into_iter().find(|address| is_home_address(*address))?;
    Some(if address.is_ipv6() { format!("[{address}]") } else { address.to_string() })
}

const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

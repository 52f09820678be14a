//! The API for pages of other origins: those that the operator named, and no others (Fetch standard, CORS protocol).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue,
    ORIGIN, VARY,
};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Origins whose pages may read answers of `/v1`. The relay's door stands open to every page by itself.
pub(crate) type WebOrigins = Arc<[String]>;

/// Lets pages of the named origins in. No cookie is ever read, so a page has no more than the token that it brings.
pub(crate) async fn cors(State(origins): State<WebOrigins>, request: Request, next: Next) -> Response {
    if origins.is_empty() || !request.uri().path().starts_with("/v1/") {
        return next.run(request).await;
    }
    let origin = request.headers().get(ORIGIN).filter(|origin| is_named(&origins, origin)).cloned();
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (preflight, &origin) {
        (true, Some(_)) => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("origin"));
    let Some(origin) = origin else { return response };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    if preflight {
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_METHODS, "DELETE, GET, POST"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Content-Type"),
            (ACCESS_CONTROL_MAX_AGE, "7200"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// Whether a text is an origin as browsers write it: scheme, host, port where it is not the scheme's own, nothing else.
pub(crate) fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_:[]".contains(&b);
    !host.is_empty() && host.bytes().all(plain)
}

fn is_named(origins: &[String], origin: &HeaderValue) -> bool {
    origins.iter().any(|named| named.as_bytes() == origin.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for good in ["https://app.example.org", "http://127.0.0.1:5173", "http://[::1]:80"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in
            ["", "*", "null", "app.example.org", "https://", "https://a/", "https://A.example", "https://a b"]
        {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}

//! The headers of every page and file: what a page may load and do, and how long browsers may keep it.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};

/// Adds them to the answer for `path`. `origin` is the URL of signaling and relay as the caller dialled it.
pub(super) fn add(headers: &mut HeaderMap, path: &str, origin: Option<&str>) {
    headers.insert(CONTENT_SECURITY_POLICY, policy(origin));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", PERMISSIONS),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let kept = if is_hashed(path) { "public, max-age=31536000, immutable" } else { "no-cache" };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(kept));
    // One address has several encodings.
    headers.entry(VARY).or_insert(HeaderValue::from_static("accept-encoding"));
}

/// Nothing but the app's own files, and nothing inline; connections to this server only. Not every browser takes a
/// WebSocket for `'self'`, so its origin is named.
fn policy(origin: Option<&str>) -> HeaderValue {
    let socket = origin.and_then(socket_of).map(|socket| format!(" {socket}")).unwrap_or_default();
    let policy = format!("{POLICY}; connect-src 'self'{socket}");
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(POLICY))
}

/// `ws://host:port` of `http://host:port/…`.
fn socket_of(origin: &str) -> Option<String> {
    let (scheme, rest) = origin.split_once("://")?;
    let host = rest.split('/').next()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    let scheme = match scheme {
        "http" => "ws",
        "https" => "wss",
        _ => return None,
    };
    (!host.is_empty() && host.bytes().all(plain)).then(|| format!("{scheme}://{host}"))
}

/// Whether the name holds a hash of the contents, as the build names its files: `/assets/name-8 characters.ext`.
fn is_hashed(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/assets/") else { return false };
    let stem = name.split('.').next().unwrap_or_default().as_bytes();
    let hash = stem.len().checked_sub(HASH_LEN + 1).and_then(|at| stem.get(at..));
    let character = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    matches!(hash, Some([b'-', hash @ ..]) if hash.iter().all(character))
}

const HASH_LEN: usize = 8;

const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; \
     img-src 'self' blob: data:; media-src 'self' blob:; font-src 'self'; manifest-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const PERMISSIONS: &str = "camera=(self), microphone=(self), autoplay=(self), fullscreen=(self), \
     picture-in-picture=(self), screen-wake-lock=(self), publickey-credentials-get=(self), \
     publickey-credentials-create=(self), geolocation=(), payment=(), usb=(), serial=(), \
     display-capture=(), midi=()";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_socket_is_named_and_no_odd_host_gets_in() {
        let policy = |origin| policy(origin).to_str().unwrap().to_owned();
        assert!(policy(Some("https://cam.example.org/x")).ends_with("'self' wss://cam.example.org"));
        assert!(policy(Some("http://127.0.0.1:9601")).ends_with("'self' ws://127.0.0.1:9601"));
        for odd in
            [None, Some("ftp://x"), Some("http://a b"), Some("http://x; script-src *"), Some("http:///x")]
        {
            assert!(policy(odd).ends_with("connect-src 'self'"), "{odd:?}");
        }
    }

    #[test]
    fn only_names_with_a_hash_are_kept_for_good() {
        for hashed in ["/assets/index-D4f8x_2a.js", "/assets/core-bg-ABCDEFGH.wasm", "/assets/a-1234567-.css"]
        {
            assert!(is_hashed(hashed), "{hashed}");
        }
        for plain in ["/", "/index.html", "/index-12345678.js", "/assets/icon.png", "/assets/12345678.js"] {
            assert!(!is_hashed(plain), "{plain}");
        }
    }
}

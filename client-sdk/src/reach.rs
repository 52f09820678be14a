//! Who was called and why nobody answered, in words for people.

use url::Url;

/// Returns host and port of an address, as shown to people.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Returns the innermost cause of a failed request: the part that names what happened on the network.
///
/// The error itself prints the whole address; its causes do not.
pub(crate) fn network_reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no reply in time".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

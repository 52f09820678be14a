//! Who was called and why nobody answered, in words for people.

use crate::address::Url;

/// Returns host and port of an address, as shown to people.
pub fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Returns the innermost cause of a failed request: the part that names what happened on the network.
///
/// The error itself prints the whole address; its causes do not.
#[cfg(not(target_arch = "wasm32"))]
pub fn network_reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no reply in time".to_owned();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let reason = without_numbers(&innermost.to_string());
    if reason.contains(UNKNOWN_ISSUER) {
        return "nobody whom this machine trusts vouches for its certificate; for a household CA trust the certificate of its install page".to_owned();
    }
    reason
}

/// Returns a sentence without the numbers that operating systems give their errors, as in ` (os error 2)`.
pub fn without_numbers(sentence: &str) -> String {
    let mut plain = sentence.to_owned();
    while let Some(at) = plain.find(OS_ERROR) {
        let Some(end) = plain[at..].find(')') else { break };
        plain.replace_range(at..=at + end, "");
    }
    plain
}

/// How the TLS library calls a certificate of a CA that is not known.
#[cfg(not(target_arch = "wasm32"))]
const UNKNOWN_ISSUER: &str = "UnknownIssuer";
const OS_ERROR: &str = " (os error ";

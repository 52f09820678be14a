//! The event socket itself: tungstenite natively, the page's own in a browser.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod page;

#[cfg(not(target_arch = "wasm32"))]
pub(super) use native::Socket;
#[cfg(target_arch = "wasm32")]
pub(super) use page::Socket;

use crate::address::Url;
use crate::reach::host_of;
use crate::signaling::{Signaling, SignalingError};

/// Returns the socket's address.
fn address(signaling: &Signaling) -> Result<Url, SignalingError> {
    let server = signaling.server().url();
    let mut url = server.join("v1/events").map_err(|error| SignalingError::BadReply(error.to_string()))?;
    let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
    url.set_scheme(scheme).map_err(|()| SignalingError::BadAddress(host_of(server)))?;
    Ok(url)
}

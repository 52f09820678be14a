//! One request and its reply: reqwest natively, the browser's fetch in a page.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod page;

use std::time::Duration;

use bytes::Bytes;

#[cfg(not(target_arch = "wasm32"))]
pub(super) use native::{Http, Method};
#[cfg(target_arch = "wasm32")]
pub(super) use page::{Http, Method};

/// What a server replied.
pub(super) struct Reply {
    /// HTTP status.
    pub(super) status: u16,
    /// How long it asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

/// Reads a `Retry-After` in seconds.
fn retry_after(header: &str) -> Option<Duration> {
    header.parse().ok().map(Duration::from_secs)
}

/// How long a whole reply may take.
const REPLY_LIMIT: Duration = Duration::from_secs(15);

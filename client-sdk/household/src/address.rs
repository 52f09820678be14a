//! Addresses: the `url` crate natively, the browser's own parser in a page, which has it without loading anything.

#[cfg(target_arch = "wasm32")]
mod page;

#[cfg(target_arch = "wasm32")]
pub use page::Url;
#[cfg(not(target_arch = "wasm32"))]
pub use url::Url;

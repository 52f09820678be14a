//! The household and its frames for browsers: a thin face over latchkey-household, latchkey-e2ee and latchkey-wire.
//!
//! It runs inside one worker, which alone holds keys; the page speaks to it by the messages of [`face`].

pub mod face;
#[cfg(target_arch = "wasm32")]
mod panic;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod typescript;

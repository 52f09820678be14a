//! The household and its frames for browsers: a thin face over latchkey-household, latchkey-e2ee and latchkey-wire.
//!
//! It runs inside one worker, which alone holds keys; the page speaks to it by the messages of [`face`]. Everything but
//! the bindings builds natively too, so that tests drive it against a real server.

#[cfg(target_arch = "wasm32")]
mod bindings;
pub mod device;
pub mod face;
mod fault;
pub mod host;
mod told;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod typescript;

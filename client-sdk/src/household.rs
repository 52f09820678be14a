//! Households and their devices: founding one, inviting, joining.

mod code;
mod sealed;

pub use code::{CodeError, InviteCode};

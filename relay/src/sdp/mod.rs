//! SDP (RFC 8866, RFC 9429) at the door: an offer becomes a checked type, and an answer is written from what was agreed.
//!
//! ```text
//! text ──offer──▶ Offer ──negotiate──▶ Negotiation ──(a shard accepts)──▶ answer ──▶ text
//! ```

pub(crate) mod answer;
pub(crate) mod candidate;
pub(crate) mod fragment;
pub(crate) mod negotiate;
pub(crate) mod offer;
pub(crate) mod simulcast;

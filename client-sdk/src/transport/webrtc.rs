//! WebRTC to a relay: WHIP and WHEP in one round trip each, static RTP tracks, our own payloads.

mod codecs;
mod door;
mod feedback;
mod gaps;
mod nack_answers;
mod nack_requests;
mod peer;
mod publisher;
mod runtime;
mod viewer;

pub use publisher::{Publisher, TrackExtensions};
pub use viewer::{Incoming, Subscriber};

#[cfg(test)]
mod tests;

//! Blind relay: opens SRTP, never the frame, and seals it per viewer.

//! Signaling server with a relay inside, for one machine.

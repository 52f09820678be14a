//! What one peer and one shard may use.

use std::time::Duration;

/// Bounds on what peers may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions of one shard.
    pub sessions_per_shard: usize,
    /// RTP packets per second of one publisher, all its tracks together; a second's worth may come at once.
    pub publisher_packets_per_second: u32,
    /// RTP bytes per second of one publisher; a second's worth may come at once.
    pub publisher_bytes_per_second: u32,
    /// STUN, DTLS and RTCP packets per second of one peer; a second's worth may come at once.
    pub control_packets_per_second: u32,
    /// Bytes of them per second.
    pub control_bytes_per_second: u32,
    /// How long a peer may take for its first authenticated check and its DTLS handshake.
    pub connect_timeout: Duration,
    /// How long a connected peer may be silent on STUN (RFC 7675 section 5.1).
    pub consent_timeout: Duration,
    /// How long viewers wait for a publisher that is gone.
    pub publisher_grace: Duration,
    /// How long a packet may be held so that it leaves in one train with others; 0 holds nothing.
    pub longest_hold: Duration,
    /// Bytes asked of the kernel for each socket's receive and send buffer.
    pub socket_buffer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_per_shard: 10_000,
            publisher_packets_per_second: 5_000,
            publisher_bytes_per_second: 6_250_000,
            control_packets_per_second: 500,
            control_bytes_per_second: 250_000,
            connect_timeout: Duration::from_secs(20),
            consent_timeout: Duration::from_secs(25),
            publisher_grace: Duration::from_secs(30),
            longest_hold: Duration::from_millis(2),
            socket_buffer_bytes: 8 << 20,
        }
    }
}

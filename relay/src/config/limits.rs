//! What one session may send, and how long a packet may be held: said once for every program with a relay inside.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::shard::Limits;

/// The table `[limits]` of a configuration file; its flags come by [`limit_flags`](crate::limit_flags).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionLimits {
    /// RTP packets a second of one publisher, all its tracks together; a second's worth may come at once.
    pub max_publisher_packets_per_second: u32,
    /// RTP bytes a second of one publisher; a second's worth may come at once.
    pub max_publisher_bytes_per_second: u32,
    /// STUN, DTLS and RTCP packets a second of one session.
    pub max_control_packets_per_second: u32,
    /// Bytes of them a second.
    pub max_control_bytes_per_second: u32,
    /// Microseconds that a busy relay may hold a packet so that it leaves in one train with others; 0 holds nothing.
    pub longest_hold_us: u32,
}

impl Default for SessionLimits {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            max_publisher_packets_per_second: limits.publisher_packets_per_second,
            max_publisher_bytes_per_second: limits.publisher_bytes_per_second,
            max_control_packets_per_second: limits.control_packets_per_second,
            max_control_bytes_per_second: limits.control_bytes_per_second,
            longest_hold_us: u32::try_from(limits.longest_hold.as_micros()).unwrap_or(u32::MAX),
        }
    }
}

impl SessionLimits {
    /// Returns the key whose value its type cannot refuse, and what to write instead; nothing when all can be used.
    ///
    /// # Errors
    /// The key with its table, and a sentence for the operator.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let bounded = [
            ("limits.max_publisher_packets_per_second", self.max_publisher_packets_per_second),
            ("limits.max_publisher_bytes_per_second", self.max_publisher_bytes_per_second),
            ("limits.max_control_packets_per_second", self.max_control_packets_per_second),
            ("limits.max_control_bytes_per_second", self.max_control_bytes_per_second),
        ];
        if let Some((key, _)) = bounded.into_iter().find(|(_, value)| *value == 0) {
            return Err((key, "write a number above 0: at 0 nothing gets through"));
        }
        if self.longest_hold_us > MOST_HELD_US {
            return Err(("limits.longest_hold_us", "write microseconds from 0 to 20000"));
        }
        Ok(())
    }

    /// Puts them into the shards' limits.
    pub(crate) fn apply(&self, limits: &mut Limits) {
        limits.publisher_packets_per_second = self.max_publisher_packets_per_second;
        limits.publisher_bytes_per_second = self.max_publisher_bytes_per_second;
        limits.control_packets_per_second = self.max_control_packets_per_second;
        limits.control_bytes_per_second = self.max_control_bytes_per_second;
        limits.longest_hold = Duration::from_micros(self.longest_hold_us.into());
    }
}

/// Declares the flags of [`SessionLimits`], to be flattened under the name `limits`, for a program whose environment variables
/// begin with `$prefix`.
#[macro_export]
macro_rules! limit_flags {
    ($name:ident, $prefix:literal) => {
        /// One optional flag for each of the limits. None has a default here: a default would beat the file.
        #[derive(Debug, Default, clap::Args, serde::Serialize)]
        struct $name {
            /// RTP packets a second of one publisher; the rest is dropped, as much again may come at once [default: 5000]
            #[arg(long, env = concat!($prefix, "MAX_PUBLISHER_PACKETS_PER_SECOND"), value_name = "N")]
            #[serde(skip_serializing_if = "Option::is_none")]
            max_publisher_packets_per_second: Option<u32>,
            /// RTP bytes a second of one publisher: 50 Mbit/s by default; the rest is dropped [default: 6250000]
            #[arg(long, env = concat!($prefix, "MAX_PUBLISHER_BYTES_PER_SECOND"), value_name = "BYTES")]
            #[serde(skip_serializing_if = "Option::is_none")]
            max_publisher_bytes_per_second: Option<u32>,
            /// STUN, DTLS and RTCP packets a second of one session; the rest is dropped [default: 500]
            #[arg(long, env = concat!($prefix, "MAX_CONTROL_PACKETS_PER_SECOND"), value_name = "N")]
            #[serde(skip_serializing_if = "Option::is_none")]
            max_control_packets_per_second: Option<u32>,
            /// Bytes of them a second [default: 250000]
            #[arg(long, env = concat!($prefix, "MAX_CONTROL_BYTES_PER_SECOND"), value_name = "BYTES")]
            #[serde(skip_serializing_if = "Option::is_none")]
            max_control_bytes_per_second: Option<u32>,
            /// Microseconds that a busy media thread may hold a packet so that it leaves in one train with others; 0 holds nothing [default: 2000]
            #[arg(long, env = concat!($prefix, "LONGEST_HOLD_US"), value_name = "MICROSECONDS")]
            #[serde(skip_serializing_if = "Option::is_none")]
            longest_hold_us: Option<u32>,
        }
    };
}

const MOST_HELD_US: u32 = 20_000;

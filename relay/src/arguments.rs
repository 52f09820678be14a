//! What the command line and the environment may say: a flag and a variable for each field.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};
use serde::Serialize;

use crate::config::sources::{ConfigError, Sources};
use crate::config::{GrantKey, PublicAddress, RelayConfig};
use crate::srtp::SrtpProfile;
use crate::top::TopOptions;

/// Blind relay for end-to-end-encrypted cameras: publishers come in by WHIP, viewers by WHEP, and nobody here holds a key.
///
/// It needs the public key of whoever signs grants, and UDP to the media port:
///
///   latchkey-relay --grant-key signer-1:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo
///
/// Behind a NAT or in a container, name the address that clients reach: --public-address 203.0.113.7, or let a STUN server
/// find it: --public-address stun:stun.example.org:3478. With --config FILE the same names, with _ for -, stand in a TOML
/// file; --print-config shows what results. While it runs, latchkey-relay top shows what it does.
#[derive(Debug, Parser)]
#[command(name = "latchkey-relay", version, max_term_width = 100)]
pub struct Arguments {
    /// Reads a TOML file; see relay.example.toml for all keys.
    #[arg(long, env = "LATCHKEY_RELAY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Prints the configuration that results from flags, environment, file and defaults, and ends.
    #[arg(long)]
    pub print_config: bool,
    #[command(flatten)]
    flags: Flags,
    /// What to do instead of being a relay.
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

/// What the binary does besides being a relay.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum Verb {
    /// Shows what a running relay does: what comes in and goes out, how fast, and what is dropped.
    ///
    /// It reads the private ops port of a latchkey-relay or latchkey-server and changes nothing:
    ///
    ///   latchkey-relay top                       the relay of this machine, until Ctrl-C
    ///   latchkey-relay top --ops 10.0.0.5:9600   another one
    ///   latchkey-relay top --once                one table after a second, then the end
    ///   latchkey-relay top --once --json | jq    the same for programs, one object on each line
    ///
    /// How to read it:
    ///
    ///   IN, OUT     what publishers send and what viewers get (of a shard: STUN, DTLS and RTCP, too)
    ///   p50, p99    half of the packets, all but one in a hundred, went through the relay within this
    ///   AGAIN/s     packets repeated for viewers that had lost them
    ///   CPU         share of one processor that the media thread uses
    ///   dropped     packets of the shard that went no further; docs/metrics.md explains the reasons
    ///   LIMITED/s   packets dropped because a session of the room sends more than it may
    ///   REFUSED/s   packets of the publisher that the room did not take, such as repetitions
    ///
    /// Rooms are named by their opaque ids; the relay knows no other names.
    #[command(verbatim_doc_comment)]
    Top(TopOptions),
}

/// One optional flag for each field of [`RelayConfig`]. None has a default here: a default would beat the file.
#[derive(Debug, Default, Args, Serialize)]
struct Flags {
    /// UDP address for media: STUN, DTLS and SRTP share it. [::]:PORT serves IPv6 and IPv4 [default: 0.0.0.0:9602]
    #[arg(long, env = "LATCHKEY_RELAY_BIND", value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    bind: Option<SocketAddr>,
    /// TCP address of the door: /whip and /whep over HTTP; put TLS in front of it. "off" closes it [default: 0.0.0.0:9601]
    #[arg(long, env = "LATCHKEY_RELAY_DOOR", value_name = "ADDRESS:PORT", value_parser = address_or_off)]
    #[serde(skip_serializing_if = "Option::is_none")]
    door: Option<String>,
    /// TCP address of the private ops port: metrics, health, cut, drain. Whoever reaches it can cut viewers off [default: 127.0.0.1:9600]
    #[arg(long, env = "LATCHKEY_RELAY_OPS", value_name = "ADDRESS:PORT", value_parser = address_or_off)]
    #[serde(skip_serializing_if = "Option::is_none")]
    ops: Option<String>,
    /// Address that answers name: an IP, IP:PORT for a forward that changes the port, or stun:HOST:PORT; several with commas [default: this machine's]
    #[arg(long, env = "LATCHKEY_RELAY_PUBLIC_ADDRESS", value_name = "ADDRESS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    public_address: Vec<PublicAddress>,
    /// Media threads; 0 means one for each core [default: 0]
    #[arg(long, env = "LATCHKEY_RELAY_SHARDS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<usize>,
    /// SRTP profiles that may be agreed on, best first: gcm128, sha1_80 (five times the CPU; browsers know both) [default: gcm128,sha1_80]
    #[arg(long, env = "LATCHKEY_RELAY_SRTP_PROFILES", value_name = "NAME", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    srtp_profiles: Vec<SrtpProfile>,
    /// Name of this relay or its cluster, which grants must carry as aud [default: latchkey]
    #[arg(long, env = "LATCHKEY_RELAY_AUDIENCE", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<String>,
    /// Public key whose grants open the door, as kid:base64url; several with commas
    #[arg(
        long = "grant-key",
        env = "LATCHKEY_RELAY_GRANT_KEYS",
        value_name = "KID:KEY",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grant_keys: Vec<GrantKey>,
    /// File with such keys, one on each line; several with commas
    #[arg(
        long = "grant-key-file",
        env = "LATCHKEY_RELAY_GRANT_KEY_FILES",
        value_name = "FILE",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    grant_key_files: Vec<PathBuf>,
    /// Rooms at once [default: 10000]
    #[arg(long, env = "LATCHKEY_RELAY_MAX_ROOMS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_rooms: Option<usize>,
    /// Sessions at once [default: 20000]
    #[arg(long, env = "LATCHKEY_RELAY_MAX_SESSIONS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_sessions: Option<usize>,
    /// Viewers of one room at once [default: 1000]
    #[arg(long, env = "LATCHKEY_RELAY_MAX_VIEWERS_PER_ROOM", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_viewers_per_room: Option<usize>,
    /// Sessions of one device at once [default: 32]
    #[arg(long, env = "LATCHKEY_RELAY_MAX_SESSIONS_PER_DEVICE", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_sessions_per_device: Option<usize>,
    /// TCP connections at once on each port; who comes after waits [default: 10000]
    #[arg(long, env = "LATCHKEY_RELAY_MAX_CONNECTIONS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<usize>,
    /// Longest SDP read, in bytes [default: 65536]
    #[arg(long, env = "LATCHKEY_RELAY_MAX_SDP_BYTES", value_name = "BYTES")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_sdp_bytes: Option<usize>,
    /// Seconds that SIGTERM waits for sessions to leave [default: 10]
    #[arg(long, env = "LATCHKEY_RELAY_DRAIN_SECONDS", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<u64>,
    /// What is logged, as in RUST_LOG: info, or latchkey_relay=debug [default: info]
    #[arg(long, env = "LATCHKEY_RELAY_LOG", value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Logs one JSON object on each line [default: false]
    #[arg(long, env = "LATCHKEY_RELAY_JSON", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<bool>,
    #[command(flatten)]
    limits: LimitFlags,
}

crate::limit_flags!(LimitFlags, "LATCHKEY_RELAY_");

impl Arguments {
    /// Reads the arguments of this process. On `--help`, `--version` or a wrong flag it prints and ends the process (code 2
    /// for a wrong flag).
    #[must_use]
    pub fn of_process() -> Self {
        Self::parse()
    }

    /// Reads arguments given by hand, the program's name first; the environment counts, too.
    ///
    /// # Errors
    /// When a flag is unknown or a value cannot be read; the text says which.
    pub fn from_words<I: IntoIterator<Item = T>, T: Into<OsString> + Clone>(
        words: I,
    ) -> Result<Self, clap::Error> {
        Self::try_parse_from(words)
    }

    /// Puts flags, environment, file and defaults together.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn resolve(&self) -> Result<RelayConfig, ConfigError> {
        let config: RelayConfig = self.sources().resolve(&Self::command(), &self.flags)?;
        config.limits.check().map_err(|(key, reason)| self.sources().refuse(key, reason))?;
        Ok(config)
    }

    fn sources(&self) -> Sources<'_> {
        Sources { program: "latchkey-relay", variables: "LATCHKEY_RELAY_", file: self.config.as_deref() }
    }
}

impl RelayConfig {
    /// This configuration as a TOML file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field is a TOML value")
    }
}

fn address_or_off(text: &str) -> Result<String, String> {
    if text == "off" || text.parse::<SocketAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("write address:port, for example 127.0.0.1:9600, or off".to_owned())
}

#[cfg(test)]
mod tests;

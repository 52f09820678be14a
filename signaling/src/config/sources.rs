//! Where a configuration comes from: flags beat environment, environment beats the file, the file beats the defaults.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory, Parser};
use figment::Figment;
use figment::error::Kind;
use figment::providers::{Format, Serialized, Toml};
use latchkey_relay::PublicAddress;
use serde::Serialize;

use crate::config::ServerConfig;

/// Signaling server with a blind relay inside: everything a household needs on one machine, and no key to a picture.
///
/// It needs no setup. This starts it with its data in ./latchkey-data:
///
///   latchkey-server
///
/// Clients dial the TCP port (9601) and send media to the UDP port (9602). Behind a NAT or in a container name what
/// clients reach: `--public-url https://cam.example.org` and `--public-address 203.0.113.7` (or `stun:HOST:PORT`). TLS
/// ends in a reverse proxy in front (then add --behind-proxy). With --config FILE the same names, with _ for -, stand in a
/// TOML file; --print-config shows what results.
#[derive(Debug, Parser)]
#[command(name = "latchkey-server", version, max_term_width = 100)]
pub struct Arguments {
    /// Reads a TOML file; see server.example.toml for all keys.
    #[arg(long, env = "LATCHKEY_SERVER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Prints the configuration that results from flags, environment, file and defaults, and ends.
    #[arg(long)]
    pub print_config: bool,
    /// Writes a JSON file with the addresses really taken and the process id, once the server is ready.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// One optional flag for each field of [`ServerConfig`]. None has a default here: a default would beat the file.
#[derive(Debug, Default, Args, Serialize)]
struct Flags {
    /// Folder for the database and the grant signing key; made when it is not there [default: latchkey-data]
    #[arg(long, env = "LATCHKEY_SERVER_DATA_DIR", value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    /// TCP address of signaling and of the relay's door: /v1, /whip and /whep over HTTP [default: 0.0.0.0:9601]
    #[arg(long, env = "LATCHKEY_SERVER_LISTEN", value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    /// UDP address for media: STUN, DTLS and SRTP share it. [::]:PORT serves IPv6 and IPv4 [default: 0.0.0.0:9602]
    #[arg(long, env = "LATCHKEY_SERVER_MEDIA", value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    media: Option<SocketAddr>,
    /// TCP address of the private ops port: metrics, health, cut, drain. Whoever reaches it can cut viewers off [default: 127.0.0.1:9600]
    #[arg(long, env = "LATCHKEY_SERVER_OPS", value_name = "ADDRESS:PORT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ops: Option<SocketAddr>,
    /// Address that media answers name: an IP, IP:PORT for a forward that changes the port, or stun:HOST:PORT; several with commas [default: this machine's]
    #[arg(long, env = "LATCHKEY_SERVER_PUBLIC_ADDRESS", value_name = "ADDRESS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    public_address: Vec<PublicAddress>,
    /// URL under which clients reach the server; needed when that is no private name or address
    #[arg(long, env = "LATCHKEY_SERVER_PUBLIC_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    /// A reverse proxy stands in front: believe its X-Forwarded-For and X-Forwarded-Proto [default: false]
    #[arg(long, env = "LATCHKEY_SERVER_BEHIND_PROXY", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    behind_proxy: Option<bool>,
    /// Media threads; 0 means one for each core [default: 0]
    #[arg(long, env = "LATCHKEY_SERVER_SHARDS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<usize>,
    /// Viewers of one camera at once [default: 1000]
    #[arg(long, env = "LATCHKEY_SERVER_MAX_VIEWERS_PER_ROOM", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_viewers_per_room: Option<usize>,
    /// Hours that a view may last before the client asks for a new grant [default: 24]
    #[arg(long, env = "LATCHKEY_SERVER_MAX_SESSION_HOURS", value_name = "HOURS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_session_hours: Option<u64>,
    /// Days that MLS messages are kept for devices that sleep [default: 90]
    #[arg(long, env = "LATCHKEY_SERVER_KEEP_MESSAGES_DAYS", value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_messages_days: Option<u64>,
    /// Requests per second from one address [default: 100.0]
    #[arg(long, env = "LATCHKEY_SERVER_ADDRESS_RATE", value_name = "RATE", value_parser = positive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    address_rate: Option<f64>,
    /// Requests at once from one address [default: 1000]
    #[arg(long, env = "LATCHKEY_SERVER_ADDRESS_BURST", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    address_burst: Option<u32>,
    /// Requests per second from one address to routes without sign-in [default: 20.0]
    #[arg(long, env = "LATCHKEY_SERVER_OPEN_RATE", value_name = "RATE", value_parser = positive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    open_rate: Option<f64>,
    /// Requests at once from one address to routes without sign-in [default: 400]
    #[arg(long, env = "LATCHKEY_SERVER_OPEN_BURST", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    open_burst: Option<u32>,
    /// Households per hour from one address [default: 60.0]
    #[arg(long, env = "LATCHKEY_SERVER_HOUSEHOLD_RATE", value_name = "RATE", value_parser = positive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    household_rate: Option<f64>,
    /// Households at once from one address [default: 20]
    #[arg(long, env = "LATCHKEY_SERVER_HOUSEHOLD_BURST", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    household_burst: Option<u32>,
    /// Requests per second from one device [default: 20.0]
    #[arg(long, env = "LATCHKEY_SERVER_DEVICE_RATE", value_name = "RATE", value_parser = positive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    device_rate: Option<f64>,
    /// Requests at once from one device [default: 200]
    #[arg(long, env = "LATCHKEY_SERVER_DEVICE_BURST", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    device_burst: Option<u32>,
    /// Seconds that SIGTERM waits for sessions to leave [default: 2]
    #[arg(long, env = "LATCHKEY_SERVER_DRAIN_SECONDS", value_name = "SECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    drain_seconds: Option<u64>,
    /// What is logged, as in RUST_LOG: info, or latchkey_signaling=debug [default: info]
    #[arg(long, env = "LATCHKEY_SERVER_LOG", value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    /// Logs one JSON object on each line [default: false]
    #[arg(long, env = "LATCHKEY_SERVER_JSON", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<bool>,
}

/// Why there is no configuration. The operator's fault; each sentence says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file named by `--config` cannot be read.
    #[error("cannot read the configuration {path}: {reason}")]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file has a key that means nothing.
    #[error("{place} has an unknown key \"{key}\"{suggestion}")]
    UnknownKey {
        /// The file, or what else it was read from.
        place: String,
        /// The key.
        key: String,
        /// The key that was probably meant.
        suggestion: Suggestion,
    },
    /// An environment variable looks like ours and means nothing.
    #[error("the environment has an unknown variable {name}{suggestion}")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// The variable that was probably meant.
        suggestion: Suggestion,
    },
    /// A value cannot be used.
    #[error("{place}: {key}: {reason}")]
    Value {
        /// The file, or what else it was read from.
        place: String,
        /// The key, or `syntax` when the file is no TOML.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The nearest valid name, if one is near, and where all of them are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion(Option<String>);

impl Arguments {
    /// Reads the arguments of this process. On `--help`, `--version` or a wrong flag it prints and ends the process
    /// (code 2 for a wrong flag).
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
    pub fn resolve(&self) -> Result<ServerConfig, ConfigError> {
        let ours = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        refuse_unknown_variables(ours)?;
        let mut figment = Figment::from(Serialized::defaults(ServerConfig::default()));
        if let Some(path) = &self.config {
            figment = figment.merge(Toml::string(&read(path)?));
        }
        let config: ServerConfig = figment
            .merge(Serialized::defaults(&self.flags))
            .extract()
            .map_err(|error| self.explain(error))?;
        self.check(&config)?;
        Ok(config)
    }

    /// What no type can say.
    fn check(&self, config: &ServerConfig) -> Result<(), ConfigError> {
        let wrong = |key: &str, reason: &str| {
            Err(ConfigError::Value { place: self.place(), key: key.to_owned(), reason: reason.to_owned() })
        };
        for (key, rate) in [
            ("address_rate", config.address_rate),
            ("open_rate", config.open_rate),
            ("household_rate", config.household_rate),
            ("device_rate", config.device_rate),
        ] {
            if !rate.is_finite() || rate <= 0.0 {
                return wrong(key, "write a number above 0");
            }
        }
        for (key, burst) in [
            ("address_burst", config.address_burst),
            ("open_burst", config.open_burst),
            ("household_burst", config.household_burst),
            ("device_burst", config.device_burst),
        ] {
            if burst == 0 {
                return wrong(key, "write a number above 0");
            }
        }
        if !(1..=HOURS_OF_A_YEAR).contains(&config.max_session_hours) {
            return wrong("max_session_hours", "write a number from 1 to 8760");
        }
        let scheme = config.public_url.starts_with("http://") || config.public_url.starts_with("https://");
        if !config.public_url.is_empty() && !scheme {
            return wrong("public_url", "write it with its scheme, like https://cam.example.org");
        }
        Ok(())
    }

    fn place(&self) -> String {
        self.config.as_ref().map_or("the configuration".to_owned(), |path| path.display().to_string())
    }

    fn explain(&self, error: figment::Error) -> ConfigError {
        let place = self.place();
        let Some(error) = error.into_iter().next() else {
            return ConfigError::Value {
                place,
                key: "syntax".to_owned(),
                reason: "cannot be read".to_owned(),
            };
        };
        if let Kind::UnknownField(key, known) = &error.kind {
            let suggestion = Suggestion::nearest(key, known.iter().copied());
            return ConfigError::UnknownKey { place, key: key.clone(), suggestion };
        }
        let key = if error.path.is_empty() { "syntax".to_owned() } else { error.path.join(".") };
        ConfigError::Value { place, key, reason: error.kind.to_string().trim_end().replace('\n', "; ") }
    }
}

impl ServerConfig {
    /// This configuration as a TOML file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field is a TOML value")
    }
}

impl Suggestion {
    fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let ranked = known.map(|name| (strsim::jaro_winkler(given, name), name));
        let best = ranked.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > 0.75);
        Self(best.map(|(_, name)| name.to_owned()))
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "; did you mean \"{name}\"? "),
            None => write!(f, "; "),
        }?;
        write!(f, "latchkey-server --help lists all")
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), reason: error.to_string() })
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "write a number above 0".to_owned())
}

/// Kubernetes sets variables like `LATCHKEY_SERVER_SERVICE_HOST` for a Service named latchkey-server; those are not
/// ours.
fn refuse_unknown_variables(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    let command = Arguments::command();
    let known: Vec<&str> = command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()).collect();
    for name in names {
        let Some(rest) = name.strip_prefix("LATCHKEY_SERVER_") else { continue };
        let of_kubernetes = rest.starts_with("SERVICE_") || rest == "PORT" || rest.starts_with("PORT_");
        if !of_kubernetes && !known.contains(&name.as_str()) {
            let suggestion = Suggestion::nearest(&name, known.iter().copied());
            return Err(ConfigError::UnknownVariable { name, suggestion });
        }
    }
    Ok(())
}

const HOURS_OF_A_YEAR: u64 = 8_760;

#[cfg(test)]
mod tests;

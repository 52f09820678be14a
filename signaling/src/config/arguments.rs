//! What the command line and the environment may say: a flag and a variable for each field, and what no type can refuse.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, value_parser};
use latchkey_relay::PublicAddress;
use latchkey_relay::sources::{ConfigError, Sources};
use latchkey_signaling_core::invites::{MAX_DAYS, MAX_USES};
use serde::Serialize;

use crate::config::{Registration, ServerConfig, Tls};
use crate::http::cors::is_origin;

/// Signaling server with a blind relay inside: everything a household needs on one machine, and no key to a picture.
///
/// It needs no setup. This starts it with its data in ./latchkey-data:
///
///   latchkey-server
///
/// Clients dial the TCP port (9601) and send media to the UDP port (9602). Behind a NAT or in a container name what
/// clients reach: `--public-url https://cam.example.org` and `--public-address 203.0.113.7` (or `stun:HOST:PORT`). With
/// --config FILE the same names, with _ for -, stand in a TOML file; --print-config shows what results.
///
/// Browsers on other devices need HTTPS. Choose one of four (signaling/docs/https.md):
///
///   latchkey-server --tls local-ca                                    at home, without a domain
///   latchkey-server --listen 0.0.0.0:443 --acme cam.example.org       a domain that leads here
///   latchkey-server --tls-cert fullchain.pem --tls-key privkey.pem    a certificate that you have
///   latchkey-server --listen 127.0.0.1:9601 --behind-proxy            TLS ends in a reverse proxy
#[derive(Debug, Parser)]
#[command(name = "latchkey-server", version, max_term_width = 100)]
pub struct Arguments {
    /// Reads a TOML file; see server.example.toml for all keys.
    #[arg(long, env = "LATCHKEY_SERVER_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Prints the configuration that results from flags, environment, file and defaults, and ends.
    #[arg(long)]
    pub print_config: bool,
    /// Writes a JSON file with the addresses really taken and the process id, once the server is ready.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program does when it does not serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Prints a code with which a household may register at a server of --registration invite, which may be running.
    InviteCode {
        /// Households that it may register.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=i64::from(MAX_USES)))]
        uses: u32,
        /// Days that it is good for.
        #[arg(long, value_name = "D", default_value_t = 7, value_parser = value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
        days: u32,
    },
}

/// One optional flag for each field of [`ServerConfig`]. None has a default here: a default would beat the file.
#[derive(Debug, Default, Args, Serialize)]
struct Flags {
    /// Folder for the database and the grant signing key; made when it is not there [default: latchkey-data]
    #[arg(long, env = "LATCHKEY_SERVER_DATA_DIR", value_name = "FOLDER", global = true)]
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
    /// Folder of the web app, or "off" (where none is named: "web" beside the binary, or target/web)
    #[arg(long, env = "LATCHKEY_SERVER_WEB_DIR", value_name = "FOLDER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    web_dir: Option<PathBuf>,
    /// Origin of another host whose pages may use the API, such as https://app.example.org; several with commas
    #[arg(long, env = "LATCHKEY_SERVER_WEB_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    web_origin: Vec<String>,
    /// A reverse proxy stands in front: believe its X-Forwarded-For and X-Forwarded-Proto [default: false]
    #[arg(long, env = "LATCHKEY_SERVER_BEHIND_PROXY", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    behind_proxy: Option<bool>,
    /// Where the certificate for HTTPS comes from: auto (--tls-cert or --acme, else plain HTTP), off, or local-ca, a CA of this
    /// household for devices at home [default: auto]
    #[arg(
        long,
        env = "LATCHKEY_SERVER_TLS",
        value_name = "FROM",
        value_enum,
        hide_possible_values = true,
        help_heading = HTTPS
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    /// Certificate and its chain in PEM; read again when the file changes
    #[arg(long, env = "LATCHKEY_SERVER_TLS_CERT", value_name = "FILE", help_heading = HTTPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_cert: Option<PathBuf>,
    /// Its key in PEM
    #[arg(long, env = "LATCHKEY_SERVER_TLS_KEY", value_name = "FILE", help_heading = HTTPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_key: Option<PathBuf>,
    /// With local-ca: more names and addresses that devices at home dial; several with commas
    #[arg(long, env = "LATCHKEY_SERVER_TLS_NAMES", value_name = "NAME", value_delimiter = ',', help_heading = HTTPS)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_names: Vec<String>,
    /// With local-ca: TCP address of the page that helps devices trust it, over plain HTTP [default: 0.0.0.0:9603]
    #[arg(long, env = "LATCHKEY_SERVER_TLS_INSTALL", value_name = "ADDRESS:PORT", help_heading = HTTPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_install: Option<SocketAddr>,
    /// Domain to get a certificate for by itself, by ACME; its port 443 must lead to --listen. Several with commas
    #[arg(long, env = "LATCHKEY_SERVER_ACME", value_name = "DOMAIN", value_delimiter = ',', help_heading = HTTPS)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acme: Vec<String>,
    /// Where the CA writes to when something is wrong with the certificate
    #[arg(long, env = "LATCHKEY_SERVER_ACME_EMAIL", value_name = "ADDRESS", help_heading = HTTPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    acme_email: Option<String>,
    /// Directory of the ACME CA [default: https://acme-v02.api.letsencrypt.org/directory]
    #[arg(long, env = "LATCHKEY_SERVER_ACME_DIRECTORY", value_name = "URL", help_heading = HTTPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    acme_directory: Option<String>,
    /// Certificate in PEM that the ACME CA's own HTTPS is checked by, for a CA of your own
    #[arg(long, env = "LATCHKEY_SERVER_ACME_CA", value_name = "FILE", help_heading = HTTPS)]
    #[serde(skip_serializing_if = "Option::is_none")]
    acme_ca: Option<PathBuf>,
    /// Media threads; 0 means one for each core [default: 0]
    #[arg(long, env = "LATCHKEY_SERVER_SHARDS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<usize>,
    /// Viewers of one camera at once [default: 1000]
    #[arg(long, env = "LATCHKEY_SERVER_MAX_VIEWERS_PER_ROOM", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_viewers_per_room: Option<usize>,
    /// Views and publications of one device at once [default: 32]
    #[arg(long, env = "LATCHKEY_SERVER_MAX_SESSIONS_PER_DEVICE", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_sessions_per_device: Option<usize>,
    /// Hours that a view may last before the client asks for a new grant [default: 24]
    #[arg(long, env = "LATCHKEY_SERVER_MAX_SESSION_HOURS", value_name = "HOURS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_session_hours: Option<u64>,
    /// Days that MLS messages are kept for devices that sleep [default: 90]
    #[arg(long, env = "LATCHKEY_SERVER_KEEP_MESSAGES_DAYS", value_name = "DAYS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_messages_days: Option<u64>,
    /// Who may register a household: open to all who reach the server, or by invite code [default: open]
    #[arg(
        long,
        env = "LATCHKEY_SERVER_REGISTRATION",
        value_name = "WHO",
        value_enum,
        hide_possible_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<Registration>,
    /// Households in all [default: 10000]
    #[arg(long, env = "LATCHKEY_SERVER_MAX_HOUSEHOLDS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_households: Option<u64>,
    /// TCP connections at once on each port; who comes after waits [default: 10000]
    #[arg(long, env = "LATCHKEY_SERVER_MAX_CONNECTIONS", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_connections: Option<usize>,
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
    /// Requests at once from one device [default: 600]
    #[arg(long, env = "LATCHKEY_SERVER_DEVICE_BURST", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    device_burst: Option<u32>,
    /// Messages per second from one device to a group [default: 2.0]
    #[arg(long, env = "LATCHKEY_SERVER_MESSAGE_RATE", value_name = "RATE", value_parser = positive)]
    #[serde(skip_serializing_if = "Option::is_none")]
    message_rate: Option<f64>,
    /// Messages at once from one device to a group [default: 240]
    #[arg(long, env = "LATCHKEY_SERVER_MESSAGE_BURST", value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    message_burst: Option<u32>,
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
    #[command(flatten)]
    limits: LimitFlags,
}

latchkey_relay::limit_flags!(LimitFlags, "LATCHKEY_SERVER_");

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
        let config = self.sources().resolve(&Self::command(), &self.flags)?;
        self.check(&config)?;
        Ok(config)
    }

    /// What no type can say.
    fn check(&self, config: &ServerConfig) -> Result<(), ConfigError> {
        let wrong = |key: &str, reason: &str| Err(self.sources().refuse(key, reason));
        for (key, rate) in [
            ("address_rate", config.address_rate),
            ("open_rate", config.open_rate),
            ("household_rate", config.household_rate),
            ("device_rate", config.device_rate),
            ("message_rate", config.message_rate),
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
            ("message_burst", config.message_burst),
        ] {
            if burst == 0 {
                return wrong(key, "write a number above 0");
            }
        }
        if !(1..=MOST_CONNECTIONS).contains(&config.max_connections) {
            return wrong("max_connections", "write a number from 1 to 1000000");
        }
        if config.max_sessions_per_device == 0 {
            return wrong("max_sessions_per_device", "write a number above 0");
        }
        if !(1..=HOURS_OF_A_YEAR).contains(&config.max_session_hours) {
            return wrong("max_session_hours", "write a number from 1 to 8760");
        }
        if let Err((key, reason)) = config.limits.check() {
            return wrong(key, reason);
        }
        let scheme = config.public_url.starts_with("http://") || config.public_url.starts_with("https://");
        if !config.public_url.is_empty() && !scheme {
            return wrong("public_url", "write it with its scheme, like https://cam.example.org");
        }
        if !config.web_origin.iter().all(|origin| is_origin(origin)) {
            return wrong(
                "web_origin",
                "write scheme and host in small letters and nothing behind, like https://app.example.org",
            );
        }
        self.check_tls(config)
    }

    fn check_tls(&self, config: &ServerConfig) -> Result<(), ConfigError> {
        let wrong = |key: &str, reason: &str| Err(self.sources().refuse(key, reason));
        let (cert, key) = (!config.tls_cert.as_os_str().is_empty(), !config.tls_key.as_os_str().is_empty());
        if cert != key {
            let missing = if cert { "tls_key" } else { "tls_cert" };
            return wrong(missing, "a certificate and its key come together: name the file of this one, too");
        }
        if cert && !config.acme.is_empty() {
            return wrong("acme", "a certificate is given with tls_cert: leave out one of the two");
        }
        if config.tls == Tls::LocalCa && (cert || !config.acme.is_empty()) {
            return wrong(
                "tls",
                "local-ca makes its own certificates: leave out tls_cert and acme, or write auto",
            );
        }
        if config.acme.iter().any(|domain| !is_domain(domain)) {
            return wrong(
                "acme",
                "write a domain name alone, like cam.example.org, without scheme, port or *",
            );
        }
        let https =
            config.tls == Tls::LocalCa || config.tls == Tls::Auto && (cert || !config.acme.is_empty());
        if https && config.public_url.starts_with("http://") {
            return wrong("public_url", "the server speaks HTTPS: write https:// there, or leave it out");
        }
        if !config.acme_directory.starts_with("https://") {
            return wrong("acme_directory", "write the https:// address of the CA's directory");
        }
        Ok(())
    }

    fn sources(&self) -> Sources<'_> {
        Sources { program: "latchkey-server", variables: "LATCHKEY_SERVER_", file: self.config.as_deref() }
    }
}

impl ServerConfig {
    /// This configuration as a TOML file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every field is a TOML value")
    }
}

/// A name with a dot that is not an address: what a public CA can vouch for.
fn is_domain(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
    };
    name.contains('.') && name.parse::<std::net::IpAddr>().is_err() && name.split('.').all(label)
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "write a number above 0".to_owned())
}

const HTTPS: &str = "HTTPS";
const MOST_CONNECTIONS: usize = 1_000_000;
const HOURS_OF_A_YEAR: u64 = 8_760;

#[cfg(test)]
mod tests;

//! The TCP side: the name, the port, and what answers there.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use latchkey_api::probe::{Probe, SOCKET_GREETING};
use latchkey_api::problem::{Problem, ProblemCode};
use latchkey_household::reach::{network_reason, without_numbers};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{Connector, connect_async_tls_with_config};
use url::Url;

use crate::cli::doctor::outside::Target;
use crate::cli::doctor::outside::shown::{Check, Shown};
use crate::trust;

/// The addresses behind the name.
pub(super) async fn resolve(
    shown: &mut Shown,
    target: &Target,
    patience: Duration,
) -> Option<Vec<SocketAddr>> {
    let began = Instant::now();
    shown.doing("asking for the address ...");
    let found = timeout(patience, lookup_host((target.host.as_str(), target.port))).await;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if addresses.is_empty() {
        let reason = format!("nobody knows the name {}", target.host);
        let advice = "let an A or AAAA record of the domain name the public address of the server's network";
        shown.shut(Check::Name, began.elapsed(), &reason, Some(advice));
        return None;
    }
    let all: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
    shown.open(Check::Name, began.elapsed(), &all.join(", "));
    Some(addresses)
}

/// Whether anything takes a connection.
pub(super) async fn tcp(
    shown: &mut Shown,
    target: &Target,
    addresses: &[SocketAddr],
    patience: Duration,
) -> bool {
    let began = Instant::now();
    shown.doing("connecting ...");
    let mut refused = false;
    for address in addresses {
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                shown.open(Check::Tcp, began.elapsed(), &address.to_string());
                return true;
            }
            Ok(Err(error)) => refused |= error.kind() == ErrorKind::ConnectionRefused,
            Err(_) => {}
        }
    }
    let port = target.port;
    let (reason, advice) = if refused {
        (
            format!("port {port} is closed: something answers there, and takes no connection"),
            format!(
                "start the server with --listen 0.0.0.0:{port}, or forward TCP {port} in the router to the machine and port where it listens"
            ),
        )
    } else {
        (
            format!("port {port} is silent: a router or firewall drops what is sent there"),
            format!(
                "in the router forward TCP {port} to the server's machine, and let TCP {port} in through its firewall"
            ),
        )
    };
    shown.shut(Check::Tcp, began.elapsed(), &reason, Some(&advice));
    false
}

/// What speaks HTTP behind the port.
pub(super) struct Web<'a> {
    target: &'a Target,
    http: reqwest::Client,
    patience: Duration,
}

impl<'a> Web<'a> {
    /// Fails with a sentence when this machine has no TLS to speak with.
    pub(super) fn new(target: &'a Target, patience: Duration) -> Result<Self, String> {
        let mut builder = reqwest::Client::builder().no_proxy().timeout(patience);
        if target.is_https() {
            builder = builder.tls_backend_preconfigured(trust::tls().map_err(|error| error.to_string())?);
        }
        let http = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { target, http, patience })
    }

    /// Whether it is a Latchkey server that answers.
    pub(super) async fn http(&self, shown: &mut Shown) -> bool {
        let began = Instant::now();
        shown.doing("asking who is there ...");
        let reason = match self.http.get(self.url("livez")).send().await {
            Err(error) => network_reason(&error),
            Ok(answer) if answer.status().is_success() => match answer.text().await {
                Ok(text) if text.trim() == "ok" => {
                    shown.open(Check::Http, began.elapsed(), "");
                    return true;
                }
                _ => "something else than a Latchkey server answers".to_owned(),
            },
            Ok(answer) => format!("something answers with HTTP {}", answer.status().as_u16()),
        };
        let advice =
            "lead this port to latchkey-server: a router's own page or another web server may have it";
        shown.shut(Check::Http, began.elapsed(), &reason, Some(advice));
        false
    }

    /// Whether a WebSocket comes through.
    pub(super) async fn socket(&self, shown: &mut Shown) {
        let began = Instant::now();
        shown.doing("opening a WebSocket ...");
        let advice =
            "a proxy on the way must pass on Upgrade and Connection headers (nginx: proxy_http_version 1.1)";
        match timeout(self.patience, self.greeting()).await {
            Ok(Ok(())) => shown.open(Check::WebSocket, began.elapsed(), ""),
            Ok(Err(reason)) => shown.shut(Check::WebSocket, began.elapsed(), &reason, Some(advice)),
            Err(_) => shown.shut(Check::WebSocket, began.elapsed(), "no reply in time", Some(advice)),
        }
    }

    async fn greeting(&self) -> Result<(), String> {
        let mut url = self.url("v1/probes/socket");
        let scheme = if self.target.is_https() { "wss" } else { "ws" };
        url.set_scheme(scheme).map_err(|()| "the address cannot be used".to_owned())?;
        let connector = match self.target.is_https() {
            true => Connector::Rustls(Arc::new(trust::tls().map_err(|error| error.to_string())?)),
            false => Connector::Plain,
        };
        let opened = connect_async_tls_with_config(url.as_str(), None, false, Some(connector)).await;
        let (mut socket, _) = opened.map_err(|error| match error {
            Error::Http(answer) => format!("the upgrade was answered with HTTP {}", answer.status().as_u16()),
            other => without_numbers(&other.to_string()),
        })?;
        match socket.next().await {
            Some(Ok(Message::Text(text))) if text.as_str() == SOCKET_GREETING => Ok(()),
            _ => Err("it opened, and nothing came through".to_owned()),
        }
    }

    /// Credentials to look at the media port with.
    pub(super) async fn probe(&self, shown: &mut Shown) -> Option<Probe> {
        let began = Instant::now();
        shown.doing("asking for a probe of the media port ...");
        let (reason, advice) = match self.http.post(self.url("v1/probes")).send().await {
            Err(error) => (network_reason(&error), None),
            Ok(answer) if answer.status().is_success() => match answer.json::<Probe>().await {
                Ok(probe) => return Some(probe),
                Err(_) => ("the server's reply is not understood".to_owned(), Some("is it of this version?")),
            },
            Ok(answer) => {
                let problem: Option<Problem> = answer.json().await.ok();
                match problem {
                    Some(problem) if problem.code == ProblemCode::RateLimited => (
                        "not tried: too many probes from here".to_owned(),
                        Some("wait a minute and try again"),
                    ),
                    Some(problem) => (format!("not tried: {}", problem.detail), None),
                    None => ("the server gives no probe".to_owned(), Some("is it of this version?")),
                }
            }
        };
        shown.shut(Check::Media, began.elapsed(), &reason, advice);
        None
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.target.url.clone();
        url.set_path(path);
        url.set_query(None);
        url
    }
}

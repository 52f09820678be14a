//! Reads pages of an ops port over plain HTTP.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// One ops port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpsPort {
    /// Host and port.
    name: String,
}

/// Why a page was not read. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The caller's: not an address with a port.
    #[error("\"{0}\" is no ops port: write ADDRESS:PORT, for example 127.0.0.1:9600")]
    NotAPort(String),
    /// The caller's or the relay's: nobody listens there.
    #[error(
        "nothing answers at {port}: {reason}. Is the relay running, and is this its ops port (--ops of latchkey-relay or latchkey-server)?"
    )]
    Unreachable {
        /// As asked for.
        port: String,
        /// What the system said.
        reason: String,
    },
    /// The caller's: something else listens there, or a relay of another version.
    #[error("{port} is not the ops port of a relay of this version: {page} answered {said}")]
    NotARelay {
        /// As asked for.
        port: String,
        /// Which page.
        page: &'static str,
        /// What came instead.
        said: String,
    },
}

impl OpsPort {
    pub(super) fn parse(text: &str) -> Result<Self, ReadError> {
        let name = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
        let port = name.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains('/'));
        match port.and_then(|(_, port)| port.parse::<u16>().ok()) {
            Some(_) => Ok(Self { name: name.to_owned() }),
            None => Err(ReadError::NotAPort(text.to_owned())),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Reads a page and takes it for JSON.
    pub(super) async fn get<T: DeserializeOwned>(&self, page: &'static str) -> Result<T, ReadError> {
        let unreachable = |reason: String| ReadError::Unreachable { port: self.name.clone(), reason };
        let not_a_relay = |said: String| ReadError::NotARelay { port: self.name.clone(), page, said };
        let late = |_| unreachable(format!("no answer within {} s", PATIENCE.as_secs()));
        let connected = timeout(PATIENCE, TcpStream::connect(&self.name)).await.map_err(late)?;
        let stream = connected.map_err(|error| unreachable(error.to_string()))?;
        let asked = timeout(PATIENCE, self.ask(stream, page)).await.map_err(late)?;
        let (status, body) = asked.map_err(|error| not_a_relay(error.to_string()))?;
        if status != StatusCode::OK {
            return Err(not_a_relay(status.to_string()));
        }
        serde_json::from_slice(&body).map_err(|error| not_a_relay(format!("something else: {error}")))
    }

    async fn ask(&self, stream: TcpStream, page: &str) -> Result<(StatusCode, Vec<u8>), axum::Error> {
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(axum::Error::new)?;
        let request = Request::get(page)
            .header(header::HOST, &self.name)
            .body(Body::empty())
            .map_err(axum::Error::new)?;
        let answering = async {
            let answer = sender.send_request(request).await.map_err(axum::Error::new)?;
            let status = answer.status();
            let body = to_bytes(Body::new(answer.into_body()), MAX_PAGE).await?;
            Ok((status, body.to_vec()))
        };
        tokio::select! {
            answer = answering => answer,
            ended = connection => Err(axum::Error::new(match ended {
                Ok(()) => "the connection was closed".to_owned(),
                Err(error) => error.to_string(),
            })),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
/// 10,000 rooms of about 500 bytes, four times over.
const MAX_PAGE: usize = 20 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_port_in_any_usual_form() {
        for text in ["127.0.0.1:9600", "http://127.0.0.1:9600", "http://127.0.0.1:9600/"] {
            assert_eq!(OpsPort::parse(text).unwrap().name(), "127.0.0.1:9600");
        }
        assert_eq!(OpsPort::parse("[::1]:9600").unwrap().name(), "[::1]:9600");
        for text in [
            "",
            "9600",
            ":9600",
            "relay",
            "relay:",
            "relay:70000",
            "https://relay:9600",
            "relay:9600/metrics",
        ] {
            let error = OpsPort::parse(text).unwrap_err().to_string();
            assert!(error.contains("ADDRESS:PORT"), "{text}: {error}");
        }
    }
}

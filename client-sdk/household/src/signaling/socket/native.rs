//! The event socket over tokio's sockets.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::reach::without_numbers;
use crate::signaling::socket::address;
use crate::signaling::{Signaling, SignalingError};
use crate::trust;

/// An open socket.
pub(in crate::signaling) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(in crate::signaling) async fn open(signaling: &Signaling) -> Result<Self, SignalingError> {
        let request = request(signaling).await?;
        let connector = Some(connector(signaling)?);
        match connect_async_tls_with_config(request, None, false, connector).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(error) => Err(refused(signaling, &error).await),
        }
    }

    /// Waits for the next text; nothing stands for another sign of life. Fails with the reason when the socket is over.
    pub(in crate::signaling) async fn next(&mut self) -> Result<Option<String>, String> {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Ok(Some(text.as_str().to_owned())),
            // The library answers pings when it is polled or flushed.
            Some(Ok(Message::Ping(_))) => match self.0.flush().await {
                Ok(()) => Ok(None),
                Err(error) => Err(without_numbers(&error.to_string())),
            },
            Some(Ok(Message::Close(_))) | None => Err("the server closed the connection".to_owned()),
            Some(Ok(_)) => Ok(None),
            Some(Err(error)) => Err(without_numbers(&error.to_string())),
        }
    }
}

/// The socket believes the same certificates as the requests do.
fn connector(signaling: &Signaling) -> Result<Connector, SignalingError> {
    if signaling.server().url().scheme() != "https" {
        return Ok(Connector::Plain);
    }
    let tls = trust::tls().map_err(|error| SignalingError::NoTls(error.to_string()))?;
    Ok(Connector::Rustls(Arc::new(tls)))
}

async fn request(signaling: &Signaling) -> Result<tungstenite::handshake::client::Request, SignalingError> {
    let token = signaling.token().await?;
    let mut request = address(signaling)?
        .as_str()
        .into_client_request()
        .map_err(|error| SignalingError::BadReply(error.to_string()))?;
    let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.as_str()))
        .map_err(|_| SignalingError::BadReply("its token is not text".to_owned()))?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    Ok(request)
}

async fn refused(signaling: &Signaling, error: &tungstenite::Error) -> SignalingError {
    match error {
        tungstenite::Error::Http(response) => {
            if response.status() == tungstenite::http::StatusCode::UNAUTHORIZED {
                *signaling.inner.token.lock().await = None;
            }
            let body = response.body().as_deref().unwrap_or_default();
            crate::signaling::refusal(response.status().as_u16(), None, body)
        }
        other => signaling.lost(&without_numbers(&other.to_string())),
    }
}

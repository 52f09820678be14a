//! The event socket of a page, which may set no header: the token goes as a subprotocol, never in the address.

use futures_util::StreamExt;
use gloo_net::websocket::futures::WebSocket;
use gloo_net::websocket::{Message, WebSocketError};
use latchkey_api::event::{SOCKET_PROTOCOL, token_protocol};

use crate::signaling::socket::address;
use crate::signaling::{Signaling, SignalingError};

/// A socket that is opening or open.
pub(in crate::signaling) struct Socket(WebSocket);

impl Socket {
    pub(in crate::signaling) async fn open(signaling: &Signaling) -> Result<Self, SignalingError> {
        let token = signaling.token().await?;
        let url = address(signaling)?;
        let protocols = [SOCKET_PROTOCOL, &token_protocol(&token)];
        let socket = WebSocket::open_with_protocols(url.as_str(), &protocols)
            .map_err(|error| SignalingError::BadReply(error.to_string()))?;
        let mut socket = Self(socket);
        // The server's first sign of life says that it is open. A page is not told why it is refused, so it signs in anew.
        if let Err(reason) = socket.next().await {
            signaling.forget(&token).await;
            return Err(signaling.lost(&reason));
        }
        Ok(socket)
    }

    /// Waits for the next text; nothing stands for another sign of life. Fails with the reason when the socket is over.
    pub(in crate::signaling) async fn next(&mut self) -> Result<Option<String>, String> {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Bytes(_))) => Ok(None),
            Some(Err(WebSocketError::ConnectionClose(_))) | None => {
                Err("the server closed the connection".to_owned())
            }
            Some(Err(_)) => Err("the connection broke".to_owned()),
        }
    }
}

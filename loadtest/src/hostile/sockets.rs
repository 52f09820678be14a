//! The event sockets that pass through the man in the middle.

use std::sync::Arc;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::{SinkExt as _, StreamExt as _};
use latchkey_api::event::Event;
use latchkey_api::id::DeviceId;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message as Theirs};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::hostile::middle::Shared;

/// Opens the socket at the real server, then the one to the device.
pub(super) async fn open(shared: Arc<Shared>, headers: HeaderMap, upgrade: WebSocketUpgrade) -> Response {
    let Some(device) = shared.caller(&headers) else { return StatusCode::UNAUTHORIZED.into_response() };
    let url = format!("ws://{}/v1/events", shared.upstream);
    let Ok(mut request) = url.into_client_request() else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    for name in [header::AUTHORIZATION, header::HOST] {
        if let Some(value) = headers.get(&name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    match connect_async(request).await {
        Ok((server, _)) => upgrade.on_upgrade(move |socket| carry(shared, device, socket, server)),
        Err(Error::Http(refused)) => {
            let body = refused.body().clone().unwrap_or_default();
            (refused.status(), body).into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// Carries events to the device until one side ends it.
async fn carry(
    shared: Arc<Shared>,
    device: DeviceId,
    mut socket: WebSocket,
    mut server: WebSocketStream<MaybeTlsStream<TcpStream>>,
) {
    let mut injected = shared.injected.subscribe();
    loop {
        let event = tokio::select! {
            message = server.next() => match message {
                Some(Ok(Theirs::Text(text))) => {
                    serde_json::from_str(&text).ok().filter(|event| shared.lets_through(device, event))
                }
                // Answered by the library at the next turn; the device is asked for a sign of life too.
                Some(Ok(Theirs::Ping(_))) => {
                    if server.flush().await.is_err() || socket.send(Message::Ping(Vec::new().into())).await.is_err() {
                        return;
                    }
                    None
                }
                Some(Ok(Theirs::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => None,
            },
            injected = injected.recv() => match injected {
                Ok((to, event)) => (to == device).then_some(event),
                Err(_) => None,
            },
            message = socket.recv() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => None,
            },
        };
        if let Some(event) = event
            && socket.send(text(&event)).await.is_err()
        {
            return;
        }
    }
}

fn text(event: &Event) -> Message {
    Message::Text(serde_json::to_string(event).expect("an event is JSON").into())
}

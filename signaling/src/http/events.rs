//! The event socket: hints to come and read, pings, and an end when the device is removed.

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use latchkey_api::event::Event;
use latchkey_api::problem::{Problem, ProblemCode};
use latchkey_relay::port::stopped;
use latchkey_signaling_core::signaling::Caller;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::app::App;
use crate::bus::Subscription;
use crate::http::caller::{EVENTS_PROTOCOL, SignedIn};
use crate::refusal::Refusal;

/// Opens the event socket of the calling device (WebSocket; the token in the `Authorization` header, or from a page in
/// `Sec-WebSocket-Protocol: latchkey, latchkey.bearer.<token>`).
#[utoipa::path(
    get, path = "/v1/events", tag = "events", security(("device" = [])),
    responses(
        (status = 101, body = Event, description = "Each text message is one event."),
        (status = 400, body = Problem, description = "`bad-request`: not a WebSocket handshake"),
        (status = 401, body = Problem, description = "`not-signed-in`"),
    ),
)]
pub(crate) async fn connect(
    State(app): State<App>,
    SignedIn(caller): SignedIn,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let upgrade =
        upgrade.map_err(|_| Refusal::new(ProblemCode::BadRequest, "this route opens a WebSocket"))?;
    let upgrade = upgrade.max_message_size(MAX_INCOMING).max_frame_size(MAX_INCOMING);
    let upgrade = upgrade.protocols([EVENTS_PROTOCOL]);
    // A page sees no pings.
    let sign_of_life = upgrade.selected_protocol().map(|_| Event::Alive);
    // Before the client hears that it is connected, and reads once: what happens from here on waits for the socket.
    let subscription = app.bus.subscribe(caller.household_id(), caller.device());
    Ok(upgrade.on_upgrade(move |socket| serve(app, caller, subscription, socket, sign_of_life)))
}

async fn serve(
    app: App,
    caller: Caller,
    mut subscription: Subscription,
    mut socket: WebSocket,
    sign_of_life: Option<Event>,
) {
    let close = converse(&app, &caller, &mut subscription, &mut socket, sign_of_life).await;
    drop(subscription);
    if let Some((code, reason)) = close {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let _ = timeout(SEND_PATIENCE, socket.send(Message::Close(Some(frame)))).await;
    }
}

/// Until either side ends it; returns what to say at the end, if the client still listens.
async fn converse(
    app: &App,
    caller: &Caller,
    subscription: &mut Subscription,
    socket: &mut WebSocket,
    sign_of_life: Option<Event>,
) -> Option<(u16, &'static str)> {
    let stop = stopped(app.stopping.clone());
    tokio::pin!(stop);
    // The first tick comes at once: a list may have been accepted since the caller was authenticated.
    let mut pings = interval(PING);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut entry_ends = pin!(sleep(time_left(caller)));
    loop {
        tokio::select! {
            event = subscription.next() => {
                let Some(event) = event else { return Some((close_code::AGAIN, "come back and read what was missed")) };
                let removed = event == Event::Removed;
                send(socket, text(&event)).await?;
                if removed {
                    return Some((close_code::POLICY, "removed"));
                }
            }
            _ = pings.tick() => {
                if heard.elapsed() > SILENCE {
                    return None;
                }
                if let Ok(None) = app.signaling.renewed(caller, SystemTime::now()).await {
                    send(socket, text(&Event::Removed)).await?;
                    return Some((close_code::POLICY, "removed"));
                }
                send(socket, Message::Ping(Bytes::new())).await?;
                if let Some(alive) = &sign_of_life {
                    send(socket, text(alive)).await?;
                }
            }
            // A guest's time may have been prolonged since; its list says until when.
            () = &mut entry_ends => match app.signaling.renewed(caller, SystemTime::now()).await {
                Ok(None) => {
                    send(socket, text(&Event::Removed)).await?;
                    return Some((close_code::POLICY, "removed"));
                }
                Ok(Some(renewed)) => entry_ends.set(sleep(time_left(&renewed))),
                Err(_) => entry_ends.set(sleep(PING)),
            },
            incoming = socket.recv() => match incoming {
                None | Some(Err(_) | Ok(Message::Close(_))) => return None,
                Some(Ok(_)) => heard = Instant::now(),
            },
            () = &mut stop => return Some((close_code::AWAY, "the server restarts")),
        }
    }
}

/// Until the caller's entry in the list ends.
fn time_left(caller: &Caller) -> Duration {
    let Some(end) = caller.entry().not_after else { return FOREVER };
    let end = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(end));
    end.map_or(FOREVER, |end| end.duration_since(SystemTime::now()).unwrap_or_default()).min(FOREVER)
}

fn text(event: &Event) -> Message {
    Message::Text(serde_json::to_string(event).expect("an event is JSON").into())
}

/// `None` when the client takes nothing any more.
async fn send(socket: &mut WebSocket, message: Message) -> Option<()> {
    timeout(SEND_PATIENCE, socket.send(message)).await.ok()?.ok()
}

const PING: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(35);
const SEND_PATIENCE: Duration = Duration::from_secs(5);
/// As long as a socket lives; each grant and token ends earlier.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);
const MAX_INCOMING: usize = 4 * 1024;

//! The event socket: who hears what, and how it ends.

use futures_util::StreamExt as _;
use latchkey_api::event::Event;
use latchkey_api::group::{PostCommit, PostMessage, WelcomeFor};
use latchkey_api::list::PostList;
use latchkey_api::problem::ProblemCode;
use reqwest::StatusCode;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::client::Client;
use crate::mls;
use crate::running::{LIVENESS, Running};

/// An open event socket.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Close code, once the server has closed it.
    pub(crate) closed: Option<u16>,
}

impl Socket {
    pub(crate) async fn open(client: &Client) -> Self {
        Self::try_open(client).await.unwrap()
    }

    pub(crate) async fn try_open(client: &Client) -> Result<Self, Error> {
        let url = client.base.replace("http://", "ws://") + "/v1/events";
        let mut request = url.into_client_request().unwrap();
        let bearer = format!("Bearer {}", client.token.as_deref().unwrap_or_default());
        request.headers_mut().insert("authorization", bearer.parse().unwrap());
        let (mut stream, _) = connect_async(request).await?;
        // The first ping says that the server has put the socket on its list.
        let first = timeout(LIVENESS, stream.next()).await.unwrap().unwrap()?;
        assert!(matches!(first, Message::Ping(_)), "{first:?}");
        Ok(Self { stream, closed: None })
    }

    /// The next event; `None` when the server has closed the socket.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            match timeout(LIVENESS, self.stream.next()).await.unwrap() {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => self.closed = frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }
}

#[tokio::test]
async fn followers_hear_of_messages_and_nobody_else_does() {
    let running = Running::start().await;
    let home = running.home().await;
    let stranger = running.home().await;
    let client = &running.client;
    let camera = client.signed_in(&home, &home.camera).await;
    let mut camera_socket = Socket::open(&camera).await;
    let viewer = client.signed_in(&home, &home.viewer).await;
    let mut viewer_socket = Socket::open(&viewer).await;
    let mut second_socket = Socket::open(&viewer).await;
    let mut guest_socket = Socket::open(&client.signed_in(&home, &home.guest).await).await;
    let mut other_camera = Socket::open(&client.signed_in(&home, &home.other_camera).await).await;
    let mut foreign_socket = Socket::open(&client.signed_in(&stranger, &stranger.viewer).await).await;

    let group = home.group();
    let commit = PostCommit {
        epoch: 0,
        commit: mls::commit(group, 0).into(),
        welcomes: vec![WelcomeFor { device: home.viewer.id, welcome: mls::welcome().into() }],
        list: None,
    };
    let path = format!("/v1/groups/{group}/commits");
    assert_eq!(camera.post(&path, &commit).await.status, StatusCode::CREATED);
    let proposal = PostMessage { message: mls::public(group, 1, mls::MEMBER, mls::PROPOSAL).into() };
    let path = format!("/v1/groups/{group}/messages");
    assert_eq!(viewer.post(&path, &proposal).await.status, StatusCode::CREATED);

    for socket in [&mut viewer_socket, &mut second_socket] {
        assert_eq!(socket.event().await, Some(Event::Message { group, seq: 1 }));
        assert_eq!(socket.event().await, Some(Event::Welcome { group }));
    }
    assert_eq!(guest_socket.event().await, Some(Event::Message { group, seq: 1 }));
    assert_eq!(guest_socket.event().await, Some(Event::Message { group, seq: 2 }));
    assert_eq!(camera_socket.event().await, Some(Event::Message { group, seq: 2 }), "not of its own");

    running.server.shutdown().await;
    for socket in [&mut other_camera, &mut foreign_socket, &mut viewer_socket] {
        assert_eq!(socket.event().await, None, "the end is the first they hear");
        assert_eq!(socket.closed, Some(1001));
    }
}

#[tokio::test]
async fn a_socket_needs_a_good_token_in_the_header() {
    let running = Running::start().await;
    let home = running.home().await;
    for token in [None, Some("nonsense".to_owned())] {
        let client = Client { token, ..running.client.clone() };
        let Err(Error::Http(response)) = Socket::try_open(&client).await.map(|_| ()) else {
            panic!("the handshake is refused with a status");
        };
        assert_eq!(response.status().as_u16(), 401);
    }
    let signed_in = running.client.signed_in(&home, &home.viewer).await;
    signed_in.get("/v1/events").await.problem(ProblemCode::BadRequest);
    let token = signed_in.token.clone().unwrap();
    let in_url = running.client.get(&format!("/v1/events?token={token}")).await;
    in_url.problem(ProblemCode::NotSignedIn);
    running.server.shutdown().await;
}

#[tokio::test]
async fn what_a_client_sends_over_the_socket_changes_nothing() {
    use futures_util::SinkExt as _;
    let running = Running::start().await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let mut socket = Socket::open(&viewer).await;
    for noise in [
        Message::text("{\"type\":\"removed\"}"),
        Message::binary(vec![0xff; 1000]),
        Message::Ping(vec![1].into()),
    ] {
        socket.stream.send(noise).await.unwrap();
    }
    let camera = running.client.signed_in(&home, &home.camera).await;
    let group = home.group();
    let commit = PostCommit { epoch: 0, commit: mls::commit(group, 0).into(), welcomes: vec![], list: None };
    camera.post(&format!("/v1/groups/{group}/commits"), &commit).await;
    assert_eq!(socket.event().await, Some(Event::Message { group, seq: 1 }));
    // Too large a message ends the socket, not the server.
    let _ = socket.stream.send(Message::binary(vec![0; 100_000])).await;
    assert_eq!(socket.event().await, None);
    assert_eq!(viewer.get("/v1/lists").await.status, StatusCode::OK);
    running.server.shutdown().await;
}

/// How soon a camera knows of a removal: from the request with the list to the event at its socket, all other sockets of
/// the household open beside it. Printed, not judged.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_wakes_every_device_at_once() {
    let running = Running::with(|config| config.device_burst = 10_000).await;
    let mut home = running.home().await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    let mut camera = Socket::open(&running.client.signed_in(&home, &home.camera).await).await;
    let mut others = Vec::new();
    for device in [&home.admin, &home.other_camera, &home.viewer] {
        others.push(Socket::open(&running.client.signed_in(&home, device).await).await);
    }
    let mut took = Vec::new();
    for round in 0..30 {
        // The last one takes a guest away, whose leg is cut.
        let guest = home.guest.id;
        let list = home.next(|list| match round {
            29 => list.without(guest).unwrap(),
            _ => list,
        });
        let began = std::time::Instant::now();
        let posting = {
            let (admin, list) = (admin.clone(), PostList { list: list.into() });
            tokio::spawn(async move { admin.post("/v1/lists", &list).await.status })
        };
        assert_eq!(camera.event().await, Some(Event::List { version: round + 2 }));
        took.push(began.elapsed());
        for socket in &mut others {
            assert_eq!(socket.event().await, Some(Event::List { version: round + 2 }));
        }
        assert_eq!(posting.await.unwrap(), StatusCode::CREATED);
    }
    took.sort();
    println!("list to event: n={} p50={:?} p95={:?} max={:?}", took.len(), took[15], took[28], took[29]);
    running.server.shutdown().await;
}

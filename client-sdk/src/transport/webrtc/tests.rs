//! Publisher and subscriber against a peer made of the same crate, behind a door of twenty lines.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use latchkey_wire::codec::{Codec, MediaKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::RTCSessionDescription;
use zeroize::Zeroizing;

use crate::transport::webrtc::codecs::{OFFERED, OURS, media_engine};
use crate::transport::webrtc::peer::{Callbacks, Direction, Peer};
use crate::transport::webrtc::{Publisher, Subscriber};
use crate::transport::{ExtensionBytes, LinkEvent, OutgoingPacket, RelayDoor, TransportError};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn packets_keep_number_ssrc_and_extensions() {
    let (door, mut tracks, _relay) = relay_that_receives().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (publisher, mut events) = Publisher::connect(http, door, &[Codec::H264, Codec::Opus]).await.unwrap();
    let began = std::time::Instant::now();
    wait_for(&mut events, LinkEvent::Secured).await;
    println!("secured after {:?}", began.elapsed());

    let extensions = publisher.extensions(MediaKind::Video).unwrap().clone();
    let ids = OURS.map(|kind| extensions.ids.id(kind));
    assert_eq!(ids, [Some(1), Some(2), Some(3)]);
    let descriptor = Bytes::from(vec![0x5a; 23]);
    let packet = OutgoingPacket {
        sequence_number: 65_535,
        timestamp: 0xdead_beef,
        marker: true,
        extensions: vec![
            ExtensionBytes { id: 1, bytes: Bytes::copy_from_slice(extensions.mid.as_bytes()) },
            ExtensionBytes { id: 3, bytes: descriptor.clone() },
            ExtensionBytes { id: 13, bytes: Bytes::from_static(b"never agreed") },
        ],
        payload: Bytes::from(vec![7; 1000]),
    };
    publisher.send(MediaKind::Video, packet.clone()).await.unwrap();

    let track = timeout(LIMIT, tracks.recv()).await.unwrap().unwrap();
    let received = loop {
        match timeout(LIMIT, track.poll()).await.unwrap().unwrap() {
            TrackRemoteEvent::OnRtpPacket(received) => break received,
            _ => continue,
        }
    };
    assert_eq!(received.header.sequence_number, 65_535);
    assert_eq!(received.header.timestamp, 0xdead_beef);
    assert!(received.header.marker);
    assert_eq!(received.header.payload_type, 102);
    assert_eq!(received.header.get_extension(3).unwrap(), descriptor);
    assert_eq!(received.header.get_extension(1).unwrap(), extensions.mid.as_bytes());
    assert_eq!(received.header.get_extension(13), None);
    assert_eq!(received.payload, packet.payload);
    publisher.close().await;
}

#[tokio::test]
async fn a_request_for_a_key_frame_reaches_the_publisher() {
    use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
    let (door, mut tracks, _relay) = relay_that_receives().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (publisher, mut events) = Publisher::connect(http, door, &[Codec::Vp8]).await.unwrap();
    wait_for(&mut events, LinkEvent::Secured).await;
    let packet = OutgoingPacket {
        sequence_number: 1,
        timestamp: 1,
        marker: true,
        extensions: vec![],
        payload: Bytes::from_static(&[0x10, 0, 0, 0]),
    };
    publisher.send(MediaKind::Video, packet).await.unwrap();
    let track = timeout(LIMIT, tracks.recv()).await.unwrap().unwrap();
    let media_ssrc = track.ssrcs().await[0];
    track.write_rtcp(vec![Box::new(PictureLossIndication { sender_ssrc: 0, media_ssrc })]).await.unwrap();
    wait_for(&mut events, LinkEvent::KeyFrameWanted(MediaKind::Video)).await;
    publisher.close().await;
}

#[tokio::test]
async fn a_refusal_at_the_door_is_told_with_its_code() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/whep/x", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_body(&mut socket).await;
        let body = r#"{"code":"no-publisher","detail":"the camera is not sending","status":409}"#;
        reply(&mut socket, "409 Conflict", "application/problem+json", body).await;
    });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let door = RelayDoor { url: Url::parse(&url).unwrap(), grant: Zeroizing::new("g".to_owned()) };
    let error = Subscriber::connect(http, door).await.err().unwrap();
    assert!(error.is_no_publisher(), "{error}");
}

#[tokio::test]
async fn nobody_at_the_door_is_told_with_host() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/whep/x");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let door = RelayDoor { url: Url::parse(&url).unwrap(), grant: Zeroizing::new("g".to_owned()) };
    let error = Subscriber::connect(http, door).await.err().unwrap();
    assert!(matches!(&error, TransportError::Unreachable { host, .. } if host.ends_with(&port.to_string())));
}

/// Answers one offer with a receiving peer; its tracks come through the channel.
async fn relay_that_receives() -> (RelayDoor, mpsc::UnboundedReceiver<Arc<dyn TrackRemote>>, Arc<Peer>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/whip/x", listener.local_addr().unwrap())).unwrap();
    let (events, _) = mpsc::unbounded_channel();
    let (tracks_tx, tracks) = mpsc::unbounded_channel();
    let callbacks = Callbacks { events, tracks: Some(tracks_tx) };
    let engine = media_engine(&OFFERED).unwrap();
    let peer = Arc::new(Peer::new(&url, engine, Direction::Receive, callbacks).await.unwrap());
    let answerer = Arc::clone(&peer);
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let offer = RTCSessionDescription::offer(read_body(&mut socket).await).unwrap();
        let connection = &answerer.connection;
        connection.set_remote_description(offer).await.unwrap();
        let answer = connection.create_answer(None).await.unwrap();
        connection.set_local_description(answer).await.unwrap();
        answerer.wait_gathered().await.unwrap();
        let answer = connection.local_description().await.unwrap().sdp;
        reply(&mut socket, "201 Created", "application/sdp", &answer).await;
    });
    (RelayDoor { url, grant: Zeroizing::new("g".to_owned()) }, tracks, peer)
}

async fn read_body(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = socket.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length: usize = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return body.to_owned();
            }
        }
        assert_ne!(read, 0, "the request is cut off");
    }
}

async fn reply(socket: &mut TcpStream, status: &str, kind: &str, body: &str) {
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(text.as_bytes()).await.unwrap();
}

async fn wait_for(events: &mut mpsc::UnboundedReceiver<LinkEvent>, wanted: LinkEvent) {
    timeout(LIMIT, async { while events.recv().await.unwrap() != wanted {} }).await.unwrap();
}

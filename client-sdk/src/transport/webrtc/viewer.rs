//! The viewer's side: offers to receive every codec of the format, hands packets out in order of arrival.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use latchkey_wire::codec::MediaKind;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::{mpsc, watch};
use url::Url;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use crate::transport::webrtc::codecs::{OFFERED, codec_of, kind_of, media_engine};
use crate::transport::webrtc::door;
use crate::transport::webrtc::peer::{Callbacks, Direction, Peer};
use crate::transport::{ExtensionBytes, IncomingPacket, LinkEvent, RelayDoor, TransportError};

/// A viewing session at a relay.
pub struct Subscriber {
    http: reqwest::Client,
    door: RelayDoor,
    peer: Peer,
    session: Option<Url>,
    video: watch::Receiver<Option<Arc<dyn TrackRemote>>>,
    overflow: Arc<AtomicU64>,
    /// When the relay was asked.
    asked: Instant,
    has_picture: AtomicBool,
}

/// What a subscriber's owner listens to.
pub struct Incoming {
    /// State of the connection.
    pub events: mpsc::UnboundedReceiver<LinkEvent>,
    /// Packets of both tracks in order of arrival.
    pub packets: mpsc::Receiver<IncomingPacket>,
}

impl Subscriber {
    /// Makes an offer and asks at the relay's door.
    ///
    /// Returns as soon as the relay's answer is applied; [`LinkEvent::Secured`] says when packets
    /// may flow. Fails with [`TransportError::Refused`] when the relay refuses (code `no-publisher`
    /// while the camera does not send), with [`TransportError::Unreachable`] when nobody answers.
    pub async fn connect(http: reqwest::Client, door: RelayDoor) -> Result<(Self, Incoming), TransportError> {
        let (events_tx, events) = mpsc::unbounded_channel();
        let (tracks_tx, tracks) = mpsc::unbounded_channel();
        let engine = media_engine(&OFFERED)?;
        let callbacks = Callbacks { events: events_tx, tracks: Some(tracks_tx) };
        let peer = Peer::new(&door.url, engine, Direction::Receive, callbacks).await?;
        for kind in [MediaKind::Video, MediaKind::Audio] {
            peer.connection
                .add_transceiver_from_kind(
                    kind_of(kind),
                    Some(RTCRtpTransceiverInit {
                        direction: RTCRtpTransceiverDirection::Recvonly,
                        streams: vec![],
                        send_encodings: vec![],
                    }),
                )
                .await?;
        }
        let offer = peer.offer().await?;
        let asked = Instant::now();
        let opened = match door::open(&http, &door, offer).await {
            Ok(opened) => opened,
            Err(error) => {
                peer.close().await;
                return Err(error);
            }
        };
        peer.accept(opened.answer).await?;

        let (packets_tx, packets) = mpsc::channel(PACKET_QUEUE);
        let (video_tx, video) = watch::channel(None);
        let overflow = Arc::new(AtomicU64::new(0));
        tokio::spawn(take_tracks(tracks, packets_tx, video_tx, Arc::clone(&overflow)));
        let subscriber = Self {
            http,
            door,
            peer,
            session: opened.session,
            video,
            overflow,
            asked,
            has_picture: AtomicBool::new(false),
        };
        Ok((subscriber, Incoming { events, packets }))
    }

    /// Asks the camera for a key frame (RFC 4585 6.3.1). Does nothing before the first packet.
    pub async fn ask_for_key_frame(&self) {
        let track = self.video.borrow().clone();
        let Some(track) = track else { return };
        let Some(&media_ssrc) = track.ssrcs().await.first() else {
            return;
        };
        let request = PictureLossIndication { sender_ssrc: 0, media_ssrc };
        if let Err(error) = track.write_rtcp(vec![Box::new(request)]).await {
            tracing::debug!(reason = %error, "asking for a key frame");
        }
    }

    /// Notes that a frame of this session was opened; the relay is told once, beside everything else.
    pub fn note_picture(&self) {
        if self.has_picture.swap(true, Ordering::Relaxed) {
            return;
        }
        let Some(session) = self.session.clone() else { return };
        let (http, after) = (self.http.clone(), self.asked.elapsed());
        tokio::spawn(async move { door::tell_first_frame(&http, &session, after).await });
    }

    /// Returns how many packets were thrown away because this program did not read fast enough.
    pub fn overflow(&self) -> u64 {
        self.overflow.load(Ordering::Relaxed)
    }

    /// Ends the session at the relay and closes the sockets.
    pub async fn close(&self) {
        if let Some(session) = &self.session {
            door::close(&self.http, session, &self.door).await;
        }
        self.peer.close().await;
    }
}

/// Gives every track its own reader: the connection's queue holds 256 packets and then drops.
async fn take_tracks(
    mut tracks: mpsc::UnboundedReceiver<Arc<dyn TrackRemote>>,
    packets: mpsc::Sender<IncomingPacket>,
    video: watch::Sender<Option<Arc<dyn TrackRemote>>>,
    overflow: Arc<AtomicU64>,
) {
    while let Some(track) = tracks.recv().await {
        let kind = match track.kind().await {
            RtpCodecKind::Audio => MediaKind::Audio,
            _ => MediaKind::Video,
        };
        if kind == MediaKind::Video {
            video.send_replace(Some(Arc::clone(&track)));
        }
        tokio::spawn(read_track(track, kind, packets.clone(), Arc::clone(&overflow)));
    }
}

async fn read_track(
    track: Arc<dyn TrackRemote>,
    kind: MediaKind,
    packets: mpsc::Sender<IncomingPacket>,
    overflow: Arc<AtomicU64>,
) {
    while let Some(event) = track.poll().await {
        match event {
            TrackRemoteEvent::OnRtpPacket(packet) => {
                let Some(packet) = incoming(kind, packet) else {
                    continue;
                };
                match packets.try_send(packet) {
                    Ok(()) => {}
                    Err(mpsc::error::TrySendError::Full(_)) => {
                        overflow.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(mpsc::error::TrySendError::Closed(_)) => return,
                }
            }
            TrackRemoteEvent::OnEnded => return,
            _ => {}
        }
    }
}

/// Returns the packet in our words, or nothing for padding and payload types never offered.
fn incoming(kind: MediaKind, packet: rtp::Packet) -> Option<IncomingPacket> {
    let rtp::Packet { header, payload } = packet;
    if payload.is_empty() {
        return None;
    }
    Some(IncomingPacket {
        kind,
        codec: codec_of(header.payload_type)?,
        sequence_number: header.sequence_number,
        timestamp: header.timestamp,
        marker: header.marker,
        extensions: header
            .extensions
            .into_iter()
            .map(|extension| ExtensionBytes { id: extension.id, bytes: extension.payload })
            .collect(),
        payload,
        arrived: Instant::now(),
    })
}

/// Packets that may wait for the owner: 4 s at 1000 packets per second.
const PACKET_QUEUE: usize = 4096;

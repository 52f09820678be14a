//! The camera's side: offers what it will send, then writes RTP packets it built itself.

use std::sync::Arc;

use rtc::media_stream::MediaStreamTrack;
use rtc::rtp;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodingParameters, RTCRtpEncodingParameters, RTCRtpRtxParameters,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::sync::mpsc;
use url::Url;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_local::{TrackLocal, TrackLocalEvent};
use webrtc::rtp_transceiver::RtpTransceiver;

use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::extension::{ExtensionKind, ExtensionMap};

use crate::transport::webrtc::codecs::{OURS, kind_of, media_engine, payload_type, rtp_codec};
use crate::transport::webrtc::door;
use crate::transport::webrtc::feedback::asks_for_key_frame;
use crate::transport::webrtc::peer::{Callbacks, Direction, Peer, random};
use crate::transport::{ExtensionBytes, LinkEvent, OutgoingPacket, RelayDoor, TransportError};

/// A publishing session at a relay.
pub struct Publisher {
    http: reqwest::Client,
    door: RelayDoor,
    peer: Peer,
    session: Option<Url>,
    tracks: Vec<OutgoingTrack>,
}

/// What a track needs to know to write header extensions of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrackExtensions {
    /// The media section's name, content of the MID extension.
    pub mid: String,
    /// The ids that the relay took; extensions without one are not sent.
    pub ids: ExtensionMap,
}

struct OutgoingTrack {
    kind: MediaKind,
    payload_type: u8,
    ssrc: u32,
    local: Arc<TrackLocalStaticRTP>,
    extensions: TrackExtensions,
}

impl Publisher {
    /// Opens a session that sends one track per codec of `codecs`, at most one of each kind.
    ///
    /// Returns as soon as the relay's answer is applied; [`LinkEvent::Secured`] says when packets
    /// may flow. Fails with [`TransportError::Refused`] when the relay refuses the grant or the
    /// offer, with [`TransportError::Unreachable`] when nobody answers.
    pub async fn connect(
        http: reqwest::Client,
        door: RelayDoor,
        codecs: &[Codec],
    ) -> Result<(Self, mpsc::UnboundedReceiver<LinkEvent>), TransportError> {
        let (events, listener) = mpsc::unbounded_channel();
        let engine = media_engine(codecs)?;
        let callbacks = Callbacks { events: events.clone(), tracks: None };
        let peer = Peer::new(&door.url, engine, Direction::Send, callbacks).await?;
        let mut pending = Vec::new();
        for &codec in codecs {
            pending.push(add_track(&peer, codec).await?);
        }
        let offer = peer.offer().await?;
        let opened = match door::open(&http, &door, offer).await {
            Ok(opened) => opened,
            Err(error) => {
                peer.close().await;
                return Err(error);
            }
        };
        peer.accept(opened.answer).await?;

        let mut tracks = Vec::new();
        for (mut track, transceiver) in pending {
            track.extensions = negotiated(transceiver.as_ref()).await?;
            watch_feedback(track.kind, Arc::clone(&track.local), events.clone());
            tracks.push(track);
        }
        let publisher = Self { http, door, peer, session: opened.session, tracks };
        Ok((publisher, listener))
    }

    /// Returns the extension ids the relay took for the track of this kind.
    pub fn extensions(&self, kind: MediaKind) -> Option<&TrackExtensions> {
        self.track(kind).map(|track| &track.extensions)
    }

    /// Sends one packet; waits while the connection's queue is full.
    ///
    /// Fails with [`TransportError::Closed`] when the session is over or has no such track.
    pub async fn send(&self, kind: MediaKind, packet: OutgoingPacket) -> Result<(), TransportError> {
        let track = self.track(kind).ok_or(TransportError::Closed)?;
        let OutgoingPacket { sequence_number, timestamp, marker, extensions, payload } = packet;
        let extensions = track.kept(extensions);
        let header = rtp::Header {
            version: 2,
            marker,
            payload_type: track.payload_type,
            sequence_number,
            timestamp,
            ssrc: track.ssrc,
            extension: !extensions.is_empty(),
            extension_profile: EXTENSION_PROFILE_TWO_BYTE,
            extensions,
            ..rtp::Header::default()
        };
        track.local.write_rtp(rtp::Packet { header, payload }).await.map_err(|_| TransportError::Closed)
    }

    /// Ends the session at the relay and closes the sockets.
    pub async fn close(&self) {
        if let Some(session) = &self.session {
            door::close(&self.http, session, &self.door).await;
        }
        self.peer.close().await;
    }

    fn track(&self, kind: MediaKind) -> Option<&OutgoingTrack> {
        self.tracks.iter().find(|track| track.kind == kind)
    }
}

impl OutgoingTrack {
    /// The connection refuses whole packets for one unknown id, so unknown ids go first.
    fn kept(&self, extensions: Vec<ExtensionBytes>) -> Vec<rtp::header::Extension> {
        extensions
            .into_iter()
            .filter(|extension| self.extensions.ids.kind(extension.id).is_some())
            .map(|extension| rtp::header::Extension { id: extension.id, payload: extension.bytes })
            .collect()
    }
}

async fn add_track(
    peer: &Peer,
    codec: Codec,
) -> Result<(OutgoingTrack, Arc<dyn RtpTransceiver>), TransportError> {
    let kind = codec.kind();
    let ssrc = random()?;
    let rtx = match kind {
        MediaKind::Video => Some(RTCRtpRtxParameters { ssrc: random()? }),
        MediaKind::Audio => None,
    };
    let encoding = RTCRtpEncodingParameters {
        rtp_coding_parameters: RTCRtpCodingParameters {
            ssrc: Some(ssrc),
            rtx,
            ..RTCRtpCodingParameters::default()
        },
        active: true,
        codec: rtp_codec(codec),
        ..RTCRtpEncodingParameters::default()
    };
    let name = match kind {
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
    };
    let local = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
        "camera".to_owned(),
        name.to_owned(),
        name.to_owned(),
        kind_of(kind),
        vec![encoding.clone()],
    )));
    let transceiver = peer
        .connection
        .add_transceiver_from_track(
            Arc::clone(&local) as Arc<dyn TrackLocal>,
            Some(RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Sendonly,
                streams: vec![],
                send_encodings: vec![encoding],
            }),
        )
        .await?;
    let track = OutgoingTrack {
        kind,
        payload_type: payload_type(codec),
        ssrc,
        local,
        extensions: TrackExtensions::default(),
    };
    Ok((track, transceiver))
}

async fn negotiated(transceiver: &dyn RtpTransceiver) -> Result<TrackExtensions, TransportError> {
    let mid = transceiver.mid().await?.unwrap_or_default();
    let sender = transceiver.sender().await?.ok_or(TransportError::Closed)?;
    let parameters = sender.get_parameters().await?;
    if parameters.rtp_parameters.codecs.is_empty() {
        return Err(TransportError::BadAnswer(
            "it takes none of the codecs that this camera sends".to_owned(),
        ));
    }
    let mut ids = ExtensionMap::new();
    for extension in &parameters.rtp_parameters.header_extensions {
        let kind = ExtensionKind::from_uri(&extension.uri).filter(|kind| OURS.contains(kind));
        if let (Some(kind), Ok(id)) = (kind, u8::try_from(extension.id)) {
            ids.insert(kind, id)
                .map_err(|_| TransportError::BadAnswer("two header extensions have one id".to_owned()))?;
        }
    }
    Ok(TrackExtensions { mid, ids })
}

/// Passes the relay's key-frame requests on until the track ends.
fn watch_feedback(
    kind: MediaKind,
    local: Arc<TrackLocalStaticRTP>,
    events: mpsc::UnboundedSender<LinkEvent>,
) {
    tokio::spawn(async move {
        while let Some(TrackLocalEvent::OnRtcpPacket(packets)) = local.poll().await {
            let wanted = packets.iter().any(|packet| asks_for_key_frame(packet.as_ref()));
            if wanted && events.send(LinkEvent::KeyFrameWanted(kind)).is_err() {
                return;
            }
        }
    });
}

/// RFC 8285 4.3: the dependency descriptor of a key frame does not fit a one-byte header.
const EXTENSION_PROFILE_TWO_BYTE: u16 = 0x1000;

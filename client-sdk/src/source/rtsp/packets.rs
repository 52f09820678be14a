//! The packets of one RTSP session: pictures put together by `retina`, Opus as it comes (RFC 7587), and sender reports.

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::StreamExt;
use retina::client::{PacketItem, Playing, Session, Stream};
use retina::codec::{CodecItem, Depacketizer, FrameFormat, ParametersRef, VideoFrame, VideoParametersCodec};
use retina::rtcp::ReceivedCompoundPacket;
use retina::rtp::PacketMeta;
use retina::testutil::DepacketizeBuf;

use crate::frame::TrackKind;

/// What comes next from a camera.
pub(crate) enum Item {
    /// A whole picture.
    Picture(VideoFrame),
    /// One Opus packet.
    Sound(Sound),
    /// What the camera's own clock showed at a moment of one stream.
    Report(Report),
}

/// One RTP payload of an Opus stream, which is one Opus packet (RFC 7587 section 4.2).
pub(crate) struct Sound {
    /// Seconds of the stream's own clock since its start.
    pub(crate) seconds: f64,
    pub(crate) arrived: Instant,
    pub(crate) packet: Bytes,
}

/// A sender report (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) track: TrackKind,
    /// Seconds of the stream's own clock since its start.
    pub(crate) seconds: f64,
    /// The same moment in seconds since 1900, by the clock that all streams of a camera share.
    pub(crate) wall: f64,
}

/// Why no more packets come.
pub(crate) enum Broken {
    Session(retina::Error),
    /// The packets of a picture contradict each other.
    Picture(String),
}

/// A session that plays, as items. `retina` depacketises a whole session or nothing of it, and knows no Opus: so its
/// packets are taken as they are, and those of the picture are given back to its H.264 depacketiser.
pub(crate) struct Packets {
    session: Session<Playing>,
    tracks: Tracks,
    depacketizer: Depacketizer,
    buffer: DepacketizeBuf,
}

/// Which stream of the session is which.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracks {
    pub(crate) picture: usize,
    pub(crate) sound: Option<usize>,
}

impl Packets {
    /// Fails with what is wrong with the stream's description.
    pub(crate) fn new(session: Session<Playing>, tracks: Tracks) -> Result<Self, String> {
        let depacketizer = depacketizer(&session.streams()[tracks.picture])?;
        Ok(Self { session, tracks, depacketizer, buffer: DepacketizeBuf::new(BUFFER) })
    }

    /// `None` when the camera closes the connection. May be dropped while it waits: no packet is lost.
    pub(crate) async fn next(&mut self) -> Option<Result<Item, Broken>> {
        loop {
            // The depacketiser is emptied before it is given the next packet, as it demands.
            match self.depacketizer.pull() {
                Some(Ok(CodecItem::VideoFrame(picture))) => return Some(Ok(Item::Picture(picture))),
                Some(Ok(_)) => continue,
                Some(Err(_)) => return Some(Err(Broken::Picture(INSIDE_A_NAL.into()))),
                None => {}
            }
            match self.session.next().await? {
                Ok(PacketItem::Rtp(packet)) if packet.stream_id() == self.tracks.picture => {
                    let meta = PacketMeta::from_received(&packet);
                    if let Err(reason) = self.buffer.push(&mut self.depacketizer, meta, packet.payload()) {
                        return Some(Err(Broken::Picture(reason)));
                    }
                }
                Ok(PacketItem::Rtp(packet)) if Some(packet.stream_id()) == self.tracks.sound => {
                    return Some(Ok(Item::Sound(Sound {
                        seconds: packet.timestamp().elapsed_secs(),
                        arrived: packet.ctx().received(),
                        packet: packet.into_payload_bytes(),
                    })));
                }
                Ok(PacketItem::Rtcp(packet)) => {
                    if let Some(report) = self.report(&packet) {
                        return Some(Ok(Item::Report(report)));
                    }
                }
                Ok(_) => {}
                Err(error) => return Some(Err(Broken::Session(error))),
            }
        }
    }

    fn report(&self, packet: &ReceivedCompoundPacket) -> Option<Report> {
        let track = match packet.stream_id() {
            stream if stream == self.tracks.picture => TrackKind::Video,
            stream if Some(stream) == self.tracks.sound => TrackKind::Audio,
            _ => return None,
        };
        let seconds = packet.rtp_timestamp()?.elapsed_secs();
        let wall = packet.pkts().next()?.as_sender_report().ok()??.ntp_timestamp().0;
        // A camera without a clock says 0.
        (wall != 0).then(|| Report { track, seconds, wall: wall as f64 / 2_f64.powi(32) })
    }
}

/// A depacketiser as the session has one for this stream, with the parameter sets that the camera's SDP gives.
fn depacketizer(stream: &Stream) -> Result<Depacketizer, String> {
    let sets = match stream.parameters() {
        Some(ParametersRef::Video(video)) => match video.codec_params() {
            VideoParametersCodec::H264 { sps, pps } => {
                // RFC 6184 section 8.1.
                Some(format!("sprop-parameter-sets={},{}", STANDARD.encode(sps), STANDARD.encode(pps)))
            }
            _ => None,
        },
        _ => None,
    };
    let (media, encoding) = (stream.media(), stream.encoding_name());
    let mut made = Depacketizer::new(media, encoding, stream.clock_rate_hz(), None, sets.as_deref())?;
    made.set_frame_format(FrameFormat::SIMPLE);
    Ok(made)
}

const INSIDE_A_NAL: &str = "its time changes inside a part of a picture";
/// Room for the packets of a picture; grows when a picture needs more.
const BUFFER: usize = 1 << 18;

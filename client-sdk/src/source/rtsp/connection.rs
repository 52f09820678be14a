//! One RTSP session with a camera: describe, choose the streams, play (RFC 2326, by the crate `retina`).

use std::time::Duration;

use futures_util::StreamExt;
use retina::client::{
    Demuxed, InitialTimestampPolicy, PlayOptions, Session, SessionOptions, SetupOptions, Stream,
    TcpTransportOptions, Transport, UdpTransportOptions,
};
use retina::codec::{CodecItem, FrameFormat, VideoFrame};
use tokio::time::timeout;
use url::Url;

use crate::source::error::SourceError;
use crate::source::spec::{Credentials, RtspTransport, SourceOptions, without_password};

/// Where a camera is and how to talk to it; enough to connect any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Camera {
    /// Without user and password.
    url: Url,
    /// The address as it may be shown.
    pub(crate) address: String,
    credentials: Option<Credentials>,
    transport: RtspTransport,
    answer_within: Duration,
}

/// A session that plays.
pub(crate) struct Connection {
    camera: Camera,
    frames: Demuxed,
    /// One sentence for each stream that is left out.
    pub(crate) notes: Vec<String>,
    /// Frames per second as the SDP has them.
    pub(crate) fps: Option<f64>,
}

impl Camera {
    pub(crate) fn new(url: &Url, options: &SourceOptions) -> Self {
        let mut bare = url.clone();
        // Both only fail on addresses without a host, which were refused before.
        let _ = bare.set_username("");
        let _ = bare.set_password(None);
        let given = options.credentials.as_ref();
        let user = given.and_then(Credentials::user).unwrap_or(url.username());
        Self {
            address: without_password(url.as_str()),
            url: bare,
            credentials: given.map(|given| given.for_user(user)),
            transport: options.transport,
            answer_within: options.connect_timeout,
        }
    }

    /// Connects and starts playing.
    pub(crate) async fn connect(&self) -> Result<Connection, SourceError> {
        match timeout(self.answer_within, self.negotiate()).await {
            Ok(result) => result,
            Err(_) => Err(self.unreachable(format!("no answer within {} s", self.answer_within.as_secs()))),
        }
    }

    async fn negotiate(&self) -> Result<Connection, SourceError> {
        let credentials = self.credentials.as_ref().map(|known| retina::client::Credentials {
            username: known.user().unwrap_or_default().into(),
            password: known.password().into(),
        });
        let options = SessionOptions::default().creds(credentials).user_agent("latchkey".into());
        let wrong = |error: retina::Error| self.error(&error);
        let mut session = Session::describe(self.url.clone(), options).await.map_err(wrong)?;
        let chosen = self.choose(session.streams())?;
        let transport = match self.transport {
            RtspTransport::Tcp => Transport::Tcp(TcpTransportOptions::default()),
            RtspTransport::Udp => Transport::Udp(UdpTransportOptions::default()),
        };
        let setup = SetupOptions::default().transport(transport).frame_format(FrameFormat::SIMPLE);
        session.setup(chosen.video, setup).await.map_err(wrong)?;
        let fps = session.streams()[chosen.video].framerate().map(f64::from);
        // Many cameras name a wrong initial timestamp; with one stream nothing hangs on it.
        let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Ignore);
        let frames = session.play(play).await.and_then(Session::demuxed).map_err(wrong)?;
        Ok(Connection { camera: self.clone(), frames, notes: chosen.notes, fps })
    }

    /// Takes the first H.264 stream and says what becomes of the others.
    fn choose(&self, streams: &[Stream]) -> Result<Chosen, SourceError> {
        let mut notes = Vec::new();
        let mut video = None;
        let mut other_video = None;
        for (index, stream) in streams.iter().enumerate() {
            let codec = codec_name(stream.encoding_name());
            match (stream.media(), stream.encoding_name()) {
                ("video", "h264") if video.is_none() => video = Some(index),
                ("video", _) => {
                    other_video.get_or_insert(codec.clone());
                    notes.push(format!(
                        "A further video stream of the camera ({codec}) is left out: one is sent."
                    ));
                }
                ("audio", "opus") => notes.push(
                    "The camera's Opus audio is left out: the RTSP library in use does not read it yet."
                        .into(),
                ),
                ("audio", _) => {
                    notes.push(format!("The camera's {codec} audio is left out: only Opus can be sent."));
                }
                _ => {}
            }
        }
        match (video, other_video) {
            (Some(video), _) => Ok(Chosen { video, notes }),
            (None, Some(codec)) => Err(SourceError::WrongCodec {
                name: self.name(),
                codec,
                advice: "set the video codec in the camera's settings to H.264, or take its H.264 sub-stream",
            }),
            (None, None) => Err(SourceError::NothingToSend {
                name: self.name(),
                notes: "it offers no video; check the path in the address".into(),
            }),
        }
    }

    /// The camera as errors call it.
    pub(crate) fn name(&self) -> String {
        format!("the camera at {}", self.address)
    }

    fn error(&self, error: &retina::Error) -> SourceError {
        let address = self.address.clone();
        match error.status_code() {
            Some(401 | 403) => return SourceError::Unauthorised { address },
            Some(status) if status >= 300 => return SourceError::Refused { address, status },
            _ => {}
        }
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default().to_owned();
        match reason.strip_prefix("Unable to connect to RTSP server: ") {
            Some(reason) => self.unreachable(reason.into()),
            None => SourceError::Protocol { address, reason },
        }
    }

    fn unreachable(&self, reason: String) -> SourceError {
        SourceError::Unreachable { address: self.address.clone(), reason }
    }
}

struct Chosen {
    video: usize,
    notes: Vec<String>,
}

impl Connection {
    /// Waits for the next picture. Ends with an error when the camera is silent, closes, or breaks the protocol.
    pub(crate) async fn next(&mut self) -> Result<VideoFrame, SourceError> {
        loop {
            match timeout(SILENT_AFTER, self.frames.next()).await {
                Ok(Some(Ok(CodecItem::VideoFrame(frame)))) => return Ok(frame),
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => return Err(self.camera.error(&error)),
                Ok(None) => return Err(self.camera.unreachable("it closed the connection".into())),
                Err(_) => {
                    let reason = format!("no packet for {} s", SILENT_AFTER.as_secs());
                    return Err(self.camera.unreachable(reason));
                }
            }
        }
    }
}

fn codec_name(encoding: &str) -> String {
    match encoding {
        "h265" => "H.265".into(),
        "jpeg" => "JPEG".into(),
        "mpeg4-generic" => "AAC".into(),
        "pcma" | "pcmu" => "G.711".into(),
        other => other.to_ascii_uppercase(),
    }
}

/// A camera that sends nothing for so long has gone away.
const SILENT_AFTER: Duration = Duration::from_secs(10);

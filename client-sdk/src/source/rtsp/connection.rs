//! One RTSP session with a camera: describe, choose the streams, play (RFC 2326, by the crate `retina`).

use std::time::Duration;

use retina::client::{
    Described, InitialTimestampPolicy, PlayOptions, Session, SessionOptions, SetupOptions, Stream,
    TcpTransportOptions, Transport, UdpTransportOptions,
};
use tokio::time::{Instant, timeout, timeout_at};
use url::Url;

use crate::frame::TrackKind;
use crate::source::error::SourceError;
use crate::source::rtsp::packets::{Broken, Item, Packets, Report, Tracks};
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
    packets: Packets,
    /// Until when something of the picture must have come.
    patience: Instant,
    /// Whether it has Opus.
    pub(crate) sound: bool,
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
        let mut chosen = self.choose(session.streams())?;
        session.setup(chosen.video, self.setup()).await.map_err(wrong)?;
        self.set_up_sound(&mut session, &mut chosen).await?;
        let fps = session.streams()[chosen.video].framerate().map(f64::from);
        // Where the camera names the streams' initial timestamps they are taken up, and `Clock` judges them.
        let play = PlayOptions::default().initial_timestamp(InitialTimestampPolicy::Permissive);
        let session = session.play(play).await.map_err(wrong)?;
        let tracks = Tracks { picture: chosen.video, sound: chosen.sound };
        let packets = Packets::new(session, tracks).map_err(|reason| SourceError::Protocol {
            address: self.address.clone(),
            reason: one_line(&reason),
        })?;
        Ok(Connection {
            camera: self.clone(),
            packets,
            patience: Instant::now() + SILENT_AFTER,
            sound: chosen.sound.is_some(),
            notes: chosen.notes,
            fps,
        })
    }

    fn setup(&self) -> SetupOptions {
        SetupOptions::default().transport(match self.transport {
            RtspTransport::Tcp => Transport::Tcp(TcpTransportOptions::default()),
            RtspTransport::Udp => Transport::Udp(UdpTransportOptions::default()),
        })
    }

    /// A camera that refuses its sound still shows its picture.
    async fn set_up_sound(
        &self,
        session: &mut Session<Described>,
        chosen: &mut Chosen,
    ) -> Result<(), SourceError> {
        let Some(sound) = chosen.sound else {
            return Ok(());
        };
        match session.setup(sound, self.setup()).await {
            Ok(()) => Ok(()),
            Err(error) => {
                let status = error.status_code().ok_or_else(|| self.error(&error))?;
                chosen.sound = None;
                chosen.notes.push(format!(
                    "The camera's Opus audio is left out: the camera answers with RTSP status {status} to it."
                ));
                Ok(())
            }
        }
    }

    /// Takes the first H.264 and the first Opus stream and says what becomes of the others.
    fn choose(&self, streams: &[Stream]) -> Result<Chosen, SourceError> {
        let mut notes = Vec::new();
        let mut video = None;
        let mut sound = None;
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
                ("audio", "opus") if sound.is_none() => sound = Some(index),
                ("audio", "opus") => {
                    notes.push("A further Opus stream of the camera is left out: one is sent.".into());
                }
                ("audio", _) => {
                    notes.push(format!("The camera's {codec} audio is left out: only Opus can be sent."));
                }
                _ => {}
            }
        }
        match (video, other_video) {
            (Some(video), _) => Ok(Chosen { video, sound, notes }),
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
        let reason = one_line(&error.to_string());
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
    sound: Option<usize>,
    notes: Vec<String>,
}

impl Connection {
    /// Waits for the next picture, packet of sound or report. Ends with an error when nothing of the picture comes,
    /// the camera closes, or breaks the protocol.
    pub(crate) async fn next(&mut self) -> Result<Item, SourceError> {
        let item = match timeout_at(self.patience, self.packets.next()).await {
            Ok(Some(Ok(item))) => item,
            Ok(Some(Err(Broken::Session(error)))) => return Err(self.camera.error(&error)),
            Ok(Some(Err(Broken::Picture(reason)))) => {
                let address = self.camera.address.clone();
                return Err(SourceError::Protocol { address, reason: one_line(&reason) });
            }
            Ok(None) => return Err(self.camera.unreachable("it closed the connection".into())),
            Err(_) => {
                let reason = format!("no packet of its video for {} s", SILENT_AFTER.as_secs());
                return Err(self.camera.unreachable(reason));
            }
        };
        if matches!(item, Item::Picture(_) | Item::Report(Report { track: TrackKind::Video, .. })) {
            self.patience = Instant::now() + SILENT_AFTER;
        }
        Ok(item)
    }
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
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

/// A camera that sends no picture for so long has gone away.
const SILENT_AFTER: Duration = Duration::from_secs(10);

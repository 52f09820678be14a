//! A camera in the local network, read by RTSP: H.264 and Opus as they are, waited for when it goes away.

mod clock;
mod connection;
mod packets;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use retina::codec::VideoFrame;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};
use url::Url;

use crate::bitstream::h264::{self, Unsendable};
use crate::bitstream::opus;
use crate::frame::{Codec, MediaFrame, TrackKind};
use crate::source::error::SourceError;
use crate::source::rtsp::clock::Clock;
use crate::source::rtsp::connection::{Camera, Connection};
use crate::source::rtsp::packets::{Item, Sound};
use crate::source::spec::SourceOptions;
use crate::source::{Source, SourceInfo, VideoInfo, h264_error};

/// An RTSP camera as a source. A task of its own reads it, so that dropping `next` loses nothing.
pub(crate) struct RtspCamera {
    info: SourceInfo,
    frames: mpsc::Receiver<Result<MediaFrame, SourceError>>,
    reader: JoinHandle<()>,
    ended: Option<SourceError>,
}

impl RtspCamera {
    /// Connects and waits for the first key frame.
    pub(crate) async fn open(url: &Url, options: &SourceOptions) -> Result<Self, SourceError> {
        let camera = Camera::new(url, options);
        let connection = camera.connect().await?;
        let mut notes = connection.notes.clone();
        notes.push(
            "Key frames cannot be asked for over RTSP: new viewers wait for the camera's next one (set its key frame interval to 2 s or less)."
                .into(),
        );
        let mut reader = Reader::new(camera, connection);
        let first = reader.first_key_frame().await?;
        let (width, height) = first.geometry.expect("every H.264 frame has a size");
        let info = SourceInfo {
            video: Some(VideoInfo { codec: Codec::H264, width, height, fps: reader.fps() }),
            audio: reader.connection.sound.then_some(Codec::Opus),
            notes,
        };
        let (sender, frames) = mpsc::channel(QUEUE);
        let reader = tokio::spawn(reader.run(first, sender));
        Ok(Self { info, frames, reader, ended: None })
    }
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[async_trait]
impl Source for RtspCamera {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    async fn next(&mut self) -> Result<MediaFrame, SourceError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let next = self.frames.recv().await.unwrap_or(Err(SourceError::Ended));
        if let Err(error) = &next {
            self.ended = Some(error.clone());
        }
        next
    }
}

/// Turns the camera's pictures and sound into frames and connects again when it goes away.
struct Reader {
    camera: Camera,
    connection: Connection,
    stream: h264::Stream,
    clock: Clock,
    /// Whether sound was promised when the source was opened.
    sound: bool,
    waiting_for_key: bool,
}

impl Reader {
    fn new(camera: Camera, connection: Connection) -> Self {
        Self {
            camera,
            sound: connection.sound,
            connection,
            stream: h264::Stream::default(),
            clock: Clock::new(std::time::Instant::now()),
            waiting_for_key: true,
        }
    }

    fn fps(&self) -> Option<f64> {
        let named = self.connection.fps.filter(|fps| *fps > 0.0);
        named.or(self.stream.first_sps().and_then(|sps| sps.fps))
    }

    async fn first_key_frame(&mut self) -> Result<MediaFrame, SourceError> {
        let silent = SourceError::Silent {
            address: self.camera.address.clone(),
            seconds: FIRST_KEY_FRAME_WITHIN.as_secs(),
        };
        let first = async {
            loop {
                let item = self.connection.next().await?;
                // Sound waits for the picture, so the first frame is one.
                if let Some(frame) = self.frame(item)? {
                    return Ok(frame);
                }
            }
        };
        timeout(FIRST_KEY_FRAME_WITHIN, first).await.unwrap_or(Err(silent))
    }

    /// Ends when nobody listens, or with the error that it sends last.
    async fn run(mut self, first: MediaFrame, sender: mpsc::Sender<Result<MediaFrame, SourceError>>) {
        let mut next = Ok(Some(first));
        loop {
            match next {
                Ok(Some(frame)) => {
                    if sender.send(Ok(frame)).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let _ = sender.send(Err(error)).await; // nobody listening is an end too
                    return;
                }
            }
            next = match self.connection.next().await {
                Ok(item) => self.frame(item),
                Err(error) => self.reconnect(error).await.map(|()| None),
            };
        }
    }

    async fn reconnect(&mut self, reason: SourceError) -> Result<(), SourceError> {
        warn!(reason = %reason, "camera lost, connecting again");
        let mut pause = FIRST_PAUSE;
        loop {
            sleep(pause).await;
            match self.camera.connect().await {
                Ok(connection) => {
                    info!(address = %self.camera.address, "camera is back");
                    self.connection = connection;
                    self.clock.reconnected();
                    self.waiting_for_key = true;
                    return Ok(());
                }
                Err(error @ (SourceError::Unauthorised { .. } | SourceError::WrongCodec { .. })) => {
                    return Err(error);
                }
                Err(error) => warn!(reason = %error, "camera still lost"),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn frame(&mut self, item: Item) -> Result<Option<MediaFrame>, SourceError> {
        match item {
            Item::Picture(picture) => self.picture(picture),
            Item::Sound(sound) => Ok(self.packet(sound)),
            Item::Report(report) => {
                self.clock.follow_report(report);
                Ok(None)
            }
        }
    }

    /// `None` for what cannot be heard in its place: sound before the first picture, and broken packets.
    fn packet(&mut self, sound: Sound) -> Option<MediaFrame> {
        let pts = self.clock.sound(sound.seconds, sound.arrived)?;
        let duration = opus::duration(&sound.packet).filter(|_| self.sound)?;
        Some(MediaFrame {
            track: TrackKind::Audio,
            codec: Codec::Opus,
            key: true,
            pts,
            duration,
            geometry: None,
            data: sound.packet,
        })
    }

    /// `None` for what cannot be shown: pictures before the first key frame, and broken ones.
    fn picture(&mut self, picture: VideoFrame) -> Result<Option<MediaFrame>, SourceError> {
        let seconds = picture.timestamp().elapsed_secs();
        let arrived = picture.start_ctx().received();
        self.clock.follow_picture(seconds, arrived);
        let data = Bytes::from(picture.into_data());
        let nals: Vec<_> = h264::nal_units(&data).collect();
        let unit = match self.stream.access_unit(&nals) {
            Ok(unit) => unit,
            Err(problem @ (Unsendable::BFrame | Unsendable::Interlaced)) => {
                return Err(h264_error(self.camera.name(), problem));
            }
            // One broken picture does not end a camera: what depends on it waits for the next key frame.
            Err(_) => {
                self.waiting_for_key = true;
                return Ok(None);
            }
        };
        if self.waiting_for_key && !unit.key {
            return Ok(None);
        }
        self.waiting_for_key = false;
        let (pts, duration) = self.clock.picture(seconds, arrived);
        Ok(Some(MediaFrame {
            track: TrackKind::Video,
            codec: Codec::H264,
            key: unit.key,
            pts,
            duration,
            geometry: Some(unit.geometry),
            data: unit.data,
        }))
    }
}

/// A camera that gives no key frame for so long cannot be watched.
const FIRST_KEY_FRAME_WITHIN: Duration = Duration::from_secs(12);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Frames that may wait for the one who asks; then the camera has to.
const QUEUE: usize = 96;

//! A viewer: the client's own transport and reorder buffer, opened with the test's key, written to a file that a player reads.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use latchkey::frame::{Codec, MediaFrame};
use latchkey::jitter::{Depacketized, Jitter, Limits};
use latchkey::sink::{self, Sink, Target};
use latchkey::transport::webrtc::Subscriber;
use latchkey::transport::{LinkEvent, RelayDoor};
use latchkey_e2ee::inner::InnerHeader;
use latchkey_wire::codec::MediaKind;
use latchkey_wire::envelope;
use serde::Deserialize;
use serde_json::json;
use tokio::time::interval;
use zeroize::Zeroizing;

use crate::sframe::Keys;
use crate::{Way, Words, ended, tell};

/// What to watch.
#[derive(Deserialize)]
pub(crate) struct Order {
    #[serde(flatten)]
    way: Way,
    /// File for the opened video; IVF or Annex B by its codec, whatever its name.
    out: Option<PathBuf>,
}

struct Viewing {
    asked: Instant,
    keys: Keys,
    jitters: HashMap<Codec, Jitter>,
    out: Option<PathBuf>,
    sink: Option<Box<dyn Sink>>,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    video: u64,
    audio: u64,
    key_frames: u64,
    failed: u64,
    type_wrong: u64,
    last_failure: String,
    age_ms: i64,
    size: Option<(u16, u16)>,
}

/// Watches until the input ends. Tells `secured`, `first` with the time since the request, and `figures`.
pub(crate) async fn run(order: Order, mut words: Words) -> anyhow::Result<()> {
    let keys = Keys::from_hex(&order.way.key)?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let door = RelayDoor { url: order.way.door.parse()?, grant: Zeroizing::new(order.way.grant) };
    let asked = Instant::now();
    let (subscriber, mut incoming) = match Subscriber::connect(http, door).await {
        Ok(connected) => connected,
        Err(error) => {
            tell(&json!({ "event": "refused", "reason": error.to_string() }));
            return Ok(());
        }
    };
    let mut viewing =
        Viewing { asked, keys, jitters: HashMap::new(), out: order.out, sink: None, tally: Tally::default() };
    let mut tick = interval(Duration::from_millis(500));
    let watching = async {
        loop {
            tokio::select! {
                Some(packet) = incoming.packets.recv() => {
                    let jitter = viewing.jitters.entry(packet.codec);
                    jitter.or_insert_with(|| Jitter::new(packet.codec, Limits::default())).push(packet);
                }
                Some(event) = incoming.events.recv() => match event {
                    LinkEvent::Secured => tell(&json!({ "event": "secured" })),
                    LinkEvent::Closed => tell(&json!({ "event": "closed" })),
                    _ => {}
                },
                _ = tick.tick() => {
                    viewing.tally.tell();
                    if viewing.stalls() {
                        subscriber.ask_for_key_frame().await;
                    }
                }
            }
            viewing.take_frames()?;
        }
    };
    tokio::select! {
        () = ended(&mut words) => {}
        broken = watching => { let broken: anyhow::Result<()> = broken; broken? },
    }
    subscriber.close().await;
    if let Some(sink) = &mut viewing.sink {
        sink.finish()?;
    }
    viewing.tally.tell();
    Ok(())
}

impl Viewing {
    fn take_frames(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        let mut whole = Vec::new();
        for (codec, jitter) in &mut self.jitters {
            whole.extend(std::iter::from_fn(|| jitter.pop(now)).map(|frame| (*codec, frame)));
        }
        for (codec, frame) in whole {
            match self.open(codec, &frame) {
                Ok((inner, plain)) => self.show(codec, &frame, inner, plain)?,
                Err(error) => {
                    self.tally.failed += 1;
                    self.tally.last_failure = format!("{codec}: {error:#}");
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, codec: Codec, frame: &Depacketized) -> anyhow::Result<(InnerHeader, Vec<u8>)> {
        let mut scratch = Vec::new();
        let parts = envelope::split(codec, &frame.wire, &mut scratch)?;
        let mut plain = self.keys.open(parts.envelope, parts.sframe)?;
        let head = plain.first_chunk::<{ InnerHeader::LEN }>().context("shorter than its inner header")?;
        let inner = InnerHeader::from_bytes(*head).context("an inner header of another format")?;
        ensure!(inner.codec == codec, "sealed as {}", inner.codec);
        plain.drain(..InnerHeader::LEN);
        Ok((inner, plain))
    }

    fn show(
        &mut self,
        codec: Codec,
        frame: &Depacketized,
        inner: InnerHeader,
        plain: Vec<u8>,
    ) -> anyhow::Result<()> {
        let tally = &mut self.tally;
        if codec.kind() == MediaKind::Audio {
            tally.audio += 1;
            return Ok(());
        }
        if tally.video == 0 {
            let after = self.asked.elapsed().as_millis() as u64;
            tell(&json!({ "event": "first", "codec": codec.to_string(), "after_ms": after }));
        }
        tally.video += 1;
        tally.key_frames += u64::from(inner.key_frame);
        tally.type_wrong += u64::from(inner.key_frame != frame.key);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as i64;
        tally.age_ms = now - inner.captured_ms as i64;
        let pts = Duration::from_micros(frame.timestamp * 100 / 9);
        let opened = MediaFrame::opened(codec, inner.key_frame, pts, plain.into());
        tally.size = opened.geometry.or(tally.size);
        if let (Some(path), None) = (&self.out, &self.sink) {
            self.sink = Some(sink::open(&Target::File(path.clone()), codec)?);
        }
        if let Some(sink) = &mut self.sink {
            sink.write(&opened)?;
        }
        Ok(())
    }

    /// Whether a gap in the picture waits for a key frame.
    fn stalls(&self) -> bool {
        let mut video = self.jitters.iter().filter(|(codec, _)| codec.kind() == MediaKind::Video);
        video.any(|(_, jitter)| jitter.wants_key_frame())
    }
}

impl Tally {
    fn tell(&self) {
        tell(&json!({
            "event": "figures",
            "video": self.video,
            "audio": self.audio,
            "keys": self.key_frames,
            "failed": self.failed,
            "typeWrong": self.type_wrong,
            "lastFailure": self.last_failure,
            "ageMs": self.age_ms,
            "width": self.size.map(|(width, _)| width),
            "height": self.size.map(|(_, height)| height),
        }));
    }
}

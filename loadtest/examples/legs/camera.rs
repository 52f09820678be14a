//! A camera that plays files: the client's own sources, packets and transport, sealed with the test's key.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use latchkey::frame::{Codec, MediaFrame};
use latchkey::packetizer::{Leg, Packetizer, Start, WireFrame};
use latchkey::source::spec::{Input, SourceOptions, SourceSpec};
use latchkey::source::{self, Source};
use latchkey::transport::webrtc::Publisher;
use latchkey::transport::{LinkEvent, OutgoingPacket, RelayDoor};
use latchkey_e2ee::inner::InnerHeader;
use latchkey_e2ee::kid::{AUDIO, Kid, SenderSession, VIDEO};
use latchkey_wire::codec::MediaKind;
use latchkey_wire::envelope::{self, EnvelopeBuilder};
use serde::Deserialize;
use serde_json::json;
use tokio::time::interval;
use zeroize::Zeroizing;

use crate::sframe::Keys;
use crate::{Way, Words, ended, tell};

/// What to publish and where.
#[derive(Deserialize)]
pub(crate) struct Order {
    #[serde(flatten)]
    way: Way,
    /// Files, one video and perhaps one audio.
    files: Vec<PathBuf>,
}

struct Track {
    codec: Codec,
    kid: u64,
    ctr: u64,
    envelopes: EnvelopeBuilder,
    packetizer: Packetizer,
}

/// Publishes until the input ends. Tells `secured` once, then `figures`.
pub(crate) async fn run(order: Order, mut words: Words) -> anyhow::Result<()> {
    let spec = SourceSpec { inputs: order.files.into_iter().map(Input::File).collect() };
    let source = source::open(&spec, &SourceOptions::default()).await?;
    let video = source.info().video.map(|video| video.codec);
    let codecs: Vec<Codec> = video.into_iter().chain(source.info().audio).collect();
    let mut keys = Keys::from_hex(&order.way.key)?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let door = RelayDoor { url: order.way.door.parse()?, grant: Zeroizing::new(order.way.grant) };
    let (publisher, mut events) = match Publisher::connect(http, door, &codecs).await {
        Ok(connected) => connected,
        Err(error) => {
            tell(&json!({ "event": "refused", "reason": error.to_string() }));
            return Ok(());
        }
    };
    while let Some(event) = events.recv().await {
        if event == LinkEvent::Secured {
            break;
        }
    }
    tell(&json!({ "event": "secured" }));
    let session = SenderSession(getrandom::u32()?);
    let mut tracks =
        codecs.iter().map(|codec| Track::new(*codec, session, &publisher)).collect::<Result<Vec<_>, _>>()?;
    tokio::select! {
        () = ended(&mut words) => {}
        done = play(source, &mut keys, &mut tracks, &publisher, &mut events) => done?,
    }
    publisher.close().await;
    Ok(())
}

async fn play(
    mut source: Box<dyn Source>,
    keys: &mut Keys,
    tracks: &mut [Track],
    publisher: &Publisher,
    events: &mut tokio::sync::mpsc::UnboundedReceiver<LinkEvent>,
) -> anyhow::Result<()> {
    let (mut frames, mut key_frames, mut wanted) = (0u64, 0u64, 0u64);
    let mut second = interval(Duration::from_secs(1));
    loop {
        let frame = tokio::select! {
            frame = source.next() => frame?,
            Some(event) = events.recv() => {
                wanted += u64::from(matches!(event, LinkEvent::KeyFrameWanted(_)));
                if event == LinkEvent::Closed {
                    tell(&json!({ "event": "closed" }));
                }
                continue;
            }
            _ = second.tick() => {
                tell(&json!({ "event": "figures", "frames": frames, "keys": key_frames, "wanted": wanted }));
                continue;
            }
        };
        let Some(track) = tracks.iter_mut().find(|track| track.codec == frame.codec) else { continue };
        for packet in track.seal(&frame, keys)? {
            publisher.send(frame.track, packet).await?;
        }
        if frame.track == MediaKind::Video {
            frames += 1;
            key_frames += u64::from(frame.key);
        }
    }
}

impl Track {
    fn new(codec: Codec, session: SenderSession, publisher: &Publisher) -> anyhow::Result<Self> {
        let number = if codec.kind() == MediaKind::Video { VIDEO } else { AUDIO };
        let random = getrandom::u32()?;
        let start = Start { sequence_number: (random >> 16) as u16, timestamp: random };
        let mut packetizer = Packetizer::new(codec, start);
        if let Some(extensions) = publisher.extensions(codec.kind()) {
            packetizer.set_leg(Leg { extensions: extensions.ids, mid: extensions.mid.clone() });
        }
        let kid = Kid::new(session, number, 0, 1).value();
        Ok(Self { codec, kid, ctr: 0, envelopes: EnvelopeBuilder::new(codec), packetizer })
    }

    fn seal(&mut self, frame: &MediaFrame, keys: &mut Keys) -> anyhow::Result<Vec<OutgoingPacket>> {
        let (mut clear, mut wire, mut packets) = (Vec::new(), Vec::new(), Vec::new());
        self.envelopes.build(frame.key, &frame.data, &mut clear)?;
        let captured = SystemTime::now();
        let inner = InnerHeader::new(captured, frame.key, self.codec).to_bytes();
        let sealed = keys.seal(self.kid, self.ctr, &clear, &[&inner, &frame.data[..]].concat())?;
        self.ctr += 1;
        envelope::join(self.codec, &clear, &sealed, &mut wire);
        let outgoing = WireFrame {
            wire: &wire,
            key: frame.key,
            pts: frame.pts,
            captured: captured.duration_since(UNIX_EPOCH)?,
            geometry: frame.geometry,
        };
        self.packetizer.packetize(outgoing, &mut packets)?;
        Ok(packets)
    }
}

//! What offer and relay agree on: one codec for each m-line, its repair stream, header extensions and feedback.
//!
//! A publisher's own order of preference decides; a viewer gets the codec that the room carries. What reads loudness
//! (`ssrc-audio-level`) or needs the picture in clear is never accepted.

use latchkey_wire::codec::Codec;

use crate::sdp::offer::{Offer, OfferedExtension, OfferedMedia, OfferedPayload};
use crate::shard::command::PublishedTrack;
use crate::shard::command::join::OfferedLayer;
use crate::shard::command::join::{ExtensionMap, Feedback, MediaLeg, Role};
use latchkey_wire::codec::MediaKind;

/// Every m-line of an offer with what the relay makes of it, in the order of the offer.
#[derive(Debug)]
pub(crate) struct Negotiation {
    pub(crate) role: Role,
    pub(crate) lines: Vec<Line>,
}

/// One m-line and the relay's decision.
#[derive(Debug)]
pub(crate) enum Line {
    /// Media flows.
    Active(Active),
    /// The codec is known, but nothing flows: the room has no such track, or another m-line has it already.
    Idle { payload: OfferedPayload },
    /// Answered with port 0.
    Refused,
}

/// An m-line on which media flows.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) codec: Codec,
    pub(crate) payload: OfferedPayload,
    pub(crate) rtx: Option<u8>,
    /// Accepted extensions with the ids of the offer, as they go into the answer.
    pub(crate) accepted: Vec<OfferedExtension>,
    pub(crate) extensions: ExtensionMap,
    pub(crate) feedback: Feedback,
    pub(crate) ssrcs: LocalSsrcs,
    /// Simulcast layers that the relay takes, in the order of the offer; none for a single stream.
    pub(crate) layers: Vec<OfferedLayer>,
}

/// The relay's own SSRCs on one m-line, drawn for this leg alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalSsrcs {
    pub(crate) media: u32,
    pub(crate) rtx: u32,
}

/// Why nothing could be agreed on. The client's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NegotiationError {
    #[error(
        "no sending m-line offers H264 (packetization-mode=1), VP8, VP9 (profile 0), AV1 (profile 0) or Opus: offer one of them"
    )]
    NothingToPublish,
    #[error("no receiving m-line offers what this room carries ({carried}): offer it with recvonly")]
    NothingToView { carried: String },
    #[error("the system gave no randomness")]
    NoRandomness,
}

/// Agrees on a publisher's media.
pub(crate) fn publisher(offer: &Offer) -> Result<Negotiation, NegotiationError> {
    let mut taken = Vec::new();
    let lines = offer.media.iter().map(|media| {
        let Some((kind, codec, payload)) = first_codec(media, |_| true) else { return Ok(Line::Refused) };
        if !media.sends || taken.contains(&kind) {
            return Ok(Line::Idle { payload });
        }
        taken.push(kind);
        Active::new(offer, media, codec, payload, Role::Publish).map(Line::Active)
    });
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    if taken.is_empty() {
        return Err(NegotiationError::NothingToPublish);
    }
    Ok(Negotiation { role: Role::Publish, lines })
}

/// Agrees on what a viewer gets of the `tracks` of a room.
pub(crate) fn viewer(offer: &Offer, tracks: &[PublishedTrack]) -> Result<Negotiation, NegotiationError> {
    let mut left = tracks.to_vec();
    let lines = offer.media.iter().map(|media| {
        let wanted = |codec| left.iter().any(|track| track.codec == codec);
        if media.receives
            && let Some((kind, codec, payload)) = first_codec(media, wanted)
        {
            left.retain(|track| track.kind != kind);
            return Active::new(offer, media, codec, payload, Role::View).map(Line::Active);
        }
        Ok(first_codec(media, |_| true).map_or(Line::Refused, |(_, _, payload)| Line::Idle { payload }))
    });
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    if left.len() == tracks.len() {
        let carried = tracks.iter().map(|track| track.codec.to_string()).collect::<Vec<_>>().join(", ");
        return Err(NegotiationError::NothingToView { carried });
    }
    Ok(Negotiation { role: Role::View, lines })
}

impl Negotiation {
    /// The legs for the shard, one for each m-line, in the order of the offer.
    pub(crate) fn legs(&self, offer: &Offer) -> Vec<MediaLeg> {
        self.lines.iter().zip(&offer.media).map(|(line, media)| line.leg(media)).collect()
    }

    /// Names of the codecs agreed on, for people.
    pub(crate) fn codecs(&self) -> String {
        let active = self.lines.iter().filter_map(|line| match line {
            Line::Active(active) => Some(active.codec.sdp_name()),
            Line::Idle { .. } | Line::Refused => None,
        });
        active.collect::<Vec<_>>().join(" and ")
    }
}

impl Line {
    fn leg(&self, media: &OfferedMedia) -> MediaLeg {
        let active = match self {
            Self::Active(active) => Some(active),
            Self::Idle { .. } | Self::Refused => None,
        };
        MediaLeg {
            mid: media.mid.clone(),
            kind: media.kind.unwrap_or(MediaKind::Video),
            codec: active.map(|a| a.codec),
            payload_type: active.map_or(0, |a| a.payload.payload_type),
            rtx_payload_type: active.and_then(|a| a.rtx),
            extensions: active.map(|a| a.extensions).unwrap_or_default(),
            remote_ssrc: active.and(media.ssrc),
            remote_rtx_ssrc: active.and(media.rtx_ssrc),
            local_ssrc: active.map_or(0, |a| a.ssrcs.media),
            local_rtx_ssrc: active.map_or(0, |a| a.ssrcs.rtx),
            feedback: active.map(|a| a.feedback).unwrap_or_default(),
            layers: active.map(|a| a.layers.clone()).unwrap_or_default(),
            most_bits_per_second: media.most_bits_per_second,
        }
    }
}

impl Active {
    fn new(
        offer: &Offer,
        media: &OfferedMedia,
        codec: Codec,
        payload: OfferedPayload,
        role: Role,
    ) -> Result<Self, NegotiationError> {
        let video = media.kind == Some(MediaKind::Video);
        let offered = |wanted: &str| payload.feedback.iter().any(|feedback| feedback == wanted);
        let transport_cc = offered("transport-cc");
        let (extensions, accepted) = extensions(offer, media, (role, transport_cc));
        let feedback = Feedback {
            nack: video && offered("nack"),
            pli: video && offered("nack pli"),
            // Numbers without feedback are of no use, nor is feedback without numbers.
            transport_cc: extensions.transport_cc.is_some(),
            pause: video
                && role == Role::Publish
                && payload.feedback.iter().any(|feedback| is_pause(feedback)),
        };
        // Layers by name are told apart by mid and name in the header only.
        let told_apart = |layer: &OfferedLayer| {
            layer.rid.is_none() || (extensions.mid.is_some() && extensions.rid.is_some())
        };
        let mut layers = if role == Role::Publish { media.layers.clone() } else { Vec::new() };
        if !layers.iter().all(told_apart) {
            layers.clear();
        }
        let rtx = if feedback.nack { rtx_for(media, payload.payload_type) } else { None };
        Ok(Self { codec, rtx, accepted, extensions, feedback, ssrcs: LocalSsrcs::draw()?, layers, payload })
    }
}

impl LocalSsrcs {
    fn draw() -> Result<Self, NegotiationError> {
        loop {
            let media = getrandom::u32().map_err(|_| NegotiationError::NoRandomness)?;
            let rtx = getrandom::u32().map_err(|_| NegotiationError::NoRandomness)?;
            if media != 0 && rtx != 0 && media != rtx {
                return Ok(Self { media, rtx });
            }
        }
    }
}

/// The first payload, in the offerer's order, of a codec that the relay forwards and `wanted` asks for.
fn first_codec(
    media: &OfferedMedia,
    wanted: impl Fn(Codec) -> bool,
) -> Option<(MediaKind, Codec, OfferedPayload)> {
    let kind = media.kind.filter(|_| media.usable)?;
    let codecs = media.payloads.iter().filter_map(|payload| Some((codec_of(kind, payload)?, payload)));
    let mut wanted = codecs.filter(|(codec, _)| wanted(*codec));
    wanted.next().map(|(codec, payload)| (kind, codec, payload.clone()))
}

/// The codec of a payload, when its parameters are ones that the relay forwards.
fn codec_of(kind: MediaKind, payload: &OfferedPayload) -> Option<Codec> {
    let codec = Codec::from_sdp_name(&payload.encoding)?;
    let is = |name, value| payload.parameter(name).is_none_or(|given| given == value);
    let fits = match codec {
        // Fragmentation units exist in mode 1 only (RFC 6184 section 5.4), and without the parameter it is mode 0.
        Codec::H264 => payload.parameter("packetization-mode") == Some("1"),
        Codec::Vp8 => true,
        Codec::Vp9 => is("profile-id", "0"),
        Codec::Av1 => is("profile", "0"),
        Codec::Opus => payload.channels == Some(2),
    };
    let kind_fits = (codec == Codec::Opus) == (kind == MediaKind::Audio);
    (fits && kind_fits && payload.clock_rate == codec.clock_rate()).then_some(codec)
}

/// The RTX payload type whose `apt` is `payload_type` (RFC 4588 section 8.1).
fn rtx_for(media: &OfferedMedia, payload_type: u8) -> Option<u8> {
    let mut rtx = media.payloads.iter().filter(|payload| payload.encoding.eq_ignore_ascii_case("rtx"));
    let repairs = |payload: &&OfferedPayload| {
        payload.parameter("apt").and_then(|apt| apt.parse().ok()) == Some(payload_type)
    };
    rtx.find(repairs).map(|payload| payload.payload_type)
}

/// Accepts the extensions that a leg needs; ids above 14 only where two-byte headers may be mixed in.
fn extensions(
    offer: &Offer,
    media: &OfferedMedia,
    (role, transport_cc): (Role, bool),
) -> (ExtensionMap, Vec<OfferedExtension>) {
    let mut map = ExtensionMap::default();
    let mut accepted: Vec<OfferedExtension> = Vec::new();
    for extension in &media.extensions {
        let slot = match (extension.uri.as_str(), role) {
            (MID, _) => &mut map.mid,
            (ABS_CAPTURE_TIME, _) => &mut map.abs_capture_time,
            (DEPENDENCY_DESCRIPTOR, _) if media.kind == Some(MediaKind::Video) => {
                &mut map.dependency_descriptor
            }
            (PLAYOUT_DELAY, Role::View) if media.kind == Some(MediaKind::Video) => &mut map.playout_delay,
            (RID, Role::Publish) if !media.layers.is_empty() => &mut map.rid,
            (REPAIRED_RID, Role::Publish) if !media.layers.is_empty() => &mut map.repaired_rid,
            (TRANSPORT_CC, _) if transport_cc => &mut map.transport_cc,
            _ => continue,
        };
        let id_fits = extension.id <= 14 || offer.extmap_allow_mixed;
        let id_free = accepted.iter().all(|other| other.id != extension.id)
            && means_the_same_everywhere(offer, extension);
        if slot.is_none() && id_fits && id_free {
            *slot = Some(extension.id);
            accepted.push(extension.clone());
        }
    }
    (map, accepted)
}

/// In a BUNDLE group an id stands for one extension only (RFC 8843 section 9.1.1).
fn means_the_same_everywhere(offer: &Offer, extension: &OfferedExtension) -> bool {
    let all = offer.media.iter().filter(|media| media.usable).flat_map(|media| &media.extensions);
    all.filter(|other| other.id == extension.id).all(|other| other.uri == extension.uri)
}

/// `ccm pause` with any parameters (RFC 7728 section 9).
fn is_pause(feedback: &str) -> bool {
    let mut words = feedback.split_ascii_whitespace();
    words.next() == Some("ccm") && words.next() == Some("pause")
}

const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const ABS_CAPTURE_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time";
const DEPENDENCY_DESCRIPTOR: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const PLAYOUT_DELAY: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";

//! Reads an SDP offer into a checked type: strict limits first, then `rtc-sdp`, then what WebRTC demands.

use std::io::Cursor;
use std::net::SocketAddr;

use rtc_sdp::description::common::Attribute;
use rtc_sdp::description::media::MediaDescription;
use rtc_sdp::description::session::SessionDescription;

use crate::sdp::candidate;
use crate::sdp::simulcast;
use crate::shard::command::join::OfferedLayer;
use crate::transport::fingerprint::Fingerprint;
use latchkey_wire::codec::MediaKind;

/// A checked offer: one transport for all of its media (BUNDLE, RTCP multiplexed), with a SHA-256 fingerprint.
#[derive(Clone)]
pub(crate) struct Offer {
    pub(crate) ice: IceCredentials,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) candidates: Vec<SocketAddr>,
    /// One- and two-byte header extensions may be mixed (RFC 8285 section 4.1.2).
    pub(crate) extmap_allow_mixed: bool,
    pub(crate) media: Vec<OfferedMedia>,
}

/// ICE user fragment and password (RFC 8839 section 5.4). The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IceCredentials {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
}

/// One m-line of an offer.
#[derive(Clone, Debug)]
pub(crate) struct OfferedMedia {
    pub(crate) mid: String,
    /// `None` for m-lines that the relay never takes, a data channel for instance.
    pub(crate) kind: Option<MediaKind>,
    /// As in the m-line: media, protocol and formats, to answer in kind when it is refused.
    pub(crate) name: String,
    pub(crate) protocol: String,
    pub(crate) formats: Vec<String>,
    /// Part of the BUNDLE group and not refused by the offerer itself.
    pub(crate) usable: bool,
    pub(crate) sends: bool,
    pub(crate) receives: bool,
    pub(crate) rtcp_rsize: bool,
    /// In the offerer's order of preference.
    pub(crate) payloads: Vec<OfferedPayload>,
    pub(crate) extensions: Vec<OfferedExtension>,
    pub(crate) ssrc: Option<u32>,
    pub(crate) rtx_ssrc: Option<u32>,
    /// Simulcast layers that are sent, in the order of the offer; none for a single stream.
    pub(crate) layers: Vec<OfferedLayer>,
    /// Bits a second that the offerer wants to receive at most.
    pub(crate) most_bits_per_second: Option<u64>,
}

/// One payload type of an m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfferedPayload {
    pub(crate) payload_type: u8,
    pub(crate) encoding: String,
    pub(crate) clock_rate: u32,
    pub(crate) channels: Option<u8>,
    /// The format parameters, empty without an `a=fmtp` line.
    pub(crate) parameters: String,
    /// Values of the `a=rtcp-fb` lines that name this payload type (or `*`), for instance `nack pli`.
    pub(crate) feedback: Vec<String>,
}

/// One header extension of an m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfferedExtension {
    pub(crate) id: u8,
    pub(crate) uri: String,
}

/// Why an offer cannot be used. The client's fault; each sentence says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OfferError {
    #[error("the body is not text: send the SDP offer as UTF-8")]
    NotText,
    #[error(
        "the offer has more than {MAX_LINES} lines or a line longer than {MAX_LINE_BYTES} bytes: offer fewer codecs"
    )]
    TooLong,
    #[error("the body is not an SDP offer (line {line}): send the text of createOffer unchanged")]
    Malformed { line: usize },
    #[error("the offer has no m-line: add the tracks before the offer is made")]
    NoMedia,
    #[error("the offer has more than {MAX_MEDIA} m-lines: use one peer connection for one room")]
    TooManyMedia,
    #[error("m-line {line} has no usable a=mid of at most {MAX_MID_BYTES} characters, or repeats one")]
    Mid { line: usize },
    #[error("the m-lines are not in one BUNDLE group: use bundlePolicy max-bundle")]
    NotBundled,
    #[error("a=group:BUNDLE names an m-line that the offer does not have: send the whole offer")]
    CutShort,
    #[error("m-line {line} lacks a=rtcp-mux: the relay has one port for RTP and RTCP")]
    NoRtcpMux { line: usize },
    #[error("the offer lacks a=ice-ufrag of at least 4 or a=ice-pwd of at least 22 characters (RFC 8839)")]
    IceCredentials,
    #[error("the offer is ice-lite, and so is the relay: one side must be a full ICE agent")]
    IceLite,
    #[error("the offer lacks a=fingerprint:sha-256 with 32 bytes: DTLS-SRTP is the only transport")]
    Fingerprint,
    #[error("the offer says a=setup:passive, and so is the relay: offer actpass or active")]
    SetupPassive,
}

impl OfferError {
    /// Whether the text could not be read at all; otherwise it was read and cannot be served.
    pub(crate) fn is_malformed(&self) -> bool {
        matches!(self, Self::NotText | Self::TooLong | Self::Malformed { .. })
    }
}

impl Offer {
    /// Reads an offer. Never panics, whatever the bytes are.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, OfferError> {
        let text = std::str::from_utf8(bytes).map_err(|_| OfferError::NotText)?;
        screen(text)?;
        let session = SessionDescription::unmarshal(&mut Cursor::new(bytes))
            .map_err(|_| OfferError::Malformed { line: 0 })?;
        Self::check(&session)
    }

    fn check(session: &SessionDescription) -> Result<Self, OfferError> {
        if session.media_descriptions.is_empty() {
            return Err(OfferError::NoMedia);
        }
        if session.media_descriptions.len() > MAX_MEDIA {
            return Err(OfferError::TooManyMedia);
        }
        if session.has_attribute("ice-lite") {
            return Err(OfferError::IceLite);
        }
        let bundle = bundle_group(session);
        let alone = session.media_descriptions.len() == 1;
        let mut media: Vec<OfferedMedia> = Vec::with_capacity(session.media_descriptions.len());
        for (line, description) in session.media_descriptions.iter().enumerate() {
            let mid = value(&description.attributes, "mid").filter(|mid| mid_is_usable(mid));
            let mid = mid.ok_or(OfferError::Mid { line })?;
            if media.iter().any(|other| other.mid == mid) {
                return Err(OfferError::Mid { line });
            }
            let bundled = bundle.contains(&mid) || (alone && bundle.is_empty());
            media.push(OfferedMedia::read(mid, description, bundled, &session.attributes));
        }
        if bundle.iter().any(|named| media.iter().all(|m| m.mid != *named)) {
            return Err(OfferError::CutShort);
        }
        // The transport is that of the first bundled m-line (RFC 8843 section 7.2); what it leaves out may stand above.
        let both = || session.media_descriptions.iter().zip(&media);
        let (first, _) = both().find(|(_, m)| m.usable).ok_or(OfferError::NotBundled)?;
        if both().any(|(description, m)| !m.usable && description.media_name.port.value != 0) {
            return Err(OfferError::NotBundled);
        }
        let muxed = |description: &MediaDescription| description.has_attribute("rtcp-mux");
        if let Some(line) = both().position(|(d, m)| m.usable && m.kind.is_some() && !muxed(d)) {
            return Err(OfferError::NoRtcpMux { line });
        }
        let here = |key| value(&first.attributes, key).or_else(|| value(&session.attributes, key));
        if here("setup") == Some("passive") {
            return Err(OfferError::SetupPassive);
        }
        let ice =
            IceCredentials::new(here("ice-ufrag"), here("ice-pwd")).ok_or(OfferError::IceCredentials)?;
        let fingerprint = fingerprint(&first.attributes)
            .or_else(|| fingerprint(&session.attributes))
            .ok_or(OfferError::Fingerprint)?;
        let candidates = values(&first.attributes, "candidate")
            .filter_map(candidate::parse)
            .take(MAX_CANDIDATES)
            .collect();
        let extmap_allow_mixed = session.has_attribute("extmap-allow-mixed")
            || session
                .media_descriptions
                .iter()
                .all(|description| description.has_attribute("extmap-allow-mixed"));
        Ok(Self { ice, fingerprint, candidates, extmap_allow_mixed, media })
    }
}

impl OfferedMedia {
    fn read(mid: &str, description: &MediaDescription, bundled: bool, session: &[Attribute]) -> Self {
        let name = &description.media_name;
        let attributes = &description.attributes;
        let protocol = name.protos.join("/");
        let kind = match name.media.as_str() {
            "audio" if protocol.ends_with("/SAVPF") => Some(MediaKind::Audio),
            "video" if protocol.ends_with("/SAVPF") => Some(MediaKind::Video),
            _ => None,
        };
        let bundle_only = attributes.iter().any(|a| a.key == "bundle-only");
        let (sends, receives) = direction(attributes).or_else(|| direction(session)).unwrap_or((true, true));
        let (ssrc, rtx_ssrc) = sources(attributes);
        Self {
            mid: mid.to_owned(),
            kind,
            name: name.media.clone(),
            protocol,
            formats: name.formats.clone(),
            usable: bundled && (name.port.value != 0 || bundle_only),
            sends,
            receives,
            rtcp_rsize: attributes.iter().any(|a| a.key == "rtcp-rsize"),
            payloads: name
                .formats
                .iter()
                .filter_map(|format| OfferedPayload::read(format, attributes))
                .collect(),
            extensions: values(attributes, "extmap")
                .chain(values(session, "extmap"))
                .filter_map(OfferedExtension::read)
                .collect(),
            ssrc,
            rtx_ssrc,
            layers: if kind == Some(MediaKind::Video) { simulcast::layers(attributes) } else { Vec::new() },
            most_bits_per_second: simulcast::bandwidth(description),
        }
    }
}

impl OfferedPayload {
    /// Returns `None` for a format without an `a=rtpmap` line, or one that is no payload type.
    fn read(format: &str, attributes: &[Attribute]) -> Option<Self> {
        let payload_type = format.parse::<u8>().ok().filter(|pt| *pt < 128 && !RTCP_CLASH.contains(pt))?;
        let mut map = behind(attributes, "rtpmap", format).next()?.split('/');
        let encoding = map.next()?.to_owned();
        let clock_rate = map.next()?.parse().ok()?;
        let channels = map.next().and_then(|channels| channels.parse().ok());
        let parameters = behind(attributes, "fmtp", format).next().unwrap_or_default().to_owned();
        let feedback = behind(attributes, "rtcp-fb", format).chain(behind(attributes, "rtcp-fb", "*"));
        let feedback = feedback.take(MAX_FEEDBACK).map(str::to_owned).collect();
        Some(Self { payload_type, encoding, clock_rate, channels, parameters, feedback })
    }

    /// One of the `name=value` pairs of the format parameters, without regard to case in the name.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let pairs = self.parameters.split(';').filter_map(|pair| pair.split_once('='));
        pairs
            .map(|(key, value)| (key.trim(), value.trim()))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl OfferedExtension {
    /// Reads `id[/direction] uri …`; `None` when the offerer switched it off or the id is out of range (RFC 8285).
    fn read(value: &str) -> Option<Self> {
        let (id, rest) = value.split_once(' ')?;
        let (id, direction) = id.split_once('/').unwrap_or((id, "sendrecv"));
        let id = id.parse::<u8>().ok().filter(|id| *id != 0 && *id != 15)?;
        let uri = rest.split_ascii_whitespace().next()?;
        matches!(direction, "sendrecv" | "sendonly" | "recvonly").then(|| Self { id, uri: uri.to_owned() })
    }
}

impl IceCredentials {
    /// Checks length and alphabet of both (RFC 8839 section 5.4).
    pub(crate) fn new(ufrag: Option<&str>, pwd: Option<&str>) -> Option<Self> {
        let (ufrag, pwd) = (ufrag?, pwd?);
        let ice_chars =
            |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
        let fits = (4..=256).contains(&ufrag.len()) && (22..=256).contains(&pwd.len());
        (fits && ice_chars(ufrag) && ice_chars(pwd))
            .then(|| Self { ufrag: ufrag.to_owned(), pwd: pwd.to_owned() })
    }
}

/// Refuses what no WebRTC offer holds, before the text reaches a general parser.
fn screen(text: &str) -> Result<(), OfferError> {
    let mut lines = 0;
    for (number, line) in text.lines().enumerate() {
        lines += 1;
        if lines > MAX_LINES || line.len() > MAX_LINE_BYTES {
            return Err(OfferError::TooLong);
        }
        let known = line.is_empty()
            || matches!(
                line.as_bytes(),
                [b'v' | b'o' | b's' | b't' | b'a' | b'm' | b'c' | b'b' | b'i', b'=', ..]
            );
        if !known || line.chars().any(char::is_control) {
            return Err(OfferError::Malformed { line: number + 1 });
        }
    }
    Ok(())
}

fn bundle_group(session: &SessionDescription) -> Vec<&str> {
    values(&session.attributes, "group")
        .find_map(|group| group.strip_prefix("BUNDLE"))
        .map(|mids| mids.split_ascii_whitespace().collect())
        .unwrap_or_default()
}

fn mid_is_usable(mid: &str) -> bool {
    let token = |b: u8| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&b);
    (1..=MAX_MID_BYTES).contains(&mid.len()) && mid.bytes().all(token)
}

/// Whether the offerer sends and receives.
fn direction(attributes: &[Attribute]) -> Option<(bool, bool)> {
    attributes.iter().find_map(|a| match a.key.as_str() {
        "sendrecv" => Some((true, true)),
        "sendonly" => Some((true, false)),
        "recvonly" => Some((false, true)),
        "inactive" => Some((false, false)),
        _ => None,
    })
}

/// The SSRC of the media and of its retransmissions: from `a=ssrc-group:FID` (RFC 5576), else the first `a=ssrc`.
fn sources(attributes: &[Attribute]) -> (Option<u32>, Option<u32>) {
    let number =
        |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok()).filter(|ssrc| *ssrc != 0);
    for group in values(attributes, "ssrc-group") {
        if let Some(pair) = group.strip_prefix("FID ") {
            let mut pair = pair.split_ascii_whitespace();
            return (number(pair.next()), number(pair.next()));
        }
    }
    (number(values(attributes, "ssrc").next().and_then(|line| line.split_ascii_whitespace().next())), None)
}

/// `a=fingerprint:sha-256 AB:CD:…` (RFC 8122).
fn fingerprint(attributes: &[Attribute]) -> Option<Fingerprint> {
    let sha_256 = values(attributes, "fingerprint")
        .filter_map(|line| line.split_once(' '))
        .find(|(hash, _)| hash.eq_ignore_ascii_case("sha-256"));
    sha_256?.1.trim().parse().ok()
}

fn value<'a>(attributes: &'a [Attribute], key: &str) -> Option<&'a str> {
    attributes.iter().find(|a| a.key == key).and_then(|a| a.value.as_deref())
}

fn values<'a>(attributes: &'a [Attribute], key: &'static str) -> impl Iterator<Item = &'a str> {
    attributes.iter().filter(move |a| a.key == key).filter_map(|a| a.value.as_deref())
}

/// What stands behind `format` in the lines of one key: `a=rtpmap:96 VP8/90000` is `VP8/90000` behind `96`.
fn behind<'a>(
    attributes: &'a [Attribute],
    key: &'static str,
    format: &'a str,
) -> impl Iterator<Item = &'a str> {
    values(attributes, key)
        .filter_map(move |line| line.split_once(' '))
        .filter(move |(first, _)| *first == format)
        .map(|(_, rest)| rest.trim())
}

const MAX_LINES: usize = 2_000;
const MAX_LINE_BYTES: usize = 2_048;
const MAX_MEDIA: usize = 16;
const MAX_MID_BYTES: usize = 16;
const MAX_CANDIDATES: usize = 32;
const MAX_FEEDBACK: usize = 16;
/// Payload types that look like RTCP once both share a port (RFC 5761 section 4).
const RTCP_CLASH: std::ops::RangeInclusive<u8> = 64..=95;

#[cfg(test)]
mod tests;

//! Writes the SDP answer: ice-lite, `setup:passive`, one BUNDLE group, host candidates, nothing that was not agreed on.

use std::net::SocketAddr;

use rtc_sdp::description::common::{Address, ConnectionInformation};
use rtc_sdp::description::media::{MediaDescription, MediaName, RangedPort};
use rtc_sdp::description::session::SessionDescription;

use crate::sdp::candidate;
use crate::sdp::negotiate::{Active, Line, Negotiation};
use crate::sdp::offer::{IceCredentials, Offer, OfferedMedia, OfferedPayload};
use crate::shard::command::join::Role;
use crate::transport::fingerprint::Fingerprint;

/// The relay's own side of the transport.
pub(crate) struct LocalTransport<'a> {
    pub(crate) ice: &'a IceCredentials,
    pub(crate) fingerprint: Fingerprint,
    /// Best first; not empty.
    pub(crate) candidates: &'a [SocketAddr],
}

/// Writes the whole answer to `offer`. The media are those of `negotiation`, one for each m-line of the offer.
pub(crate) fn write(offer: &Offer, negotiation: &Negotiation, local: &LocalTransport<'_>) -> String {
    let mids = negotiation.lines.iter().zip(&offer.media).filter(|(line, _)| !matches!(line, Line::Refused));
    let group = mids.fold("BUNDLE".to_owned(), |group, (_, media)| group + " " + &media.mid);
    let mut answer = SessionDescription::new_jsep_session_description(false)
        .with_value_attribute("group".to_owned(), group)
        .with_property_attribute("ice-lite".to_owned());
    if offer.extmap_allow_mixed {
        answer = answer.with_property_attribute("extmap-allow-mixed".to_owned());
    }
    if negotiation.role == Role::View {
        answer = answer.with_value_attribute("msid-semantic".to_owned(), format!("WMS {STREAM}"));
    }
    let mut first = true;
    for (line, media) in negotiation.lines.iter().zip(&offer.media) {
        let section = match line {
            Line::Refused => Section::refused(media),
            Line::Idle { payload } => Section::idle(media, payload).transport(local, first),
            Line::Active(active) => Section::active(media, active, negotiation.role).transport(local, first),
        };
        first &= matches!(line, Line::Refused);
        answer = answer.with_media(section.0);
    }
    answer.marshal()
}

/// One m-line of the answer, being written.
struct Section(MediaDescription);

impl Section {
    fn new(media: &OfferedMedia, port: isize, formats: Vec<String>) -> Self {
        let anywhere = Address { address: "0.0.0.0".to_owned(), ttl: None, range: None };
        Self(MediaDescription {
            media_name: MediaName {
                media: media.name.clone(),
                port: RangedPort { value: port, range: None },
                protos: media.protocol.split('/').map(str::to_owned).collect(),
                formats,
            },
            connection_information: Some(ConnectionInformation {
                network_type: "IN".to_owned(),
                address_type: "IP4".to_owned(),
                address: Some(anywhere),
            }),
            ..MediaDescription::default()
        })
        .value("mid", &media.mid)
    }

    fn refused(media: &OfferedMedia) -> Self {
        Self::new(media, 0, media.formats.clone()).flag("inactive")
    }

    fn idle(media: &OfferedMedia, payload: &OfferedPayload) -> Self {
        Self::new(media, DISCARD_PORT, Vec::new()).flag("inactive").flag("rtcp-mux").payload(payload)
    }

    fn active(media: &OfferedMedia, active: &Active, role: Role) -> Self {
        let direction = match role {
            Role::Publish => "recvonly",
            Role::View => "sendonly",
        };
        let mut section = Self::new(media, DISCARD_PORT, Vec::new()).flag(direction).flag("rtcp-mux");
        if media.rtcp_rsize {
            section = section.flag("rtcp-rsize");
        }
        section = section.payload(&active.payload);
        let payload_type = active.payload.payload_type;
        let feedback = active.feedback;
        for (agreed, name) in
            [(feedback.nack, "nack"), (feedback.pli, "nack pli"), (feedback.transport_cc, "transport-cc")]
        {
            if agreed {
                section = section.value("rtcp-fb", &format!("{payload_type} {name}"));
            }
        }
        if feedback.pause {
            section = section.value("rtcp-fb", &format!("{payload_type} ccm pause nowait"));
        }
        if let Some(rtx) = active.rtx {
            section.0.media_name.formats.push(rtx.to_string());
            section = section
                .value("rtpmap", &format!("{rtx} rtx/{}", active.payload.clock_rate))
                .value("fmtp", &format!("{rtx} apt={payload_type}"));
        }
        for extension in &active.accepted {
            section = section.value("extmap", &format!("{} {}", extension.id, extension.uri));
        }
        if role == Role::View {
            section = section.sources(&media.name, active);
        }
        section.layers(active)
    }

    /// Takes every layer that was offered by name (RFC 8853 section 5.3).
    fn layers(mut self, active: &Active) -> Self {
        let rids: Vec<_> = active.layers.iter().filter_map(|layer| layer.rid).collect();
        if rids.is_empty() {
            return self;
        }
        for rid in &rids {
            self = self.value("rid", &format!("{} recv", rid.as_str()));
        }
        let names: Vec<_> = rids.iter().map(|rid| rid.as_str()).collect();
        self.value("simulcast", &format!("recv {}", names.join(";")))
    }

    fn payload(mut self, payload: &OfferedPayload) -> Self {
        let OfferedPayload { payload_type, encoding, clock_rate, .. } = payload;
        self.0.media_name.formats.push(payload_type.to_string());
        let channels = payload.channels.map(|channels| format!("/{channels}")).unwrap_or_default();
        self = self.value("rtpmap", &format!("{payload_type} {encoding}/{clock_rate}{channels}"));
        if payload.parameters.is_empty() {
            return self;
        }
        self.value("fmtp", &format!("{payload_type} {}", payload.parameters))
    }

    /// The relay's own SSRCs, and the stream that a player groups its tracks by. The media's comes before its
    /// retransmissions': Chromium takes the first one for the media, whatever the group says.
    fn sources(self, kind: &str, active: &Active) -> Self {
        let media = active.ssrcs.media;
        let section = self.value("msid", &format!("{STREAM} {kind}"));
        let Some(rtx) = active.rtx.map(|_| active.ssrcs.rtx) else {
            return section.value("ssrc", &format!("{media} cname:{STREAM}"));
        };
        section
            .value("ssrc-group", &format!("FID {media} {rtx}"))
            .value("ssrc", &format!("{media} cname:{STREAM}"))
            .value("ssrc", &format!("{rtx} cname:{STREAM}"))
    }

    fn transport(self, local: &LocalTransport<'_>, with_candidates: bool) -> Self {
        let mut section = self
            .value("ice-ufrag", &local.ice.ufrag)
            .value("ice-pwd", &local.ice.pwd)
            .value("fingerprint", &format!("sha-256 {}", local.fingerprint))
            .value("setup", "passive");
        if with_candidates {
            for (rank, address) in local.candidates.iter().enumerate() {
                section = section.value("candidate", &candidate::host(rank, *address));
            }
            section = section.flag("end-of-candidates");
        }
        section
    }

    fn value(self, key: &str, value: &str) -> Self {
        Self(self.0.with_value_attribute(key.to_owned(), value.to_owned()))
    }

    fn flag(self, key: &str) -> Self {
        Self(self.0.with_property_attribute(key.to_owned()))
    }
}

/// Stream and cname of everything that the relay sends: says nothing about whose it is.
const STREAM: &str = "latchkey";
/// The port of an m-line whose address comes by candidates (RFC 9429 section 5.3.1).
const DISCARD_PORT: isize = 9;

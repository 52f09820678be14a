//! What our clients put into an offer: payload types, feedback, header extensions.

use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::extension::ExtensionKind;
use rtc::peer_connection::configuration::media_engine::MediaEngine;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpHeaderExtensionCapability, RtpCodecKind,
};
use webrtc::error::Result;

/// All codecs a viewer offers, in order of preference.
pub(super) const OFFERED: [Codec; 5] = [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus];

/// Returns the media engine that offers exactly `codecs`, with the header extensions of our format.
pub(super) fn media_engine(codecs: &[Codec]) -> Result<MediaEngine> {
    let mut engine = MediaEngine::default();
    for &codec in codecs {
        for parameters in lines_of(codec) {
            engine.register_codec(parameters, kind_of(codec.kind()))?;
        }
    }
    // Ids are handed out in the order of registration: 1, 2, 3; transport-cc follows as 4.
    for extension in OURS {
        for kind in [MediaKind::Video, MediaKind::Audio] {
            if kind == MediaKind::Audio && extension == ExtensionKind::DependencyDescriptor {
                continue;
            }
            engine.register_header_extension(
                RTCRtpHeaderExtensionCapability { uri: extension.uri().to_owned() },
                kind_of(kind),
                None,
            )?;
        }
    }
    Ok(engine)
}

/// Returns the crate's word for `kind`.
pub(super) fn kind_of(kind: MediaKind) -> RtpCodecKind {
    match kind {
        MediaKind::Video => RtpCodecKind::Video,
        MediaKind::Audio => RtpCodecKind::Audio,
    }
}

/// Returns the payload type that `codec` has in our offers.
pub(super) fn payload_type(codec: Codec) -> u8 {
    match codec {
        Codec::H264 => 102,
        Codec::Vp8 => 96,
        Codec::Vp9 => 98,
        Codec::Av1 => 45,
        Codec::Opus => 111,
    }
}

/// Returns the codec a payload type stands for, taking the relay's answer's numbers to be our own.
pub(super) fn codec_of(payload_type_seen: u8) -> Option<Codec> {
    OFFERED.into_iter().find(|&codec| payload_type(codec) == payload_type_seen)
}

/// Returns the codec description for a track that sends `codec`.
pub(super) fn rtp_codec(codec: Codec) -> RTCRtpCodec {
    let (mime_type, clock_rate, channels, fmtp) = match codec {
        Codec::H264 => (
            "video/H264",
            90_000,
            0,
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        ),
        Codec::Vp8 => ("video/VP8", 90_000, 0, ""),
        Codec::Vp9 => ("video/VP9", 90_000, 0, "profile-id=0"),
        Codec::Av1 => ("video/AV1", 90_000, 0, "profile-id=0"),
        Codec::Opus => ("audio/opus", 48_000, 2, "minptime=10;useinbandfec=1"),
    };
    RTCRtpCodec {
        mime_type: mime_type.to_owned(),
        clock_rate,
        channels,
        sdp_fmtp_line: fmtp.to_owned(),
        rtcp_feedback: match codec.kind() {
            MediaKind::Video => vec![feedback("nack", ""), feedback("nack", "pli")],
            MediaKind::Audio => vec![],
        },
    }
}

fn lines_of(codec: Codec) -> Vec<RTCRtpCodecParameters> {
    let own = payload_type(codec);
    let mut lines = vec![RTCRtpCodecParameters { rtp_codec: rtp_codec(codec), payload_type: own }];
    if codec.kind() == MediaKind::Video {
        lines.push(RTCRtpCodecParameters {
            rtp_codec: RTCRtpCodec {
                mime_type: "video/rtx".to_owned(),
                clock_rate: 90_000,
                channels: 0,
                sdp_fmtp_line: format!("apt={own}"),
                rtcp_feedback: vec![],
            },
            payload_type: own + 1,
        });
    }
    lines
}

fn feedback(typ: &str, parameter: &str) -> RTCPFeedback {
    RTCPFeedback { typ: typ.to_owned(), parameter: parameter.to_owned() }
}

/// The extensions that we write ourselves, in the order of their ids.
pub(super) const OURS: [ExtensionKind; 3] =
    [ExtensionKind::Mid, ExtensionKind::AbsCaptureTime, ExtensionKind::DependencyDescriptor];

//! Offers as clients write them and broken ones; what is agreed on, and the answers to them.

use latchkey_wire::codec::Codec;

use super::*;
use crate::sdp::answer::{self, LocalTransport};
use crate::sdp::negotiate::{self, Line, Negotiation, NegotiationError};
use crate::shard::command::PublishedTrack;
use crate::shard::command::join::{ExtensionMap, Feedback, Role};

mod garbage;
mod layers;

macro_rules! offers {
    ($($name:ident $file:literal;)*) => {
        $(const $name: &str = include_str!(concat!("../../../tests/offers/", $file, ".sdp"));)*
        const ALL: &[(&str, &str)] = &[$(($file, $name)),*];
    };
}

offers! {
    CHROMIUM_PUBLISHER "chromium-publisher";
    CHROMIUM_VIEWER "chromium-viewer";
    FIREFOX_PUBLISHER "firefox-publisher";
    FIREFOX_VIEWER "firefox-viewer";
    STR0M_PUBLISHER "str0m-publisher";
    STR0M_VIEWER "str0m-viewer";
    WEBRTC_RS_PUBLISHER "webrtc-rs-publisher";
    WEBRTC_RS_VIEWER "webrtc-rs-viewer";
}

fn parse(text: &str) -> Offer {
    Offer::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> OfferError {
    Offer::parse(text.as_bytes()).err().unwrap_or_else(|| panic!("accepted: {text}"))
}

fn camera(video: Codec) -> Vec<PublishedTrack> {
    let audio = PublishedTrack { kind: MediaKind::Audio, codec: Codec::Opus };
    vec![PublishedTrack { kind: MediaKind::Video, codec: video }, audio]
}

fn written(offer: &Offer, negotiation: &Negotiation) -> String {
    let ice = IceCredentials { ufrag: "0fgh".to_owned(), pwd: "abcdefghijklmnopqrstuv".to_owned() };
    let candidates = ["203.0.113.7:9602".parse().unwrap(), "[2001:db8::7]:9602".parse().unwrap()];
    answer::write(
        offer,
        negotiation,
        &LocalTransport { ice: &ice, fingerprint: Fingerprint([0xAB; 32]), candidates: &candidates },
    )
}

/// Codec, payload type and RTX payload type of each line, `None` for what is not active.
fn agreed(negotiation: &Negotiation) -> Vec<Option<(Codec, u8, Option<u8>)>> {
    let of = |line: &Line| match line {
        Line::Active(active) => Some((active.codec, active.payload.payload_type, active.rtx)),
        Line::Idle { .. } | Line::Refused => None,
    };
    negotiation.lines.iter().map(of).collect()
}

#[test]
fn publishers_of_every_kind_get_their_first_codec() {
    for (offer, expected) in [
        (CHROMIUM_PUBLISHER, [(Codec::Opus, 111, None), (Codec::Vp8, 96, Some(97))]),
        (FIREFOX_PUBLISHER, [(Codec::Opus, 109, None), (Codec::Vp8, 120, Some(124))]),
        (STR0M_PUBLISHER, [(Codec::Vp8, 96, Some(97)), (Codec::Opus, 111, None)]),
        (WEBRTC_RS_PUBLISHER, [(Codec::H264, 102, Some(103)), (Codec::Opus, 111, None)]),
    ] {
        let negotiation = negotiate::publisher(&parse(offer)).unwrap();
        assert_eq!(agreed(&negotiation), expected.map(Some));
    }
}

#[test]
fn viewers_of_every_kind_get_what_the_room_carries() {
    for (offer, video, expected) in [
        (CHROMIUM_VIEWER, Codec::H264, [(Codec::Opus, 111, None), (Codec::H264, 103, Some(104))]),
        (CHROMIUM_VIEWER, Codec::Av1, [(Codec::Opus, 111, None), (Codec::Av1, 39, Some(40))]),
        (CHROMIUM_VIEWER, Codec::Vp9, [(Codec::Opus, 111, None), (Codec::Vp9, 98, Some(99))]),
        (FIREFOX_VIEWER, Codec::Vp8, [(Codec::Opus, 109, None), (Codec::Vp8, 120, Some(124))]),
        (STR0M_VIEWER, Codec::H264, [(Codec::H264, 127, Some(121)), (Codec::Opus, 111, None)]),
        (WEBRTC_RS_VIEWER, Codec::Av1, [(Codec::Av1, 45, Some(46)), (Codec::Opus, 111, None)]),
    ] {
        let negotiation = negotiate::viewer(&parse(offer), &camera(video)).unwrap();
        assert_eq!(agreed(&negotiation), expected.map(Some));
    }
}

#[test]
fn a_viewer_without_the_rooms_video_still_hears_it() {
    let offer = parse(FIREFOX_VIEWER);
    let negotiation = negotiate::viewer(&offer, &camera(Codec::H264)).unwrap();
    assert_eq!(agreed(&negotiation), [Some((Codec::Opus, 109, None)), None]);
    assert!(written(&offer, &negotiation).contains("a=inactive\r\n"));
    let only_video = [PublishedTrack { kind: MediaKind::Video, codec: Codec::H264 }];
    let refused = negotiate::viewer(&offer, &only_video).unwrap_err();
    assert_eq!(refused, NegotiationError::NothingToView { carried: "H264".to_owned() });
}

#[test]
fn what_is_read_of_an_offer() {
    let offer = parse(CHROMIUM_PUBLISHER);
    assert_eq!(offer.ice.ufrag, "4ZcD");
    assert_eq!(offer.fingerprint.0[0], 0x7B);
    assert!(offer.candidates.is_empty(), "an mDNS name is no address");
    assert!(offer.extmap_allow_mixed);
    assert_eq!((offer.media[1].ssrc, offer.media[1].rtx_ssrc), (Some(2_231_627_014), Some(632_943_048)));
    let firefox = parse(FIREFOX_PUBLISHER);
    assert_eq!(firefox.fingerprint.0[0], 0x0E, "a fingerprint may stand above the m-lines");
    assert_eq!(firefox.candidates, ["192.168.1.24:55042".parse::<SocketAddr>().unwrap()]);
    assert!(!firefox.extmap_allow_mixed);
}

#[test]
fn extensions_are_those_we_need_and_never_the_loudness() {
    let offer = parse(CHROMIUM_PUBLISHER);
    let legs = negotiate::publisher(&offer).unwrap().legs(&offer);
    let video = ExtensionMap {
        mid: Some(4),
        abs_capture_time: Some(9),
        dependency_descriptor: Some(12),
        transport_cc: Some(3),
        ..ExtensionMap::default()
    };
    assert_eq!(legs[1].extensions, video);
    assert_eq!(
        legs[0].extensions,
        ExtensionMap { mid: Some(4), transport_cc: Some(3), ..ExtensionMap::default() }
    );
    let viewer = parse(CHROMIUM_VIEWER);
    let legs = negotiate::viewer(&viewer, &camera(Codec::Vp8)).unwrap().legs(&viewer);
    assert_eq!(legs[1].extensions, ExtensionMap { playout_delay: Some(5), ..video });
    for (name, text) in ALL {
        let offer = parse(text);
        for negotiation in [negotiate::publisher(&offer), negotiate::viewer(&offer, &camera(Codec::Vp8))]
            .into_iter()
            .flatten()
        {
            let answer = written(&offer, &negotiation);
            assert!(!answer.contains("audio-level"), "{name}");
            let promised = ["goog-remb", "ccm fir"];
            assert!(promised.iter().all(|feedback| !answer.contains(feedback)), "{name}");
        }
    }
}

#[test]
fn feedback_without_its_payload_type_is_passed_over_and_never_echoed() {
    let offer = parse(FIREFOX_VIEWER);
    assert!(FIREFOX_VIEWER.contains("a=rtcp-fb:126 nack pli"), "the offer has feedback of a codec that left");
    let negotiation = negotiate::viewer(&offer, &camera(Codec::Vp8)).unwrap();
    let answer = written(&offer, &negotiation);
    let feedback: Vec<&str> = answer.lines().filter(|line| line.starts_with("a=rtcp-fb:")).collect();
    assert_eq!(feedback, ["a=rtcp-fb:120 nack", "a=rtcp-fb:120 nack pli", "a=rtcp-fb:120 transport-cc"]);
    let legs = negotiation.legs(&offer);
    assert_eq!(legs[1].feedback, Feedback { nack: true, pli: true, transport_cc: true, pause: false });
}

#[test]
fn an_answer_says_all_that_a_client_needs() {
    let offer = parse(WEBRTC_RS_VIEWER);
    let negotiation = negotiate::viewer(&offer, &camera(Codec::H264)).unwrap();
    let answer = written(&offer, &negotiation);
    for line in [
        "a=group:BUNDLE 0 1",
        "a=ice-lite",
        "a=setup:passive",
        "a=sendonly",
        "a=rtcp-mux",
        "a=ice-ufrag:0fgh",
        "a=ice-pwd:abcdefghijklmnopqrstuv",
        "m=video 9 UDP/TLS/RTP/SAVPF 102 103",
        "a=fmtp:103 apt=102",
        "a=candidate:1 1 udp 2130706431 203.0.113.7 9602 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::7 9602 typ host",
        "a=end-of-candidates",
    ] {
        assert!(answer.lines().any(|other| other == line), "{line} is missing in\n{answer}");
    }
    let legs = negotiation.legs(&offer);
    let (media, rtx) = (legs[0].local_ssrc, legs[0].local_rtx_ssrc);
    assert!(answer.contains(&format!("a=ssrc-group:FID {media} {rtx}\r\n")));
    let place = |ssrc: u32| answer.find(&format!("a=ssrc:{ssrc} ")).unwrap();
    assert!(place(media) < place(rtx), "Chromium takes the first one for the media");
    let publisher = parse(WEBRTC_RS_PUBLISHER);
    let answer = written(&publisher, &negotiate::publisher(&publisher).unwrap());
    assert!(
        answer.contains("a=recvonly") && !answer.contains("a=ssrc"),
        "the relay sends a publisher no media"
    );
}

#[test]
fn an_answer_is_one_that_rtc_sdp_and_str0m_read() {
    for (name, text) in ALL {
        let offer = parse(text);
        let negotiation = if name.ends_with("viewer") {
            negotiate::viewer(&offer, &camera(Codec::Vp8))
        } else {
            negotiate::publisher(&offer)
        };
        let answer = written(&offer, &negotiation.unwrap());
        let read = SessionDescription::unmarshal(&mut Cursor::new(answer.as_bytes())).unwrap();
        assert_eq!(read.media_descriptions.len(), offer.media.len(), "{name}");
        str0m::change::SdpAnswer::from_sdp_string(&answer)
            .unwrap_or_else(|error| panic!("{name}: {error}\n{answer}"));
    }
}

#[test]
fn lines_beyond_the_rooms_tracks_are_idle_and_foreign_ones_refused() {
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:9\r\na=sctp-port:5000\r\n";
    let text = WEBRTC_RS_VIEWER.replace("BUNDLE 0 1", "BUNDLE 0 1 9") + data;
    let offer = parse(&text);
    let only_audio = [PublishedTrack { kind: MediaKind::Audio, codec: Codec::Opus }];
    let negotiation = negotiate::viewer(&offer, &only_audio).unwrap();
    assert!(matches!(negotiation.lines[..], [Line::Idle { .. }, Line::Active(_), Line::Refused]));
    let answer = written(&offer, &negotiation);
    assert!(answer.contains("a=group:BUNDLE 0 1\r\n"), "a refused line is in no group");
    assert!(answer.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"), "{answer}");
    let legs = negotiation.legs(&offer);
    assert_eq!(legs.iter().map(|leg| leg.codec).collect::<Vec<_>>(), [None, Some(Codec::Opus), None]);
}

#[test]
fn h264_without_fragmentation_and_unknown_codecs_are_not_taken() {
    let mode_0 = WEBRTC_RS_PUBLISHER.replace("packetization-mode=1", "packetization-mode=0");
    let negotiation = negotiate::publisher(&parse(&mode_0)).unwrap();
    assert_eq!(agreed(&negotiation), [None, Some((Codec::Opus, 111, None))]);
    let neither = mode_0.replace("opus/48000/2", "ISAC/16000");
    assert_eq!(negotiate::publisher(&parse(&neither)).unwrap_err(), NegotiationError::NothingToPublish);
    let viewing = negotiate::publisher(&parse(WEBRTC_RS_VIEWER)).unwrap_err();
    assert_eq!(viewing, NegotiationError::NothingToPublish, "a recvonly offer publishes nothing");
    let publishing = negotiate::viewer(&parse(WEBRTC_RS_PUBLISHER), &camera(Codec::H264));
    assert!(publishing.is_err(), "a sendonly offer views nothing");
}

#[test]
fn ids_that_clash_or_do_not_fit_are_not_accepted() {
    let high = WEBRTC_RS_PUBLISHER.replace("a=extmap:3 ", "a=extmap:20 ");
    let offer = parse(&high);
    assert_eq!(
        negotiate::publisher(&offer).unwrap().legs(&offer)[0].extensions.dependency_descriptor,
        Some(20)
    );
    let offer = parse(&high.replace("a=extmap-allow-mixed\r\n", ""));
    assert_eq!(negotiate::publisher(&offer).unwrap().legs(&offer)[0].extensions.dependency_descriptor, None);
    let clash = WEBRTC_RS_PUBLISHER.replacen(
        "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
        "a=extmap:1 urn:x:y",
        1,
    );
    let offer = parse(&clash);
    let legs = negotiate::publisher(&offer).unwrap().legs(&offer);
    assert_eq!(
        (legs[0].extensions.mid, legs[1].extensions.mid),
        (None, None),
        "1 means two things in one bundle"
    );
}

#[test]
fn each_missing_part_is_named() {
    let without = |part: &str| {
        WEBRTC_RS_PUBLISHER.lines().filter(|line| !line.starts_with(part)).collect::<Vec<_>>().join("\r\n")
    };
    assert_eq!(error(&without("a=fingerprint")), OfferError::Fingerprint);
    assert_eq!(error(&without("a=ice-pwd")), OfferError::IceCredentials);
    assert_eq!(error(&without("a=rtcp-mux")), OfferError::NoRtcpMux { line: 0 });
    assert_eq!(error(&without("a=group")), OfferError::NotBundled);
    assert_eq!(error(WEBRTC_RS_PUBLISHER.split("m=audio").next().unwrap()), OfferError::CutShort);
    assert_eq!(error(&without("a=mid:1")), OfferError::Mid { line: 1 });
    assert_eq!(error(&WEBRTC_RS_PUBLISHER.replace("a=mid:1", "a=mid:0")), OfferError::Mid { line: 1 });
    assert_eq!(error(&WEBRTC_RS_PUBLISHER.replace("actpass", "passive")), OfferError::SetupPassive);
    assert_eq!(
        error(&WEBRTC_RS_PUBLISHER.replace("a=extmap-allow-mixed", "a=ice-lite")),
        OfferError::IceLite
    );
    assert_eq!(error(&WEBRTC_RS_PUBLISHER.replace("sha-256", "sha-1")), OfferError::Fingerprint);
    assert_eq!(error(&WEBRTC_RS_PUBLISHER.replace("BUNDLE 0 1", "BUNDLE 0")), OfferError::NotBundled);
    let head: String = WEBRTC_RS_PUBLISHER
        .lines()
        .take_while(|line| !line.starts_with("m="))
        .map(|line| format!("{line}\r\n"))
        .collect();
    assert_eq!(error(&head), OfferError::NoMedia);
    assert_eq!(Offer::parse(&[0xFF, 0xFE]).err(), Some(OfferError::NotText));
    assert_eq!(error("hello"), OfferError::Malformed { line: 1 });
    assert_eq!(error(&format!("{WEBRTC_RS_PUBLISHER}a={}", "x".repeat(3_000))), OfferError::TooLong);
    assert_eq!(error(&"a=x\r\n".repeat(3_000)), OfferError::TooLong);
    assert_eq!(error("v=0\r\nr=9223372036854775807d 1 1\r\n"), OfferError::Malformed { line: 2 });
}

#[test]
fn one_line_needs_no_group() {
    let head = WEBRTC_RS_PUBLISHER.split("m=audio").next().unwrap().replace("a=group:BUNDLE 0 1\r\n", "");
    assert_eq!(parse(&head).media.len(), 1);
}

//! Offers of simulcast layers, and viewers that want less than all.

use super::*;

/// A browser's simulcast offer: its single stream's SSRCs go, names come.
fn simulcast(feedback: &str) -> String {
    let lines = format!(
        "a=rid:l send\r\na=rid:m send\r\na=rid:h send\r\na=simulcast:send l;m;h\r\n{feedback}\
         a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
         a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\n"
    );
    let known = |line: &&str| {
        !line.starts_with("a=ssrc")
            && !line.contains("rtp-stream-id")
            && !line.contains("repaired-rtp-stream-id")
    };
    let kept: Vec<&str> = CHROMIUM_PUBLISHER.lines().map(str::trim_end).filter(known).collect();
    let video = kept.iter().position(|line| line.starts_with("m=video")).unwrap();
    let mut text: String = kept[..=video].iter().map(|line| format!("{line}\r\n")).collect();
    // After the connection line, which comes first in a section.
    text += &format!("{}\r\n{lines}", kept[video + 1]);
    text + &kept[video + 2..].iter().map(|line| format!("{line}\r\n")).collect::<String>()
}

#[test]
fn simulcast_layers_are_taken_by_name() {
    let offer = parse(&simulcast("a=rtcp-fb:* ccm pause nowait\r\n"));
    let negotiation = negotiate::publisher(&offer).unwrap();
    let leg = &negotiation.legs(&offer)[1];
    let names: Vec<_> = leg.layers.iter().map(|layer| layer.rid.unwrap().as_str().to_owned()).collect();
    assert_eq!(names, ["l", "m", "h"]);
    assert_eq!((leg.extensions.rid, leg.extensions.repaired_rid), (Some(10), Some(11)));
    assert!(leg.feedback.pause);
    let answer = written(&offer, &negotiation);
    for line in
        ["a=rid:l recv", "a=rid:h recv", "a=simulcast:recv l;m;h", "ccm pause nowait", "sdes:rtp-stream-id"]
    {
        assert!(answer.contains(line), "{line}: {answer}");
    }
    let single = parse(CHROMIUM_PUBLISHER);
    let answer = written(&single, &negotiate::publisher(&single).unwrap());
    assert!(!answer.contains("simulcast") && !answer.contains("pause"), "{answer}");
    let viewer = parse(CHROMIUM_VIEWER);
    let answer = written(&viewer, &negotiate::viewer(&viewer, &camera(Codec::Vp8)).unwrap());
    assert!(!answer.contains("rtp-stream-id"), "a viewer gets one stream: {answer}");
}

#[test]
fn layers_that_cannot_be_told_apart_are_one_stream() {
    let text = simulcast("").replace("sdes:rtp-stream-id", "sdes:another");
    let offer = parse(&text);
    let negotiation = negotiate::publisher(&offer).unwrap();
    assert!(negotiation.legs(&offer)[1].layers.is_empty());
    assert!(!written(&offer, &negotiation).contains("simulcast"));
}

#[test]
fn a_viewer_says_what_it_takes_at_most() {
    for (line, bits) in [("", None), ("b=AS:300\r\n", Some(300_000)), ("b=TIAS:250000\r\n", Some(250_000))] {
        let text = match line {
            "" => CHROMIUM_VIEWER.to_owned(),
            _ => in_video(CHROMIUM_VIEWER, line),
        };
        let offer = parse(&text);
        let negotiation = negotiate::viewer(&offer, &camera(Codec::Vp8)).unwrap();
        assert_eq!(negotiation.legs(&offer)[1].most_bits_per_second, bits, "{line}");
    }
}

/// Puts a line behind the connection line of the video section.
fn in_video(offer: &str, line: &str) -> String {
    let video = offer.find("m=video").unwrap();
    let connection = video + offer[video..].find("c=IN").unwrap();
    let end = connection + offer[connection..].find('\n').unwrap() + 1;
    format!("{}{line}{}", &offer[..end], &offer[end..])
}

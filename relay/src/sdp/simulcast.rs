//! Simulcast in an offer (RFC 8853): which layers a publisher offers on an m-line, by name or by SSRC.

use latchkey_relay_core::Rid;
use rtc_sdp::description::common::Attribute;
use rtc_sdp::description::media::MediaDescription;

use crate::shard::command::join::OfferedLayer;

/// The layers that an m-line sends, in the order of the offer; none for a single stream.
pub(crate) fn layers(attributes: &[Attribute]) -> Vec<OfferedLayer> {
    let mut layers = named(attributes);
    if layers.is_empty() {
        layers = grouped(attributes);
    }
    if (2..=MOST_LAYERS).contains(&layers.len()) { layers } else { Vec::new() }
}

/// What the m-line's sender is to take at most: `b=TIAS` (RFC 3890) or `b=AS` (RFC 8866 section 5.8), in bits a second.
pub(crate) fn bandwidth(description: &MediaDescription) -> Option<u64> {
    let line = |kind: &str| {
        let found =
            description.bandwidth.iter().find(|line| line.bandwidth_type == kind && !line.experimental);
        found.map(|line| line.bandwidth)
    };
    line("TIAS").or_else(|| line("AS").map(|kilobits| kilobits.saturating_mul(1000)))
}

/// `a=simulcast:send` names the layers; of alternatives the first counts, and `~` says that one begins paused.
fn named(attributes: &[Attribute]) -> Vec<OfferedLayer> {
    let values = |key: &'static str| {
        attributes.iter().filter(move |a| a.key == key).filter_map(|a| a.value.as_deref())
    };
    let Some(simulcast) = values("simulcast").next() else { return Vec::new() };
    let mut words = simulcast.split_ascii_whitespace();
    let Some(list) = words.by_ref().skip_while(|word| *word != "send").nth(1) else { return Vec::new() };
    let sent: Vec<&str> = values("rid")
        .filter_map(|rid| {
            let mut words = rid.split_ascii_whitespace();
            let (name, direction) = (words.next()?, words.next()?);
            (direction == "send").then_some(name)
        })
        .collect();
    let mut layers: Vec<OfferedLayer> = Vec::new();
    for alternatives in list.split(';') {
        let name = alternatives.split(',').next().unwrap_or_default().trim_start_matches('~');
        let Some(rid) = Rid::new(name).filter(|_| sent.contains(&name)) else { return Vec::new() };
        if layers.iter().any(|layer| layer.rid == Some(rid)) {
            return Vec::new();
        }
        layers.push(OfferedLayer { rid: Some(rid), ssrc: None, rtx_ssrc: None });
    }
    layers
}

fn grouped(attributes: &[Attribute]) -> Vec<OfferedLayer> {
    let groups = |kind: &'static str| {
        let values = attributes.iter().filter(|a| a.key == "ssrc-group").filter_map(|a| a.value.as_deref());
        values.filter_map(move |group| {
            let mut words = group.split_ascii_whitespace();
            (words.next() == Some(kind)).then(|| words.filter_map(number).collect::<Vec<_>>())
        })
    };
    let Some(simulcast) = groups("SIM").next() else { return Vec::new() };
    let layer = |ssrc: u32| OfferedLayer {
        rid: None,
        ssrc: Some(ssrc),
        rtx_ssrc: groups("FID")
            .find(|pair| pair.first() == Some(&ssrc))
            .and_then(|pair| pair.get(1).copied()),
    };
    simulcast.into_iter().map(layer).collect()
}

fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|ssrc| *ssrc != 0)
}

/// More are taken for no simulcast at all.
const MOST_LAYERS: usize = 3;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn attributes(lines: &[(&str, &str)]) -> Vec<Attribute> {
        lines
            .iter()
            .map(|(key, value)| Attribute::new((*key).to_owned(), Some((*value).to_owned())))
            .collect()
    }

    fn names(lines: &[(&str, &str)]) -> Vec<String> {
        layers(&attributes(lines)).iter().map(|layer| layer.rid.unwrap().as_str().to_owned()).collect()
    }

    const RIDS: [(&str, &str); 3] = [("rid", "h send"), ("rid", "m send pt=96"), ("rid", "l send")];

    #[test]
    fn names_come_in_the_order_of_the_offer() {
        let with = |simulcast| [&RIDS[..], &[("simulcast", simulcast)]].concat();
        assert_eq!(names(&with("send h;m;l")), ["h", "m", "l"]);
        assert_eq!(
            names(&with("recv x send l;~m,h")),
            ["l", "m"],
            "the first of two alternatives, paused or not"
        );
        assert!(names(&with("send h;x")).is_empty(), "a name without a=rid");
        assert!(names(&with("send h")).is_empty(), "one layer is none");
        assert!(names(&with("send h;h")).is_empty());
        assert!(names(&with("recv h;m;l")).is_empty());
        assert!(names(&RIDS).is_empty());
        let four = [
            ("rid", "a send"),
            ("rid", "b send"),
            ("rid", "c send"),
            ("rid", "d send"),
            ("simulcast", "send a;b;c;d"),
        ];
        assert!(names(&four).is_empty());
    }

    #[test]
    fn groups_of_ssrcs_are_layers_too() {
        let lines = attributes(&[
            ("ssrc-group", "SIM 1 2 3"),
            ("ssrc-group", "FID 1 11"),
            ("ssrc-group", "FID 3 13"),
        ]);
        let found: Vec<_> = layers(&lines).iter().map(|layer| (layer.ssrc, layer.rtx_ssrc)).collect();
        assert_eq!(found, [(Some(1), Some(11)), (Some(2), None), (Some(3), Some(13))]);
    }
}

//! Ogg Opus files (RFC 7845): the packets of the first Opus stream, timed by their own length.

use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;
use ogg::PacketReader;

use crate::bitstream::opus;
use crate::frame::{Codec, MediaFrame, TrackKind};
use crate::source::SourceInfo;
use crate::source::error::SourceError;
use crate::source::reel::{Reel, Subject};

/// Whether the bytes begin like an Ogg file.
pub(crate) fn recognises(bytes: &[u8]) -> bool {
    bytes.starts_with(b"OggS")
}

/// Reads all packets of the first Opus stream in an Ogg file.
pub(crate) fn read(subject: &Subject, bytes: &Bytes) -> Result<Reel, SourceError> {
    let mut packets = PacketReader::new(Cursor::new(bytes.clone()));
    let mut serial = None;
    let mut first_other = None;
    let mut frames = Vec::new();
    let mut at = Duration::ZERO;
    while let Some(packet) = packets.read_packet().map_err(|error| subject.damaged(&error.to_string()))? {
        if packet.data.starts_with(b"OpusHead") {
            if serial.is_none() {
                check_head(subject, &packet.data)?;
                serial = Some(packet.stream_serial());
            }
            continue;
        }
        if packet.first_in_stream() {
            first_other.get_or_insert_with(|| name_of(&packet.data));
        }
        if serial != Some(packet.stream_serial()) || packet.data.starts_with(b"OpusTags") {
            continue;
        }
        let Some(duration) = opus::duration(&packet.data) else {
            continue; // RFC 7845 section 3: such packets are to be ignored
        };
        frames.push(MediaFrame {
            track: TrackKind::Audio,
            codec: Codec::Opus,
            key: true,
            pts: at,
            duration,
            geometry: None,
            data: packet.data.into(),
        });
        at += duration;
    }
    if serial.is_none() {
        return Err(subject.wrong_codec(first_other.unwrap_or("nothing"), ADVICE));
    }
    if frames.is_empty() {
        return Err(subject.damaged("it has no Opus packet"));
    }
    let notes = first_other.map(|other| {
        format!("The {other} stream of {} is left out: only Opus is sent from Ogg files.", subject.name())
    });
    Ok(Reel {
        frames,
        period: at,
        info: SourceInfo {
            audio: Some(Codec::Opus),
            notes: notes.into_iter().collect(),
            ..SourceInfo::default()
        },
    })
}

/// Refuses more than two channels: their packets hold several Opus streams (RFC 7845 section 5.1.1), which RTP does not carry.
fn check_head(subject: &Subject, head: &[u8]) -> Result<(), SourceError> {
    let (Some(version), Some(channels), Some(family)) = (head.get(8), head.get(9), head.get(18)) else {
        return Err(subject.damaged("its Opus header is cut off"));
    };
    if version >> 4 != 0 {
        return Err(subject.damaged("its Opus header has an unknown version"));
    }
    if *family != 0 || *channels > 2 {
        return Err(subject.wrong_codec(format!("Opus with {channels} channels"), ADVICE));
    }
    Ok(())
}

fn name_of(first_packet: &[u8]) -> &'static str {
    match first_packet {
        [1, b'v', b'o', b'r', b'b', b'i', b's', ..] => "Vorbis",
        [0x80, b't', b'h', b'e', b'o', b'r', b'a', ..] => "Theora",
        [0x7f, b'F', b'L', b'A', b'C', ..] => "FLAC",
        [b'S', b'p', b'e', b'e', b'x', ..] => "Speex",
        _ => "unknown",
    }
}

const ADVICE: &str =
    "make it Opus with one or two channels, for example with `ffmpeg -i <file> -c:a libopus -ac 1 sound.ogg`";

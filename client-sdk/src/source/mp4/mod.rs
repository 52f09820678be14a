//! MP4 files (ISO/IEC 14496-12, -14 and -15), plain or fragmented: H.264 video and Opus audio.

mod boxes;
mod samples;

use std::time::Duration;

use bytes::Bytes;
use h264_reader::avcc::AvcDecoderConfigurationRecord;

use crate::bitstream::{h264, opus};
use crate::frame::{Codec, MediaFrame, TrackKind};
use crate::source::error::SourceError;
use crate::source::h264_error;
use crate::source::mp4::boxes::{Broken, Mp4Box, boxes, child};
use crate::source::mp4::samples::{FragmentedTrack, Sample, defaults, from_fragment, from_tables};
use crate::source::reel::{MAKE_H264, Reel, Subject, ticks};
use crate::source::{SourceInfo, VideoInfo};

/// Whether the bytes begin like an MP4 file.
pub(crate) fn recognises(bytes: &[u8]) -> bool {
    let kinds: [&[u8; 4]; 7] = [b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide"];
    bytes.get(4..8).is_some_and(|kind| kinds.iter().any(|known| *known == kind))
}

/// Reads the first video and the first Opus track of an MP4 file.
pub(crate) fn read(subject: &Subject, bytes: &Bytes) -> Result<Reel, SourceError> {
    let broken = |Broken(what)| subject.damaged(what);
    let tracks = tracks(bytes).map_err(broken)?;
    let mut reel = Reel { frames: Vec::new(), period: Duration::ZERO, info: SourceInfo::default() };
    for track in &tracks {
        match (&track.handler, &track.entry) {
            (b"vide", Some(entry)) if reel.info.video.is_none() => {
                read_video(subject, bytes, track, entry, &mut reel)?;
            }
            (b"soun", Some(entry)) if entry.kind == *b"Opus" && reel.info.audio.is_none() => {
                read_opus(subject, bytes, track, &mut reel)?;
            }
            _ => reel.info.notes.extend(left_out(subject, track)),
        }
    }
    if reel.frames.is_empty() {
        return Err(SourceError::NothingToSend {
            name: subject.name(),
            notes: format!("it holds {}; {GIVE_VIDEO_OR_OPUS}", held(&tracks)),
        });
    }
    finish(&mut reel);
    Ok(reel)
}

/// The reel starts over with its video; sound that lasts longer is cut there.
fn finish(reel: &mut Reel) {
    let end = |kind| {
        let last = reel.frames.iter().rev().find(|frame| frame.track == kind);
        last.map(|frame| frame.pts + frame.duration)
    };
    reel.period = end(TrackKind::Video).or_else(|| end(TrackKind::Audio)).unwrap_or_default();
    let period = reel.period;
    reel.frames.retain(|frame| frame.pts < period);
    reel.frames.sort_by_key(|frame| frame.pts);
    if let Some(video) = &mut reel.info.video {
        let count = reel.frames.iter().filter(|frame| frame.track == TrackKind::Video).count();
        video.fps = Some(count as f64 / period.as_secs_f64());
    }
}

struct Track<'a> {
    handler: [u8; 4],
    timescale: u32,
    entry: Option<Mp4Box<'a>>,
    samples: Vec<Sample>,
}

fn tracks(bytes: &[u8]) -> Result<Vec<Track<'_>>, Broken> {
    let top = boxes(bytes, 0)?;
    let moov = child(&top, b"moov").ok_or(Broken("no moov box, as when the recording was not finished"))?;
    let inside = moov.children(0)?;
    let mut tracks = Vec::new();
    for trak in inside.iter().filter(|found| found.kind == *b"trak") {
        let mdia = trak.descend(&[b"mdia"])?;
        let stbl = mdia.descend(&[b"minf", b"stbl"])?;
        let mut samples = from_tables(&stbl, bytes.len())?;
        let id = track_id(trak)?;
        let defaults = defaults(child(&inside, b"mvex"), id)?;
        let fragmented = FragmentedTrack { id, defaults, file_length: bytes.len() };
        for moof in top.iter().filter(|found| found.kind == *b"moof") {
            from_fragment(moof, fragmented, &mut samples)?;
        }
        let handler = mdia.descend(&[b"hdlr"])?.content.get(8..12).ok_or(Broken("hdlr"))?;
        tracks.push(Track {
            handler: handler.try_into().expect("4 bytes were taken"),
            timescale: timescale(&mdia)?,
            entry: stbl.descend(&[b"stsd"])?.children(8)?.first().copied(),
            samples,
        });
    }
    Ok(tracks)
}

fn track_id(trak: &Mp4Box<'_>) -> Result<u32, Broken> {
    let mut tkhd = trak.descend(&[b"tkhd"])?.cursor();
    let (version, _) = tkhd.version_and_flags()?;
    tkhd.bytes(if version == 0 { 8 } else { 16 })?;
    tkhd.u32()
}

fn timescale(mdia: &Mp4Box<'_>) -> Result<u32, Broken> {
    let mut mdhd = mdia.descend(&[b"mdhd"])?.cursor();
    let (version, _) = mdhd.version_and_flags()?;
    mdhd.bytes(if version == 0 { 8 } else { 16 })?;
    match mdhd.u32()? {
        0 => Err(Broken("a timescale of 0")),
        timescale => Ok(timescale),
    }
}

fn read_video(
    subject: &Subject,
    bytes: &Bytes,
    track: &Track<'_>,
    entry: &Mp4Box<'_>,
    reel: &mut Reel,
) -> Result<(), SourceError> {
    let name = match &entry.kind {
        b"avc1" | b"avc3" => None,
        b"hvc1" | b"hev1" => Some("H.265"),
        b"av01" => Some("AV1"),
        b"vp08" => Some("VP8"),
        b"vp09" => Some("VP9"),
        b"mp4v" => Some("MPEG-4 part 2"),
        _ => Some("video of an unknown codec"),
    };
    if let Some(name) = name {
        return Err(subject.wrong_codec(name, MAKE_H264));
    }
    let broken = |Broken(what)| subject.damaged(what);
    refuse_reordering(subject, &track.samples)?;
    // A visual sample entry has 78 bytes of its own fields (ISO/IEC 14496-12 section 12.1.3).
    let avcc =
        child(&entry.children(78).map_err(broken)?, b"avcC").ok_or_else(|| subject.damaged("no avcC box"))?;
    let config = Config::read(subject, avcc.content)?;
    let mut stream = config.stream;
    let first_time = track.samples.first().map_or(0, Sample::composition_time);
    let mut started = false;
    for sample in &track.samples {
        let data = sample_bytes(subject, bytes, sample)?;
        let nals = split_nals(&data, config.length_size)
            .ok_or_else(|| subject.damaged("a sample that cannot be read"))?;
        let unit = match stream.access_unit(&nals) {
            Ok(unit) => unit,
            Err(h264::Unsendable::NoPicture | h264::Unsendable::NoParameterSets) if !started => continue,
            Err(problem) => return Err(h264_error(subject.name(), problem)),
        };
        if !started && !unit.key {
            continue;
        }
        if !started {
            let (width, height) = unit.geometry;
            reel.info.video = Some(VideoInfo { codec: Codec::H264, width, height, fps: None });
            started = true;
        }
        let start = sample.composition_time().saturating_sub(first_time).max(0).unsigned_abs();
        let time = |at| ticks(at, track.timescale.into());
        let pts = time(start);
        reel.frames.push(MediaFrame {
            track: TrackKind::Video,
            codec: Codec::H264,
            key: unit.key,
            pts,
            duration: time(start.saturating_add(sample.duration.into())) - pts,
            geometry: Some(unit.geometry),
            data: unit.data,
        });
    }
    if started { Ok(()) } else { Err(subject.no_key_frame()) }
}

/// Pictures shown in another order than decoded are B-frames, whatever their slices say.
fn refuse_reordering(subject: &Subject, samples: &[Sample]) -> Result<(), SourceError> {
    let reordered = samples.windows(2).any(|pair| pair[1].composition_time() < pair[0].composition_time());
    if reordered {
        return Err(SourceError::BFrames { name: subject.name() });
    }
    Ok(())
}

/// What `avcC` says (ISO/IEC 14496-15 section 5.3.3.1): the parameter sets and the size of NAL lengths.
struct Config {
    stream: h264::Stream,
    length_size: usize,
}

impl Config {
    fn read(subject: &Subject, avcc: &[u8]) -> Result<Self, SourceError> {
        let record = AvcDecoderConfigurationRecord::try_from(avcc)
            .map_err(|_| subject.damaged("an avcC box that cannot be read"))?;
        let mut stream = h264::Stream::default();
        let sets = record.sequence_parameter_sets().chain(record.picture_parameter_sets());
        for nal in sets {
            stream.learn(nal.map_err(|_| subject.damaged("a parameter set that cannot be read"))?);
        }
        Ok(Self { stream, length_size: usize::from(record.length_size_minus_one()) + 1 })
    }
}

/// The NAL units of a sample, each behind its length.
fn split_nals(mut sample: &[u8], length_size: usize) -> Option<Vec<&[u8]>> {
    let mut nals = Vec::new();
    while !sample.is_empty() {
        let (length, rest) = sample.split_at_checked(length_size)?;
        let length = length.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (nal, rest) = rest.split_at_checked(length)?;
        if !nal.is_empty() {
            nals.push(nal);
        }
        sample = rest;
    }
    Some(nals)
}

fn read_opus(
    subject: &Subject,
    bytes: &Bytes,
    track: &Track<'_>,
    reel: &mut Reel,
) -> Result<(), SourceError> {
    let first_time = track.samples.first().map_or(0, |sample| sample.decode_time);
    for sample in &track.samples {
        let data = sample_bytes(subject, bytes, sample)?;
        let Some(duration) = opus::duration(&data) else {
            continue;
        };
        reel.frames.push(MediaFrame {
            track: TrackKind::Audio,
            codec: Codec::Opus,
            key: true,
            pts: ticks(sample.decode_time.saturating_sub(first_time), track.timescale.into()),
            duration,
            geometry: None,
            data,
        });
        reel.info.audio = Some(Codec::Opus);
    }
    Ok(())
}

fn sample_bytes(subject: &Subject, bytes: &Bytes, sample: &Sample) -> Result<Bytes, SourceError> {
    let start = usize::try_from(sample.offset).ok();
    let end = start.and_then(|start| start.checked_add(sample.size as usize));
    match (start, end) {
        (Some(start), Some(end)) if end <= bytes.len() => Ok(bytes.slice(start..end)),
        _ => Err(subject.damaged("it is cut off")),
    }
}

/// What stands in a file without anything to send, in a few words.
fn held(tracks: &[Track<'_>]) -> &'static str {
    let sounds = |wanted: Option<[u8; 4]>| {
        let mut sounds = tracks.iter().filter(|track| track.handler == *b"soun");
        sounds.any(|track| wanted.is_none_or(|wanted| track.entry.is_some_and(|entry| entry.kind == wanted)))
    };
    if sounds(Some(*b"mp4a")) {
        "AAC audio only"
    } else if sounds(None) {
        "audio only, and not Opus"
    } else {
        "neither video nor audio"
    }
}

fn left_out(subject: &Subject, track: &Track<'_>) -> Option<String> {
    let name = subject.name();
    let entry = track.entry.map(|entry| entry.kind);
    match &track.handler {
        b"vide" => Some(format!("A further video track of {name} is left out: one is sent.")),
        b"soun" => Some(match entry.as_ref() {
            Some(b"Opus") => format!("A further audio track of {name} is left out: one is sent."),
            Some(b"mp4a") => format!("The AAC audio of {name} is left out: only Opus is sent."),
            Some(kind) => {
                format!("The audio of {name} ({}) is left out: only Opus is sent.", kind.escape_ascii())
            }
            None => format!("The audio of {name} is left out: it names no codec."),
        }),
        _ => None,
    }
}

/// Advice about a file without anything to send.
const GIVE_VIDEO_OR_OPUS: &str = "give a file with H.264 video, or make its sound Opus, for example with `ffmpeg -i <file> -vn -c:a libopus sound.ogg`";

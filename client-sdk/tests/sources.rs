//! Files in, files out: what a decoder sees behind a source and a sink is what it saw in the clip.
#![allow(clippy::unwrap_used)]

mod clips;

use std::path::Path;
use std::time::Duration;

use clips::{all_frames, bundled, clip, encode, ffmpeg, once, open_file, packet_hashes, picture_hashes};
use latchkey::frame::{Codec, MediaFrame, TrackKind};
use latchkey::sink::{self, Target};
use latchkey::source::error::SourceError;
use latchkey::source::open;
use latchkey::source::spec::{SourceOptions, SourceSpec};

/// Writes the frames of one kind to a file with a sink.
fn write(frames: &[MediaFrame], kind: TrackKind, path: &Path) {
    let frames: Vec<_> = frames.iter().filter(|frame| frame.track == kind).collect();
    let mut sink = sink::open(&Target::File(path.into()), frames[0].codec).unwrap();
    for frame in frames {
        // As a viewer has it: all that is known came with the sealed frame.
        let opened = MediaFrame::opened(frame.codec, frame.key, frame.pts, frame.data.clone());
        assert!(sink.write(&opened).unwrap(), "a frame that the sink leaves out");
    }
    sink.finish().unwrap();
}

/// Sends a video file through a source and a sink and compares what a decoder makes of both.
async fn round_trip(path: &Path, extension: &str) -> Vec<MediaFrame> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out").with_extension(extension);
    let mut source = open_file(path, &once()).await.unwrap();
    let frames = all_frames(&mut *source).await;
    write(&frames, TrackKind::Video, &out);
    let (before, after) = (picture_hashes(path), picture_hashes(&out));
    assert!(before.len() > 10, "a clip of {} pictures shows nothing", before.len());
    assert_eq!(before, after, "{}", path.display());
    let info = source.info().video.unwrap();
    assert!(frames[0].key && info.fps.is_some(), "{info:?}");
    let video: Vec<_> = frames.iter().filter(|frame| frame.track == TrackKind::Video).collect();
    assert!(video.iter().all(|frame| frame.geometry == Some((info.width, info.height))));
    assert!(video.windows(2).all(|pair| pair[0].pts + pair[0].duration == pair[1].pts), "times have gaps");
    frames
}

#[tokio::test]
async fn the_clip_comes_out_as_it_went_in() {
    let path = clip();
    let frames = round_trip(&path, "h264").await;
    for frame in frames.iter().filter(|frame| frame.codec == Codec::H264) {
        assert!(frame.data.starts_with(&[0, 0, 0, 1]));
        let kind = frame.data[4] & 0x1f;
        assert_ne!(kind, 9, "access unit delimiters are not sent");
        assert!(!frame.key || kind == 7, "key frames begin with their parameter sets");
    }
}

#[tokio::test]
async fn a_clip_starts_over_without_going_back_in_time() {
    let path = clip();
    let hashes = picture_hashes(&path);
    let options = SourceOptions { looped: true, ..once() };
    let mut source = open_file(&path, &options).await.unwrap();
    let mut frames = Vec::new();
    while frames.len() < 2 * hashes.len() + hashes.len() / 2 {
        let frame = source.next().await.unwrap();
        if frame.track == TrackKind::Video {
            frames.push(frame);
        }
    }
    assert!(frames.windows(2).all(|pair| pair[1].pts > pair[0].pts));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.h264");
    write(&frames, TrackKind::Video, &out);
    let expected: Vec<_> = hashes.iter().cycle().take(frames.len()).cloned().collect();
    assert_eq!(picture_hashes(&out), expected);
}

#[tokio::test]
async fn every_shape_of_h264_file_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let x264 = ["-c:v", "libx264", "-bf", "0", "-g", "20", "-pix_fmt", "yuv420p"];
    let shapes: [(&str, &[&str]); 9] = [
        ("plain.mp4", &[]),
        ("baseline.mp4", &["-profile:v", "baseline", "-movflags", "+faststart"]),
        ("fragments.mp4", &["-movflags", "frag_keyframe+empty_moov+default_base_moof"]),
        ("old-fragments.mp4", &["-movflags", "frag_keyframe"]),
        ("times.mp4", &["-video_track_timescale", "30000", "-r", "30000/1001"]),
        ("sets-inside.mp4", &["-x264-params", "repeat-headers=1:aud=1", "-tag:v", "avc3"]),
        ("delimiters.h264", &["-x264-params", "aud=1"]),
        ("no-delimiters.h264", &[]),
        ("slices.h264", &["-x264-params", "slices=4:aud=0", "-profile:v", "high"]),
    ];
    for (name, options) in shapes {
        let path = encode(folder, name, &[&x264, options].concat());
        let frames = round_trip(&path, "h264").await;
        let keys = frames.iter().filter(|frame| frame.key).count();
        assert!(keys >= 3, "{name} has {keys} key frames");
    }
}

#[tokio::test]
async fn parameter_sets_sent_once_are_repeated_before_every_key_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = encode(folder.path(), "often.h264", &["-c:v", "libx264", "-bf", "0", "-g", "10"]);
    let often = std::fs::read(&path).unwrap();
    let starts: Vec<_> = (0..often.len() - 4).filter(|at| often[*at..].starts_with(&[0, 0, 1])).collect();
    let mut once = Vec::new();
    for (index, start) in starts.iter().enumerate() {
        let nal = &often[*start..starts.get(index + 1).copied().unwrap_or(often.len())];
        if index < 3 || !matches!(nal[3] & 0x1f, 7 | 8) {
            once.extend_from_slice(nal);
        }
    }
    assert!(once.len() < often.len());
    let path = folder.path().join("once.h264");
    std::fs::write(&path, once).unwrap();
    let frames = round_trip(&path, "h264").await;
    assert_eq!(frames.iter().filter(|frame| frame.key).count(), 5);
    assert!(frames.iter().filter(|frame| frame.key).all(|frame| frame.data[4] & 0x1f == 7));
}

#[tokio::test]
async fn the_frame_rate_of_a_raw_stream_is_its_own_or_the_one_given() {
    let folder = tempfile::tempdir().unwrap();
    let x264 = ["-c:v", "libx264", "-bf", "0", "-r", "12"];
    let path = encode(folder.path(), "slow.h264", &x264);
    let own = open_file(&path, &once()).await.unwrap();
    assert_eq!(own.info().video.unwrap().fps, Some(12.0));
    let mut given = open_file(&path, &SourceOptions { fps: Some(50.0), ..once() }).await.unwrap();
    assert_eq!(given.next().await.unwrap().duration, Duration::from_millis(20));
}

#[tokio::test]
async fn ivf_files_of_every_codec_are_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    round_trip(&bundled("doorbell-vp8.ivf"), "ivf").await;
    let shapes: [(&str, &[&str]); 4] = [
        ("vp9.ivf", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "20"]),
        ("av1.ivf", &["-c:v", "libaom-av1", "-usage", "realtime", "-cpu-used", "8", "-g", "20"]),
        // Frames that are not shown when they are decoded.
        ("hidden-av1.ivf", &["-c:v", "libsvtav1", "-preset", "12", "-g", "20"]),
        ("hidden-vp8.ivf", &["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-g", "20"]),
    ];
    for (name, options) in shapes {
        let path = encode(folder.path(), name, &[options, &["-pix_fmt", "yuv420p"]].concat());
        let frames = round_trip(&path, "ivf").await;
        assert!(frames.iter().filter(|frame| frame.key).count() >= 2, "{name}");
        assert!(frames.iter().all(|frame| !frame.data.starts_with(&[0x12, 0])), "delimiters are not sent");
        let size = MediaFrame::opened(frames[0].codec, true, Duration::ZERO, frames[0].data.clone()).geometry;
        assert_eq!(size, Some((320, 180)), "{name}");
    }
}

#[tokio::test]
async fn ogg_packets_come_out_as_they_went_in() {
    let path = bundled("doorbell.opus.ogg");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.ogg");
    let mut source = open_file(&path, &once()).await.unwrap();
    let frames = all_frames(&mut *source).await;
    write(&frames, TrackKind::Audio, &out);
    let before = packet_hashes(&path);
    assert!(before.len() >= 600);
    assert_eq!(before, packet_hashes(&out));
    let last = frames.last().unwrap();
    assert_eq!(last.pts + last.duration, Duration::from_millis(20) * frames.len() as u32);
}

#[tokio::test]
async fn lost_sound_is_stood_in_for_so_that_time_goes_on() {
    let mut source = open_file(&bundled("doorbell.opus.ogg"), &once()).await.unwrap();
    let mut frames = all_frames(&mut *source).await;
    let whole = frames.len();
    frames.drain(100..150);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.ogg");
    write(&frames, TrackKind::Audio, &out);
    assert_eq!(packet_hashes(&out).len(), whole, "one second is filled");
    ffmpeg(&["-xerror", "-i", out.to_str().unwrap(), "-f", "null", "-"]);
}

#[tokio::test]
async fn picture_and_sound_come_from_one_file_or_two() {
    let folder = tempfile::tempdir().unwrap();
    let both = folder.path().join("both.mp4");
    ffmpeg(&[
        "-i",
        clip().to_str().unwrap(),
        "-i",
        bundled("doorbell.opus.ogg").to_str().unwrap(),
        "-map",
        "0:v",
        "-map",
        "1:a",
        "-c",
        "copy",
        "-strict",
        "-2",
        both.to_str().unwrap(),
    ]);
    let one = SourceSpec::file(&both);
    let two = SourceSpec::parse(&[
        bundled("doorbell-vp8.ivf").to_str().unwrap(),
        bundled("doorbell.opus.ogg").to_str().unwrap(),
    ]);
    for (spec, codec) in [(one, Codec::H264), (two.unwrap(), Codec::Vp8)] {
        let mut source = open(&spec, &SourceOptions { looped: true, ..once() }).await.unwrap();
        assert_eq!(source.info().video.unwrap().codec, codec);
        assert_eq!(source.info().audio, Some(Codec::Opus));
        let mut last = [Duration::ZERO; 2];
        let mut count = [0; 2];
        for _ in 0..3_000 {
            let frame = source.next().await.unwrap();
            let track = usize::from(frame.track == TrackKind::Audio);
            assert!(count[track] == 0 || frame.pts > last[track]);
            last[track] = frame.pts;
            count[track] += 1;
        }
        assert!(count[0] > 500 && count[1] > 1_000, "{count:?}");
        assert!(last[0].abs_diff(last[1]) < Duration::from_millis(100), "they run apart: {last:?}");
    }
    let twice = SourceSpec::parse(&[clip().to_str().unwrap(), bundled("doorbell-vp8.ivf").to_str().unwrap()]);
    let error = open(&twice.unwrap(), &once()).await.err().unwrap();
    assert_eq!(error, SourceError::TwoOfAKind { kind: "video" });
}

#[tokio::test]
async fn what_is_left_out_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("aac.mp4");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=320x180:d=1",
        "-f",
        "lavfi",
        "-i",
        "sine=d=1",
        "-c:v",
        "libx264",
        "-bf",
        "0",
        "-c:a",
        "aac",
        path.to_str().unwrap(),
    ]);
    let mut source = open_file(&path, &once()).await.unwrap();
    assert_eq!(source.info().audio, None);
    let notes = &source.info().notes;
    assert!(notes.len() == 1 && notes[0].contains("AAC") && notes[0].contains("only Opus"), "{notes:?}");
    assert!(all_frames(&mut *source).await.iter().all(|frame| frame.track == TrackKind::Video));
}

#[tokio::test]
async fn b_frames_are_refused_with_the_setting_to_change() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.mp4", "b.h264"] {
        let path = encode(folder.path(), name, &["-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p"]);
        let error = open_file(&path, &once()).await.err().unwrap();
        assert!(matches!(error, SourceError::BFrames { .. }), "{name}: {error}");
        assert!(error.to_string().contains("-bf 0") && error.to_string().contains("Baseline"), "{error}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = folder.join("notes.txt");
    std::fs::write(&text, "not a film").unwrap();
    let empty = folder.join("empty.mp4");
    std::fs::write(&empty, []).unwrap();
    let interlaced: &[&str] =
        &["-c:v", "libx264", "-bf", "0", "-flags", "+ildct+ilme", "-x264-params", "tff=1:fake-interlaced=0"];
    let vorbis = folder.join("vorbis.ogg");
    ffmpeg(&[
        "-f",
        "lavfi",
        "-i",
        "sine=d=1",
        "-c:a",
        "vorbis",
        "-ac",
        "2",
        "-strict",
        "-2",
        vorbis.to_str().unwrap(),
    ]);
    let cases = [
        (folder.join("missing.mp4"), "check the path"),
        (folder.to_owned(), "is a folder, not a file"),
        ("/dev/zero".into(), "is a device, not a file"),
        (text, "is not a file that can be sent"),
        (empty, "is empty"),
        (encode(folder, "mpeg4.mp4", &["-c:v", "mpeg4"]), "libx264 -bf 0"),
        (encode(folder, "h265.mp4", &["-c:v", "libx265", "-x265-params", "log-level=none"]), "H.265"),
        (encode(folder, "h265.h265", &["-c:v", "libx265", "-x265-params", "log-level=none"]), "H.265"),
        (encode(folder, "film.mkv", &["-c:v", "libx264"]), "is a Matroska or WebM file"),
        (vorbis, "libopus"),
    ];
    for (path, advice) in cases {
        let error =
            open_file(&path, &once()).await.err().unwrap_or_else(|| panic!("{} was taken", path.display()));
        let sentence = error.to_string();
        assert!(sentence.contains(advice), "{}: {sentence}", path.display());
        assert!(!sentence.contains('\n'), "{sentence}");
    }
    // Macroblock-adaptive coding keeps whole pictures and is taken; single fields would not be.
    open_file(&encode(folder, "mbaff.mp4", interlaced), &once()).await.unwrap();
}

#[tokio::test]
async fn damaged_files_are_refused_or_cut_short_but_never_end_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let fragments = encode(
        folder.path(),
        "fragments.mp4",
        &["-c:v", "libx264", "-bf", "0", "-movflags", "frag_keyframe+empty_moov+default_base_moof"],
    );
    let raw = encode(folder.path(), "raw.h264", &["-c:v", "libx264", "-bf", "0"]);
    let files = [clip(), fragments, raw, bundled("doorbell-vp8.ivf"), bundled("doorbell.opus.ogg")];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below as u64) as usize
    };
    let mut refused = 0;
    for path in files {
        let whole = std::fs::read(&path).unwrap();
        let broken = folder.path().join("broken");
        for round in 0..60 {
            let mut bytes = whole.clone();
            match round % 3 {
                0 => bytes.truncate(draw(whole.len())),
                // Headers and tables lie near the start of these files.
                1 => (0..4).for_each(|_| bytes[draw(whole.len().min(4_000))] = draw(256) as u8),
                _ => (0..40).for_each(|_| bytes[draw(whole.len())] ^= 1 << draw(8)),
            }
            std::fs::write(&broken, &bytes).unwrap();
            match open_file(&broken, &once()).await {
                Ok(mut source) => assert!(!all_frames(&mut *source).await.is_empty()),
                Err(error) => {
                    assert!(!error.to_string().contains('\n'), "{error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 60, "only {refused} of 300 broken files were noticed");
}

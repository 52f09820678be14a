//! Cameras by RTSP, against GStreamer's server: what arrives is the clip and its sound, and what goes wrong is said.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod clips;
mod house;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clips::{clip, encode, ffmpeg, packet_hashes, picture_hashes, soon};
use house::{House, LIMIT};
use latchkey::camera::CameraConfig;
use latchkey::frame::{Codec, MediaFrame, TrackKind};
use latchkey::sink::{self, Target};
use latchkey::source::error::SourceError;
use latchkey::source::spec::{Credentials, RtspTransport, SourceOptions, SourceSpec};
use latchkey::source::{Source, open};
use latchkey::viewer::{Ended, Viewer, ViewerConfig};
use latchkey_api::device_list::Role;
use zeroize::Zeroizing;

/// A running camera; ends when dropped.
struct Camera {
    process: Child,
    url: String,
}

impl Camera {
    fn start(clip: &Path, arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rtsp/server.py");
        // Debian's own Python: only that one has the GStreamer bindings.
        let mut process = Command::new("/usr/bin/python3")
            .arg(script)
            .arg(clip)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("/usr/bin/python3 is needed for this test: on Debian, apt-get install python3-gi");
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        if url.is_empty() {
            let mut complaint = String::new();
            process.stderr.as_mut().unwrap().read_to_string(&mut complaint).unwrap();
            panic!("the RTSP server did not start: {complaint}");
        }
        Self { process, url: url.trim().to_owned() }
    }

    fn port(&self) -> &str {
        self.url.trim_end_matches("/camera").rsplit(':').next().unwrap()
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let patience = Instant::now() + Duration::from_secs(5);
        while Instant::now() < patience && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // It has ended by then, or is ended now; either way nothing is left.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn connect(url: &str, options: &SourceOptions) -> Result<Box<dyn Source>, SourceError> {
    let spec = SourceSpec::parse(&[url])?;
    soon("the camera's answer", open(&spec, options)).await
}

async fn take(source: &mut dyn Source, count: usize) -> Vec<MediaFrame> {
    let mut frames = Vec::new();
    while frames.len() < count {
        frames.push(soon("a frame", source.next()).await.unwrap());
    }
    frames
}

async fn take_pictures(source: &mut dyn Source, count: usize) -> Vec<MediaFrame> {
    let mut frames = Vec::new();
    while frames.len() < count {
        frames.extend(take(source, 1).await.into_iter().filter(|frame| frame.track == TrackKind::Video));
    }
    frames
}

fn write(frames: &[MediaFrame], codec: Codec, path: &Path) {
    let mut sink = sink::open(&Target::File(path.into()), codec).unwrap();
    for frame in frames {
        assert!(sink.write(frame).unwrap());
    }
    sink.finish().unwrap();
}

fn credentials(password: &str) -> Option<Credentials> {
    Some(Credentials::new(None, Zeroizing::new(password.to_owned())))
}

#[tokio::test]
async fn pictures_arrive_as_they_are_over_the_clips_end() {
    let path = clip();
    let expected = picture_hashes(&path);
    let count = 250.max(expected.len() + 25);
    let camera = Camera::start(&path, &["--audio", "pcmu"]);
    let mut source = connect(&camera.url, &SourceOptions::default()).await.unwrap();
    let info = source.info().clone();
    let video = info.video.unwrap();
    assert_eq!((video.codec, info.audio), (Codec::H264, None));
    assert!(info.notes.iter().any(|note| note.contains("G.711")), "{:?}", info.notes);
    assert!(
        info.notes.iter().any(|note| note.starts_with("Key frames cannot be asked for")),
        "{:?}",
        info.notes
    );

    let frames = take(&mut *source, count).await;
    assert!(frames[0].key && frames[0].pts == Duration::ZERO);
    assert!(frames.windows(2).all(|pair| pair[1].pts > pair[0].pts));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.h264");
    write(&frames, Codec::H264, &out);
    let expected: Vec<_> = expected.into_iter().cycle().take(count).collect();
    assert_eq!(picture_hashes(&out), expected);
    println!("{count} pictures over RTSP, all equal to the clip's");
}

#[tokio::test]
async fn opus_comes_along_in_time_with_the_picture() {
    let path = clip();
    let expected = picture_hashes(&path);
    let camera = Camera::start(&path, &["--audio", "opus"]);
    for transport in [RtspTransport::Tcp, RtspTransport::Udp] {
        let options = SourceOptions { transport, ..SourceOptions::default() };
        let mut source = connect(&camera.url, &options).await.unwrap();
        let info = source.info().clone();
        assert_eq!(info.audio, Some(Codec::Opus));
        assert!(!info.notes.iter().any(|note| note.contains("left out")), "{:?}", info.notes);

        let mut frames = take(&mut *source, 1).await;
        while frames.last().unwrap().pts < Duration::from_secs(6) {
            frames.append(&mut take(&mut *source, 1).await);
        }
        let (sound, pictures): (Vec<_>, Vec<_>) =
            frames.into_iter().partition(|frame| frame.track == TrackKind::Audio);
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.h264");
        write(&pictures, Codec::H264, &out);
        let expected: Vec<_> = expected.iter().cycle().take(pictures.len()).cloned().collect();
        assert_eq!(picture_hashes(&out), expected);

        // No packet is missing, and each lasts as long as its first bytes say.
        assert!(sound.iter().all(|frame| frame.codec == Codec::Opus && frame.key));
        for pair in sound.windows(2) {
            let gap = pair[1].pts.abs_diff(pair[0].pts + pair[0].duration);
            assert!(gap < Duration::from_micros(50), "{gap:?} beside {:?}", pair[0].pts);
        }
        let length: Duration = sound.iter().map(|frame| frame.duration).sum();
        assert!(length > Duration::from_secs(5), "{length:?} of sound");
        let out = folder.path().join("out.ogg");
        write(&sound, Codec::Opus, &out);
        let ticks = ticks(&out, sound[0].pts);
        println!(
            "{transport:?}: {} pictures equal to the clip's, {} Opus packets, {length:?}, ticks at {ticks:?}",
            pictures.len(),
            sound.len()
        );
        // The camera ticks at each full second of its time, and 1.3 s of that are over when the clip begins.
        assert!(ticks.len() >= 4, "{ticks:?}");
        for tick in ticks {
            let at_camera = tick + 1.3;
            let off = (at_camera - at_camera.round()).abs();
            assert!(off < 0.045, "a tick is {off} s away from its picture");
        }
    }
}

/// Decodes an Ogg file whose first packet is from `begins`, and returns the seconds at which a silence ends.
fn ticks(file: &Path, begins: Duration) -> Vec<f64> {
    let raw = file.with_extension("raw");
    // The first thing that a decoder does not like ends it here.
    ffmpeg(&[
        "-xerror",
        "-i",
        file.to_str().unwrap(),
        "-ac",
        "1",
        "-ar",
        "48000",
        "-f",
        "s16le",
        raw.to_str().unwrap(),
    ]);
    let samples: Vec<_> = std::fs::read(&raw)
        .unwrap()
        .chunks_exact(2)
        .map(|sample| i16::from_le_bytes([sample[0], sample[1]]).unsigned_abs())
        .collect();
    let loudest = samples.iter().max().copied().unwrap_or_default();
    assert!(loudest > 1000, "the sound is silence");
    let mut ticks: Vec<f64> = Vec::new();
    for (index, _) in samples.iter().enumerate().filter(|(_, sample)| **sample > loudest / 4) {
        let at = begins.as_secs_f64() + index as f64 / 48_000.0;
        // Quieter moments inside a tick end nothing.
        if ticks.last().is_none_or(|last| at - last > 0.5) {
            ticks.push(at);
        }
    }
    ticks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_hears_the_camera_through_the_relay() {
    let path = clip();
    let rtsp = Camera::start(&path, &["--audio", "opus"]);
    let house = House::open().await;
    house.found("ada").await;
    house.add("ada", Role::Camera, "door").await;
    let spec = SourceSpec::parse(&[&rtsp.url]).unwrap();
    let camera = latchkey::camera::Camera::start(CameraConfig::new(house.home("door"), spec)).await.unwrap();

    let (picture, sound) = (house.home("out.h264"), house.home("out.ogg"));
    let mut config = ViewerConfig::new(house.home("ada"), "door");
    config.targets = vec![Target::File(picture.clone()), Target::File(sound.clone())];
    config.stop_after = Some(150);
    let viewer = Viewer::start(config).await.unwrap();
    assert_eq!(tokio::time::timeout(LIMIT, viewer.wait()).await, Ok(Ended::Enough));
    println!("viewer: {:?}", viewer.stats());
    viewer.stop().await;
    println!("camera: {:?}", camera.stats());
    camera.stop().await;

    let seen = picture_hashes(&picture);
    let shown: Vec<_> = picture_hashes(&path);
    let begins = shown.iter().position(|hash| *hash == seen[0]).unwrap();
    let expected: Vec<_> = shown.into_iter().cycle().skip(begins).take(seen.len()).collect();
    assert_eq!(seen, expected);
    let ticks = ticks(&sound, Duration::ZERO);
    println!(
        "{} pictures equal to the clip's, {} Opus packets, ticks at {ticks:?}",
        seen.len(),
        packet_hashes(&sound).len()
    );
    assert!(ticks.len() >= 4, "{ticks:?}");
    // A lost or doubled packet would move what follows by 20 ms.
    assert!(ticks.windows(2).all(|pair| (pair[1] - pair[0] - 1.0).abs() < 0.005), "{ticks:?}");
    house.close().await;
}

#[tokio::test]
async fn datagrams_are_another_way() {
    let camera = Camera::start(&clip(), &["--audio", "pcmu", "--sets-in-stream"]);
    let options = SourceOptions { transport: RtspTransport::Udp, ..SourceOptions::default() };
    let mut source = connect(&camera.url, &options).await.unwrap();
    let frames = take(&mut *source, 30).await;
    assert!(frames.iter().any(|frame| frame.key));
}

#[tokio::test]
async fn a_wrong_password_is_said_and_the_right_one_works() {
    let camera = Camera::start(&clip(), &["--user", "front", "--password", "open sesame"]);
    let with_user = camera.url.replace("rtsp://", "rtsp://front@");
    for (url, given) in [(&camera.url, None), (&with_user, credentials("closed sesame"))] {
        let options = SourceOptions { credentials: given, ..SourceOptions::default() };
        let error = connect(url, &options).await.err().unwrap();
        assert_eq!(error, SourceError::Unauthorised { address: camera.url.clone() });
        assert!(
            error.to_string().contains("LATCHKEY_SOURCE_PASSWORD") && !error.to_string().contains("sesame")
        );
    }
    let options = SourceOptions { credentials: credentials("open sesame"), ..SourceOptions::default() };
    let mut source = connect(&with_user, &options).await.unwrap();
    assert!(take(&mut *source, 1).await[0].key);
}

#[tokio::test]
async fn b_frames_are_refused_with_the_camera_setting_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["-c:v", "libx264", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p"];
    let camera = Camera::start(&encode(folder.path(), "b.mp4", &options), &[]);
    let error = match connect(&camera.url, &SourceOptions::default()).await {
        Err(error) => error,
        Ok(mut source) => loop {
            if let Err(error) = soon("a frame or an error", source.next()).await {
                break error;
            }
        },
    };
    assert!(matches!(error, SourceError::BFrames { .. }), "{error}");
    assert!(error.to_string().contains("set the H.264 profile to Baseline or turn B-frames off"), "{error}");
}

#[tokio::test]
async fn a_wrong_path_and_a_dead_address_are_told_apart() {
    let camera = Camera::start(&clip(), &[]);
    let elsewhere = camera.url.replace("/camera", "/garden");
    let error = connect(&elsewhere, &SourceOptions::default()).await.err().unwrap();
    assert_eq!(error, SourceError::Refused { address: elsewhere, status: 404 });

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let options = SourceOptions { connect_timeout: Duration::from_secs(1), ..SourceOptions::default() };
    for address in [closed, silent.local_addr().unwrap()] {
        let start = Instant::now();
        let error = connect(&format!("rtsp://{address}/x"), &options).await.err().unwrap();
        println!("{error} (after {} ms)", start.elapsed().as_millis());
        assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn a_camera_that_goes_away_is_waited_for() {
    let path = clip();
    let camera = Camera::start(&path, &["--audio", "opus"]);
    let port = camera.port().to_owned();
    let mut source = connect(&camera.url, &SourceOptions::default()).await.unwrap();
    let before = take_pictures(&mut *source, 20).await;
    drop(camera);
    let start = Instant::now();
    let _again = Camera::start(&path, &["--audio", "opus", "--port", &port]);
    let mut last = before.last().unwrap().pts;
    let back = loop {
        let frame = take_pictures(&mut *source, 1).await.remove(0);
        assert!(frame.pts > last);
        last = frame.pts;
        // The clip begins with the only key frame of its first pictures.
        if frame.key {
            break frame;
        }
    };
    println!("camera back after {} ms", start.elapsed().as_millis());
    assert_eq!(back.data, before[0].data);
    assert!(take_pictures(&mut *source, 5).await.iter().all(|frame| !frame.key));
    // Its sound is back too, in step with the picture.
    let sound = loop {
        let frame = take(&mut *source, 1).await.remove(0);
        if frame.track == TrackKind::Audio && frame.pts > back.pts {
            break frame;
        }
    };
    let picture = take_pictures(&mut *source, 1).await.remove(0);
    assert!(sound.pts.abs_diff(picture.pts) < Duration::from_secs(2), "{:?} {:?}", sound.pts, picture.pts);
}

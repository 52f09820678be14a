//! Cameras by RTSP, against GStreamer's server: what arrives is the clip, and what goes wrong is said.
#![allow(clippy::unwrap_used)]

mod clips;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clips::{clip, encode, picture_hashes, soon};
use latchkey::frame::{Codec, MediaFrame};
use latchkey::sink::{self, Target};
use latchkey::source::error::SourceError;
use latchkey::source::spec::{Credentials, RtspTransport, SourceOptions, SourceSpec};
use latchkey::source::{Source, open};
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
    let mut sink = sink::open(&Target::File(out.clone()), Codec::H264).unwrap();
    for frame in &frames {
        assert!(sink.write(frame).unwrap());
    }
    sink.finish().unwrap();
    let expected: Vec<_> = expected.into_iter().cycle().take(count).collect();
    assert_eq!(picture_hashes(&out), expected);
    println!("{count} pictures over RTSP, all equal to the clip's");
}

#[tokio::test]
async fn datagrams_are_another_way() {
    let camera = Camera::start(&clip(), &["--audio", "opus", "--sets-in-stream"]);
    let options = SourceOptions { transport: RtspTransport::Udp, ..SourceOptions::default() };
    let mut source = connect(&camera.url, &options).await.unwrap();
    assert!(source.info().notes.iter().any(|note| note.contains("Opus audio is left out")));
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
    let camera = Camera::start(&path, &[]);
    let port = camera.port().to_owned();
    let mut source = connect(&camera.url, &SourceOptions::default()).await.unwrap();
    let before = take(&mut *source, 20).await;
    drop(camera);
    let start = Instant::now();
    let _again = Camera::start(&path, &["--port", &port]);
    let mut last = before.last().unwrap().pts;
    let back = loop {
        let frame = soon("the camera to come back", source.next()).await.unwrap();
        assert!(frame.pts > last);
        last = frame.pts;
        // The clip begins with the only key frame of its first pictures.
        if frame.key {
            break frame;
        }
    };
    println!("camera back after {} ms", start.elapsed().as_millis());
    assert_eq!(back.data, before[0].data);
    assert!(take(&mut *source, 5).await.iter().all(|frame| !frame.key));
}

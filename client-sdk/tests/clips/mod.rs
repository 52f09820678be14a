//! Real clips for the tests: the bundled one or `LATCHKEY_CLIP`, others made by ffmpeg, and what ffmpeg says they show.
#![allow(dead_code, clippy::unwrap_used, reason = "each test program uses a part of this")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use latchkey::frame::MediaFrame;
use latchkey::source::error::SourceError;
use latchkey::source::spec::{SourceOptions, SourceSpec};
use latchkey::source::{Source, open};

/// `LATCHKEY_CLIP`, else the bundled clip.
pub(crate) fn clip() -> PathBuf {
    let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/../loadtest/clips/doorbell.mp4");
    std::env::var_os("LATCHKEY_CLIP").map_or_else(|| bundled.into(), PathBuf::from)
}

/// A file beside the bundled clip.
pub(crate) fn bundled(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../loadtest/clips")).join(name)
}

/// Runs ffmpeg and returns what it prints. Fails the test with a sentence when it is missing or unhappy.
pub(crate) fn ffmpeg(arguments: &[&str]) -> String {
    let output = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"])
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("ffmpeg is needed for this test and did not start ({error}): install it, on Debian with `apt-get install ffmpeg`"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ffmpeg {arguments:?} failed: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Encodes two seconds of a moving test picture with these options and returns the file.
pub(crate) fn encode(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let mut arguments = vec!["-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=2"];
    arguments.extend_from_slice(options);
    arguments.push(path.to_str().unwrap());
    ffmpeg(&arguments);
    path
}

/// One hash for each picture that a decoder makes of the file.
pub(crate) fn picture_hashes(path: &Path) -> Vec<String> {
    hashes(&["-i", path.to_str().unwrap(), "-map", "0:v", "-vsync", "passthrough", "-f", "framemd5", "-"])
}

/// One hash for each audio packet in the file.
pub(crate) fn packet_hashes(path: &Path) -> Vec<String> {
    hashes(&["-i", path.to_str().unwrap(), "-map", "0:a", "-c", "copy", "-f", "framemd5", "-"])
}

fn hashes(arguments: &[&str]) -> Vec<String> {
    let lines = ffmpeg(arguments);
    let lines = lines.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(',').nth(5).unwrap().trim().to_owned()).collect()
}

/// Options for reading a file once, as fast as it goes.
pub(crate) fn once() -> SourceOptions {
    SourceOptions { looped: false, paced: false, ..SourceOptions::default() }
}

/// Opens one file.
pub(crate) async fn open_file(path: &Path, options: &SourceOptions) -> Result<Box<dyn Source>, SourceError> {
    open(&SourceSpec::file(path), options).await
}

/// All frames of a source that ends.
pub(crate) async fn all_frames(source: &mut dyn Source) -> Vec<MediaFrame> {
    let mut frames = Vec::new();
    loop {
        match source.next().await {
            Ok(frame) => frames.push(frame),
            Err(SourceError::Ended) => return frames,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Waits for something that must come; 30 s is the limit of patience, not a measure.
pub(crate) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .unwrap_or_else(|_| panic!("waited 30 s for {what}"))
}

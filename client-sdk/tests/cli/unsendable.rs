//! Sources that cannot be sent: told before anything is sent, by their names, with what to do.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use latchkey_api::device_list::Role;

use crate::clips::{self, clip, ffmpeg};
use crate::program::{aside, dead_address, household, latchkey, refused, refused_by, start, starting};

#[tokio::test(flavor = "multi_thread")]
async fn each_is_one_sentence_and_code_2() {
    let house = household(&[(Role::Camera, "door")]).await;
    let home = house.home("door");
    let folder = house.home("clips");
    aside(move || {
        std::fs::create_dir(&folder).unwrap();
        files(&home, &folder);
        addresses(&home, &folder);
    })
    .await;
    house.close().await;
}

fn files(home: &Path, folder: &Path) {
    let made = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let sound = |name: &str, codec: &str| {
        let path = folder.join(name);
        let words = ["-f", "lavfi", "-i", "sine=d=1", "-c:a", codec, "-strict", "-2", path.to_str().unwrap()];
        starting(|| ffmpeg(&words));
        path
    };
    let encode =
        |folder: &Path, name: &str, options: &[&str]| starting(|| clips::encode(folder, name, options));
    let whole = std::fs::read(clip()).unwrap();
    let x265 = ["-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p"];
    let b_frames = ["-c:v", "libx264", "-bf", "2", "-pix_fmt", "yuv420p"];
    let cases = [
        (folder.join("missing.mp4"), "No such file"),
        (folder.to_owned(), "is a folder"),
        ("/dev/zero".into(), "is a device"),
        (made("empty.mp4", b""), "is empty"),
        (made("note.txt", b"no clip"), "give an MP4 or raw H.264 file"),
        (made("cut.mp4", &whole[..whole.len().min(600)]), "is damaged"),
        (made("short.ivf", b"DKIF"), "is damaged"),
        (encode(folder, "h265.mp4", &x265), "H.265"),
        (encode(folder, "h265.h265", &x265), "H.265"),
        (encode(folder, "mpeg4.mp4", &["-c:v", "mpeg4"]), "-c:v libx264 -bf 0"),
        (
            encode(folder, "vp8.webm", &["-c:v", "libvpx"]),
            "Matroska or WebM file, which is not read: take the video",
        ),
        (encode(folder, "stream.ts", &["-c:v", "libx264", "-bf", "0"]), "MPEG transport stream"),
        (encode(folder, "old.avi", &["-c:v", "mpeg4"]), "AVI file"),
        (sound("aac.m4a", "aac"), "it holds AAC audio only; give a file with H.264 video"),
        (sound("aac.aac", "aac"), "raw AAC audio"),
        (sound("vorbis.ogg", "libvorbis"), "libopus"),
        (encode(folder, "b.mp4", &b_frames), "uses B-frames"),
        (encode(folder, "b.h264", &b_frames), "set the H.264 profile to Baseline"),
    ];
    for (path, said) in cases {
        let path = path.to_str().unwrap();
        let sentence = refused(home, &["camera", "--source", path, "--duration", "1"]);
        assert!(sentence.contains(said) && sentence.contains(path), "{said} is not in: {sentence}");
    }
    let picture = clip();
    let picture = picture.to_str().unwrap();
    let sentence = refused(home, &["camera", "--source", picture, "--source", picture]);
    assert!(sentence.contains("two sources give video"), "{sentence}");
    let sentence = refused(home, &["camera", "--source", picture, "--fps", "0"]);
    assert!(sentence.contains("--fps must be above 0"), "{sentence}");
    for words in [&["camera"][..], &["camera", "--source", ""]] {
        let sentence = refused(home, words);
        assert!(sentence.contains("give --source with a file or an rtsp:// address"), "{sentence}");
    }
}

fn addresses(home: &Path, folder: &Path) {
    let dead = format!("rtsp://{}/stream", dead_address());
    let camera = RtspCamera::start(&clip());
    let (anonymous, named) = (camera.url.clone(), camera.url.replace("rtsp://", "rtsp://front@"));
    let wrong = folder.join("wrong-password");
    std::fs::write(&wrong, "hunter2\n").unwrap();
    private(&wrong, 0o600);
    let open = folder.join("open-password");
    std::fs::write(&open, "hunter2\n").unwrap();
    private(&open, 0o644);
    let (wrong, open) = (wrong.to_str().unwrap(), open.to_str().unwrap());
    let cases: [(&[&str], &str); 9] = [
        (&[&dead], "check that the camera is on"),
        (&["rtsp://nobody.invalid/s"], "nobody.invalid"),
        (&["rtsp://front:hunter2@127.0.0.1/s"], "--source-password-file"),
        (&["rtsps://127.0.0.1/s"], "use rtsp://"),
        (&["https://127.0.0.1/s"], "only files and rtsp:// addresses"),
        (&[&anonymous], "refuses the user or password"),
        (&[&named, "--source-password-file", wrong], "refuses the user or password"),
        (
            &[&named, "--source-password-file", "/nonexistent/password"],
            "check the path given to --source-password-file",
        ),
        (&[&named, "--source-password-file", open], "chmod 600"),
    ];
    for (words, said) in cases {
        let sentence = refused(home, &[&["camera", "--duration", "1", "--source"], words].concat());
        assert!(sentence.contains(said), "{said} is not in: {sentence}");
        assert!(!sentence.contains("hunter2"), "a password is repeated: {sentence}");
    }
    let mut command = latchkey(home, &["camera", "--source", &named]);
    command.env("LATCHKEY_SOURCE_PASSWORD", "hunter2").env("LATCHKEY_LOG", "debug");
    let log = crate::program::run(&mut command);
    let said = String::from_utf8(log.stderr).unwrap();
    assert_eq!(log.status.code(), Some(2), "{said}");
    assert!(said.contains("refuses the user or password") && !said.contains("hunter2"), "{said}");
    let elsewhere = RtspCamera::open(&clip());
    let garden = elsewhere.url.replace("/camera", "/garden");
    let sentence = refused_by(2, home, &mut latchkey(home, &["camera", "--source", &garden]));
    assert!(sentence.contains("status 404: check the path"), "{sentence}");
}

fn private(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// GStreamer's RTSP server; ends when dropped.
struct RtspCamera {
    process: Child,
    url: String,
}

impl RtspCamera {
    /// Wants the user `front` and a password.
    fn start(clip: &Path) -> Self {
        Self::with(clip, &["--user", "front", "--password", "open sesame"])
    }

    fn open(clip: &Path) -> Self {
        Self::with(clip, &[])
    }

    fn with(clip: &Path, arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rtsp/server.py");
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(clip).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = start(&mut command);
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("rtsp://"), "the RTSP server did not start");
        Self { process, url: url.trim().to_owned() }
    }
}

impl Drop for RtspCamera {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! What two viewers write is, picture by picture, what the camera was given: from a file, and from an RTSP camera.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

mod support;

use std::path::Path;

use latchkey_loadtest::decoded::{consecutive, frame_hashes};
use latchkey_loadtest::household::is;
use support::{Home, LIMIT, RtspServer, clip};

/// Pictures that each viewer must show in a row.
const WANTED: usize = 250;

#[test]
fn from_a_file() {
    shows_the_same(&clip(), &clip().to_string_lossy());
}

#[test]
fn from_an_rtsp_camera() {
    let server = RtspServer::start(&clip());
    shows_the_same(&clip(), &server.url);
}

fn shows_the_same(clip: &Path, source: &str) {
    let home = Home::new();
    let original = frame_hashes(clip).expect("the clip decodes");
    let mut camera = home.camera.camera(home.path(), &[source]).expect("the camera starts");
    camera
        .wait_for("that it sends", LIMIT, |event| is(event, "sending").then_some(()))
        .expect("the camera sends");
    let wanted = (WANTED + 1).to_string();
    let mut viewers = Vec::new();
    for device in [&home.household.admin, &home.viewer] {
        let file = home.path().join(format!("{}.h264", device.id));
        let out = file.to_string_lossy().into_owned();
        let arguments = ["--out", &out, "--frames", &wanted];
        viewers.push((device.view(home.path(), &home.camera.id, &arguments).expect("a viewer starts"), file));
    }
    for (viewer, file) in &mut viewers {
        let ms = viewer
            .wait_for("its first picture", LIMIT, |event| {
                is(event, "first_frame_opened").then(|| event["ms"].as_u64()).flatten()
            })
            .expect("a first picture");
        let code = viewer.wait(LIMIT).expect("the viewer ends by itself");
        assert_eq!(code, Some(0), "{}", viewer.last_words());
        let seen = frame_hashes(file).expect("what the viewer wrote decodes");
        let same = consecutive(&seen, &original);
        println!("same_picture: source={source} first_picture_ms={ms} written={} same={same}", seen.len());
        assert!(same >= WANTED, "{same} of {} pictures in a row are those of the source", seen.len());
    }
}

//! What a server sees and holds while it serves a household: no picture, no sound, no key and no name is in it.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

mod support;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use latchkey::household::{Invitation, create, join};
use latchkey::source::spec::{SourceOptions, SourceSpec};
use latchkey::vault::Vault;
use latchkey::{Camera, CameraConfig, Viewer, ViewerConfig};
use latchkey_api::device_list::Role;
use latchkey_loadtest::household::{Device, is};
use latchkey_loadtest::leak::{Needles, search_memory};
use latchkey_loadtest::secrets;
use latchkey_signaling::{Server, ServerConfig};
use latchkey_wire::codec::{Codec, MediaKind};
use latchkey_wire::payload::{self, Payloads};
use support::{Home, LIMIT, bundled, clip, epoch_keys};

/// Video frames that are watched before the server is searched: all of the bundled clip.
const WATCHED: u64 = 320;
/// What the search must find of plaintext, percent of the windows: it has to be able to fail.
const CONTROL_PCT: f64 = 99.0;

/// Every slice and every Opus packet of the clips, as the sources give them.
async fn plaintext(sources: &[String]) -> (Needles, Vec<latchkey::frame::MediaFrame>) {
    let options = SourceOptions { looped: false, paced: false, ..SourceOptions::default() };
    let spec = SourceSpec::parse(sources).expect("clips are sources");
    let mut source = latchkey::source::open(&spec, &options).await.expect("the clips open");
    let (mut needles, mut frames) = (Needles::new(), Vec::new());
    while let Ok(frame) = source.next().await {
        match frame.codec {
            Codec::H264 => slices(&frame.data).for_each(|slice| add(&mut needles, "picture", slice)),
            _ => add(&mut needles, "sound", &frame.data),
        }
        frames.push(frame);
    }
    assert!(needles.len() > 50_000, "the clips give {} windows", needles.len());
    (needles, frames)
}

fn add(needles: &mut Needles, name: &str, bytes: &[u8]) {
    if bytes.len() >= latchkey_loadtest::leak::WINDOW {
        needles.add(name, bytes);
    }
}

/// The slice NAL units (types 1 and 5) of an Annex B access unit with 4-byte start codes, without their headers.
fn slices(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts: Vec<usize> = unit
        .windows(4)
        .enumerate()
        .filter(|(_, window)| *window == [0, 0, 0, 1])
        .map(|(at, _)| at + 4)
        .collect();
    starts.push(unit.len() + 4);
    let nals: Vec<&[u8]> = starts.windows(2).map(|pair| &unit[pair[0]..pair[1] - 4]).collect();
    nals.into_iter().filter(|nal| matches!(nal[0] & 0x1F, 1 | 5)).map(|nal| &nal[1..])
}

fn sources() -> Vec<String> {
    [clip(), bundled("doorbell.opus.ogg")].iter().map(|path| path.to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_process_log_and_database_hold_nothing() {
    let mut home = Home::new();
    let (mut needles, _) = plaintext(&sources()).await;
    let devices: Vec<Device> = vec![home.household.admin.clone(), home.camera.clone(), home.viewer.clone()];
    let words = home.household.words.clone();
    needles.add("recovery words", words.as_bytes());

    let inputs = sources();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let mut camera = home.camera.camera(home.path(), &inputs).expect("the camera starts");
    camera
        .wait_for("that it sends", LIMIT, |event| is(event, "sending").then_some(()))
        .expect("the camera sends");
    let mut viewers = Vec::new();
    for device in [&home.household.admin, &home.viewer] {
        viewers.push(device.view(home.path(), &home.camera.id, &[]).expect("a viewer starts"));
    }
    for viewer in &mut viewers {
        let enough = |event: &serde_json::Value| event["opened_video"].as_u64().is_some_and(|n| n >= WATCHED);
        viewer
            .wait_for("enough frames", LIMIT, |event| enough(event).then_some(()))
            .expect("the viewer watches");
    }
    // The process is searched while all of it is in use.
    let server = home.server.process().id();
    let mut secret_bytes = 0;
    for device in &devices {
        let bytes = secrets::add(&mut needles, &device.home, &device.name).expect("its secrets are readable");
        assert!(bytes > 300, "{} has {bytes} bytes of group secrets", device.name);
        secret_bytes += bytes;
    }
    let mut found = search_memory(&needles, server).expect("a child's memory can be read");
    let keys = epoch_keys(&home.camera.home);
    let mut dump = Vec::new();
    latchkey_loadtest::leak::dump_memory(server, &mut dump).expect("a child's memory can be read");
    assert!(!keys.stands_in(&dump), "the key of the epoch stands in the server's memory");

    let mut files = vec![home.server.process().log().to_owned()];
    files.extend(
        std::fs::read_dir(home.server.data_dir()).expect("the data folder").flatten().map(|file| file.path()),
    );
    assert!(files.len() >= 3, "log, database and signing key are searched: {files:?}");
    for file in &files {
        let bytes = std::fs::read(file).expect("the file is readable");
        assert!(!keys.stands_in(&bytes), "the key of the epoch stands in {}", file.display());
        found.merge(needles.search(&bytes));
    }
    println!(
        "blind_server: windows={} secret_bytes={secret_bytes} left_out={} searched_bytes={} files={} hits={}",
        needles.len(),
        needles.left_out(),
        found.bytes,
        files.len(),
        found.hits
    );
    assert_eq!(found.hits, 0, "the server holds {:?}", found.secrets);

    // The search can fail: a device's own vault, opened and searched the same way, is full of hits.
    let vault = Vault::look(&home.viewer.home).expect("the vault opens");
    let own: Vec<String> = vault
        .names("")
        .filter(|name| needles.search(vault.record(name).unwrap_or_default()).hits > 0)
        .map(str::to_owned)
        .collect();
    println!("blind_server: control: found in the viewer's own {own:?}");
    assert!(own.len() >= 4, "keys, packages and group are found where they are");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_relay_opens_is_sealed() {
    let (mut needles, frames) = plaintext(&sources()).await;
    let seen = Arc::new(Mutex::new(Vec::<u8>::new()));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tap = {
        let seen = seen.clone();
        Arc::new(move |packet: &[u8]| {
            seen.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(packet);
        })
    };
    let config = ServerConfig::loopback(dir.path().join("data"));
    let server = Server::start_tapped(config, tap).await.expect("the server starts");
    let url = server.urls().signaling.clone();

    let (admin, camera) = (dir.path().join("admin"), dir.path().join("camera"));
    let (mut home, _) = create(&admin, &url, "Ada's own telephone").await.expect("a household");
    let invitation = Invitation::new(&home, Role::Camera, "The front door camera").expect("an invitation");
    let code = invitation.code().reveal().parse().expect("a code reads itself");
    let (invited, joined) = tokio::join!(invitation.wait(&mut home), join(&camera, &code, LIMIT));
    let camera_id = invited.expect("the admin lets it in").device;
    drop((joined.expect("the camera joins"), home));
    let sending = Camera::start(CameraConfig::new(&camera, SourceSpec::parse(&sources()).expect("clips")))
        .await
        .expect("the camera starts");
    let viewer =
        Viewer::start(ViewerConfig::new(&admin, camera_id.to_string())).await.expect("the viewer starts");
    let deadline = Instant::now() + LIMIT;
    while viewer.stats().opened_video < WATCHED {
        assert!(Instant::now() < deadline, "{:?}", viewer.stats());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    viewer.stop().await;
    sending.stop().await;
    server.shutdown().await;

    let clip_windows = needles.len();
    for (device, name) in [(&admin, "Ada's own telephone"), (&camera, "The front door camera")] {
        secrets::add(&mut needles, device, name).expect("a device's secrets are readable");
    }
    let bytes = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let found = needles.search(&bytes);
    // The control: the same frames as a camera without encryption would send them, in the same packets.
    let control = needles.search(&in_the_clear(&frames));
    let share = 100.0 * control.seen as f64 / clip_windows as f64;
    println!(
        "blind_server: relay opened {} bytes, windows={}, hits={}; in the clear it would be {:.2} % of the clips' {}",
        bytes.len(),
        needles.len(),
        found.hits,
        share,
        clip_windows
    );
    assert!(bytes.len() > 100_000, "the tap saw the stream");
    assert_eq!(found.hits, 0, "the relay's packets hold {:?}", found.secrets);
    assert!(share > CONTROL_PCT, "the search finds {share:.2} % of plaintext");
}

/// The packets of a publisher without end-to-end encryption: RTP payloads of the codec frames themselves.
fn in_the_clear(frames: &[latchkey::frame::MediaFrame]) -> Vec<u8> {
    let (mut bytes, mut payloads) = (Vec::new(), Payloads::new());
    for frame in frames {
        if frame.codec.kind() == MediaKind::Audio {
            bytes.extend_from_slice(&frame.data);
            continue;
        }
        payload::split(frame.codec, &frame.data, frame.key, 1400, &mut payloads).expect("a frame is cut");
        for packet in payloads.iter() {
            bytes.extend_from_slice(&[0x80, 102, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            bytes.extend_from_slice(packet);
        }
    }
    bytes
}

//! Who is on no list opens nothing, grant or not; and who is cut off is off at once, with every older grant.
#![allow(clippy::print_stdout)] // figures are for whoever runs it

mod support;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use latchkey_loadtest::household::is;
use latchkey_loadtest::outsider::{self, Outcome};
use support::{Home, LIMIT, clip};
use tokio_util::sync::CancellationToken;

/// Whole frames that the outsider must have received before "opened none" says anything.
const RECEIVED: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_grant_opens_no_frame() {
    let home = Home::new();
    let clip = clip().to_string_lossy().into_owned();
    let mut camera = home.camera.camera(home.path(), &[&clip]).expect("the camera starts");
    camera
        .wait_for("that it sends", LIMIT, |event| is(event, "sending").then_some(()))
        .expect("the camera sends");
    let mut member =
        home.viewer.view(home.path(), &home.camera.id, &["--frames", "50"]).expect("a viewer starts");

    let (room, grant) =
        outsider::steal_grant(&home.server.data_dir(), &home.household.id, &home.camera.id, None)
            .expect("a grant");
    let stop = CancellationToken::new();
    let enough = stop.clone();
    let count = move |now: Outcome| {
        if now.received >= RECEIVED {
            enough.cancel();
        }
    };
    let watching = outsider::watch(&home.server.doors().door_url, &room, grant, stop, count);
    let got =
        tokio::time::timeout(LIMIT, watching).await.expect("frames come").expect("the grant opens the door");
    println!("outsider: received={} tried={} opened={}", got.received, got.tried, got.opened);
    assert!(got.received >= RECEIVED);
    assert!(got.tried * 10 >= got.received * 9, "a cipher was tried on nearly every frame: {got:?}");
    assert_eq!(got.opened, 0);
    assert_eq!(member.wait(LIMIT).expect("the member is done"), Some(0), "a member opens the same frames");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_device_is_off_at_once_with_its_older_grants() {
    let home = Home::new();
    let clip = clip().to_string_lossy().into_owned();
    let mut camera = home.camera.camera(home.path(), &[&clip]).expect("the camera starts");
    camera
        .wait_for("that it sends", LIMIT, |event| is(event, "sending").then_some(()))
        .expect("the camera sends");
    let mut viewer = home.viewer.view(home.path(), &home.camera.id, &[]).expect("a viewer starts");
    viewer
        .wait_for("its first picture", LIMIT, |event| is(event, "first_frame_opened").then_some(()))
        .expect("a first picture");

    let (household, device) =
        (home.household.id.parse().expect("an id"), home.viewer.id.parse().expect("an id"));
    let camera_id = home.camera.id.parse().expect("an id");
    let room = latchkey_signaling_core::names::room_of(&household, &camera_id);
    let handle = latchkey_signaling_core::names::handle_of(&household, &device);
    let (_, older) = outsider::steal_grant(
        &home.server.data_dir(),
        &home.household.id,
        &home.camera.id,
        Some(&home.viewer.id),
    )
    .expect("a grant");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let url = format!("{}/rooms/{room}/cut", home.server.doors().ops_url.trim_end_matches('/'));
    let began = Instant::now();
    let cut = serde_json::json!({ "sub": handle.to_string(), "issued_before": now });
    let reply = reqwest::Client::new().post(url).json(&cut).send().await.expect("the ops port answers");
    let status = reply.status();
    assert!(status.is_success(), "{status}: {}", reply.text().await.unwrap_or_default());
    let ended = viewer
        .wait_for("that its leg is gone", LIMIT, |event| is(event, "reconnecting").then_some(began.elapsed()))
        .expect("the leg ends");
    println!("outsider: a cut device noticed after {} ms", ended.as_millis());

    let stop = CancellationToken::new();
    let again = outsider::watch(&home.server.doors().door_url, &room.to_string(), older, stop, |_| {}).await;
    let refusal = again.expect_err("a grant from before the cut is refused").to_string();
    println!("outsider: the older grant is refused: {refusal}");
    assert!(refusal.contains("cut"), "{refusal}");
}

//! Pages as the face has them, against a real server: founding, letting in, sealing, opening, removing, reloading.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod house;

use house::{House, Page, encoded_frames};
use latchkey_household::camera::sealing::Fate;
use latchkey_household::camera::signed_sealer::Plain;
use latchkey_household::viewer::opening::Verdict;
use latchkey_wire::codec::Codec;
use serde_json::{Value, json};

fn number(session: &Value) -> u32 {
    u32::try_from(session["session"].as_u64().unwrap()).unwrap()
}

/// Seals a frame as soon as the camera has keys.
async fn sealed(camera: &Page, session: u32, (codec, key, data): &(u8, bool, Vec<u8>)) -> Vec<u8> {
    let codec = Codec::from_code(*codec).unwrap();
    let sealer = camera.device().camera_session(session).unwrap();
    camera
        .eventually("a sealed frame", || {
            let mut wire = Vec::new();
            let plain = Plain { codec, key: *key, temporal: 0, data };
            let fate = sealer.seal(0, plain, |bytes| wire.extend_from_slice(bytes));
            (fate == Fate::Send).then_some(wire)
        })
        .await
}

/// Waits until so many devices hold the camera's keys, itself among them.
async fn all_in(camera: &Page, members: u64) {
    let is_it = |event: &Value| (event["event"] == "newEpoch" && event["members"] == members).then_some(());
    camera.told("the group is whole", is_it).await;
}

/// Opens a frame as soon as the viewer has its key.
async fn opened(viewer: &Page, session: u32, codec: u8, wire: &[u8]) -> Vec<u8> {
    let codec = Codec::from_code(codec).unwrap();
    let opener = viewer.device().watch_session(session).unwrap();
    viewer
        .eventually("an opened frame", || {
            let mut plain = Vec::new();
            match opener.open(codec, wire, |bytes| plain.extend_from_slice(bytes)) {
                Verdict::Show => Some(plain),
                Verdict::Wait => None,
                other => panic!("{other:?}"),
            }
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_opens_what_the_camera_seals_until_it_is_removed() {
    let house = House::open().await;
    let server = house.url();
    let (ada, door, bob) = (Page::new(), Page::new(), Page::new());
    let words = ada.found(&server, "Ada").await;
    assert_eq!(words.len(), 12);
    let camera = ada.let_in(&server, &door, "camera", "Door").await;
    let viewer = ada.let_in(&server, &bob, "viewer", "Bob").await;

    let sending = number(&door.call("publish", json!({})).await);
    all_in(&door, 3).await;
    let watching = number(&bob.call("watch", json!({ "camera": camera })).await);
    for frame in &encoded_frames() {
        let wire = sealed(&door, sending, frame).await;
        assert_eq!(opened(&bob, watching, frame.0, &wire).await, frame.2);
        let again = bob.device().watch_session(watching).unwrap().open(
            Codec::from_code(frame.0).unwrap(),
            &wire,
            |_| {},
        );
        assert_eq!(again, Verdict::Nothing, "a frame is shown once");
    }
    let way = bob.call("door", json!({ "session": watching })).await;
    assert!(way["url"].as_str().unwrap().contains("/whep/"), "{way}");

    let devices = ada.call("devices", json!({})).await;
    let mut names: Vec<&str> =
        devices["devices"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    // The list is in the order of ids, which are random.
    names.sort_unstable();
    assert_eq!(names, ["Ada", "Bob", "Door"]);
    let number_of = |page: Page| async move { page.call("safetyNumber", json!({})).await["groups"].clone() };
    assert_eq!(number_of(ada.clone()).await, number_of(bob.clone()).await);

    ada.call("remove", json!({ "device": viewer })).await;
    let epoch = ada
        .told("removed at an epoch", |event| {
            (event["event"] == "removal" && event["camera"] == camera.as_str())
                .then(|| event["epoch"].as_u64())?
        })
        .await;
    assert!(epoch > 0);
    bob.told("bob's watch ends", |event| (event["event"] == "ended").then_some(())).await;
    let wire = sealed(&door, sending, &encoded_frames()[2]).await;
    let verdict = bob.device().watch_session(watching).unwrap().open(Codec::Vp8, &wire, |_| {});
    assert_eq!(verdict, Verdict::Wait, "no key of the epoch after the removal ever comes");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_the_device_and_no_counter_starts_over() {
    let house = House::open().await;
    let server = house.url();
    let (ada, door) = (Page::new(), Page::new());
    ada.found(&server, "Ada").await;
    let camera = ada.let_in(&server, &door, "camera", "Door").await;
    let frame = &encoded_frames()[2];

    let watching = number(&ada.call("watch", json!({ "camera": camera })).await);
    let first = number(&door.call("publish", json!({})).await);
    all_in(&door, 2).await;
    let before = sealed(&door, first, frame).await;
    assert_eq!(opened(&ada, watching, 1, &before).await, frame.2);

    let door = door.reloaded();
    assert_eq!(door.call("open", json!({})).await["name"], "Door");
    let second = number(&door.call("publish", json!({})).await);
    let after = sealed(&door, second, frame).await;
    assert_eq!(opened(&ada, watching, 1, &after).await, frame.2);
    // The envelope is the same; the key id behind it must not be, for the counter is.
    let header = |wire: &[u8]| latchkey_wire::sframe_header::SframeHeader::read(&wire[10..]).unwrap();
    assert_ne!(header(&before).kid, header(&after).kid, "a session of its own");

    let ada = ada.reloaded();
    let watching = number(&ada.call("watch", json!({ "camera": camera })).await);
    let wire = sealed(&door, second, frame).await;
    assert_eq!(opened(&ada, watching, 1, &wire).await, frame.2, "the group is remembered");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_number_and_digits() {
    let house = House::open().await;
    let server = house.url();
    let (ada, eve) = (Page::new(), Page::new());
    ada.found(&server, "Ada").await;
    let arrive = json!({ "server": server, "kind": "viewer", "by": "number" });
    let shown = eve.call("arrive", arrive).await["shown"].clone();
    let terms = json!({ "role": "viewer", "name": "Eve", "rights": null, "cameras": null, "days": null });
    assert_eq!(ada.call("letIn", json!({ "shown": shown, "terms": terms })).await["is"], "askDigits");
    let digits = eve.told("digits", |event| event["stage"]["digits"].as_str().map(str::to_owned)).await;
    assert_eq!(ada.call("typeDigits", json!({ "digits": "12" })).await["is"], "notDigits");
    assert_eq!(ada.call("typeDigits", json!({ "digits": digits })).await["is"], "fit");
    let (last, _) =
        tokio::join!(ada.call("confirm", json!({})), eve.call("digitsFit", json!({ "fit": true })));
    let glance = eve.told("invited", |event| event["stage"]["glance"].as_str().map(str::to_owned)).await;
    assert_eq!(last["digits"], glance.as_str());
    ada.call("admit", json!({})).await;
    eve.told("listed", |event| (event["stage"]["is"] == "listed").then_some(())).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_and_leaves_nothing() {
    let house = House::open().await;
    let page = Page::new();
    assert_eq!(page.call("open", json!({})).await, json!({ "is": "nobody" }));
    assert_eq!(page.ask("devices", json!({})).await.unwrap_err().code, "nobody");
    assert_eq!(page.ask("join", json!({ "code": "hello" })).await.unwrap_err().code, "code");
    assert_eq!(page.ask("found", json!({ "inviteCode": null })).await.unwrap_err().code, "not-under-way");
    let nowhere = json!({ "server": "http://127.0.0.1:1", "deviceName": "Ada" });
    page.call("prepareHousehold", nowhere).await;
    let fault = page.ask("found", json!({ "inviteCode": null })).await.unwrap_err();
    assert_eq!(fault.code, "unreachable", "{}", fault.text);
    page.eventually("nothing is kept", || page.keeps_nothing().then_some(())).await;
    page.found(&house.url(), "Ada").await;
    assert_eq!(page.ask("watch", json!({ "camera": "x" })).await.unwrap_err().code, "bad-id");
    page.call("forget", json!({})).await;
    assert!(page.keeps_nothing());
    assert_eq!(page.call("open", json!({})).await, json!({ "is": "nobody" }));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_household_refused_for_its_invite_code_is_founded_with_another_one_and_the_same_words() {
    let (house, code) = House::by_invitation().await;
    let page = Page::new();
    let ask = json!({ "server": house.url(), "deviceName": "Ada" });
    let words = page.call("prepareHousehold", ask).await;
    for (wrong, expected) in [(None, "invite-code-needed"), (Some("AAAA-BBBB-CCCC"), "invite-code-refused")] {
        let fault = page.ask("found", json!({ "inviteCode": wrong })).await.unwrap_err();
        assert_eq!(fault.code, expected, "{}", fault.text);
        page.eventually("nothing is kept meanwhile", || page.keeps_nothing().then_some(())).await;
        assert_eq!(page.call("open", json!({})).await, json!({ "is": "nobody" }));
    }
    let standing = page.call("found", json!({ "inviteCode": code })).await;
    assert_eq!(standing["is"], "member");
    let household = standing["household"].clone();
    let page = page.reloaded();
    assert_eq!(page.call("open", json!({})).await["household"], household, "it is stored now");

    // The words are those of this household.
    let words: Vec<_> =
        words["words"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let recover = json!({
        "server": house.url(), "words": words.join(" "), "deviceName": "Ada anew", "keepAdmins": true,
    });
    let other = Page::new();
    assert_eq!(other.call("recover", recover).await["household"], household);
    drop((page, other));
    house.close().await;
}

//! Enrolment on the command line: a camera by its QR code, a viewer by six digits, guests, and what is no good.

use std::path::Path;

use latchkey::qr;
use latchkey_api::device_list::Role;
use serde_json::Value;

use crate::clips::clip;
use crate::house::House;
use crate::program::{Running, aside, household, latchkey, refused, refused_by, run};

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_comes_in_by_a_picture_of_its_qr_code() {
    let house = household(&[]).await;
    let (ada, door, url) = (house.home("ada"), house.home("door"), house.url().to_owned());
    let (picture, film) = (house.home("door.png"), house.home("film.h264"));
    aside(move || {
        let join = Running::start(
            &door,
            &["--json", "join", "--server", &url, "--as", "camera", "--qr-png", text(&picture)],
        );
        let offer = json(&join.out("\"offer\""));
        let code = offer["code"].as_str().unwrap();
        assert!(code.starts_with("LK1:"), "{code}");
        assert_eq!(qr::read(&picture).unwrap()[0].as_str(), code, "the picture shows the same");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&picture).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let photo = picture.with_file_name("photo.jpg");
        image::open(&picture).unwrap().save(&photo).unwrap();

        let added =
            run(&mut latchkey(&ada, &["devices", "add", "--image", text(&photo), "--name", "Front door"]));
        let told = String::from_utf8(added.stderr).unwrap();
        println!("{told}");
        assert_eq!(added.status.code(), Some(0), "{told}");
        assert!(told.contains("Found the camera") && told.contains("\"Front door\" has joined"), "{told}");
        let invited = json(&join.out("\"invited\""));
        assert!(told.contains(invited["glance"].as_str().unwrap()), "both show the same digits: {told}");
        let joined = json(&join.out("\"joined\""));
        assert_eq!((joined["name"].as_str(), joined["role"].as_str()), (Some("Front door"), Some("camera")));
        assert_eq!(join.end().0, Some(0));
        assert!(!picture.exists(), "the picture goes with the command");

        let sentence = refused(&ada, &["devices", "add", "--image", text(&photo), "--name", "Again"]);
        assert!(sentence.contains("good once"), "{sentence}");

        let clip = clip();
        let _camera = Running::start(&door, &["camera", "--source", text(&clip)]);
        let viewed =
            run(&mut latchkey(&ada, &["view", "Front door", "--out", text(&film), "--frames", "20"]));
        assert_eq!(viewed.status.code(), Some(0), "{}", String::from_utf8_lossy(&viewed.stderr));
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_comes_in_by_six_digits_typed_on_the_admin() {
    let house = household(&[]).await;
    let (ada, bob, url) = (house.home("ada"), house.home("bob"), house.url().to_owned());
    aside(move || {
        let mut join = Running::start(&bob, &["--json", "join", "--server", &url, "--as", "viewer", "--sas"]);
        let number = json(&join.out("pairing_number"))["number"].as_str().unwrap().to_owned();
        let mut add = Running::start(
            &ada,
            &["--json", "devices", "add", "--sas", &number, "--name", "Bob", "--role", "admin"],
        );
        let digits = json(&join.out("\"digits\""))["digits"].as_str().unwrap().to_owned();
        assert_eq!(json(&add.out("digits_wanted"))["tries_left"], 3);
        add.tell(if digits == "000 000" { "000 001" } else { "000 000" });
        assert_eq!(json(&add.out("digits_wanted"))["tries_left"], 2);
        add.tell(&digits);
        add.out("digits_right");
        join.tell("perhaps");
        join.tell("yes");
        let glance = json(&join.out("\"invited\""))["glance"].clone();
        assert_eq!(json(&add.out("\"accepted\""))["glance"], glance);
        assert_eq!(json(&join.out("\"joined\""))["role"], "admin");
        let (code, _, told) = add.end();
        assert_eq!(code, Some(0), "{told}");
        assert_eq!(join.end().0, Some(0));

        // The same, but the digits are never right.
        let eve = bob.with_file_name("eve");
        let mut join = Running::start(&eve, &["--json", "join", "--server", &url, "--as", "viewer", "--sas"]);
        let number = json(&join.out("pairing_number"))["number"].as_str().unwrap().to_owned();
        let mut add = Running::start(&ada, &["devices", "add", "--sas", &number, "--name", "Eve"]);
        join.out("\"digits\"");
        for _ in 0..3 {
            add.tell("1");
        }
        let (code, out, told) = add.end();
        assert_eq!((code, out.as_str()), (Some(2), ""), "{told}");
        assert!(told.lines().last().unwrap().contains("the digits differ"), "{told}");
        join.tell("no");
        let (code, _, told) = join.end();
        assert_eq!(code, Some(2), "{told}");
        assert!(told.contains("the digits differ"), "{told}");
        assert!(!eve.exists(), "nothing is left behind");
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_comes_in_by_invite_with_cameras_days_and_rights() {
    let house = household(&[(Role::Camera, "door"), (Role::Camera, "yard")]).await;
    let (ada, guest) = (house.home("ada"), house.home("guest"));
    aside(move || {
        let words = ["invite", "--role", "guest", "--name", "Sitter"];
        for (more, said) in [
            (&[][..], "--cameras"),
            (&["--cameras", "door"], "--days"),
            (&["--cameras", "door", "--days", "31"], "1 to 30 days"),
            (&["--cameras", "door", "--until", "2020-01-01"], "in the past"),
            (&["--cameras", "attic", "--days", "3"], "no camera is called \"attic\"; there is "),
            (&["--cameras", "door", "--days", "3", "--rights", "talk"], "let it see, too (--rights)"),
        ] {
            let sentence = refused(&ada, &[&words[..], more].concat());
            assert!(sentence.contains(said), "{said} is not in: {sentence}");
        }
        let more = ["--cameras", "door,yard", "--days", "30", "--rights", "see,talk"];
        let invite = Running::start(&ada, &[&words[..], &more].concat());
        let code = invite.out("latchkey1-");
        let mut join = latchkey(&guest, &["join"]);
        join.env("LATCHKEY_CODE", code);
        let joined = run(&mut join);
        assert_eq!(joined.status.code(), Some(0), "{}", String::from_utf8_lossy(&joined.stderr));
        assert_eq!(invite.end().0, Some(0));
        let listed = run(&mut latchkey(&ada, &["--json", "devices"]));
        let listed = json(&String::from_utf8(listed.stdout).unwrap());
        let sitter = listed["devices"].as_array().unwrap().iter().find(|device| device["name"] == "Sitter");
        let sitter = sitter.unwrap();
        println!("{sitter}");
        assert_eq!(sitter["rights"], serde_json::json!(["see", "talk"]));
        assert_eq!(sitter["cameras"].as_array().unwrap().len(), 2);
        assert!(sitter["not_after"].is_u64());
    })
    .await;
    house.close().await;
}

/// A code whose device waits nowhere.
fn stray_code(house: &House) -> String {
    use latchkey_e2ee::enrol::{Kind, Moment, NewDevice};
    let identity = latchkey_e2ee::identity::DeviceIdentity::generate().unwrap();
    let now = Moment { uptime: std::time::Duration::ZERO, unix_seconds: None };
    let (_, offer, _) = NewDevice::by_code(&identity, Kind::Camera, house.url(), now).unwrap();
    offer.reveal().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_and_pictures_that_are_no_good_are_said_and_change_nothing() {
    let house = household(&[(Role::Viewer, "bob")]).await;
    let (ada, bob, fresh, url) =
        (house.home("ada"), house.home("bob"), house.home("fresh"), house.url().to_owned());
    let stray = stray_code(&house);
    let folder = house.home("pictures");
    aside(move || {
        std::fs::create_dir(&folder).unwrap();
        let picture = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let png = qr::png(&stray).unwrap();
        let mut covered = image::load_from_memory(&png).unwrap().into_luma8();
        let (width, height) = covered.dimensions();
        for (x, y, pixel) in covered.enumerate_pixels_mut() {
            let (across, down) = (x * 100 / width, y * 100 / height);
            if (30..70).contains(&across) && (30..72).contains(&down) {
                pixel.0[0] = if (x / 8 * 7 + y / 8 * 13) % 5 < 2 { 0 } else { 255 };
            }
        }
        covered.save(folder.join("covered.png")).unwrap();
        let covered = folder.join("covered.png").to_str().unwrap().to_owned();
        image::GrayImage::from_pixel(200, 200, image::Luma([255])).save(folder.join("empty.png")).unwrap();
        let empty = folder.join("empty.png").to_str().unwrap().to_owned();
        let note = picture("note.png", b"no picture");
        let shop = picture("shop.png", &qr::png("https://shop.example").unwrap());
        let stray_picture = picture("stray.png", &png);
        let newer = stray.replacen("LK1", "LK2", 1);
        let file = picture("code.txt", &stray.as_bytes()[..60]);

        for (words, said) in [
            (&["--code", "hello"][..], "begins with LK1:"),
            (&["--code", &newer], "another version"),
            (&["--code", &stray[..90]], "cut off or misread"),
            (&["--code-file", &file], "cut off or misread"),
            (&["--code-file", "/nowhere/code"], "/nowhere/code"),
            (&["--code", "latchkey1-AAAA"], "belongs on the new device"),
            (&["--code", &stray], "nobody waits behind this code"),
            (&["--image", &stray_picture], "nobody waits behind this code"),
            (&["--image", &covered], "damaged or blurred"),
            (&["--image", &empty], "no QR code in"),
            (&["--image", &note], "not a picture"),
            (&["--image", &shop], "not one of a new device"),
            (&["--image", "/nowhere/a.png"], "/nowhere/a.png"),
            (&["--sas", "12"], "eight digits"),
            (&["--sas", "1234 5678"], "nobody waits"),
            (&["--code", &stray, "--role", "viewer"], "is a camera"),
            (&["--code", &stray, "--days", "3"], "leave them out (--rights, --cameras, --days)"),
            (&["--code", &stray, "--sas", "12345678"], "cannot be used with"),
            (&[], "--image PICTURE"),
        ] {
            let words = [&["devices", "add", "--name", "Door"], words].concat();
            let sentence = refused(&ada, &words);
            assert!(sentence.contains(said), "{said} is not in: {sentence}");
        }
        let sentence = refused(&bob, &["devices", "add", "--name", "Door", "--code", &stray]);
        assert!(sentence.contains("only an admin"), "{sentence}");

        let taken = picture("taken.png", b"precious");
        for (words, said) in [
            (&["join"][..], "--as camera or --as viewer"),
            (&["join", "--as", "camera"], "--server"),
            (&["join", "--as", "camera", "--server", "cam.example"], "https://"),
            (&["join", &stray], "belongs to an admin"),
            (&["join", "latchkey2-AAAA"], "another version"),
            (&["join", "--sas"], "--as"),
            (&["join", "--as", "camera", "--server", &url, "--qr-png", &taken], "exists already"),
        ] {
            let sentence = refused(&fresh, words);
            assert!(sentence.contains(said), "{said} is not in: {sentence}");
            assert!(!fresh.exists(), "nothing is left behind");
        }
        assert_eq!(std::fs::read(&taken).unwrap(), b"precious");
        let sentence = refused(&ada, &["join", "--as", "viewer", "--server", &url]);
        assert!(sentence.contains("already holds a device"), "{sentence}");
        // A code from a variable is no slip of the pen.
        let mut from_variable = latchkey(&ada, &["devices", "add", "--name", "Door"]);
        from_variable.env("LATCHKEY_CODE", "hello");
        assert!(refused_by(2, &ada, &mut from_variable).contains("LK1:"));
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_stopped_while_it_waits_leaves_nothing() {
    let house = household(&[]).await;
    let (fresh, url) = (house.home("fresh"), house.url().to_owned());
    aside(move || {
        for more in [&[][..], &["--sas"]] {
            let words = [&["join", "--server", &url, "--as", "viewer"], more].concat();
            let join = Running::start(&fresh, &words);
            join.err("On an admin");
            let (code, told) = join.signal("TERM");
            assert_eq!(code, Some(1), "{told}");
            assert!(told.contains("stopped while joining"), "{told}");
            assert!(!fresh.exists(), "nothing is left behind");
        }
    })
    .await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_go_to_a_file_that_only_its_owner_reads() {
    let house = household(&[]).await;
    let (eve, words, url) = (house.home("eve"), house.home("words.txt"), house.url().to_owned());
    aside(move || {
        let create = ["household", "create", "--server", &url, "--name", "Eve", "--words-file", text(&words)];
        // Without a server no household, and no words that mean nothing.
        let dead = crate::program::dead_address();
        let mut nowhere = create;
        let address = format!("http://{dead}");
        nowhere[3] = &address;
        assert_eq!(run(&mut latchkey(&eve, &nowhere)).status.code(), Some(1));
        assert!(!words.exists() && !eve.exists());

        let created = run(&mut latchkey(&eve, &[&["--json"], &create[..]].concat()));
        let said = String::from_utf8(created.stdout).unwrap();
        assert_eq!(created.status.code(), Some(0), "{said}");
        let written = std::fs::read_to_string(&words).unwrap();
        assert_eq!(written.split_whitespace().count(), 12, "{written}");
        assert!(json(&said)["words"].is_null() && !said.contains(written.trim()), "{said}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&words).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let other = eve.with_file_name("other");
        let sentence = refused(&other, &create);
        assert!(sentence.contains("no household was made"), "{sentence}");
        assert_eq!(std::fs::read_to_string(&words).unwrap(), written, "words are never written over");
        assert!(!other.exists());
    })
    .await;
    house.close().await;
}

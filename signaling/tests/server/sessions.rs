//! Grants: only by the signed list, written down first, and what the relay will read in them.

use std::time::{Duration, SystemTime};

use latchkey_api::audit::{AuditHead, AuditKind, AuditRows};
use latchkey_api::device_list::Right;
use latchkey_api::encoding::from_text;
use latchkey_api::event::Event;
use latchkey_api::problem::ProblemCode;
use latchkey_api::session::{CameraStatus, OpenSession, SessionOpened, SessionScope};
use latchkey_signaling_core::names::{handle_of, room_of};
use latchkey_wire::grant::{GrantSigner, GrantVerifier, Scope};
use reqwest::{Method, StatusCode};
use sqlx::{Connection as _, SqliteConnection};

use crate::events::Socket;
use crate::home::{Device, Home, now};
use crate::running::Running;

fn ask(camera: &Device, scope: SessionScope) -> OpenSession {
    OpenSession { camera: camera.id, scope }
}

/// What the relay would use: the public half of the server's key.
fn verifier(running: &Running) -> GrantVerifier {
    let text = std::fs::read_to_string(running.folder().join("grant-signing.key")).unwrap();
    let seed = from_text(text.trim()).unwrap().try_into().unwrap();
    let signer = GrantSigner::from_seed("signaling-1", &seed).unwrap();
    let mut verifier = GrantVerifier::new("latchkey");
    verifier.add_key(signer.key_id(), &signer.public_key());
    verifier
}

#[tokio::test]
async fn who_may_do_what_with_which_camera() {
    let running = Running::start().await;
    let home = running.home().await;
    let stranger = running.home().await;
    let (camera, other) = (&home.camera, &home.other_camera);
    for (device, target, scope, allowed) in [
        (&home.camera, camera, SessionScope::Publish, true),
        (&home.camera, camera, SessionScope::View, false),
        (&home.camera, other, SessionScope::Publish, false),
        (&home.camera, other, SessionScope::View, false),
        (&home.admin, camera, SessionScope::View, true),
        (&home.admin, camera, SessionScope::Publish, false),
        (&home.viewer, other, SessionScope::View, true),
        (&home.guest, camera, SessionScope::View, true),
        (&home.guest, other, SessionScope::View, false),
        (&home.viewer, &home.admin, SessionScope::View, false),
        (&home.viewer, &stranger.camera, SessionScope::View, false),
    ] {
        let client = running.client.signed_in(&home, device).await;
        let answer = client.post("/v1/sessions", &ask(target, scope)).await;
        if allowed {
            let _: SessionOpened = answer.ok(StatusCode::CREATED);
        } else {
            answer.problem(ProblemCode::Forbidden);
        }
    }
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_viewer_without_the_right_to_see_is_refused() {
    let running = Running::start().await;
    let mut home = running.home().await;
    let admin = running.client.signed_in(&home, &home.admin).await;
    let id = home.viewer.id;
    let list = home.next(|list| {
        let mut entry = list.device(id).unwrap().clone();
        entry.rights = latchkey_api::device_list::Rights::of(&[Right::Talk]);
        list.with(entry).unwrap()
    });
    admin.post("/v1/lists", &latchkey_api::list::PostList { list: list.into() }).await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    viewer.post("/v1/sessions", &ask(&home.camera, SessionScope::View)).await.problem(ProblemCode::Forbidden);
    running.server.shutdown().await;
}

#[tokio::test]
async fn the_grant_says_room_scope_and_device_and_the_door_is_where_the_client_dialled() {
    let running = Running::start().await;
    let guest_end = now() + 1800;
    let home = running.register(Home::with_guest_until(guest_end)).await;
    let verifier = verifier(&running);
    for (device, scope, wire_scope, longest) in [
        (&home.camera, SessionScope::Publish, Scope::Publish, now() + 24 * 3600 + 30),
        (&home.guest, SessionScope::View, Scope::View, guest_end),
    ] {
        let client = running.client.signed_in(&home, device).await;
        let opened: SessionOpened =
            client.post("/v1/sessions", &ask(&home.camera, scope)).await.ok(StatusCode::CREATED);
        let room = room_of(&home.id, &home.camera.id);
        assert_eq!(opened.room, room.to_string());
        let (whip, whep) = match scope {
            SessionScope::Publish => (Some(format!("{}/whip/{room}", client.base)), None),
            SessionScope::View => (None, Some(format!("{}/whep/{room}", client.base))),
        };
        assert_eq!((opened.relay.whip_url, opened.relay.whep_url), (whip, whep));
        let grant = verifier.verify(&opened.grant, &room, wire_scope, SystemTime::now()).unwrap();
        assert_eq!(grant.device, handle_of(&home.id, &device.id));
        assert_eq!(grant.scopes, [wire_scope]);
        assert!(grant.expires_at <= SystemTime::now() + Duration::from_secs(60));
        assert!(grant.session_expires_at <= SystemTime::UNIX_EPOCH + Duration::from_secs(longest));
        let another: SessionOpened =
            client.post("/v1/sessions", &ask(&home.camera, scope)).await.ok(StatusCode::CREATED);
        let other = verifier.verify(&another.grant, &room, wire_scope, SystemTime::now()).unwrap();
        assert_ne!(other.token_id, grant.token_id);
        let text = format!("{}{}", opened.room, opened.grant);
        for name in [home.id.to_string(), home.camera.id.to_string(), device.id.to_string()] {
            assert!(!text.contains(&name), "the relay learns no name of signaling");
        }
    }
    // The door stands on the same port.
    let door = running.client.request(Method::POST, "/whep/x");
    assert_eq!(running.client.send(door).await.body, b"door");
    running.server.shutdown().await;
}

#[tokio::test]
async fn with_a_public_url_the_door_is_named_by_it() {
    let running = Running::with(|config| config.public_url = "https://cam.example.org/".into()).await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let ask = ask(&home.camera, SessionScope::View);
    let local: SessionOpened = viewer.post("/v1/sessions", &ask).await.ok(StatusCode::CREATED);
    assert!(local.relay.whep_url.unwrap().starts_with(&format!("{}/whep/", viewer.base)));
    let request = |host: &str| viewer.request(Method::POST, "/v1/sessions").header("host", host).json(&ask);
    let public: SessionOpened = viewer.send(request("cam.example.org")).await.ok(StatusCode::CREATED);
    assert!(public.relay.whep_url.unwrap().starts_with("https://cam.example.org/whep/"));
    viewer.send(request("evil.example")).await.problem(ProblemCode::WrongAudience);
    running.server.shutdown().await;
}

#[tokio::test]
async fn every_grant_stands_in_the_audit_chain_and_no_refusal_does() {
    let running = Running::start().await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let camera = running.client.signed_in(&home, &home.camera).await;
    for _ in 0..3 {
        let view = viewer.post("/v1/sessions", &ask(&home.camera, SessionScope::View)).await;
        assert_eq!(view.status, StatusCode::CREATED);
    }
    camera.post("/v1/sessions", &ask(&home.camera, SessionScope::Publish)).await;
    viewer
        .post("/v1/sessions", &ask(&home.camera, SessionScope::Publish))
        .await
        .problem(ProblemCode::Forbidden);
    // The guest reads it, too, and computes every hash anew.
    let guest = running.client.signed_in(&home, &home.guest).await;
    let AuditRows { rows, more } = guest.get("/v1/audit").await.ok(StatusCode::OK);
    assert!(!more);
    AuditHead::default().follow(&home.id, &rows).unwrap();
    let of = |kind| rows.iter().filter(|row| row.known_kind() == Some(kind)).collect::<Vec<_>>();
    let views = of(AuditKind::ViewGranted);
    assert_eq!(views.len(), 3);
    assert!(views.iter().all(|row| row.actor == Some(home.viewer.id)));
    assert!(views.iter().all(|row| row.subject == Some(home.camera.id)));
    assert_eq!(of(AuditKind::PublishGranted).len(), 1);
    assert_eq!(of(AuditKind::SignedIn).len(), 3);
    assert_eq!(of(AuditKind::HouseholdFounded).len(), 1);
    running.server.shutdown().await;
}

#[tokio::test]
async fn without_a_written_audit_row_there_is_no_grant() {
    let running = Running::start().await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let view = ask(&home.camera, SessionScope::View);
    assert_eq!(viewer.post("/v1/sessions", &view).await.status, StatusCode::CREATED);
    let database = format!("sqlite://{}", running.folder().join("signaling.sqlite").display());
    let mut other = SqliteConnection::connect(&database).await.unwrap();
    sqlx::query("ALTER TABLE audit RENAME TO elsewhere").execute(&mut other).await.unwrap();
    let refused = viewer.post("/v1/sessions", &view).await;
    refused.problem(ProblemCode::Internal);
    assert!(!String::from_utf8(refused.body).unwrap().contains("grant\":"));
    assert_eq!(viewer.get("/v1/lists").await.status, StatusCode::OK, "what is not audited goes on");
    sqlx::query("ALTER TABLE elsewhere RENAME TO audit").execute(&mut other).await.unwrap();
    assert_eq!(viewer.post("/v1/sessions", &view).await.status, StatusCode::CREATED);
    other.close().await.unwrap();
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_guest_whose_time_is_over_is_signed_out_and_cannot_come_back() {
    let running = Running::start().await;
    // Long enough for a slow machine to see the guest while it may.
    let end = now() + 10;
    let home = running.register(Home::with_guest_until(end)).await;
    let guest = running.client.signed_in(&home, &home.guest).await;
    assert_eq!(guest.get("/v1/lists").await.status, StatusCode::OK);
    let mut socket = Socket::open(&guest).await;
    while now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    guest.get("/v1/lists").await.problem(ProblemCode::NotSignedIn);
    let challenge = running.client.challenge(home.id, &home.guest).await;
    let answer = running.client.answer(home.id, &home.guest, &challenge);
    running.client.post("/v1/auth/session", &answer).await.problem(ProblemCode::SignInFailed);
    assert_eq!(socket.event().await, Some(Event::Removed), "the next ping finds it");
    assert_eq!(socket.event().await, None);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_camera_is_live_by_its_socket_or_its_publication() {
    let running = Running::start().await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let guest = running.client.signed_in(&home, &home.guest).await;
    let live = async |client: &crate::client::Client| {
        let mut cameras: Vec<CameraStatus> = client.get("/v1/cameras").await.ok(StatusCode::OK);
        cameras.sort_by_key(|status| status.camera != home.camera.id);
        cameras.iter().map(|status| status.live).collect::<Vec<_>>()
    };
    assert_eq!(live(&viewer).await, [false, false]);
    assert_eq!(live(&guest).await, [false], "a guest sees its camera only");
    running.relay.set_live(room_of(&home.id, &home.other_camera.id));
    assert_eq!(live(&viewer).await, [false, true]);
    let socket = Socket::open(&running.client.signed_in(&home, &home.camera).await).await;
    assert_eq!(live(&viewer).await, [true, true]);
    drop(socket);
    let until = std::time::Instant::now() + crate::running::LIVENESS;
    while live(&viewer).await != [false, true] {
        assert!(std::time::Instant::now() < until, "the socket's end is seen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.server.shutdown().await;
}

//! The door over real HTTP: who comes in, who does not and why, and what can be done with a session.
#![allow(clippy::unwrap_used)]

mod grants;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use latchkey_wire::grant::Scope;
use latchkey_wire::id::{DeviceHandle, RoomId};
use reqwest::{Method, StatusCode};

use crate::support::{CAMERA, FRAGMENT, House, PHONE, PUBLISHER, ROOM, SDP, VIEWER, problem};

#[tokio::test]
async fn a_publisher_and_then_a_viewer_come_in() {
    let house = House::new().await;
    assert!(!house.relay.is_live(ROOM).await);
    let camera = house.publish().await;
    assert!(house.relay.is_live(ROOM).await);
    assert!(camera.url.contains(&format!("/whip/{ROOM}/")), "{}", camera.url);
    assert!(camera.answer.contains("a=recvonly") && camera.answer.contains("a=ice-lite"));
    let port = house.relay.addr().port();
    assert!(camera.answer.contains(&format!(" 127.0.0.1 {port} typ host")), "{}", camera.answer);
    let phone = house.view().await;
    assert!(phone.answer.contains("a=sendonly") && phone.answer.contains("a=setup:passive"));
    assert_eq!(house.relay.sessions(), 2);
    assert_eq!(house.metric("relay_joins_total{outcome=\"ok\",role=\"view\"}").await, 1.0);
    house.relay.shutdown().await;
}

#[tokio::test]
async fn without_a_publisher_a_viewer_is_told_to_come_again_with_the_same_grant() {
    let house = House::new().await;
    let token = house.view_grant();
    let path = format!("/whep/{ROOM}");
    let refused = problem(house.join(&path, &token, VIEWER).await).await;
    assert_eq!((refused.status, refused.code.as_str()), (409, "no-publisher"));
    assert_eq!(refused.retry_after.as_deref(), Some("1"));
    house.publish().await;
    assert_eq!(house.join(&path, &token, VIEWER).await.status(), StatusCode::CREATED);
    house.relay.shutdown().await;
}

#[tokio::test]
async fn bad_offers_are_refused_and_leave_the_grant_good() {
    let house = House::new().await;
    let token = house.publish_grant();
    let path = format!("/whip/{ROOM}");
    let cut_short = &PUBLISHER[..PUBLISHER.len() / 3];
    let no_fingerprint = PUBLISHER.replace("a=fingerprint", "a=x-fingerprint");
    let no_codec = PUBLISHER.replace("H264", "H265").replace("opus", "speex");
    let too_large = format!("{PUBLISHER}{}", "a=x\r\n".repeat(20_000));
    for (offer, status, code) in [
        ("", 400, "sdp-malformed"),
        ("{\"sdp\":1}", 400, "sdp-malformed"),
        (cut_short, 422, "sdp-unusable"),
        (&no_fingerprint, 422, "sdp-unusable"),
        (&no_codec, 406, "no-common-codec"),
        (&too_large, 413, "too-large"),
    ] {
        let refused = problem(house.join(&path, &token, offer).await).await;
        assert_eq!((refused.status, refused.code.as_str()), (status, code), "{}", refused.detail);
        assert!(refused.detail.len() > 20, "a sentence that helps: {}", refused.detail);
    }
    let request = house.http.post(house.door(&path)).header("Content-Type", "text/plain").bearer_auth(&token);
    assert_eq!(problem(request.body(PUBLISHER).send().await.unwrap()).await.code, "unsupported-media-type");
    assert_eq!(
        house.join(&path, &token, PUBLISHER).await.status(),
        StatusCode::CREATED,
        "the grant is still good"
    );
    house.relay.shutdown().await;
}

#[tokio::test]
async fn a_viewer_of_another_codec_is_told_what_the_room_carries() {
    let house = House::new().await;
    house.publish().await;
    let only_vp8_video =
        VIEWER.split("m=audio").next().unwrap().replace("BUNDLE 0 1", "BUNDLE 0").replace("H264", "H265");
    let refused =
        problem(house.join(&format!("/whep/{ROOM}"), &house.view_grant(), &only_vp8_video).await).await;
    assert_eq!((refused.status, refused.code.as_str()), (406, "no-common-codec"));
    assert!(refused.detail.contains("H264"), "{}", refused.detail);
    house.relay.shutdown().await;
}

#[tokio::test]
async fn a_room_has_one_publisher_and_its_own_device_may_replace_it() {
    let house = House::new().await;
    let first = house.publish().await;
    let other = house.grant(DeviceHandle::new([5; 16]), Scope::Publish, |_| {});
    let refused = problem(house.join(&format!("/whip/{ROOM}"), &other, PUBLISHER).await).await;
    assert_eq!((refused.status, refused.code.as_str()), (409, "room-taken"));
    let second = house.publish().await;
    let end = first.end(&house).await;
    assert_eq!(
        (end.status, end.code.as_str(), end.reason.as_deref()),
        (410, "session-ended", Some("replaced"))
    );
    assert_eq!(second.send(&house, Method::GET).await.status(), StatusCode::OK);
    house.relay.shutdown().await;
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let house = House::new().await;
    let get = |path: String| house.http.get(house.door(&path)).send();
    let unknown = format!("/whip/{ROOM}/{}", "0".repeat(32));
    for (path, status, code) in [
        ("/".to_owned(), 404, "not-found"),
        ("/metrics".to_owned(), 404, "not-found"),
        ("/whip".to_owned(), 404, "not-found"),
        (format!("/whip/{ROOM}/a/b"), 404, "not-found"),
        (format!("/whip/{ROOM}"), 405, "method-not-allowed"),
        (unknown, 404, "no-session"),
        (format!("/whip/{ROOM}/nonsense"), 404, "no-session"),
    ] {
        let missing = problem(get(path.clone()).await.unwrap()).await;
        assert_eq!((missing.status, missing.code.as_str()), (status, code), "{path}");
    }
    let bad_room = problem(house.join("/whip/not-a-room", &house.publish_grant(), PUBLISHER).await).await;
    assert_eq!((bad_room.status, bad_room.code.as_str()), (404, "not-found"));
    house.relay.shutdown().await;
}

#[tokio::test]
async fn pages_of_any_origin_are_let_in() {
    let house = House::new().await;
    let preflight = house.http.request(Method::OPTIONS, house.door(&format!("/whep/{ROOM}")));
    let answer = preflight.header("Origin", "https://app.example").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("access-control-allow-origin"), "*");
    assert!(header("access-control-allow-headers").contains("Authorization"));
    assert!(header("access-control-allow-methods").contains("POST"));
    assert_eq!(header("accept-post"), SDP);
    let camera = house.publish().await;
    let session = house.http.request(Method::OPTIONS, &camera.url).send().await.unwrap();
    assert_eq!(session.headers()["accept-patch"], FRAGMENT);
    let shown = camera.send(&house, Method::GET).await;
    assert!(shown.headers()["access-control-expose-headers"].to_str().unwrap().contains("Location"));
    house.relay.shutdown().await;
}

#[tokio::test]
async fn limits_hold_and_places_come_back() {
    let house = House::with(|config| {
        config.max_sessions = 3;
        config.max_sessions_per_device = 1;
        config.max_rooms = 1;
    })
    .await;
    house.publish().await;
    let phone = house.view().await;
    let path = format!("/whep/{ROOM}");
    let token = house.view_grant();
    let refused = problem(house.join(&path, &token, VIEWER).await).await;
    assert_eq!((refused.status, refused.code.as_str()), (429, "device-limit"));
    let other_room = RoomId::new([8; 16]);
    let elsewhere = house.grant(DeviceHandle::new([4; 16]), Scope::Publish, |g| g.room = other_room);
    let refused = problem(house.join(&format!("/whip/{other_room}"), &elsewhere, PUBLISHER).await).await;
    assert_eq!((refused.status, refused.code.as_str()), (503, "relay-full"));
    phone.send(&house, Method::DELETE).await;
    phone.end(&house).await;
    assert_eq!(
        house.join(&path, &token, VIEWER).await.status(),
        StatusCode::CREATED,
        "the same grant, now that there is a place"
    );
    house.relay.shutdown().await;
}

#[tokio::test]
async fn a_draining_relay_takes_nobody_new_and_says_so() {
    let house = House::new().await;
    let camera = house.publish().await;
    assert_eq!(house.http.get(house.ops("/livez")).send().await.unwrap().status(), StatusCode::OK);
    let drained = house.http.post(house.ops("/drain")).send().await.unwrap();
    assert_eq!(drained.status(), StatusCode::ACCEPTED);
    assert_eq!(drained.text().await.unwrap(), "{\"draining\":true,\"sessions\":1}");
    assert_eq!(problem(house.http.get(house.ops("/readyz")).send().await.unwrap()).await.code, "draining");
    let refused = problem(house.join(&format!("/whep/{ROOM}"), &house.view_grant(), VIEWER).await).await;
    assert_eq!((refused.status, refused.code.as_str()), (503, "draining"));
    assert_eq!(camera.send(&house, Method::GET).await.status(), StatusCode::OK, "present sessions go on");
    assert_eq!(house.metric("relay_draining").await, 1.0);
    house.relay.shutdown().await;
}

#[tokio::test]
async fn metrics_name_no_room_no_device_and_no_address() {
    let house = House::new().await;
    house.publish().await;
    house.view().await;
    let metrics = house.metrics().await;
    for secret in [ROOM.to_string(), CAMERA.to_string(), PHONE.to_string(), "127.0.0.1".to_owned()] {
        assert!(!metrics.contains(&secret), "{secret}");
    }
    assert!(metrics.contains("relay_fanout_viewers_bucket"), "{metrics}");
    house.relay.shutdown().await;
}

#[tokio::test]
async fn after_shutdown_nothing_answers_and_the_ports_are_free() {
    let house = House::new().await;
    house.publish().await;
    let (door, media) = (house.relay.door_addr().unwrap(), house.relay.addr());
    house.relay.shutdown().await;
    std::net::TcpListener::bind(door).unwrap();
    std::net::UdpSocket::bind(media).unwrap();
}

#[tokio::test]
async fn a_host_may_merge_the_door_into_its_own_router() {
    let house = House::with(|config| {
        config.door = None;
        config.ops = None;
    })
    .await;
    assert_eq!((house.relay.door_addr(), house.relay.ops_addr()), (None, None));
    let router = axum::Router::new()
        .route("/own", axum::routing::get(|| async { "own" }))
        .merge(house.relay.door_router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    assert_eq!(house.http.get(format!("http://{at}/own")).send().await.unwrap().text().await.unwrap(), "own");
    let request = house.http.post(format!("http://{at}/whip/{ROOM}")).header("Content-Type", SDP);
    let joined = request.bearer_auth(house.publish_grant()).body(PUBLISHER).send().await.unwrap();
    assert_eq!(joined.status(), StatusCode::CREATED);
    server.abort();
    house.relay.shutdown().await;
}

//! The door over real HTTP: who comes in, who does not and why, and what can be done with a session.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_wire::grant::{GrantSigner, Scope};
use latchkey_wire::id::{DeviceHandle, RoomId};
use reqwest::{Method, StatusCode};
use support::{CAMERA, FRAGMENT, House, PHONE, PUBLISHER, ROOM, SDP, VIEWER, grant, problem, seconds};

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
async fn grants_that_do_not_hold_are_refused_by_reason() {
    let house = House::new().await;
    let now = SystemTime::now();
    let stranger = GrantSigner::from_seed("stranger", &[1; 32]).unwrap();
    let impostor = GrantSigner::from_seed("signer-1", &[1; 32]).unwrap();
    let genuine = house.publish_grant();
    let good = grant(CAMERA, Scope::Publish);
    let cases = [
        ("no grant at all", String::new(), 401, "grant-missing", "missing"),
        ("not a token", "hello".to_owned(), 401, "grant-invalid", "malformed"),
        ("another key", stranger.sign(&good).unwrap(), 401, "grant-invalid", "unknown_key"),
        ("another key under a known name", impostor.sign(&good).unwrap(), 401, "grant-invalid", "signature"),
        (
            "alg none",
            with_header(&genuine, r#"{"alg":"none","typ":"JWT","kid":"signer-1"}"#, ""),
            401,
            "grant-invalid",
            "algorithm",
        ),
        (
            "alg HS256, keyed by the public key",
            with_header(&genuine, r#"{"alg":"HS256","typ":"JWT","kid":"signer-1"}"#, "AAAA"),
            401,
            "grant-invalid",
            "algorithm",
        ),
        (
            "another relay",
            house.grant(CAMERA, Scope::Publish, |g| g.audience = "elsewhere".to_owned()),
            401,
            "grant-invalid",
            "audience",
        ),
        (
            "expired",
            house.grant(CAMERA, Scope::Publish, |g| {
                g.issued_at = now - Duration::from_secs(300);
                g.expires_at = now - Duration::from_secs(250);
            }),
            401,
            "grant-expired",
            "expired",
        ),
        (
            "of the future",
            house.grant(CAMERA, Scope::Publish, |g| {
                g.issued_at = now + Duration::from_secs(300);
                g.expires_at = now + Duration::from_secs(350);
            }),
            401,
            "grant-expired",
            "not_yet",
        ),
        (
            "another room",
            house.grant(CAMERA, Scope::Publish, |g| g.room = RoomId::new([9; 16])),
            403,
            "grant-other-room",
            "room",
        ),
        ("to view only", house.grant(CAMERA, Scope::View, |_| {}), 403, "grant-scope", "scope"),
    ];
    for (what, token, status, code, label) in cases {
        let series = format!("relay_grant_refusals_total{{reason=\"{label}\"}}");
        let before = house.metric(&series).await;
        let refused = problem(house.join(&format!("/whip/{ROOM}"), &token, PUBLISHER).await).await;
        assert_eq!((refused.status, refused.code.as_str()), (status, code), "{what}: {}", refused.detail);
        assert_eq!(house.metric(&series).await, before + 1.0, "{what} is counted as {label}");
    }
    assert_eq!(house.relay.sessions(), 0);
    house.relay.shutdown().await;
}

/// The token with another header and signature.
fn with_header(token: &str, header: &str, signature: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(header))
}

#[tokio::test]
async fn a_grant_counts_in_the_header_only() {
    let house = House::new().await;
    let url = house.door(&format!("/whip/{ROOM}?access_token={}", house.publish_grant()));
    let response = house.http.post(url).header("Content-Type", SDP).body(PUBLISHER).send().await.unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(problem(response).await.code, "grant-missing");
    house.relay.shutdown().await;
}

#[tokio::test]
async fn a_grant_opens_one_session() {
    let house = House::new().await;
    let token = house.publish_grant();
    let path = format!("/whip/{ROOM}");
    assert_eq!(house.join(&path, &token, PUBLISHER).await.status(), StatusCode::CREATED);
    let again = problem(house.join(&path, &token, PUBLISHER).await).await;
    assert_eq!((again.status, again.code.as_str()), (401, "grant-used"));
    house.relay.shutdown().await;
}

#[tokio::test]
async fn of_twenty_at_once_with_one_grant_one_comes_in() {
    let house = House::new().await;
    let token = house.publish_grant();
    let path = format!("/whip/{ROOM}");
    let mut joins = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let request = house.http.post(house.door(&path)).header("Content-Type", SDP).bearer_auth(&token);
        joins.spawn(request.body(PUBLISHER).send());
    }
    let responses = joins.join_all().await.into_iter().map(Result::unwrap);
    assert_eq!(responses.filter(|response| response.status() == StatusCode::CREATED).count(), 1);
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
async fn trickle_and_restart_follow_the_entity_tag() {
    let house = House::new().await;
    let camera = house.publish().await;
    let candidate = "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 40000 typ host\r\n";
    let fresh = "a=ice-ufrag:wxyz\r\na=ice-pwd:0123456789012345678901\r\n";
    assert_eq!(camera.patch(&house, Some(&camera.etag), candidate).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(problem(camera.patch(&house, None, candidate).await).await.code, "etag-missing");
    assert_eq!(problem(camera.patch(&house, Some("\"other\""), candidate).await).await.code, "etag-mismatch");
    assert_eq!(problem(camera.patch(&house, Some("*"), candidate).await).await.code, "fragment-malformed");
    assert_eq!(problem(camera.patch(&house, Some("*"), "v=0\r\n").await).await.code, "fragment-malformed");

    let restarted = camera.patch(&house, Some("*"), fresh).await;
    assert_eq!(restarted.status(), StatusCode::OK);
    assert_eq!(restarted.headers()["content-type"], FRAGMENT);
    let tag = restarted.headers()["etag"].to_str().unwrap().to_owned();
    assert_ne!(tag, camera.etag);
    let answer = restarted.text().await.unwrap();
    let ufrag =
        |text: &str| text.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:")).unwrap().to_owned();
    assert_ne!(ufrag(&answer), ufrag(&camera.answer), "an ICE restart has new credentials");
    assert!(answer.contains("a=mid:0") && answer.contains("typ host"), "{answer}");
    assert_eq!(
        problem(camera.patch(&house, Some(&camera.etag), candidate).await).await.code,
        "etag-mismatch"
    );
    assert_eq!(camera.patch(&house, Some(&tag), candidate).await.status(), StatusCode::NO_CONTENT);

    let request = house.http.patch(&camera.url).header("Content-Type", SDP).header("If-Match", "*");
    assert_eq!(problem(request.body(fresh).send().await.unwrap()).await.code, "unsupported-media-type");
    let large = camera.patch(&house, Some("*"), &"a=x\r\n".repeat(10_000)).await;
    assert_eq!(problem(large).await.code, "too-large");
    house.relay.shutdown().await;
}

#[tokio::test]
async fn a_session_is_shown_and_left() {
    let house = House::new().await;
    let camera = house.publish().await;
    let shown = camera.send(&house, Method::GET).await;
    assert_eq!(
        (shown.status(), shown.text().await.unwrap().as_str()),
        (StatusCode::OK, "{\"state\":\"running\"}")
    );
    let as_viewer = camera.url.replace("/whip/", "/whep/");
    assert_eq!(problem(house.http.delete(as_viewer).send().await.unwrap()).await.code, "no-session");
    assert_eq!(camera.send(&house, Method::DELETE).await.status(), StatusCode::OK);
    let end = camera.end(&house).await;
    assert_eq!((end.code.as_str(), end.reason.as_deref()), ("session-ended", Some("left")));
    assert_eq!(problem(camera.send(&house, Method::DELETE).await).await.status, 410);
    assert_eq!(house.relay.sessions(), 0);
    assert!(!house.relay.is_live(ROOM).await);
    house.metric_reaches("relay_session_end_total{reason=\"left\"}", 1.0).await;
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
async fn a_device_that_is_cut_loses_its_leg_and_its_older_grants() {
    let house = House::new().await;
    house.publish().await;
    let phone = house.view().await;
    let other_phone = DeviceHandle::new([3; 16]);
    let other = house.grant(other_phone, Scope::View, |_| {});
    let other =
        support::Session::of(&house, house.join(&format!("/whep/{ROOM}"), &other, VIEWER).await).await;
    let old = house.view_grant();

    let cut = serde_json::json!({ "sub": PHONE, "issued_before": seconds(SystemTime::now()) });
    let url = house.ops(&format!("/rooms/{ROOM}/cut"));
    let done = house
        .http
        .post(&url)
        .header("Content-Type", "application/json")
        .body(cut.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(done.text().await.unwrap(), "{\"ended\":1}");
    let end = phone.end(&house).await;
    assert_eq!((end.code.as_str(), end.reason.as_deref()), ("session-ended", Some("cut_off")));
    assert_eq!(other.send(&house, Method::GET).await.status(), StatusCode::OK, "others stay");
    let refused = problem(house.join(&format!("/whep/{ROOM}"), &old, VIEWER).await).await;
    assert_eq!((refused.status, refused.code.as_str()), (403, "device-cut"));

    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let newer = house.view_grant();
    assert_eq!(
        house.join(&format!("/whep/{ROOM}"), &newer, VIEWER).await.status(),
        StatusCode::CREATED,
        "a later grant is a new decision"
    );
    assert_eq!(house.metric("relay_cuts_total").await, 1.0);
    house.relay.shutdown().await;
}

#[tokio::test]
async fn the_ops_port_says_what_is_wrong_with_a_cut() {
    let house = House::new().await;
    let post = |room: String, body: &str| {
        let url = house.ops(&format!("/rooms/{room}/cut"));
        house.http.post(url).header("Content-Type", "application/json").body(body.to_owned()).send()
    };
    let room = ROOM.to_string();
    let millis = format!("{{\"sub\":\"{PHONE}\",\"issued_before\":1800000000000}}");
    for body in [
        "",
        "{}",
        "{\"sub\":\"x\",\"issued_before\":1}",
        &format!("{{\"sub\":\"{PHONE}\",\"issued_before\":1,\"all\":true}}"),
        &millis,
    ] {
        assert_eq!(problem(post(room.clone(), body).await.unwrap()).await.code, "bad-request", "{body}");
    }
    assert_eq!(problem(post("x".to_owned(), "{}").await.unwrap()).await.code, "not-found");
    assert_eq!(
        problem(house.http.get(house.ops("/drain")).send().await.unwrap()).await.code,
        "method-not-allowed"
    );
    let from_page =
        house.http.post(house.ops("/drain")).header("Origin", "https://evil.example").send().await.unwrap();
    assert_eq!(problem(from_page).await.code, "bad-request");
    assert_eq!(
        house.http.get(house.ops("/readyz")).send().await.unwrap().status(),
        StatusCode::OK,
        "no page drained it"
    );
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
async fn a_session_ends_with_its_grants_session_time() {
    let house = House::new().await;
    let token =
        house.grant(CAMERA, Scope::Publish, |g| g.session_expires_at = g.issued_at + Duration::from_secs(2));
    let camera =
        support::Session::of(&house, house.join(&format!("/whip/{ROOM}"), &token, PUBLISHER).await).await;
    assert_eq!(camera.end(&house).await.reason.as_deref(), Some("expired"));
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

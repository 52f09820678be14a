//! What can be done with a session, and who else can end it.

use std::time::{Duration, SystemTime};

use latchkey_wire::grant::Scope;
use latchkey_wire::id::DeviceHandle;
use reqwest::{Method, StatusCode};

use crate::support::{
    CAMERA, FRAGMENT, House, PHONE, PUBLISHER, ROOM, SDP, Session, VIEWER, problem, seconds,
};

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
async fn a_session_ends_with_its_grants_session_time() {
    let house = House::new().await;
    let token =
        house.grant(CAMERA, Scope::Publish, |g| g.session_expires_at = g.issued_at + Duration::from_secs(2));
    let camera = Session::of(&house, house.join(&format!("/whip/{ROOM}"), &token, PUBLISHER).await).await;
    assert_eq!(camera.end(&house).await.reason.as_deref(), Some("expired"));
    house.relay.shutdown().await;
}

#[tokio::test]
async fn a_device_that_is_cut_loses_its_leg_and_its_older_grants() {
    let house = House::new().await;
    house.publish().await;
    let phone = house.view().await;
    let other_phone = DeviceHandle::new([3; 16]);
    let other = house.grant(other_phone, Scope::View, |_| {});
    let other = Session::of(&house, house.join(&format!("/whep/{ROOM}"), &other, VIEWER).await).await;
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

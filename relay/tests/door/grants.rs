//! Which grants open the door, and how often.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_wire::grant::{GrantSigner, Scope};
use latchkey_wire::id::RoomId;
use reqwest::StatusCode;

use crate::support::{CAMERA, House, PUBLISHER, ROOM, SDP, grant, problem};

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

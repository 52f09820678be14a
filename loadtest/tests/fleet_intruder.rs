//! Intruders at a real relay are refused, each by its name; at a door that lets everybody in they say so.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // figures are for whoever runs it

#[path = "fleet_cameras/relay.rs"]
mod relay;
#[path = "fleet_cameras/watcher.rs"]
mod watcher;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::any;
use latchkey_e2ee::seal::FrameSealer;
use latchkey_loadtest::fleet::CameraId;
use latchkey_loadtest::fleet::camera::NewCamera;
use latchkey_loadtest::fleet::cameras::Cameras;
use latchkey_loadtest::fleet::content::{Content, Shape};
use latchkey_loadtest::fleet::intruder::{
    Garbage, Grants, IntruderPlan, Intruders, Outcome, RealGrant, Trick,
};
use latchkey_loadtest::fleet::peer::Way;
use latchkey_loadtest::measure::tally::IntruderTally;
use latchkey_wire::codec::Codec;
use latchkey_wire::id::RoomId;
use url::Url;
use zeroize::Zeroizing;

use crate::relay::{House, Household};
use crate::watcher::Watcher;

/// A limit of liveness, not of speed.
const LIMIT: Duration = Duration::from_secs(30);
const ROOM: RoomId = RoomId::new([7; 16]);
const RATE: f64 = 200.0;

/// Grants to view, each of another device; where they go, and how old they are.
fn grants(house: &Arc<House>, url: Url, age: Duration) -> Grants {
    let house = house.clone();
    Arc::new(move || {
        let bearer = house.grant(Way::View, ROOM, |grant| {
            grant.issued_at -= age;
            grant.expires_at -= age;
        });
        let grant = RealGrant { url: url.clone(), bearer: Zeroizing::new(bearer) };
        Box::pin(async move { Some(grant) })
    })
}

async fn until(
    intruders: &Intruders,
    tally: &mut IntruderTally,
    done: impl Fn(&BTreeMap<Trick, Outcome>) -> bool,
) {
    let deadline = Instant::now() + LIMIT;
    while !done(&intruders.outcomes()) {
        assert!(Instant::now() < deadline, "not within 30 s: {:?}", intruders.outcomes());
        tally.add(&intruders.take());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tally.add(&intruders.take());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_trick_is_refused_by_its_name_while_a_camera_goes_on() {
    let house = Arc::new(House::new().await);
    let mut household = Household::new();
    let cameras = &mut Cameras::start(&[]).unwrap();
    let peer = house.join(Way::Publish, ROOM, Codec::Vp8).await;
    let session = household.group.next_session().unwrap();
    let sealer = FrameSealer::new(&household.group.frame_keys().unwrap(), session);
    let (content, shape) = (Content::synthetic(Shape::default()), Shape::default());
    cameras.add(CameraId(0), NewCamera { peer, sealing: sealer.into(), content, shape });
    let viewer = house.join(Way::View, ROOM, Codec::Vp8).await;
    let mut watcher = Watcher::new(viewer, household.group.frame_keys().unwrap());

    let media = house.relay.addr();
    let plan = IntruderPlan {
        bad_grants_per_second: RATE,
        garbage_per_second: 3_000.0,
        media: Some(media),
        ..IntruderPlan::default()
    };
    let url = house.url(Way::View, ROOM);
    let intruders = Intruders::start(&plan, grants(&house, url, Duration::ZERO)).unwrap();
    let deadline = Instant::now() + LIMIT;
    while watcher.seen.len() < 60 {
        assert!(Instant::now() < deadline, "{} frames opened within 30 s", watcher.seen.len());
        watcher.turn();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut tally = IntruderTally::default();
    let fresh = Trick::ALL.len() - 1;
    until(&intruders, &mut tally, |all| all.len() == fresh && all.values().all(|one| one.tried >= 3)).await;

    let outcomes = intruders.outcomes();
    println!("{outcomes:#?}\n{:?}", intruders.garbage());
    let expected = [
        (Trick::NoGrant, "grant-missing"),
        (Trick::Noise, "grant-invalid"),
        (Trick::ForgedSignature, "grant-invalid"),
        (Trick::NoSignature, "grant-invalid"),
        (Trick::ChangedClaims, "grant-invalid"),
        (Trick::OtherRoom, "grant-other-room"),
        (Trick::WrongScope, "grant-scope"),
        (Trick::UsedTwice, "grant-used"),
    ];
    for (trick, code) in expected {
        let outcome = &outcomes[&trick];
        let refused = BTreeMap::from([(code.to_owned(), outcome.tried)]);
        assert_eq!(
            (outcome.let_in, outcome.unanswered, &outcome.refused),
            (0, 0, &refused),
            "{}",
            trick.name()
        );
    }
    assert_eq!(tally.let_in, 0);
    assert!(tally.bad_grants >= 24, "{tally:?}");
    assert!(Garbage::ALL.iter().all(|shape| intruders.garbage()[shape] > 0), "{:?}", intruders.garbage());
    assert!(tally.garbage > 100, "{tally:?}");
    assert_eq!(watcher.refused, 0);
    assert!(cameras.states()[0].connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_whose_minute_is_over_is_refused() {
    let house = Arc::new(House::new().await);
    let url = house.url(Way::View, ROOM);
    let plan = IntruderPlan { bad_grants_per_second: RATE, ..IntruderPlan::default() };
    let intruders = Intruders::start(&plan, grants(&house, url, Duration::from_secs(90))).unwrap();
    let mut tally = IntruderTally::default();
    until(&intruders, &mut tally, |all| all.get(&Trick::Expired).is_some_and(|one| one.tried >= 3)).await;
    let outcomes = intruders.outcomes();
    let expired = &outcomes[&Trick::Expired];
    assert_eq!(expired.refused, BTreeMap::from([("grant-expired".to_owned(), expired.tried)]));
    // A grant that is over opens nothing the first time, so nothing can be said of the second.
    assert!(!outcomes.contains_key(&Trick::UsedTwice));
    assert_eq!((tally.let_in, tally.garbage), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_that_lets_everybody_in_is_found_out() {
    let house = Arc::new(House::new().await);
    let open = Router::new().fallback(any(|| async { (StatusCode::CREATED, "v=0\r\n") }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/whep/{ROOM}", listener.local_addr().unwrap()).parse().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, open).await });
    let plan = IntruderPlan { bad_grants_per_second: RATE, ..IntruderPlan::default() };
    let intruders = Intruders::start(&plan, grants(&house, url, Duration::ZERO)).unwrap();
    let mut tally = IntruderTally::default();
    until(&intruders, &mut tally, |all| all.len() == Trick::ALL.len() - 1).await;
    let outcomes = intruders.outcomes();
    assert!(outcomes.values().all(|one| one.let_in == one.tried), "{outcomes:?}");
    assert_eq!(tally.let_in, tally.bad_grants);

    // And a door where nobody is says nothing about grants.
    server.abort();
    let _ = server.await;
    let before = intruders.outcomes()[&Trick::NoGrant].clone();
    until(&intruders, &mut tally, |all| all[&Trick::NoGrant].unanswered > 0).await;
    let after = &intruders.outcomes()[&Trick::NoGrant];
    assert!(after.let_in <= before.let_in + 1 && after.refused.is_empty(), "{before:?}, {after:?}");
}

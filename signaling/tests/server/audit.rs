//! The audit chain over HTTP: read page by page, of one's own household only.

use latchkey_api::audit::{AuditHead, AuditKind, AuditRow, AuditRows};
use latchkey_api::problem::ProblemCode;
use latchkey_api::session::{OpenSession, SessionScope};
use reqwest::StatusCode;

use crate::running::Running;

#[tokio::test]
async fn a_long_chain_is_read_page_by_page_and_every_hash_fits() {
    let running = Running::with(|config| {
        config.device_burst = 10_000;
        config.address_burst = 10_000;
    })
    .await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let view = OpenSession { camera: home.camera.id, scope: SessionScope::View };
    for _ in 0..510 {
        assert_eq!(viewer.post("/v1/sessions", &view).await.status, StatusCode::CREATED);
    }
    let mut head = AuditHead::default();
    let mut rows: Vec<AuditRow> = Vec::new();
    let mut pages = 0;
    loop {
        let page: AuditRows = viewer.get(&format!("/v1/audit?after={}", head.seq)).await.ok(StatusCode::OK);
        head = head.follow(&home.id, &page.rows).unwrap();
        rows.extend(page.rows);
        pages += 1;
        if !page.more {
            break;
        }
    }
    assert_eq!((pages, rows.len(), head.seq), (2, 512, 512));
    let kinds: Vec<_> = rows.iter().map(|row| row.known_kind().unwrap()).collect();
    assert_eq!(kinds[..2], [AuditKind::HouseholdFounded, AuditKind::SignedIn]);
    assert!(kinds[2..].iter().all(|kind| *kind == AuditKind::ViewGranted));
    let end: AuditRows = viewer.get(&format!("/v1/audit?after={}", u64::MAX)).await.ok(StatusCode::OK);
    assert!(end.rows.is_empty() && !end.more);
    running.server.shutdown().await;
}

#[tokio::test]
async fn each_household_reads_its_own_chain() {
    let running = Running::start().await;
    let (home, stranger) = (running.home().await, running.home().await);
    let own: AuditRows =
        running.client.signed_in(&home, &home.guest).await.get("/v1/audit").await.ok(StatusCode::OK);
    let foreign: AuditRows =
        running.client.signed_in(&stranger, &stranger.guest).await.get("/v1/audit").await.ok(StatusCode::OK);
    assert_eq!(own.rows[1].actor, Some(home.guest.id));
    assert_eq!(foreign.rows[1].actor, Some(stranger.guest.id));
    assert!(AuditHead::default().follow(&home.id, &foreign.rows).is_err());
    running.client.get("/v1/audit").await.problem(ProblemCode::NotSignedIn);
    running.server.shutdown().await;
}

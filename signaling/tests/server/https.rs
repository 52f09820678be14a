//! HTTPS as a browser meets it: certificates from files and from the household CA, requests, a WebSocket, and the page that
//! helps devices trust.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use latchkey_api::probe::{Probe, SOCKET_GREETING};
use latchkey_api::session::{OpenSession, SessionOpened, SessionScope};
use latchkey_signaling::{Server, ServerConfig, Tls};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{Connector, connect_async_tls_with_config};

use crate::client::Client;
use crate::events::Socket;
use crate::process::run;
use crate::running::{LIVENESS, Running};

const NAME: &str = "cam.home.arpa";

/// A client that trusts this certificate alone, and finds `NAME` on this machine.
fn trusting(pem: &str, base: &str) -> Client {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(LIVENESS)
        .tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()])
        .resolve(NAME, SocketAddr::from(([127, 0, 0, 1], 0)))
        // Each request shakes hands anew: a changed certificate shows at once.
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    Client { http, base: base.to_owned(), token: None }
}

async fn reaches(client: &Client) -> bool {
    client
        .request(reqwest::Method::GET, "/livez")
        .send()
        .await
        .is_ok_and(|answer| answer.status() == StatusCode::OK)
}

/// Writes a certificate for `names` and its key; returns the certificate.
fn put_certificate(folder: &Path, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("cert.pem"), &pem).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    pem
}

#[tokio::test]
async fn a_given_certificate_is_served_and_taken_anew_when_it_changes() {
    let files = tempfile::tempdir().unwrap();
    let first = put_certificate(files.path(), &[NAME], |_| {});
    let running = Running::with(|config| {
        config.tls_cert = files.path().join("cert.pem");
        config.tls_key = files.path().join("key.pem");
    })
    .await;
    let base = running.server.urls().signaling.clone();
    assert!(base.starts_with(&format!("https://{NAME}:")), "{base}");
    let old = trusting(&first, &base);
    let answer = old.get("/livez").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["strict-transport-security"], "max-age=31536000");

    // A pair that does not fit is told, and changes nothing.
    std::fs::write(files.path().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(reaches(&old).await);

    let second = put_certificate(files.path(), &[NAME], |_| {});
    let new = trusting(&second, &base);
    let began = Instant::now();
    while !reaches(&new).await {
        assert!(began.elapsed() < LIVENESS, "the new certificate is taken");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("the changed certificate was taken after {} ms", began.elapsed().as_millis());
    // A new one: the client of before resumes its TLS session without a look at certificates.
    assert!(!reaches(&trusting(&first, &base)).await, "the old one is shown no more");
    running.server.shutdown().await;
}

#[test]
fn certificates_that_cannot_be_served_are_one_sentence_and_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key, data] = ["cert.pem", "key.pem", "data"].map(|name| folder.path().join(name));
    let [cert, key, data] = [&cert, &key, &data].map(|path| path.to_str().unwrap());
    let start = |more: &[&str]| {
        let always =
            ["--data-dir", data, "--listen", "127.0.0.1:0", "--media", "127.0.0.1:0", "--ops", "127.0.0.1:0"];
        let out = run(&[&always[..], more].concat());
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(2), "{more:?}: {said}");
        println!("{}", said.trim_end());
        said
    };
    let given = ["--tls-cert", cert, "--tls-key", key];
    assert!(start(&given).contains("cannot read"));
    put_certificate(folder.path(), &[NAME], |params| {
        params.not_after = time::OffsetDateTime::now_utc() - time::Duration::days(1);
    });
    assert!(start(&given).contains("expired on"));
    put_certificate(folder.path(), &[NAME], |_| {});
    let said = start(&[&given[..], &["--public-url", "https://cam.example.org"]].concat());
    assert!(said.contains(&format!("is for {NAME} and not for cam.example.org")), "{said}");
    std::fs::write(key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(start(&given).contains("is not the key of"));
    assert!(start(&["--tls-cert", cert]).contains("tls_key"));
    assert!(start(&["--tls", "local-ca", "--acme", "cam.example.org"]).contains("local-ca makes its own"));
    assert!(start(&["--acme", "https://cam.example.org"]).contains("write a domain name alone"));
    assert!(
        start(&["--tls", "local-ca", "--tls-names", "cam.example.org"])
            .contains("no name or address of a home")
    );
}

/// The CA as the install page gives it, after a look at the page.
async fn installed(server: &Server) -> String {
    let install = server.urls().install.clone().unwrap();
    let page = Client::new(&format!("http://{}", install.address));
    let front = page.get("/").await;
    let text = String::from_utf8(front.body.clone()).unwrap();
    assert_eq!(front.status, StatusCode::OK);
    assert!(front.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let shown: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    for part in 0..4 {
        let eight = &install.fingerprint[24 * part..24 * part + 23];
        assert!(shown.contains(eight), "the fingerprint is on the page");
    }
    let pem = String::from_utf8(page.get("/latchkey-ca.pem").await.body).unwrap();
    let der = page.get("/latchkey-ca.crt").await;
    assert_eq!(der.headers["content-type"], "application/x-x509-ca-cert");
    assert_eq!(
        CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().as_ref(),
        der.body,
        "one certificate, two forms"
    );
    let profile = page.get("/latchkey-ca.mobileconfig").await;
    assert_eq!(profile.headers["content-type"], "application/x-apple-aspen-config");
    assert_eq!(page.get("/ca.key").await.status, StatusCode::NOT_FOUND);
    pem
}

#[tokio::test]
async fn who_trusts_the_household_ca_works_over_https_and_nobody_else() {
    let running = Running::with(|config| config.tls = Tls::LocalCa).await;
    let base = running.server.urls().signaling.clone();
    assert!(base.starts_with("https://127.0.0.1:"), "{base}");
    let pem = installed(&running.server).await;
    let refused = Client::new(&base).request(reqwest::Method::GET, "/livez").send().await.unwrap_err();
    assert!(refused.is_connect(), "a client that does not trust the CA stays away: {refused}");

    let client = trusting(&pem, &base);
    let answer = client.get("/livez").await;
    assert!(answer.headers.get("strict-transport-security").is_none(), "a household CA may be taken back");
    let by_name = trusting(&pem, &base.replace("127.0.0.1", "localhost"));
    assert!(reaches(&by_name).await);

    // Everything that a device does: sign in under the name it dialled, a grant for a door by HTTPS.
    let plain = running.server.urls().signaling.replace("https://", "http://");
    let home = crate::home::Home::new();
    let registered = client.post("/v1/households", &home.registration()).await;
    assert_eq!(registered.status, StatusCode::CREATED);
    let camera = client.signed_in(&home, &home.camera).await;
    let wanted = OpenSession { camera: home.camera.id, scope: SessionScope::Publish };
    let opened: SessionOpened = camera.post("/v1/sessions", &wanted).await.ok(StatusCode::CREATED);
    let door = opened.relay.whip_url.unwrap();
    assert!(door.starts_with(&format!("{base}/whip/")), "{door}");

    // The same port takes plain HTTP from this machine alone, for which it is as good.
    let here = Client::new(&plain).signed_in(&home, &home.camera).await;
    let opened: SessionOpened = here.post("/v1/sessions", &wanted).await.ok(StatusCode::CREATED);
    assert!(opened.relay.whip_url.unwrap().starts_with(&format!("{plain}/whip/")));
    let mut socket = Socket::open(&here).await;
    running.server.shutdown().await;
    assert_eq!(socket.event().await, None);
}

#[tokio::test]
async fn a_websocket_and_a_probe_come_through() {
    let folder = tempfile::tempdir().unwrap();
    let config = ServerConfig { tls: Tls::LocalCa, ..ServerConfig::loopback(folder.path()) };
    let server = Server::start(config).await.unwrap();
    let base = server.urls().signaling.clone();
    let pem = installed(&server).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let url = base.replace("https://", "wss://") + "/v1/probes/socket";
    let connector = Some(Connector::Rustls(Arc::new(tls)));
    let (mut socket, _) = connect_async_tls_with_config(url, None, false, connector).await.unwrap();
    let said = socket.next().await.unwrap().unwrap();
    assert_eq!(said, Message::text(SOCKET_GREETING));

    let client = trusting(&pem, &base);
    let probe: Probe = client.post("/v1/probes", &()).await.ok(StatusCode::CREATED);
    assert_eq!(probe.addresses, [server.urls().media.to_string()]);
    assert_eq!(probe.seen_from, "127.0.0.1");
    let mut asked = 1;
    while client.post("/v1/probes", &()).await.status == StatusCode::CREATED {
        asked += 1;
        assert!(asked < 20, "probes are counted");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn from_elsewhere_plain_http_is_led_to_https() {
    let running = Running::with(|config| {
        config.tls = Tls::LocalCa;
        config.listen = SocketAddr::from(([0, 0, 0, 0], 0));
    })
    .await;
    let reach = &running.server.urls().reach;
    let Some(outer) = reach.iter().find(|reach| reach.url.starts_with("https://")) else {
        println!("plain HTTP from elsewhere: LEFT OUT, this machine is in no home network");
        return;
    };
    assert!(outer.devices.contains("once each has trusted the household CA at http://"), "{outer:?}");
    // A connection to an outer address comes from that address.
    let plain = outer.url.replace("https://", "http://");
    let http =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let answer = http.get(format!("{plain}/x?y=1")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(answer.headers()["location"], format!("{}/x?y=1", outer.url));
    let answer = http.get(&plain).bearer_auth("secret").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN, "what bears a token learns to say https");
    let answer = http.post(format!("{plain}/v1/auth/challenge")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    running.server.shutdown().await;
}

//! A certificate from a real ACME CA: Let's Encrypt's own test server, Pebble, with its DNS, both from Debian.
//!
//! Left out, saying so, where `pebble` and `pebble-challtestsrv` are not installed (Debian: pebble).

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use latchkey_signaling::{Server, ServerConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, StatusCode};

use crate::running::LIVENESS;

const DOMAIN: &str = "cam.latchkey.test";

/// A program that is ended when this is dropped.
struct Program(Child);

impl Program {
    /// `None`, saying so, when it is not installed.
    fn start(command: &mut Command) -> Option<Self> {
        match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                println!(
                    "acme: LEFT OUT, {:?} does not start ({error}): Debian has it in pebble",
                    command.get_program()
                );
                None
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The CA, which looks for proofs at one port of this machine.
struct Pebble {
    _dns: Program,
    _ca: Program,
    directory: String,
    management: String,
    root: PathBuf,
}

impl Pebble {
    fn start(folder: &Path, proofs_at: u16) -> Option<Self> {
        // Kept until whoever is told to listen there starts.
        let kept: [TcpListener; 5] = std::array::from_fn(|_| free_port());
        let [dns, dns_management, listen, management, http] = kept.each_ref().map(port_of);
        let at = |port: u16| format!("127.0.0.1:{port}");
        let [dns_port, dns_management_port, others @ ..] = kept;
        drop((dns_port, dns_management_port));
        let mut dns_program = Program::start(
            Command::new("pebble-challtestsrv")
                .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-dns01", &at(dns)])
                .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", &at(dns_management)]),
        )?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let [root, cert, key_path, config] =
            ["root.pem", "pebble.pem", "pebble.key", "pebble.json"].map(|name| folder.join(name));
        std::fs::write(&root, issuer.pem()).unwrap();
        std::fs::write(&cert, own.pem()).unwrap();
        std::fs::write(&key_path, key.serialize_pem()).unwrap();
        let settings = serde_json::json!({ "pebble": {
            "listenAddress": at(listen), "managementListenAddress": at(management),
            "certificate": cert, "privateKey": key_path, "httpPort": http, "tlsPort": proofs_at,
            "ocspResponderURL": "", "externalAccountBindingRequired": false,
        }});
        std::fs::write(&config, settings.to_string()).unwrap();
        drop(others);
        let mut ca = Program::start(
            Command::new("pebble")
                .args(["-strict", "-dnsserver", &at(dns), "-config"])
                .arg(&config)
                .env("PEBBLE_VA_NOSLEEP", "1"),
        )?;
        let began = Instant::now();
        for port in [dns, listen, management] {
            while std::net::TcpStream::connect(at(port)).is_err() {
                let ended = [&mut dns_program, &mut ca].map(|program| program.0.try_wait().unwrap());
                assert_eq!(ended, [None; 2], "pebble and its DNS run on");
                assert!(began.elapsed() < LIVENESS, "pebble and its DNS get ready");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let directory = format!("https://{}/dir", at(listen));
        Some(Self {
            _dns: dns_program,
            _ca: ca,
            directory,
            management: format!("https://{}", at(management)),
            root,
        })
    }

    /// The root of the certificates that it issues.
    async fn issuing_root(&self) -> Certificate {
        let own = Certificate::from_pem(&std::fs::read(&self.root).unwrap()).unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([own]).build().unwrap();
        let pem =
            http.get(format!("{}/roots/0", self.management)).send().await.unwrap().bytes().await.unwrap();
        Certificate::from_pem(&pem).unwrap()
    }
}

/// A port that is nobody else's while this is kept, nor for long after it: programs that cannot be told to take any port
/// get one below those that the kernel gives to whoever asks for port 0, as all tests beside this one do.
fn free_port() -> TcpListener {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 12_000 + u16::try_from(std::process::id() % 15_000).unwrap();
    let free = |_| TcpListener::bind(("127.0.0.1", first + NEXT.fetch_add(1, Ordering::Relaxed))).ok();
    (0..1_000).find_map(free).expect("one of a thousand ports is free")
}

fn port_of(kept: &TcpListener) -> u16 {
    kept.local_addr().unwrap().port()
}

fn config(folder: &Path, pebble: &Pebble, port: u16) -> ServerConfig {
    ServerConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        acme: vec![DOMAIN.to_owned()],
        acme_email: "ada@latchkey.test".to_owned(),
        acme_directory: pebble.directory.clone(),
        acme_ca: pebble.root.clone(),
        ..ServerConfig::loopback(folder.join("data"))
    }
}

/// Waits until who trusts the CA reaches the server under its domain.
async fn reached(root: &Certificate, port: u16) -> Duration {
    let began = Instant::now();
    loop {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(LIVENESS)
            .tls_certs_only([root.clone()])
            .resolve(DOMAIN, SocketAddr::from(([127, 0, 0, 1], port)))
            .build()
            .unwrap();
        let answer = http.get(format!("https://{DOMAIN}:{port}/livez")).send().await;
        match answer {
            Ok(answer) => {
                assert_eq!(answer.status(), StatusCode::OK);
                assert!(answer.headers().contains_key("strict-transport-security"));
                return began.elapsed();
            }
            Err(error) => assert!(began.elapsed() < 2 * LIVENESS, "a certificate comes: {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The files that were kept, each for this user alone.
fn kept(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all: Vec<_> = std::fs::read_dir(folder.join("data/acme"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn a_ca_proves_the_domain_over_the_same_port_and_what_it_gave_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let kept_port = free_port();
    let port = port_of(&kept_port);
    let Some(pebble) = Pebble::start(folder.path(), port) else { return };
    drop(kept_port);
    let server = Server::start(config(folder.path(), &pebble, port)).await.unwrap();
    assert_eq!(server.urls().signaling, format!("https://{DOMAIN}"));
    assert!(server.urls().reach[0].devices.starts_with("every device"));
    let root = pebble.issuing_root().await;
    println!("the certificate came after {} ms", reached(&root, port).await.as_millis());
    server.shutdown().await;
    let first = kept(folder.path());
    assert_eq!(first.len(), 2, "account and certificate");

    // The CA is gone; the certificate is not.
    let config = config(folder.path(), &pebble, port);
    drop(pebble);
    let server = Server::start(config).await.unwrap();
    reached(&root, port).await;
    server.shutdown().await;
    assert!(kept(folder.path()) == first, "nothing was asked for again");
}

#[tokio::test]
async fn a_domain_that_leads_elsewhere_is_told_in_one_line_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (nobody, kept_port) = (port_of(&free_port()), free_port());
    let port = port_of(&kept_port);
    let Some(pebble) = Pebble::start(folder.path(), nobody) else { return };
    drop(kept_port);
    let told = std::thread::spawn({
        let (data, directory, root) =
            (folder.path().join("data"), pebble.directory.clone(), pebble.root.clone());
        move || failure_of(&data, &directory, &root, port)
    });
    let told = tokio::task::spawn_blocking(|| told.join().unwrap()).await.unwrap();
    println!("{told}");
    assert!(told.contains(&format!("the CA could not check {DOMAIN}")), "{told}");
    assert!(told.contains("the CA dials port 443 of the domain and must find this server there"), "{told}");
    assert!(told.contains("asking again in 1 minutes"), "{told}");
}

/// Runs a server until its log says why there is no certificate.
fn failure_of(data: &Path, directory: &str, root: &Path, port: u16) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_latchkey-server"))
        .args(["--listen", &format!("127.0.0.1:{port}"), "--media", "127.0.0.1:0", "--ops", "127.0.0.1:0"])
        .args(["--acme", DOMAIN, "--acme-directory", directory, "--data-dir"])
        .arg(data)
        .arg("--acme-ca")
        .arg(root)
        .env("LATCHKEY_SERVER_LOG", "warn")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let _ended_in_any_case = Program(child);
    lines.into_iter().find(|line| line.contains("no certificate")).unwrap()
}

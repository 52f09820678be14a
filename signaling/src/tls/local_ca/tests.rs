//! Whether clients that trust the CA connect, and nobody else, and for nothing else.
#![allow(clippy::unwrap_used)]

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};

use super::*;
use crate::tls::certificate::provider;

fn names(dns: &[&str], addresses: &[&str]) -> Names {
    Names {
        dns: dns.iter().map(ToString::to_string).collect(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    }
}

/// As a client that trusts `root` alone judges it.
fn judge(root: &CertificateDer<'static>, shown: &CertifiedKey, host: &str) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(provider())).build().unwrap();
    let host = ServerName::try_from(host.to_owned()).unwrap();
    verifier.verify_server_cert(&shown.cert[0], &shown.cert[1..], &host, &[], UnixTime::now()).map(drop)
}

fn new_ca() -> (tempfile::TempDir, LocalCa) {
    let folder = tempfile::tempdir().unwrap();
    let ca = LocalCa::load_or_make(folder.path(), &[], SystemTime::now()).unwrap();
    (folder, ca)
}

#[test]
fn made_once_and_read_again() {
    let (folder, first) = new_ca();
    let again = LocalCa::load_or_make(folder.path(), &[], SystemTime::now()).unwrap();
    assert_eq!(first.certificate, again.certificate);
    let (shown, _) = again.issue(&names(&["localhost"], &[]), SystemTime::now()).unwrap();
    judge(&first.certificate, &shown, "localhost").unwrap();
    assert_eq!(first.certificate().fingerprint().len(), 95);
}

#[test]
fn a_folder_with_half_a_ca_is_refused() {
    let (folder, _) = new_ca();
    let path = folder.path().join(FOLDER);
    let (_other_folder, _) = new_ca();
    fs::rename(path.join("ca.key"), path.join("kept")).unwrap();
    let refused = LocalCa::load_or_make(folder.path(), &[], SystemTime::now());
    assert!(matches!(refused.err().unwrap(), LocalCaError::Malformed { .. }));
    private_file::write(&path.join("ca.key"), &KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let refused = LocalCa::load_or_make(folder.path(), &[], SystemTime::now());
    assert!(matches!(refused.err().unwrap(), LocalCaError::Malformed { .. }), "a key of another CA");
    fs::remove_file(path.join("ca.crt")).unwrap();
    assert!(LocalCa::load_or_make(folder.path(), &[], SystemTime::now()).is_err());
}

#[test]
fn only_who_trusts_this_ca_takes_its_certificates() {
    let ((_folder, ca), (_elsewhere, stranger)) = (new_ca(), new_ca());
    let (shown, facts) =
        ca.issue(&names(&["nas.local"], &["192.168.1.5", "fd00::5"]), SystemTime::now()).unwrap();
    for host in ["nas.local", "192.168.1.5", "fd00::5"] {
        judge(&ca.certificate, &shown, host).unwrap();
        assert!(judge(&stranger.certificate, &shown, host).is_err());
    }
    assert!(judge(&ca.certificate, &shown, "192.168.1.6").is_err());
    assert_eq!(facts.left(SystemTime::now()).as_secs().div_ceil(DAY), 30);
}

#[test]
fn for_names_outside_of_homes_it_is_not_believed() {
    let (_folder, ca) = new_ca();
    for (dns, address, host) in
        [("bank.example.com", "192.168.1.5", "bank.example.com"), ("nas.local", "203.0.113.7", "203.0.113.7")]
    {
        let (shown, _) = ca.issue(&names(&[dns], &[address]), SystemTime::now()).unwrap();
        let judged = judge(&ca.certificate, &shown, host).unwrap_err();
        assert!(matches!(judged, Error::InvalidCertificate(CertificateError::Other(_))), "{judged:?}");
    }
    let public = ["cam.example.org".to_owned()];
    let folder = tempfile::tempdir().unwrap();
    let refused = LocalCa::load_or_make(folder.path(), &public, SystemTime::now()).err().unwrap();
    assert!(matches!(refused, LocalCaError::NotOfAHome(_)));
}

#[test]
fn a_new_address_or_a_near_end_brings_a_new_certificate() {
    let (_folder, ca) = new_ca();
    let root = ca.certificate.clone();
    let certificates = Arc::new(Certificates::default());
    let mut keeper = Keeper::start(ca, Arc::clone(&certificates), SystemTime::now()).unwrap();
    let shown = || certificates.now().unwrap();
    let (first, names_now) = (shown(), keeper.names.clone());
    keeper.look(names_now.clone(), SystemTime::now());
    assert_eq!(shown().cert[0], first.cert[0], "nothing changed");

    let mut moved = names_now;
    moved.addresses.insert("192.168.77.5".parse().unwrap());
    assert!(judge(&root, &first, "192.168.77.5").is_err());
    keeper.look(moved.clone(), SystemTime::now());
    judge(&root, &shown(), "192.168.77.5").unwrap();

    let second = shown();
    keeper.look(moved.clone(), SystemTime::now() + LEAF_LIFE - RENEW_BEFORE - Duration::from_secs(DAY));
    assert_eq!(shown().cert[0], second.cert[0], "there is time");
    keeper.look(moved, SystemTime::now() + LEAF_LIFE - RENEW_BEFORE + Duration::from_secs(DAY));
    assert_ne!(shown().cert[0], second.cert[0]);
}

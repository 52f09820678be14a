//! A certificate from a public CA by ACME (RFC 8555): asked for, proven over the same port (RFC 8737), kept and renewed.

mod failure;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder,
    Order, OrderStatus, RetryPolicy,
};
use latchkey_relay::port::stopped;
use rcgen::{CertificateParams, CustomExtension, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::tls::acme::failure::AcmeFailure;
use crate::tls::certificate::{Certificates, Facts, certified, day, is_for, provider};
use crate::tls::private_file::{self, PrivateFileError};

/// What to ask for, and of whom.
#[derive(Clone, Debug)]
pub(super) struct Acme {
    pub(super) domains: Vec<String>,
    pub(super) email: String,
    pub(super) directory: String,
    /// PEM file that the CA's own HTTPS is checked by.
    pub(super) root: Option<PathBuf>,
    /// Where account and certificate are kept.
    pub(super) folder: PathBuf,
}

impl Acme {
    /// The certificate kept from before, when it is one for these domains and still good.
    pub(super) fn kept(&self, now: SystemTime) -> Result<Option<(CertifiedKey, Facts)>, PrivateFileError> {
        let Some(pem) = private_file::read(&self.certificate_path())? else { return Ok(None) };
        Ok(read(&pem).filter(|(certified, facts)| {
            let leaf = certified.cert.first();
            !facts.left(now).is_zero()
                && self.domains.iter().all(|domain| leaf.is_some_and(|leaf| is_for(leaf, domain)))
        }))
    }

    /// Asks for a certificate when there is none, and again when a third of its life is left; until `stop`.
    pub(super) async fn follow(
        self,
        certificates: Arc<Certificates>,
        mut facts: Option<Facts>,
        stop: watch::Receiver<bool>,
    ) {
        let until = stopped(stop);
        tokio::pin!(until);
        let mut pause = FIRST_PAUSE;
        loop {
            let wait = facts.as_ref().map_or(Duration::ZERO, |facts| until_renewal(facts, SystemTime::now()));
            if !wait.is_zero() {
                tokio::select! { () = &mut until => return, () = sleep(wait.min(LONGEST_WAIT)) => continue }
            }
            let asked =
                tokio::select! { () = &mut until => return, asked = self.ask(&certificates) => asked };
            certificates.hide_proofs();
            match asked {
                Ok((certified, new)) => {
                    tracing::info!(names = %new.names(), until = %day(new.not_after), "got a certificate");
                    certificates.replace(certified);
                    (facts, pause) = (Some(new), FIRST_PAUSE);
                }
                Err(failure) => {
                    let again = pause.max(failure.rest());
                    tracing::error!(
                        "no certificate: {failure}; asking again in {} minutes",
                        again.as_secs().div_ceil(60)
                    );
                    tokio::select! { () = &mut until => return, () = sleep(again) => {} }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    async fn ask(&self, certificates: &Certificates) -> Result<(CertifiedKey, Facts), AcmeFailure> {
        let account = self.account().await?;
        let names: Vec<Identifier> = self.domains.iter().cloned().map(Identifier::Dns).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        tracing::info!(domains = ?self.domains, "asking the CA for a certificate");
        prove(&mut order, certificates).await?;
        match order.poll_ready(&PATIENCE).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) => return Err(refused(&mut order).await.unwrap_or(AcmeFailure::Silent)),
            Err(error) => return Err(refused(&mut order).await.unwrap_or(error.into())),
        }
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let request = CertificateParams::new(self.domains.clone())?.serialize_request(&key)?;
        order.finalize_csr(request.der()).await?;
        let chain = order.poll_certificate(&PATIENCE).await?;
        let pem = Zeroizing::new(format!("{chain}{}", *Zeroizing::new(key.serialize_pem())));
        let got = read(&pem).ok_or(AcmeFailure::Unusable)?;
        private_file::write(&self.certificate_path(), &pem)?;
        Ok(got)
    }

    /// The account kept from before, or a new one.
    async fn account(&self) -> Result<Account, AcmeFailure> {
        let builder = match &self.root {
            Some(root) => Account::builder_with_root(root),
            None => Account::builder(),
        }?;
        let path = self.account_path();
        if let Some(kept) = private_file::read(&path)? {
            let credentials: AccountCredentials =
                serde_json::from_str(&kept).map_err(|_| AcmeFailure::Account(path))?;
            return Ok(builder.from_credentials(credentials).await?);
        }
        let contact = format!("mailto:{}", self.email);
        let contact: &[&str] = if self.email.is_empty() { &[] } else { &[&contact] };
        let wanted = NewAccount { contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder.create(&wanted, self.directory.clone(), None).await?;
        let text = Zeroizing::new(serde_json::to_string(&credentials).map_err(|_| AcmeFailure::Unusable)?);
        private_file::write(&path, &text)?;
        Ok(account)
    }

    /// One file for each CA: accounts are of one CA.
    fn account_path(&self) -> PathBuf {
        self.path_for("account", &self.directory, "json")
    }

    fn certificate_path(&self) -> PathBuf {
        self.path_for("certificate", &format!("{} {}", self.directory, self.domains.join(" ")), "pem")
    }

    fn path_for(&self, what: &str, of: &str, ending: &str) -> PathBuf {
        let digest = Sha256::digest(of.as_bytes());
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Path::new(&self.folder).join(FOLDER).join(format!("{what}-{short}.{ending}"))
    }
}

/// Shows for each domain that it is ours, and tells the CA to look.
async fn prove(order: &mut Order, certificates: &Certificates) -> Result<(), AcmeFailure> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge =
            authorization.challenge(ChallengeType::TlsAlpn01).ok_or(AcmeFailure::NoTlsAlpn)?;
        let domain = challenge.identifier().to_string();
        let proof = proof(&domain, challenge.key_authorization().digest().as_ref())?;
        certificates.show_proof(&domain, proof);
        challenge.set_ready().await.map_err(|error| match error {
            // The CA was so quick that it says at once what it found.
            Error::Api(problem) => AcmeFailure::Refused { domain, problem: Box::new(problem) },
            other => other.into(),
        })?;
    }
    Ok(())
}

/// The self-signed certificate of RFC 8737 section 3.
fn proof(domain: &str, digest: &[u8]) -> Result<CertifiedKey, AcmeFailure> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new([domain.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key)?.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    // No look whether they are a pair: the library refuses to read a certificate with this extension, which is critical.
    let key = provider().key_provider.load_private_key(key).map_err(|_| AcmeFailure::Unusable)?;
    Ok(CertifiedKey::new(vec![certificate], key))
}

/// Why the CA did not believe a proof, where it says so.
async fn refused(order: &mut Order) -> Option<AcmeFailure> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let domain = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else { continue };
        if let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.clone()) {
            return Some(AcmeFailure::Refused { domain, problem: Box::new(problem) });
        }
    }
    None
}

/// A chain and its key out of one text.
fn read(pem: &str) -> Option<(CertifiedKey, Facts)> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
    let facts = Facts::of(chain.first()?)?;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    Some((certified(chain, key).ok()?, facts))
}

/// How long until a third of the certificate's life is left.
fn until_renewal(facts: &Facts, now: SystemTime) -> Duration {
    let life = facts.not_after.duration_since(facts.not_before).unwrap_or_default();
    facts.left(now).saturating_sub(life / 3)
}

const FOLDER: &str = "acme";
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));
/// A public CA takes five failed proofs an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Clocks are set and machines sleep: a long wait is cut into days.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn acme(folder: &Path) -> Acme {
        Acme {
            domains: vec!["cam.example.org".to_owned()],
            email: String::new(),
            directory: "https://ca.example/dir".to_owned(),
            root: None,
            folder: folder.to_owned(),
        }
    }

    fn keep(acme: &Acme, domain: &str, days: i64) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([domain.to_owned()]).unwrap();
        let now = time::OffsetDateTime::now_utc();
        params.not_before = now - time::Duration::days(60);
        params.not_after = now + time::Duration::days(days);
        let pem = params.self_signed(&key).unwrap().pem() + &key.serialize_pem();
        private_file::write(&acme.certificate_path(), &pem).unwrap();
    }

    #[test]
    fn a_kept_certificate_is_used_while_it_fits() {
        let folder = tempfile::tempdir().unwrap();
        let acme = acme(folder.path());
        let now = SystemTime::now();
        assert!(acme.kept(now).unwrap().is_none());
        keep(&acme, "cam.example.org", 30);
        let (_, facts) = acme.kept(now).unwrap().unwrap();
        assert!(until_renewal(&facts, now).is_zero(), "a third of 90 days is left");
        keep(&acme, "cam.example.org", 60);
        let (_, facts) = acme.kept(now).unwrap().unwrap();
        assert_eq!(until_renewal(&facts, now).as_secs() / (24 * 3600), 19);
        keep(&acme, "cam.example.org", -1);
        assert!(acme.kept(now).unwrap().is_none(), "expired");
        keep(&acme, "door.example.org", 60);
        assert!(acme.kept(now).unwrap().is_none(), "of another name");
    }

    #[test]
    fn each_ca_has_its_account() {
        let one = acme(Path::new("/x"));
        let other = Acme { directory: "https://other.example/dir".to_owned(), ..one.clone() };
        assert_ne!(one.account_path(), other.account_path());
    }
}

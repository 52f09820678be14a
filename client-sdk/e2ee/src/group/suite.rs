//! The one cipher suite of our groups for the MLS library, MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, and no other.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes128Gcm, KeyInit as _, Nonce};
use ed25519_dalek::{Signer as _, SigningKey, Verifier as _, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use mls_rs_core::crypto::{
    CipherSuite, CipherSuiteProvider, CryptoProvider, HpkeCiphertext, HpkePsk, HpkePublicKey, HpkeSecretKey,
    SignaturePublicKey, SignatureSecretKey,
};
use mls_rs_core::error::IntoAnyError;
use mls_rs_crypto_hpke::context::{ContextR, ContextS};
use mls_rs_crypto_hpke::dhkem::DhKem;
use mls_rs_crypto_hpke::hpke::{Hpke, HpkeError};
use mls_rs_crypto_traits::{AES_TAG_LEN, AeadId, AeadType, DhType, KdfId, KdfType, KemId, SamplingMethod};
use sha2::{Digest as _, Sha256};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 (RFC 9420 section 17.1).
pub(super) const SUITE: CipherSuite = CipherSuite::CURVE25519_AES128;

/// Offers [`SUITE`] to the library.
#[derive(Clone, Debug)]
pub(super) struct OneSuite;

/// What the library computes with.
#[derive(Clone)]
pub(super) struct Suite {
    hpke: Hpke<DhKem<X25519, HkdfSha256>, HkdfSha256, Aes128>,
}

/// Why the suite did not compute.
#[derive(Debug, thiserror::Error)]
pub(super) enum SuiteError {
    #[error("a key, nonce or signature of the MLS group has the wrong length")]
    Length,
    #[error("a public key of the MLS group is none")]
    PublicKey,
    #[error("a message of the MLS group does not open")]
    Aead,
    #[error("an empty message is not sealed")]
    Empty,
    #[error("a signature in the MLS group is not its sender's")]
    Signature,
    #[error("this system gives no random numbers")]
    Random,
    #[error(transparent)]
    Hpke(HpkeError),
}

impl IntoAnyError for SuiteError {
    fn into_dyn_error(self) -> Result<Box<dyn std::error::Error + Send + Sync>, Self> {
        Ok(self.into())
    }
}

impl From<HpkeError> for SuiteError {
    fn from(error: HpkeError) -> Self {
        Self::Hpke(error)
    }
}

impl CryptoProvider for OneSuite {
    type CipherSuiteProvider = Suite;

    fn supported_cipher_suites(&self) -> Vec<CipherSuite> {
        vec![SUITE]
    }

    fn cipher_suite_provider(&self, suite: CipherSuite) -> Option<Suite> {
        (suite == SUITE).then(Suite::new)
    }
}

impl Suite {
    pub(super) fn new() -> Self {
        let id = KemId::DhKemX25519Sha256;
        let kem = DhKem::new(X25519, HkdfSha256, id as u16, id.n_secret());
        Self { hpke: Hpke::new(kem, HkdfSha256, Some(Aes128)) }
    }
}

impl CipherSuiteProvider for Suite {
    type Error = SuiteError;
    type HpkeContextS = ContextS<HkdfSha256, Aes128>;
    type HpkeContextR = ContextR<HkdfSha256, Aes128>;

    fn cipher_suite(&self) -> CipherSuite {
        SUITE
    }

    fn hash(&self, data: &[u8]) -> Result<Vec<u8>, SuiteError> {
        Ok(Sha256::digest(data).to_vec())
    }

    fn mac(&self, key: &[u8], data: &[u8]) -> Result<Vec<u8>, SuiteError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| SuiteError::Length)?;
        mac.update(data);
        Ok(mac.finalize().into_bytes().to_vec())
    }

    fn aead_seal(
        &self,
        key: &[u8],
        data: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, SuiteError> {
        Aes128.seal(key, data, aad, nonce)
    }

    fn aead_open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        Aes128.open(key, ciphertext, aad, nonce).map(Zeroizing::new)
    }

    fn aead_key_size(&self) -> usize {
        AeadType::key_size(&Aes128)
    }

    fn aead_nonce_size(&self) -> usize {
        AeadType::nonce_size(&Aes128)
    }

    fn kdf_extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        HkdfSha256.extract(salt, ikm).map(Zeroizing::new)
    }

    fn kdf_expand(&self, prk: &[u8], info: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        HkdfSha256.expand(prk, info, len).map(Zeroizing::new)
    }

    fn kdf_extract_size(&self) -> usize {
        HkdfSha256.extract_size()
    }

    fn hpke_seal(
        &self,
        remote: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        data: &[u8],
    ) -> Result<HpkeCiphertext, SuiteError> {
        Ok(self.hpke.seal(remote, info, None, aad, data)?)
    }

    fn hpke_seal_psk(
        &self,
        remote: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        data: &[u8],
        psk: HpkePsk<'_>,
    ) -> Result<HpkeCiphertext, SuiteError> {
        Ok(self.hpke.seal(remote, info, Some(psk), aad, data)?)
    }

    fn hpke_open(
        &self,
        ciphertext: &HpkeCiphertext,
        secret: &HpkeSecretKey,
        public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        Ok(self.hpke.open(ciphertext, secret, public, info, None, aad)?)
    }

    fn hpke_open_psk(
        &self,
        ciphertext: &HpkeCiphertext,
        secret: &HpkeSecretKey,
        public: &HpkePublicKey,
        info: &[u8],
        aad: Option<&[u8]>,
        psk: HpkePsk<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, SuiteError> {
        Ok(self.hpke.open(ciphertext, secret, public, info, Some(psk), aad)?)
    }

    fn hpke_setup_s(
        &self,
        remote: &HpkePublicKey,
        info: &[u8],
    ) -> Result<(Vec<u8>, Self::HpkeContextS), SuiteError> {
        Ok(self.hpke.setup_sender(remote, info, None)?)
    }

    fn hpke_setup_r(
        &self,
        enc: &[u8],
        secret: &HpkeSecretKey,
        public: &HpkePublicKey,
        info: &[u8],
    ) -> Result<Self::HpkeContextR, SuiteError> {
        Ok(self.hpke.setup_receiver(enc, secret, public, info, None)?)
    }

    fn kem_derive(&self, ikm: &[u8]) -> Result<(HpkeSecretKey, HpkePublicKey), SuiteError> {
        Ok(self.hpke.derive(ikm)?)
    }

    fn kem_generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), SuiteError> {
        Ok(self.hpke.generate()?)
    }

    fn kem_public_key_validate(&self, key: &HpkePublicKey) -> Result<(), SuiteError> {
        Ok(self.hpke.public_key_validate(key)?)
    }

    fn random_bytes(&self, out: &mut [u8]) -> Result<(), SuiteError> {
        random(out)
    }

    fn signature_key_generate(&self) -> Result<(SignatureSecretKey, SignaturePublicKey), SuiteError> {
        let mut seed = Zeroizing::new([0; 32]);
        random(seed.as_mut_slice())?;
        let key = SigningKey::from_bytes(&seed);
        let public = key.verifying_key().to_bytes().to_vec();
        Ok((key.to_keypair_bytes().to_vec().into(), public.into()))
    }

    fn signature_key_derive_public(
        &self,
        secret: &SignatureSecretKey,
    ) -> Result<SignaturePublicKey, SuiteError> {
        Ok(signing_key(secret)?.verifying_key().to_bytes().to_vec().into())
    }

    fn sign(&self, secret: &SignatureSecretKey, data: &[u8]) -> Result<Vec<u8>, SuiteError> {
        Ok(signing_key(secret)?.sign(data).to_bytes().to_vec())
    }

    fn verify(&self, public: &SignaturePublicKey, signature: &[u8], data: &[u8]) -> Result<(), SuiteError> {
        let public = public.as_bytes().try_into().map_err(|_| SuiteError::Length)?;
        let public = VerifyingKey::from_bytes(public).map_err(|_| SuiteError::PublicKey)?;
        let signature = signature.try_into().map_err(|_| SuiteError::Length)?;
        public.verify(data, &signature).map_err(|_| SuiteError::Signature)
    }
}

/// X25519 (RFC 7748) as the group of DHKEM(X25519, HKDF-SHA256).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct X25519;

impl DhType for X25519 {
    type Error = SuiteError;

    fn dh(&self, secret: &HpkeSecretKey, public: &HpkePublicKey) -> Result<Vec<u8>, SuiteError> {
        let shared = self::secret(secret)?.diffie_hellman(&self::public(public)?);
        // RFC 9180 section 7.1.4: an all-zero outcome is refused.
        if !shared.was_contributory() {
            return Err(SuiteError::PublicKey);
        }
        Ok(shared.to_bytes().to_vec())
    }

    fn generate(&self) -> Result<(HpkeSecretKey, HpkePublicKey), SuiteError> {
        let mut secret = Zeroizing::new([0; 32]);
        random(secret.as_mut_slice())?;
        let public = PublicKey::from(&StaticSecret::from(*secret)).to_bytes().to_vec();
        Ok((secret.to_vec().into(), public.into()))
    }

    fn to_public(&self, secret: &HpkeSecretKey) -> Result<HpkePublicKey, SuiteError> {
        Ok(PublicKey::from(&self::secret(secret)?).to_bytes().to_vec().into())
    }

    fn bitmask_for_rejection_sampling(&self) -> SamplingMethod {
        SamplingMethod::HpkeWithoutBitmask
    }

    fn secret_key_size(&self) -> usize {
        32
    }

    fn public_key_size(&self) -> usize {
        32
    }

    fn public_key_validate(&self, key: &HpkePublicKey) -> Result<(), SuiteError> {
        public(key).map(drop)
    }
}

/// HKDF-SHA256 (RFC 5869).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HkdfSha256;

impl KdfType for HkdfSha256 {
    type Error = SuiteError;

    fn kdf_id(&self) -> u16 {
        KdfId::HkdfSha256 as u16
    }

    fn expand(&self, prk: &[u8], info: &[u8], len: usize) -> Result<Vec<u8>, SuiteError> {
        let mut out = vec![0; len];
        let prk = Hkdf::<Sha256>::from_prk(prk).map_err(|_| SuiteError::Length)?;
        prk.expand(info, &mut out).map_err(|_| SuiteError::Length)?;
        Ok(out)
    }

    fn extract(&self, salt: &[u8], ikm: &[u8]) -> Result<Vec<u8>, SuiteError> {
        if ikm.is_empty() {
            return Err(SuiteError::Length);
        }
        Ok(Hkdf::<Sha256>::extract(Some(salt), ikm).0.to_vec())
    }

    fn extract_size(&self) -> usize {
        KdfId::HkdfSha256.extract_size()
    }
}

/// AES-128-GCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aes128;

impl AeadType for Aes128 {
    type Error = SuiteError;

    fn aead_id(&self) -> u16 {
        AeadId::Aes128Gcm as u16
    }

    fn seal(&self, key: &[u8], data: &[u8], aad: Option<&[u8]>, nonce: &[u8]) -> Result<Vec<u8>, SuiteError> {
        if data.is_empty() {
            return Err(SuiteError::Empty);
        }
        let (key, nonce) = prepared(key, nonce)?;
        let payload = Payload { msg: data, aad: aad.unwrap_or_default() };
        key.encrypt(&nonce, payload).map_err(|_| SuiteError::Aead)
    }

    fn open(
        &self,
        key: &[u8],
        ciphertext: &[u8],
        aad: Option<&[u8]>,
        nonce: &[u8],
    ) -> Result<Vec<u8>, SuiteError> {
        if ciphertext.len() <= AES_TAG_LEN {
            return Err(SuiteError::Length);
        }
        let (key, nonce) = prepared(key, nonce)?;
        let payload = Payload { msg: ciphertext, aad: aad.unwrap_or_default() };
        key.decrypt(&nonce, payload).map_err(|_| SuiteError::Aead)
    }

    fn key_size(&self) -> usize {
        AeadId::Aes128Gcm.key_size()
    }

    fn nonce_size(&self) -> usize {
        AeadId::Aes128Gcm.nonce_size()
    }
}

fn prepared(key: &[u8], nonce: &[u8]) -> Result<(Aes128Gcm, Nonce<aes_gcm::aead::consts::U12>), SuiteError> {
    let key = Aes128Gcm::new_from_slice(key).map_err(|_| SuiteError::Length)?;
    let nonce: [u8; 12] = nonce.try_into().map_err(|_| SuiteError::Length)?;
    Ok((key, nonce.into()))
}

fn secret(bytes: &[u8]) -> Result<StaticSecret, SuiteError> {
    let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(bytes.try_into().map_err(|_| SuiteError::Length)?);
    Ok(StaticSecret::from(*bytes))
}

fn public(bytes: &[u8]) -> Result<PublicKey, SuiteError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| SuiteError::Length)?;
    Ok(PublicKey::from(bytes))
}

fn signing_key(secret: &SignatureSecretKey) -> Result<SigningKey, SuiteError> {
    let pair = secret.as_bytes().try_into().map_err(|_| SuiteError::Length)?;
    SigningKey::from_keypair_bytes(pair).map_err(|_| SuiteError::PublicKey)
}

fn random(out: &mut [u8]) -> Result<(), SuiteError> {
    getrandom::fill(out).map_err(|_| SuiteError::Random)
}

#[cfg(test)]
mod tests;

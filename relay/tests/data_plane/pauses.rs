//! PAUSE and RESUME as they come out of the publisher's SRTP: str0m does not know them and would step over them unseen.

use std::cell::RefCell;
use std::sync::{Arc, LazyLock};

use str0m::crypto::{
    AeadAes128GcmCipher, CryptoError, CryptoProvider, SrtpProvider, SupportedAeadAes128Gcm,
    SupportedAeadAes256Gcm, SupportedAes128CmSha1_80, from_feature_flags,
};

/// A request that a publisher of this thread was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Pause { ssrc: u32, id: u16 },
    Resume { ssrc: u32, id: u16 },
}

/// All of them since the last call, in order.
pub(crate) fn take() -> Vec<Request> {
    SEEN.take()
}

/// str0m's own cryptography, with an eye on what it opens.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { srtp_provider: &Watched, ..OWN.clone() })
}

thread_local! {
    static SEEN: RefCell<Vec<Request>> = const { RefCell::new(Vec::new()) };
}

static OWN: LazyLock<CryptoProvider> = LazyLock::new(from_feature_flags);

#[derive(Debug)]
struct Watched;

impl SrtpProvider for Watched {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        OWN.srtp_provider.aes_128_cm_sha1_80()
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        &Watched
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        OWN.srtp_provider.aead_aes_256_gcm()
    }

    fn srtp_aes_128_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        OWN.srtp_provider.srtp_aes_128_ecb_round(key, input, output);
    }

    fn srtp_aes_256_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        OWN.srtp_provider.srtp_aes_256_ecb_round(key, input, output);
    }
}

impl SupportedAeadAes128Gcm for Watched {
    fn create_cipher(&self, key: [u8; 16], encrypt: bool) -> Box<dyn AeadAes128GcmCipher> {
        Box::new(WatchedCipher(OWN.srtp_provider.aead_aes_128_gcm().create_cipher(key, encrypt)))
    }
}

#[derive(Debug)]
struct WatchedCipher(Box<dyn AeadAes128GcmCipher>);

impl AeadAes128GcmCipher for WatchedCipher {
    fn encrypt(
        &mut self,
        iv: &[u8; 12],
        aad: &[u8],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.0.encrypt(iv, aad, input, output)
    }

    fn decrypt(
        &mut self,
        iv: &[u8; 12],
        aads: &[&[u8]],
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, CryptoError> {
        let len = self.0.decrypt(iv, aads, input, output)?;
        // Only of RTCP: what is authenticated beside the ciphertext is there the empty receiver report's header and SSRC.
        let is_report = aads.first().is_some_and(|header| header.get(1) == Some(&RECEIVER_REPORT));
        if let Some(request) = is_report.then(|| read(&output[..len])).flatten() {
            SEEN.with_borrow_mut(|seen| seen.push(request));
        }
        Ok(len)
    }
}

/// RFC 7728 section 8.
fn read(bytes: &[u8]) -> Option<Request> {
    // Behind the report's description of its sender.
    let bytes: &[u8; 20] = bytes.last_chunk()?;
    let ssrc = u32::from_be_bytes(bytes[12..16].try_into().ok()?);
    let id = u16::from_be_bytes(bytes[18..].try_into().ok()?);
    match (&bytes[..4], bytes[16] >> 4) {
        ([0x89, 0xCD, 0, 4], 0) => Some(Request::Pause { ssrc, id }),
        ([0x89, 0xCD, 0, 4], 1) => Some(Request::Resume { ssrc, id }),
        _ => None,
    }
}

const RECEIVER_REPORT: u8 = 201;

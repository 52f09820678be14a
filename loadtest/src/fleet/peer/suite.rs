//! Which SRTP suite a client negotiated: heard where its engine asks for the ciphers of that suite, which it does once.

use std::cell::Cell;
use std::sync::{Arc, LazyLock};

use str0m::crypto::{
    CryptoProvider, SrtpProvider, SupportedAeadAes128Gcm, SupportedAeadAes256Gcm, SupportedAes128CmSha1_80,
    from_feature_flags,
};

thread_local! {
    /// The suite whose ciphers were asked for last on this thread.
    static ASKED: Cell<Option<&'static str>> = const { Cell::new(None) };
}

static LISTENING: LazyLock<Listening> = LazyLock::new(|| Listening(from_feature_flags().srtp_provider));
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(CryptoProvider { srtp_provider: &*LISTENING, ..from_feature_flags() }));

/// Returns the engine's own cryptography, listened to.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}

/// Returns the suite of the client that this thread drove last, by its registered name, once; none where it has none yet.
pub(super) fn asked() -> Option<&'static str> {
    ASKED.take()
}

#[derive(Debug)]
struct Listening(&'static dyn SrtpProvider);

impl SrtpProvider for Listening {
    fn aes_128_cm_sha1_80(&self) -> &'static dyn SupportedAes128CmSha1_80 {
        ASKED.set(Some("AES128_CM_HMAC_SHA1_80"));
        self.0.aes_128_cm_sha1_80()
    }

    fn aead_aes_128_gcm(&self) -> &'static dyn SupportedAeadAes128Gcm {
        ASKED.set(Some("AEAD_AES_128_GCM"));
        self.0.aead_aes_128_gcm()
    }

    fn aead_aes_256_gcm(&self) -> &'static dyn SupportedAeadAes256Gcm {
        ASKED.set(Some("AEAD_AES_256_GCM"));
        self.0.aead_aes_256_gcm()
    }

    fn srtp_aes_128_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        self.0.srtp_aes_128_ecb_round(key, input, output);
    }

    fn srtp_aes_256_ecb_round(&self, key: &[u8], input: &[u8], output: &mut [u8]) {
        self.0.srtp_aes_256_ecb_round(key, input, output);
    }
}

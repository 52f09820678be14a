//! The MLS library as we use it: one cipher suite, our hooks, and storage that keeps one state and no past.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_api::id::HouseholdId;
use mls_rs::client_builder::{
    BaseConfig, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider, WithKeyPackageRepo,
    WithMlsRules,
};
use mls_rs::identity::SigningIdentity;
use mls_rs::{CipherSuite, CipherSuiteProvider, Client, CryptoProvider as _, GroupStateStorage};
use mls_rs_core::group::{EpochRecord, GroupState};
use mls_rs_crypto_rustcrypto::RustCryptoProvider;
use zeroize::Zeroizing;

use super::key_packages::Shelf;
use super::list_ref::LIST_EXTENSION;
use super::policy::{Policy, credential};
use crate::identity::DeviceIdentity;

pub(super) type Mls = WithCryptoProvider<
    RustCryptoProvider,
    WithMlsRules<
        Policy,
        WithIdentityProvider<
            Policy,
            WithGroupStateStorage<StateShelf, WithKeyPackageRepo<Shelf, BaseConfig>>,
        >,
    >,
>;

/// Returns a client of the library under our policy; without an identity it can only load groups.
pub(super) fn client(
    policy: Policy,
    packages: Shelf,
    state: StateShelf,
    identity: Option<(&DeviceIdentity, HouseholdId)>,
) -> Client<Mls> {
    let builder = Client::builder()
        .key_package_repo(packages)
        .group_state_storage(state)
        .identity_provider(policy.clone())
        .mls_rules(policy)
        .crypto_provider(crypto())
        .extension_type(LIST_EXTENSION);
    match identity {
        None => builder.build(),
        Some((device, household)) => {
            let public = device.public();
            let credential = credential(household, public.device);
            let identity = SigningIdentity::new(credential, public.mls_public.to_vec().into());
            let secret = device.signing_keypair().to_vec().into();
            builder.signing_identity(identity, secret, SUITE).build()
        }
    }
}

/// The cipher suite, to compute references of key packages.
pub(super) fn suite() -> impl CipherSuiteProvider {
    crypto().cipher_suite_provider(SUITE).expect("the provider was made for this suite")
}

fn crypto() -> RustCryptoProvider {
    RustCryptoProvider::with_enabled_cipher_suites(vec![SUITE])
}

/// The state of one group as the library writes it. Past epochs are not kept: nothing of ours reads them,
/// and what is not kept cannot leak.
#[derive(Clone, Default)]
pub(super) struct StateShelf(Arc<Mutex<Option<Zeroizing<Vec<u8>>>>>);

impl StateShelf {
    pub(super) fn holding(state: &[u8]) -> Self {
        Self(Arc::new(Mutex::new(Some(Zeroizing::new(state.to_vec())))))
    }

    pub(super) fn copy(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |state| state.len())
    }
}

impl GroupStateStorage for StateShelf {
    type Error = Infallible;

    fn state(&self, _: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(self.copy())
    }

    fn epoch(&self, _: &[u8], _: u64) -> Result<Option<Zeroizing<Vec<u8>>>, Infallible> {
        Ok(None)
    }

    fn write(
        &mut self,
        state: GroupState,
        _: Vec<EpochRecord>,
        _: Vec<EpochRecord>,
    ) -> Result<(), Infallible> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(state.data);
        Ok(())
    }

    fn max_epoch_id(&self, _: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }
}

/// MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519 (RFC 9420 section 17.1).
const SUITE: CipherSuite = CipherSuite::CURVE25519_AES128;

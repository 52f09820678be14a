//! The MLS library as we use it: one cipher suite, our hooks, our storage.

use latchkey_api::id::HouseholdId;
use mls_rs::client_builder::{
    BaseConfig, WithCryptoProvider, WithGroupStateStorage, WithIdentityProvider, WithKeyPackageRepo,
    WithMlsRules,
};
use mls_rs::identity::SigningIdentity;
use mls_rs::{CipherSuiteProvider, Client};

use super::credential::credential;
use super::list_ref::LIST_EXTENSION;
use super::policy::Policy;
use super::storage::{PackageShelf, StateShelf};
use super::suite::{OneSuite, SUITE, Suite};
use crate::identity::DeviceIdentity;

pub(super) type Mls = WithCryptoProvider<
    OneSuite,
    WithMlsRules<
        Policy,
        WithIdentityProvider<
            Policy,
            WithGroupStateStorage<StateShelf, WithKeyPackageRepo<PackageShelf, BaseConfig>>,
        >,
    >,
>;

/// Returns a client of the library under our policy; without an identity it can only load groups.
pub(super) fn client(
    policy: Policy,
    packages: PackageShelf,
    state: StateShelf,
    identity: Option<(&DeviceIdentity, HouseholdId)>,
) -> Client<Mls> {
    let builder = Client::builder()
        .key_package_repo(packages)
        .group_state_storage(state)
        .identity_provider(policy.clone())
        .mls_rules(policy)
        .crypto_provider(OneSuite)
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
    Suite::new()
}

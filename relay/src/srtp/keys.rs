//! Profiles, master keys out of DTLS (RFC 5764 section 4.2) and session keys out of those (RFC 3711 section 4.3).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

/// A protection profile that the relay speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SrtpProfile {
    /// SRTP_AES128_CM_HMAC_SHA1_80 (RFC 5764): what every WebRTC client must know; five times the cost.
    Aes128CmSha1,
    /// SRTP_AEAD_AES_128_GCM (RFC 7714).
    Aes128Gcm,
}

impl SrtpProfile {
    /// Bytes that an RTP packet grows by.
    pub const fn rtp_overhead(self) -> usize {
        match self {
            Self::Aes128CmSha1 => SHA1_80_TAG,
            Self::Aes128Gcm => GCM_TAG,
        }
    }

    /// Bytes that an RTCP packet grows by: tag and index.
    pub const fn rtcp_overhead(self) -> usize {
        self.rtp_overhead() + INDEX
    }

    /// Bytes to export from DTLS.
    pub const fn keying_material_len(self) -> usize {
        2 * (KEY + self.salt_len())
    }

    /// Its name in configuration, logs and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Aes128CmSha1 => "sha1_80",
            Self::Aes128Gcm => "gcm128",
        }
    }

    const fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1 => 14,
            Self::Aes128Gcm => 12,
        }
    }
}

/// Nobody here speaks a profile of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write gcm128 or sha1_80")]
pub struct UnknownProfile;

impl fmt::Display for SrtpProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for SrtpProfile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Aes128CmSha1, Self::Aes128Gcm]
            .into_iter()
            .find(|profile| profile.label() == text)
            .ok_or(UnknownProfile)
    }
}

/// Master key and salt of one direction.
pub struct MasterKey {
    profile: SrtpProfile,
    key: Zeroizing<[u8; KEY]>,
    /// Shorter salts are padded by zeros at the end (RFC 7714 section 11).
    salt: Zeroizing<[u8; SALT]>,
}

impl MasterKey {
    /// Wraps key and salt; `None` when a length is not the profile's.
    pub fn new(profile: SrtpProfile, key: &[u8], salt: &[u8]) -> Option<Self> {
        if salt.len() != profile.salt_len() {
            return None;
        }
        let mut padded = Zeroizing::new([0; SALT]);
        padded[..salt.len()].copy_from_slice(salt);
        Some(Self { profile, key: Zeroizing::new(key.try_into().ok()?), salt: padded })
    }
}

/// Splits what DTLS exported into the keys to receive with and to send with, for the DTLS server (RFC 5764 section 4.2).
///
/// `None` when the length is not [`SrtpProfile::keying_material_len`].
pub fn from_keying_material(profile: SrtpProfile, material: &[u8]) -> Option<(MasterKey, MasterKey)> {
    if material.len() != profile.keying_material_len() {
        return None;
    }
    let (client_key, rest) = material.split_at(KEY);
    let (server_key, salts) = rest.split_at(KEY);
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    Some((
        MasterKey::new(profile, client_key, client_salt)?,
        MasterKey::new(profile, server_key, server_salt)?,
    ))
}

/// Session keys of one direction and one of the two protocols, with their key schedules.
pub(super) enum SessionKey {
    Gcm { key: LessSafeKey, salt: [u8; GCM_IV] },
    CmSha1(Box<CmSha1>),
}

/// Boxed, because its key schedules are several times as large and it is rarely used.
pub(super) struct CmSha1 {
    pub(super) cipher: EncryptingKey,
    pub(super) mac: hmac::Key,
    pub(super) salt: [u8; SALT],
}

/// Which protocol a session key is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Rtp,
    Rtcp,
}

impl SessionKey {
    pub(super) fn derive(master: &MasterKey, protocol: Protocol) -> Self {
        let first_label = match protocol {
            Protocol::Rtp => 0,
            Protocol::Rtcp => 3,
        };
        let key = derive::<KEY>(master, first_label);
        let salt = derive::<SALT>(master, first_label + 2);
        match master.profile {
            SrtpProfile::Aes128Gcm => {
                let key = UnboundKey::new(&AES_128_GCM, &key[..]).expect("16 bytes are an AES-128 key");
                let mut iv = [0; GCM_IV];
                iv.copy_from_slice(&salt[..GCM_IV]);
                Self::Gcm { key: LessSafeKey::new(key), salt: iv }
            }
            SrtpProfile::Aes128CmSha1 => {
                let auth = derive::<SHA1_KEY>(master, first_label + 1);
                Self::CmSha1(Box::new(CmSha1 {
                    cipher: counter_mode(&key),
                    mac: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth[..]),
                    salt: *salt,
                }))
            }
        }
    }

    pub(super) fn rtp_overhead(&self) -> usize {
        match self {
            Self::Gcm { .. } => GCM_TAG,
            Self::CmSha1(_) => SHA1_80_TAG,
        }
    }
}

/// AES-GCM initialisation vector of an RTP packet (RFC 7714 section 8.1) or, with a 31-bit index, RTCP (section 9.1).
#[inline]
pub(super) fn gcm_iv(salt: &[u8; GCM_IV], ssrc: u32, index: u64) -> [u8; GCM_IV] {
    let mut iv = *salt;
    for (byte, value) in iv[2..6].iter_mut().zip(ssrc.to_be_bytes()) {
        *byte ^= value;
    }
    for (byte, value) in iv[6..].iter_mut().zip(&index.to_be_bytes()[2..]) {
        *byte ^= value;
    }
    iv
}

/// AES-CM initialisation vector (RFC 3711 section 4.1.1).
#[inline]
pub(super) fn cm_iv(salt: &[u8; SALT], ssrc: u32, index: u64) -> EncryptionContext {
    let mut iv = [0; 16];
    iv[..SALT].copy_from_slice(salt);
    for (byte, value) in iv[4..8].iter_mut().zip(ssrc.to_be_bytes()) {
        *byte ^= value;
    }
    for (byte, value) in iv[8..14].iter_mut().zip(&index.to_be_bytes()[2..]) {
        *byte ^= value;
    }
    EncryptionContext::Iv128(FixedLength::from(iv))
}

/// The AES-CM key derivation function with a key derivation rate of 0 (RFC 3711 section 4.3.3).
fn derive<const N: usize>(master: &MasterKey, label: u8) -> Zeroizing<[u8; N]> {
    let mut iv = [0; 16];
    iv[..SALT].copy_from_slice(&master.salt[..]);
    iv[7] ^= label;
    let mut out = Zeroizing::new([0; N]);
    counter_mode(&master.key)
        .less_safe_encrypt(&mut out[..], EncryptionContext::Iv128(FixedLength::from(iv)))
        .expect("counter mode takes any length");
    out
}

fn counter_mode(key: &[u8; KEY]) -> EncryptingKey {
    let key = UnboundCipherKey::new(&AES_128, key).expect("16 bytes are an AES-128 key");
    EncryptingKey::ctr(key).expect("AES-128 has a counter mode")
}

pub(super) const KEY: usize = 16;
pub(super) const SALT: usize = 14;
pub(super) const GCM_IV: usize = 12;
pub(super) const GCM_TAG: usize = 16;
pub(super) const SHA1_80_TAG: usize = 10;
pub(super) const INDEX: usize = 4;
const SHA1_KEY: usize = 20;

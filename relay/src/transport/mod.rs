//! One peer's path over UDP: who it is (ICE-lite), what key it has (DTLS), and where it is now.
//!
//! Nothing changes on the word of an unauthenticated datagram. An address counts after a STUN check whose
//! MESSAGE-INTEGRITY proves the password of the answer; DTLS is heard only from such an address; SRTP keys are used only
//! after the certificate was compared with the fingerprint of the offer.

pub mod certificate;
pub(crate) mod dtls;
pub mod fingerprint;
pub(crate) mod ice;

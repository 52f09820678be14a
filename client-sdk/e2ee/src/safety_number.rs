//! The safety number: 60 digits that are the same on all devices of a household, for people to compare.
//!
//! Who shows a device another root or another list shows it another number. Digits and QR say the same:
//!
//! ```text
//! h0      = "latchkey safety number v1" || root public(32) || list version(8) || list hash(32)
//! h(n+1)  = SHA-512(h(n) || root public(32))                                     5200 times, as Signal does
//! digits  = 12 groups, each 5 bytes of the result, big endian, modulo 100000
//! QR text = "LATCHKEY:SN1:" list version ":" the 60 digits                       QR alphanumeric mode
//! ```

use std::fmt;
use std::str::FromStr;

use latchkey_api::device_list::{ListChain, ListVersion, VerifiedList};
use sha2::{Digest as _, Sha512};

/// The safety number of a household at one version of its device list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyNumber {
    version: u64,
    digits: [u8; DIGITS],
}

impl SafetyNumber {
    /// Returns the number of the newest list of a chain; `None` while the chain is empty.
    #[must_use]
    pub fn of(chain: &ListChain) -> Option<Self> {
        chain.head().map(|head| Self::at(chain.root_public(), head.version()))
    }

    /// Returns the number of a household, pinned to its root key, at one list.
    #[must_use]
    pub fn at(root_public: &[u8; 32], list: ListVersion) -> Self {
        let mut hash: Vec<u8> = [CONTEXT, root_public, &list.version.to_be_bytes(), &list.hash.0].concat();
        for _ in 0..ROUNDS {
            hash = Sha512::new().chain_update(&hash).chain_update(root_public).finalize().to_vec();
        }
        let mut digits = [0; DIGITS];
        for (group, bytes) in digits.chunks_exact_mut(5).zip(hash.chunks_exact(5)) {
            let number = bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) % 100_000;
            group.copy_from_slice(format!("{number:05}").as_bytes());
        }
        Self { version: list.version, digits }
    }

    /// The version of the list that the number is of.
    #[must_use]
    pub fn list_version(&self) -> u64 {
        self.version
    }

    /// The twelve groups of five digits.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.digits.chunks_exact(5).map(|group| std::str::from_utf8(group).unwrap_or_default())
    }

    /// The text of the QR code.
    #[must_use]
    pub fn to_qr_text(&self) -> String {
        format!("{QR_PREFIX}{}:{}", self.version, self.groups().collect::<String>())
    }

    /// Compares a number that another device shows with the chain of this one.
    #[must_use]
    pub fn compare(chain: &ListChain, shown: &Self) -> Comparison {
        let Some(head) = chain.head() else { return Comparison::Unknown };
        let ours = head.list().version;
        let is_of = |list: &VerifiedList| Self::at(chain.root_public(), list.version()) == *shown;
        if chain.rival().is_some() && (is_of(head) || chain.rivals().any(is_of)) {
            return Comparison::TwoHistories { version: ours };
        }
        let Some(list) = chain.at(shown.version) else {
            return if shown.version == 0 {
                Comparison::Different
            } else {
                Comparison::Newer { theirs: shown.version, ours }
            };
        };
        if !is_of(list) {
            return Comparison::Different;
        }
        if shown.version == ours {
            Comparison::Same
        } else {
            Comparison::Older { theirs: shown.version, ours }
        }
    }
}

/// What comparing two safety numbers says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Both devices have the same root and the same lists, and this one knows no other list of that version.
    Same,
    /// The number is of one of two lists of the newest version that this device knows, both validly signed. Whether
    /// the other device knows both cannot be told: an admin has to join them before numbers say anything.
    TwoHistories {
        /// The version that two lists have.
        version: u64,
    },
    /// The same root and lists, but the other device has not seen the newest ones.
    Older {
        /// The newest list of the other device.
        theirs: u64,
        /// The newest list of this device.
        ours: u64,
    },
    /// The other device has seen a list that this one has not: nothing can be said before this one has it.
    Newer {
        /// The newest list of the other device.
        theirs: u64,
        /// The newest list of this device.
        ours: u64,
    },
    /// The devices are shown different households or histories: somebody stands in between.
    Different,
    /// This device has no list yet.
    Unknown,
}

impl fmt::Display for SafetyNumber {
    /// Three lines of four groups.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, group) in self.groups().enumerate() {
            match at {
                0 => {}
                at if at % 4 == 0 => f.write_str("\n")?,
                _ => f.write_str(" ")?,
            }
            f.write_str(group)?;
        }
        Ok(())
    }
}

impl FromStr for SafetyNumber {
    type Err = NotASafetyNumber;

    /// Reads the text of a QR code.
    fn from_str(text: &str) -> Result<Self, NotASafetyNumber> {
        let rest = text.trim().strip_prefix(QR_PREFIX).ok_or(NotASafetyNumber)?;
        let (version, digits) = rest.split_once(':').ok_or(NotASafetyNumber)?;
        let digits: [u8; DIGITS] = digits.as_bytes().try_into().map_err(|_| NotASafetyNumber)?;
        let plain = |text: &[u8]| text.iter().all(u8::is_ascii_digit);
        if !plain(&digits) || !plain(version.as_bytes()) || version.starts_with('0') {
            return Err(NotASafetyNumber);
        }
        Ok(Self { version: version.parse().map_err(|_| NotASafetyNumber)?, digits })
    }
}

/// The text is not that of a safety number's QR code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is not the QR code of a safety number: scan the one that another device of the household shows"
)]
pub struct NotASafetyNumber;

const CONTEXT: &[u8] = b"latchkey safety number v1";
const QR_PREFIX: &str = "LATCHKEY:SN1:";
const ROUNDS: usize = 5200;
const DIGITS: usize = 60;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identity::{DeviceIdentity, HouseholdRoot};
    use latchkey_api::device_list::{DeviceList, ListHash, Reason, Role, Signer};
    use proptest::prelude::*;

    /// The list that an admin signs after the newest one.
    fn next(chain: &ListChain, admin: &DeviceIdentity, at: u64) -> Vec<u8> {
        let signer = Signer::Device(admin.device());
        let draft = DeviceList::after(chain.head().unwrap(), signer, at, Reason::Changed);
        admin.sign_list(draft).as_bytes().to_vec()
    }

    fn household() -> (ListChain, DeviceIdentity) {
        let (root, _) = HouseholdRoot::generate().unwrap();
        let admin = DeviceIdentity::generate().unwrap();
        let first =
            DeviceList::founding(root.household(), admin.public().entry(Role::Admin, 9, Vec::new()), 9)
                .unwrap();
        let mut chain = ListChain::new(&root.public()).unwrap();
        chain.accept(root.sign_list(first).as_bytes(), None).unwrap();
        (chain, admin)
    }

    #[test]
    fn it_is_the_documented_function() {
        let list = ListVersion { version: 3, hash: ListHash([2; 32]) };
        let number = SafetyNumber::at(&[1; 32], list);
        // Computed apart, with Python's hashlib.
        assert_eq!(number.to_string(), VECTOR);
        assert_eq!(number.to_qr_text(), format!("LATCHKEY:SN1:3:{}", VECTOR.replace(['\n', ' '], "")));
        assert_eq!(number.groups().count(), 12);
    }

    #[test]
    fn root_version_and_list_all_count() {
        let list = ListVersion { version: 3, hash: ListHash([2; 32]) };
        let number = SafetyNumber::at(&[1; 32], list);
        assert_ne!(SafetyNumber::at(&[9; 32], list).digits, number.digits);
        assert_ne!(SafetyNumber::at(&[1; 32], ListVersion { version: 4, ..list }).digits, number.digits);
        let other = ListVersion { hash: ListHash([3; 32]), ..list };
        assert_ne!(SafetyNumber::at(&[1; 32], other).digits, number.digits);
    }

    #[test]
    fn devices_of_one_household_agree_and_others_do_not() {
        let (mut chain, admin) = household();
        let behind = chain.clone();
        let (ours, theirs) = (next(&chain, &admin, 10), next(&chain, &admin, 11));
        let mut rival = chain.clone();
        chain.accept(&ours, None).unwrap();
        rival.accept(&theirs, None).unwrap();
        let number = |chain: &ListChain| SafetyNumber::of(chain).unwrap();
        let scanned = |chain: &ListChain| number(chain).to_qr_text().parse::<SafetyNumber>().unwrap();
        assert_eq!(SafetyNumber::compare(&chain, &scanned(&chain)), Comparison::Same);
        assert_eq!(
            SafetyNumber::compare(&chain, &scanned(&behind)),
            Comparison::Older { theirs: 1, ours: 2 }
        );
        assert_eq!(
            SafetyNumber::compare(&behind, &scanned(&chain)),
            Comparison::Newer { theirs: 2, ours: 1 }
        );
        assert_eq!(SafetyNumber::compare(&chain, &scanned(&rival)), Comparison::Different);
        assert_eq!(SafetyNumber::compare(&chain, &scanned(&household().0)), Comparison::Different);
        // Once it knows of both, neither is the same any more, until an admin joins them.
        chain.accept(&theirs, None).unwrap_err();
        let forked = Comparison::TwoHistories { version: 2 };
        assert_eq!(SafetyNumber::compare(&chain, &scanned(&chain)), forked);
        assert_eq!(SafetyNumber::compare(&chain, &scanned(&rival)), forked);
        assert_eq!(
            SafetyNumber::compare(&chain, &scanned(&behind)),
            Comparison::Older { theirs: 1, ours: 2 }
        );
        assert_eq!(SafetyNumber::compare(&chain, &scanned(&household().0)), Comparison::Different);
        let joined = chain.next_draft(Signer::Device(admin.device()), 12, Reason::Changed).unwrap();
        chain.accept(admin.sign_list(joined).as_bytes(), None).unwrap();
        assert_eq!(SafetyNumber::compare(&chain, &scanned(&chain)), Comparison::Same);
        let empty = ListChain::new(chain.root_public()).unwrap();
        assert_eq!(SafetyNumber::of(&empty), None);
        assert_eq!(SafetyNumber::compare(&empty, &number(&chain)), Comparison::Unknown);
    }

    #[test]
    fn other_codes_are_refused() {
        let digits = "0".repeat(60);
        for bad in [
            String::new(),
            format!("LATCHKEY:SN1:0:{digits}"),
            format!("LATCHKEY:SN1::{digits}"),
            format!("LATCHKEY:SN1:+1:{digits}"),
            format!("LATCHKEY:SN1:1:{}", &digits[1..]),
            format!("LATCHKEY:SN2:1:{digits}"),
            format!("LATCHKEY:SN1:99999999999999999999:{digits}"),
        ] {
            assert_eq!(bad.parse::<SafetyNumber>(), Err(NotASafetyNumber), "{bad}");
        }
        format!(" LATCHKEY:SN1:1:{digits}\n").parse::<SafetyNumber>().unwrap();
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<SafetyNumber>();
        }

        #[test]
        fn what_is_read_is_what_was_written(version in 1_u64.., digits in "[0-9]{60}") {
            let text = format!("LATCHKEY:SN1:{version}:{digits}");
            prop_assert_eq!(text.parse::<SafetyNumber>().unwrap().to_qr_text(), text);
        }
    }

    const VECTOR: &str = "49361 17600 89555 03730\n88575 36627 11463 68716\n30847 56854 08116 80819";
}

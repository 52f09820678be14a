//! SDP fragments (`application/trickle-ice-sdpfrag`, RFC 8840): what a PATCH brings, and what an ICE restart answers.

use std::net::SocketAddr;

use crate::sdp::candidate;
use crate::sdp::offer::IceCredentials;

/// What a fragment says. The relay has one transport for all media, so candidates of every section count the same.
pub(crate) struct Fragment {
    /// Of the session, or of the section that opens the BUNDLE group.
    pub(crate) ice: Option<IceCredentials>,
    pub(crate) candidates: Vec<SocketAddr>,
}

/// Why a fragment cannot be used. The client's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FragmentError {
    #[error(
        "the body is not an SDP fragment (RFC 8840): send a=ice-ufrag, a=ice-pwd, m=, a=mid and a=candidate lines only"
    )]
    Malformed,
    #[error(
        "the fragment's a=ice-ufrag and a=ice-pwd must stand together, with at least 4 and 22 characters"
    )]
    IceCredentials,
}

impl Fragment {
    /// Reads a fragment. Never panics, whatever the bytes are.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, FragmentError> {
        let text = std::str::from_utf8(bytes).map_err(|_| FragmentError::Malformed)?;
        let (mut ufrag, mut pwd) = (None, None);
        let mut candidates = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let known = line.is_empty() || ["a=", "m=", "c="].iter().any(|start| line.starts_with(start));
            if !known || number >= MAX_LINES || line.chars().any(char::is_control) {
                return Err(FragmentError::Malformed);
            }
            let Some((key, value)) = line.strip_prefix("a=").and_then(|attribute| attribute.split_once(':'))
            else {
                continue;
            };
            match key {
                "ice-ufrag" => ufrag = ufrag.or(Some(value)),
                "ice-pwd" => pwd = pwd.or(Some(value)),
                "candidate" if candidates.len() < MAX_CANDIDATES => {
                    candidates.extend(candidate::parse(value));
                }
                _ => {}
            }
        }
        let ice = match (ufrag, pwd) {
            (None, None) => None,
            both => Some(IceCredentials::new(both.0, both.1).ok_or(FragmentError::IceCredentials)?),
        };
        Ok(Self { ice, candidates })
    }
}

/// The answer to an ICE restart: the relay's new credentials and its candidates, in the section `mid`.
pub(crate) fn restarted(ice: &IceCredentials, mid: &str, kind: &str, candidates: &[SocketAddr]) -> String {
    let mut text = format!("a=ice-lite\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", ice.ufrag, ice.pwd);
    text.push_str(&format!("m={kind} 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid}\r\n"));
    for (rank, address) in candidates.iter().enumerate() {
        text.push_str(&format!("a=candidate:{}\r\n", candidate::host(rank, *address)));
    }
    text.push_str("a=end-of-candidates\r\n");
    text
}

const MAX_LINES: usize = 200;
const MAX_CANDIDATES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRICKLED: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n\
        a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
        a=candidate:3471623853 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\na=end-of-candidates\r\n";

    #[test]
    fn reads_the_example_of_rfc_9725() {
        let fragment = Fragment::parse(TRICKLED.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(fragment.candidates, ["192.0.2.1:61764".parse::<SocketAddr>().unwrap()]);
        assert_eq!(fragment.ice.map(|ice| ice.ufrag).as_deref(), Some("EsAw"));
    }

    #[test]
    fn an_answer_is_read_like_a_fragment() {
        let ice = IceCredentials::new(Some("0abcd"), Some("0123456789012345678901")).unwrap();
        let address = "[2001:db8::1]:4000".parse().unwrap();
        let read = Fragment::parse(restarted(&ice, "0", "video", &[address]).as_bytes());
        let read = read.unwrap_or_else(|e| panic!("{e}"));
        assert!(read.ice == Some(ice));
        assert_eq!(read.candidates, [address]);
    }

    #[test]
    fn half_credentials_are_refused() {
        let half = Fragment::parse(b"a=ice-ufrag:EsAw\r\n");
        assert_eq!(half.err(), Some(FragmentError::IceCredentials));
        assert_eq!(Fragment::parse(b"v=0\r\n").err(), Some(FragmentError::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Fragment::parse(&bytes);
        }

        #[test]
        fn a_truncated_fragment_is_read_without_panic(cut in 0..TRICKLED.len()) {
            let _ = Fragment::parse(&TRICKLED.as_bytes()[..cut]);
        }
    }
}

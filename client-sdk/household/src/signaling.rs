//! The client of the signaling server: signed requests, re-signing in by itself, and the event socket.
//!
//! Everything it carries is public to the server: signed lists, MLS messages, grants. No key passes here.

mod calls;
mod clock;
mod error;
mod events;
mod http;
mod root;
mod socket;

pub use error::SignalingError;
pub use events::{EventStream, SignalUpdate};
pub use root::RootSession;

use std::sync::{Arc, Weak};

use bytes::Bytes;
use latchkey_api::auth::{Challenge, ChallengeRequest, SignIn, SignedIn, audience_of};
use latchkey_api::encoding::ByteString;
use latchkey_api::household::{CreateHousehold, DeleteHousehold, HouseholdCreated};
use latchkey_api::id::{DeviceId, HouseholdId};
use latchkey_api::mailbox::{Mail, MailAccepted, Mailbox, PostMail};
use latchkey_api::problem::ProblemCode;
use latchkey_e2ee::identity::DeviceIdentity;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::address::Url;
use crate::clock::unix_seconds;
use crate::reach::host_of;
use crate::signaling::error::refusal;
use crate::signaling::events::Feed;
use crate::signaling::http::{Http, Method};
use crate::vault::{Ledger, NotStored};

/// A server that is not signed in to: what may be asked by anyone.
#[derive(Clone, Debug)]
pub struct Server {
    http: Http,
    url: Url,
    /// What must be stored before anything is said.
    ledger: Ledger,
}

/// A server, seen by one device of one household.
#[derive(Clone)]
pub struct Signaling {
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    household: HouseholdId,
    device: DeviceId,
    identity: Arc<DeviceIdentity>,
    token: Mutex<Option<Token>>,
    /// The event socket, while somebody listens.
    feed: std::sync::Mutex<Weak<Feed>>,
}

struct Token {
    text: Zeroizing<String>,
    expires_at: u64,
}

impl Server {
    /// A server by its address.
    ///
    /// Fails with [`SignalingError::BadAddress`].
    pub fn new(address: &str) -> Result<Self, SignalingError> {
        let bad = || SignalingError::BadAddress(address.to_owned());
        let url = Url::parse(address).map_err(|_| bad())?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(bad());
        }
        let http = Http::new(&url)?;
        Ok(Self { http, url, ledger: Ledger::default() })
    }

    /// The server as a device calls it that keeps its state by this ledger: nothing is said before the state is stored.
    #[must_use]
    pub fn once_stored(self, ledger: &Ledger) -> Self {
        Self { ledger: ledger.clone(), ..self }
    }

    /// Returns the address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns the HTTP client, shared with the relay's door.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn http(&self) -> &reqwest::Client {
        &self.http.0
    }

    /// Registers a household by its first list; with the operator's invite code where the server asks for one (codes
    /// `invite-code-needed` and `invite-code-refused`).
    pub async fn create_household(
        &self,
        root_public: [u8; 32],
        list: Vec<u8>,
        invite_code: Option<String>,
    ) -> Result<HouseholdId, SignalingError> {
        let body = CreateHousehold {
            root_public: ByteString(root_public.to_vec()),
            list: ByteString(list),
            invite_code,
        };
        let created: HouseholdCreated = self.call(Method::POST, "v1/households", None, Some(&body)).await?;
        Ok(created.household)
    }

    /// Puts a sealed message into a mailbox and returns its number.
    pub async fn post_mail(&self, mailbox: &str, message: Vec<u8>) -> Result<u64, SignalingError> {
        let body = PostMail { message: ByteString(message) };
        let path = format!("v1/mailboxes/{mailbox}");
        let accepted: MailAccepted = self.call(Method::POST, &path, None, Some(&body)).await?;
        Ok(accepted.seq)
    }

    /// Reads the messages of a mailbox after number `after`, oldest first.
    pub async fn read_mail(&self, mailbox: &str, after: u64) -> Result<Vec<Mail>, SignalingError> {
        let path = format!("v1/mailboxes/{mailbox}?after={after}");
        let mailbox: Mailbox = self.call(Method::GET, &path, None, None::<&()>).await?;
        Ok(mailbox.messages)
    }

    /// Asks for a nonce to sign, and makes sure that it is of the server that was dialled.
    async fn challenge(&self, household: HouseholdId, device: DeviceId) -> Result<Challenge, SignalingError> {
        let ask = ChallengeRequest { household, device };
        let challenge: Challenge = self.call(Method::POST, "v1/auth/challenge", None, Some(&ask)).await?;
        let called = audience_of(self.url.as_str());
        if challenge.audience != called {
            return Err(SignalingError::ForeignChallenge { named: challenge.audience, called });
        }
        Ok(challenge)
    }

    /// Answers a challenge and returns the token.
    async fn answer(
        &self,
        (household, device): (HouseholdId, DeviceId),
        challenge: Challenge,
        signature: [u8; 64],
    ) -> Result<SignedIn, SignalingError> {
        let signature = ByteString(signature.to_vec());
        let answer = SignIn { household, device, nonce: challenge.nonce, signature };
        self.call(Method::POST, "v1/auth/session", None, Some(&answer)).await
    }

    async fn call<B: Serialize, R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&B>,
    ) -> Result<R, SignalingError> {
        read(&self.exchange(method, path, token, written(body)?).await?)
    }

    /// JSON out, JSON in. It knows no types, so that a page loads it once and not once for each of them.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Bytes, SignalingError> {
        self.ledger.settled().await.map_err(|NotStored(why)| SignalingError::NotStored(why))?;
        let url = self.url.join(path).map_err(|error| SignalingError::BadReply(error.to_string()))?;
        let reply = self.http.exchange(method, url, token, body).await;
        let reply = reply.map_err(|reason| self.unreachable(reason))?;
        if !(200..300).contains(&reply.status) {
            return Err(refusal(reply.status, reply.retry_after, &reply.body));
        }
        Ok(reply.body)
    }

    fn unreachable(&self, reason: String) -> SignalingError {
        SignalingError::Unreachable { host: host_of(&self.url), reason }
    }
}

impl Signaling {
    /// The server at `server` for this device. Signs in when first needed.
    pub fn new(
        server: Server,
        household: HouseholdId,
        device: DeviceId,
        identity: Arc<DeviceIdentity>,
    ) -> Self {
        let inner = Inner {
            server,
            household,
            device,
            identity,
            token: Mutex::new(None),
            feed: std::sync::Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Returns the server.
    pub fn server(&self) -> &Server {
        &self.inner.server
    }

    /// Signs in unless a token is held that lasts. Useful to learn early that the server refuses.
    pub async fn sign_in(&self) -> Result<(), SignalingError> {
        self.token().await.map(drop)
    }

    /// Sends a signed-in request; signs in anew once when the token is refused.
    async fn call<B: Serialize, R: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<R, SignalingError> {
        read(&self.exchange(method, path, written(body)?).await?)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Bytes, SignalingError> {
        let token = self.token().await?;
        let first = self.inner.server.exchange(method.clone(), path, Some(&token), body.clone()).await;
        match first {
            Err(SignalingError::Refused { code: ProblemCode::NotSignedIn, .. }) => {
                self.forget(&token).await;
                let token = self.token().await?;
                self.inner.server.exchange(method, path, Some(&token), body).await
            }
            other => other,
        }
    }

    /// Removes everything the server has about the household, for good. For admins; code `forbidden` for others.
    pub async fn delete_household(&self) -> Result<(), SignalingError> {
        let Inner { server, household, device, identity, .. } = &*self.inner;
        let challenged = server.challenge(*household, *device).await?;
        let nonce = challenged.nonce.as_slice();
        let signature = identity.sign_deletion(&challenged.audience, household, nonce);
        let body = DeleteHousehold { nonce: challenged.nonce, signature: ByteString(signature.to_vec()) };
        let _: serde_json::Value = self.call(Method::POST, DELETION, Some(&body)).await?;
        *self.inner.token.lock().await = None;
        Ok(())
    }

    async fn token(&self) -> Result<Zeroizing<String>, SignalingError> {
        let mut held = self.inner.token.lock().await;
        let usable = held.as_ref().filter(|token| token.expires_at > unix_seconds() + RENEW_BEFORE);
        if let Some(token) = usable {
            return Ok(token.text.clone());
        }
        let signed_in = self.challenge().await?;
        let text = Zeroizing::new(signed_in.token);
        *held = Some(Token { text: text.clone(), expires_at: signed_in.expires_at });
        Ok(text)
    }

    async fn forget(&self, refused: &str) {
        let mut held = self.inner.token.lock().await;
        if held.as_ref().is_some_and(|token| token.text.as_str() == refused) {
            *held = None;
        }
    }

    async fn challenge(&self) -> Result<SignedIn, SignalingError> {
        let Inner { server, household, device, identity, .. } = &*self.inner;
        let challenged = server.challenge(*household, *device).await?;
        let nonce = challenged.nonce.as_slice();
        let signature = identity.sign_challenge(&challenged.audience, household, nonce);
        server.answer((*household, *device), challenged, signature).await
    }
}

impl std::fmt::Debug for Signaling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signaling").field("server", &host_of(&self.inner.server.url)).finish_non_exhaustive()
    }
}

fn written(body: Option<&impl Serialize>) -> Result<Option<Vec<u8>>, SignalingError> {
    let written = body.map(serde_json::to_vec).transpose();
    written.map_err(|error| SignalingError::BadReply(error.to_string()))
}

fn read<R: DeserializeOwned>(bytes: &[u8]) -> Result<R, SignalingError> {
    let bytes: &[u8] = if bytes.is_empty() { b"null" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| SignalingError::BadReply(error.to_string()))
}

const DELETION: &str = "v1/households/self/deletion";
/// Seconds before its end at which a token is replaced.
const RENEW_BEFORE: u64 = 60;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use latchkey_api::problem::Problem;

    #[test]
    fn an_address_that_is_none_is_refused_in_one_sentence() {
        for bad in ["cam.example", "ftp://cam.example", "http://"] {
            let error = Server::new(bad).unwrap_err();
            assert!(error.to_string().contains("write it like"), "{error}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_said_with_host_and_reason() {
        // A port that was free a moment ago.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Server::new(&format!("http://127.0.0.1:{port}")).unwrap();
        let error = server.read_mail("AAAAAAAAAAAAAAAAAAAAAA", 0).await.unwrap_err();
        let SignalingError::Unreachable { host, reason } = &error else { panic!("{error}") };
        assert_eq!(host, &format!("127.0.0.1:{port}"));
        assert!(reason.to_lowercase().contains("refused"), "{reason}");
        assert!(error.is_passing());
    }

    #[test]
    fn a_problem_document_becomes_its_code() {
        let body = serde_json::to_vec(&Problem::new(ProblemCode::EpochTaken, "read on")).unwrap();
        let error = refusal(409, None, &body);
        assert_eq!(error.code(), Some(ProblemCode::EpochTaken));
        assert_eq!(error.to_string(), "the server refused: read on (epoch-taken)");
        assert_eq!(refusal(502, None, b"<html>").code(), Some(ProblemCode::Unknown));
    }
}

//! A client of the routes: sends JSON, reads JSON, signs in.

use ed25519_dalek::Signer as _;
use latchkey_api::auth::{
    Challenge, ChallengeRequest, SignIn, SignedIn, audience_of, deletion_input, signing_input,
};
use latchkey_api::household::DeleteHousehold;
use latchkey_api::id::HouseholdId;
use latchkey_api::problem::{CONTENT_TYPE, Problem, ProblemCode};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::home::{Device, Home};

/// A client, signed in or not.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) token: Option<String>,
}

/// An answer with its body read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(crate::running::LIVENESS).build().unwrap();
        Self { http, base: base.to_owned(), token: None }
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// A challenge for the device.
    pub(crate) async fn challenge(&self, household: HouseholdId, device: &Device) -> Challenge {
        let request = ChallengeRequest { household, device: device.id };
        self.post("/v1/auth/challenge", &request).await.ok(StatusCode::OK)
    }

    /// The device's answer to a challenge.
    pub(crate) fn answer(&self, household: HouseholdId, device: &Device, challenge: &Challenge) -> SignIn {
        let input =
            signing_input(&audience_of(&self.base), &household, &device.id, challenge.nonce.as_slice());
        SignIn {
            household,
            device: device.id,
            nonce: challenge.nonce.clone(),
            signature: device.key.sign(&input).to_bytes().to_vec().into(),
        }
    }

    /// This client, signed in as the household's root.
    pub(crate) async fn signed_in_as_root(&self, home: &Home) -> Self {
        self.signed_in(home, &home.root_device()).await
    }

    /// What deletes the household, signed by the device.
    pub(crate) async fn deletion(&self, home: &Home, device: &Device) -> DeleteHousehold {
        let nonce = self.challenge(home.id, device).await.nonce;
        let input = deletion_input(&audience_of(&self.base), &home.id, &device.id, nonce.as_slice());
        DeleteHousehold { nonce, signature: device.key.sign(&input).to_bytes().to_vec().into() }
    }

    /// This client, signed in as the device.
    pub(crate) async fn signed_in(&self, home: &Home, device: &Device) -> Self {
        let challenge = self.challenge(home.id, device).await;
        let answer = self.post("/v1/auth/session", &self.answer(home.id, device, &challenge)).await;
        let signed_in: SignedIn = answer.ok(StatusCode::CREATED);
        Self { token: Some(signed_in.token), ..self.clone() }
    }
}

impl Answer {
    /// The body of an answer that has this status.
    #[track_caller]
    pub(crate) fn ok<T: DeserializeOwned>(&self, status: StatusCode) -> T {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The problem of an answer that has this code.
    #[track_caller]
    pub(crate) fn problem(&self, code: ProblemCode) -> Problem {
        assert_eq!(self.headers["content-type"], CONTENT_TYPE, "{}", String::from_utf8_lossy(&self.body));
        let problem: Problem = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.code, code, "{problem:?}");
        assert_eq!(self.status.as_u16(), code.status());
        assert_eq!(problem.status, code.status());
        assert!(!problem.detail.is_empty() && !problem.title.is_empty());
        problem
    }
}

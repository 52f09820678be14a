//! Every request type reads any bytes, and what it reads comes back the same.
#![no_main]

use latchkey_api::auth::{ChallengeRequest, SignIn};
use latchkey_api::device::{ClaimKeyPackage, PublishKeyPackages};
use latchkey_api::export::Export;
use latchkey_api::group::{PostCommit, PostCursor, PostMessage};
use latchkey_api::household::{CreateHousehold, DeleteHousehold};
use latchkey_api::list::PostList;
use latchkey_api::mailbox::PostMail;
use latchkey_api::session::OpenSession;
use libfuzzer_sys::fuzz_target;

macro_rules! comes_back {
    ($bytes:expr, $($request:ty),+) => {$(
        if let Ok(request) = serde_json::from_slice::<$request>($bytes) {
            let text = serde_json::to_vec(&request).expect("a request is JSON");
            assert_eq!(serde_json::from_slice::<$request>(&text).ok(), Some(request));
        }
    )+};
}

fuzz_target!(|bytes: &[u8]| {
    comes_back!(bytes, ChallengeRequest, SignIn, CreateHousehold, PostList, PublishKeyPackages, ClaimKeyPackage);
    comes_back!(bytes, PostCommit, PostMessage, PostCursor, OpenSession, PostMail, DeleteHousehold, Export);
});

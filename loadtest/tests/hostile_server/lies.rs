//! What a server does in more than one case: it keeps what passes, and shows one device other messages than there are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use latchkey_api::device::PublishKeyPackages;
use latchkey_api::encoding::ByteString;
use latchkey_api::event::Event;
use latchkey_api::group::{
    CursorKept, GroupMessage, GroupMessages, MessageKind, PendingWelcome, PostCommit, Welcomes,
};
use latchkey_api::id::{DeviceId, GroupId};
use latchkey_loadtest::hostile::exchange::{Ask, Reply};
use latchkey_loadtest::hostile::middle::{Lie, Middle, Then};

use crate::stage::lock;

/// What passed through the server's hands.
#[derive(Default)]
pub struct Tape {
    /// Commits as they were posted, accepted or not.
    pub commits: Vec<PostCommit>,
    /// Welcomes by the device that they were shown to.
    pub welcomes: Vec<(DeviceId, PendingWelcome)>,
    /// The last-resort key package of each device.
    pub last_resort: HashMap<DeviceId, ByteString>,
}

impl Tape {
    /// The epoch that the last commit began, if it was accepted; 0 before the first.
    pub fn epoch(&self) -> u64 {
        self.commits.last().map_or(0, |commit| commit.epoch + 1)
    }
}

/// Keeps what passes.
pub fn record(middle: &Middle) -> (Arc<Mutex<Tape>>, [Lie; 2]) {
    let tape = Arc::new(Mutex::new(Tape::default()));
    let asked = Arc::clone(&tape);
    let on_ask = middle.on_ask(move |ask| {
        if ask.is("POST", COMMITS)
            && let Some(commit) = ask.json::<PostCommit>()
        {
            lock(&asked).commits.push(commit);
        }
        if ask.is("POST", "/v1/key-packages")
            && let Some(published) = ask.json::<PublishKeyPackages>()
            && let (Some(device), Some(last)) = (ask.device, published.last_resort)
        {
            lock(&asked).last_resort.insert(device, last);
        }
        Then::Pass
    });
    let answered = Arc::clone(&tape);
    let on_reply = middle.on_reply(move |ask, reply| {
        if ask.is("GET", "/v1/welcomes")
            && let (Some(device), Some(page)) = (ask.device, reply.json::<Welcomes>())
        {
            let shown = page.welcomes.into_iter().map(|welcome| (device, welcome));
            lock(&answered).welcomes.extend(shown);
        }
    });
    (tape, [on_ask, on_reply])
}

/// Changes the messages of its groups that `device` is shown.
pub fn show_messages(
    middle: &Middle,
    device: DeviceId,
    change: impl Fn(&Ask, &mut GroupMessages) + Send + Sync + 'static,
) -> Lie {
    middle.on_reply(move |ask, reply| {
        if ask.is("GET", MESSAGES)
            && ask.is_from(device)
            && let Some(mut page) = reply.json::<GroupMessages>()
        {
            change(ask, &mut page);
            reply.set_json(&page);
        }
    })
}

/// A message of a group, made up: what it is said to be, its epoch, its bytes.
pub type MadeUp = (MessageKind, u64, Vec<u8>);

/// Puts messages behind those of `group` that `device` has been shown. From then on the device sees other places
/// than there are, all by as many.
pub fn inject(middle: &Middle, device: DeviceId, group: GroupId, made_up: Vec<MadeUp>) -> [Lie; 2] {
    let count = made_up.len() as u64;
    // The place of the first, once it has one.
    let place = Arc::new(Mutex::new(None::<u64>));
    let known = Arc::clone(&place);
    let back = middle.on_ask(move |ask| {
        if !ask.is_from(device) {
            return Then::Pass;
        }
        if ask.is("POST", "/v1/groups/*/cursor") {
            return Then::Answer(Reply::of(StatusCode::OK, &CursorKept { seq: 0 }));
        }
        if let Some(place) = lock(&known).filter(|place| ask.after() >= *place && ask.is("GET", MESSAGES)) {
            ask.query = format!("after={}", ask.after().saturating_sub(count).max(place - 1));
        }
        Then::Pass
    });
    let forth = show_messages(middle, device, move |ask, page| {
        let mut place = lock(&place);
        let end = page.messages.last().map_or(ask.after(), |message| message.seq) + 1;
        let fresh = place.is_none() && !page.more;
        let at = *place.get_or_insert(end);
        for moved in page.messages.iter_mut().filter(|moved| moved.seq >= at) {
            moved.seq += count;
        }
        if fresh {
            let shown = (at..).zip(&made_up).map(|(seq, (kind, epoch, message))| GroupMessage {
                seq,
                kind: *kind,
                epoch: *epoch,
                message: ByteString(message.clone()),
            });
            page.messages.extend(shown);
        }
    });
    middle.tell(device, Event::Message { group, seq: FAR });
    [back, forth]
}

/// A place far behind those of the real server.
pub const FAR: u64 = 1_000_000;
/// Where commits are posted.
pub const COMMITS: &str = "/v1/groups/*/commits";
/// Where messages are read and posted.
pub const MESSAGES: &str = "/v1/groups/*/messages";
/// Where key packages are claimed.
pub const CLAIM: &str = "/v1/key-packages/claim";

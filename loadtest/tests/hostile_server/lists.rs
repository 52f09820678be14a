//! Lies about the device list: a forged one, fewer than there are, two of one version, one that is kept back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use latchkey::alarm::Alarm;
use latchkey::home;
use latchkey_api::device::ClaimKeyPackage;
use latchkey_api::device_list::{Reason, Role, SignedList};
use latchkey_api::encoding::ByteString;
use latchkey_api::event::Event;
use latchkey_api::group::PostCommit;
use latchkey_api::id::DeviceId;
use latchkey_api::list::Lists;
use latchkey_loadtest::hostile::ear::opened_with;
use latchkey_loadtest::hostile::exchange::Reply;
use latchkey_loadtest::hostile::middle::{Lie, Then};

use crate::ghost::Ghost;
use crate::stage::{Sending, Stage, Watching, checked, eventually, lock, refused};

/// The server shows a list with one more device, signed by itself in an admin's name, and plays that device.
pub struct ForgedAdd {
    pub stage: Stage,
    pub sending: Sending,
    pub watching: Watching,
    pub ghost: Arc<Mutex<Ghost>>,
    pub forged: Vec<u8>,
    pub welcome: Arc<Mutex<Option<Vec<u8>>>>,
    pub _lies: [Lie; 2],
}

impl ForgedAdd {
    pub async fn prepare() -> Self {
        let stage = Stage::open().await;
        let sending = stage.send("door").await;
        let watching = stage.see("bob", "door").await;
        let ghost = Ghost::new(&stage);
        let (id, forged) = (ghost.id(), ghost.forged_list(stage.id("ada")));
        let kept = forged.clone();
        let version = ghost.chain.head().expect("a list").version().version + 1;
        let ghost = Arc::new(Mutex::new(ghost));
        let shown = stage.middle.on_reply(move |ask, reply| {
            if let Some(mut page) = reply.json::<Lists>().filter(|_| ask.is("GET", "/v1/lists"))
                && ask.after() < version
                && !page.more
            {
                page.lists.push(ByteString(forged.clone()));
                reply.set_json(&page);
            }
        });
        let welcome = Arc::new(Mutex::new(None));
        let played = {
            let (ghost, welcome) = (Arc::clone(&ghost), Arc::clone(&welcome));
            stage.middle.on_ask(move |ask| {
                if let Some(claim) = ask.json::<ClaimKeyPackage>()
                    && ask.is("POST", "/v1/key-packages/claim")
                    && claim.device == id
                {
                    return Then::Answer(Reply::of(StatusCode::OK, &lock(&ghost).claimed()));
                }
                // The real server knows no such device: its Welcome stays here.
                if let Some(mut commit) = ask.json::<PostCommit>() {
                    for to in commit.welcomes.extract_if(.., |to| to.device == id) {
                        *lock(&welcome) = Some(to.welcome.into_vec());
                    }
                    ask.set_json(&commit);
                }
                Then::Pass
            })
        };
        for name in ["door", "bob"] {
            stage.middle.tell(stage.id(name), Event::List { version });
        }
        Self { stage, sending, watching, ghost, forged: kept, welcome, _lies: [shown, played] }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_add() {
    let _all = checked().await;
    let case = ForgedAdd::prepare().await;
    case.sending.alarms.wait_for("list-invalid").await;
    case.watching.alarms.wait_for("list-invalid").await;
    assert_eq!(*lock(&case.welcome), None, "nobody made a Welcome for the ghost");
    refused("forged-add", "list-signature", "list-invalid");
    case.stage.close().await;
}

/// A camera that sends and a viewer that sees it, before the server begins to lie about lists.
pub async fn running(stage: &Stage) -> (Sending, Watching) {
    (stage.send("door").await, stage.see("bob", "door").await)
}

pub fn version_of(list: &ByteString) -> u64 {
    SignedList::parse(list.as_slice()).map_or(0, |list| list.list().version)
}

/// Changes the lists that `device` is shown.
pub fn show_lists(
    stage: &Stage,
    device: DeviceId,
    change: impl Fn(&mut Vec<ByteString>) + Send + Sync + 'static,
) -> Lie {
    stage.middle.on_reply(move |ask, reply| {
        if let Some(mut page) = reply.json::<Lists>().filter(|_| ask.is("GET", "/v1/lists"))
            && ask.is_from(device)
        {
            change(&mut page.lists);
            reply.set_json(&page);
        }
    })
}

/// The server shows the lists as they were one version ago.
pub fn roll_back(stage: &Stage) -> [Lie; 2] {
    let hidden = home::look(&stage.home("ada")).expect("the admin's folder").chain().lists().count() as u64;
    let lies = ["door", "bob"].map(|name| {
        show_lists(stage, stage.id(name), move |lists| lists.retain(|list| version_of(list) < hidden))
    });
    for name in ["door", "bob"] {
        stage.middle.tell(stage.id(name), Event::List { version: hidden - 1 });
    }
    lies
}

#[tokio::test(flavor = "multi_thread")]
async fn rolled_back_list() {
    let _all = checked().await;
    let stage = Stage::open().await;
    let (sending, watching) = running(&stage).await;
    let _lies = roll_back(&stage);
    for alarms in [&sending.alarms, &watching.alarms] {
        let alarm = alarms.wait_for("list-rolled-back").await;
        assert!(matches!(alarm, Alarm::ListRolledBack { shown: 2, pinned: 3 }), "{alarm:?}");
    }
    watching.opens(30).await;
    refused("rolled-back-list", "list-pinned", "list-rolled-back");
    stage.close().await;
}

/// Two admins sign the next list at once; the server shows the camera one and bob the other.
pub struct TwoLists {
    pub stage: Stage,
    pub sending: Sending,
    pub watching: Watching,
    pub version: u64,
    pub lies: Vec<Lie>,
}

impl TwoLists {
    pub async fn prepare() -> Self {
        let stage = Stage::open().await;
        stage.enrol("ada", Role::Admin, "ann").await;
        let sending = stage.send("door").await;
        stage.see("bob", "door").await.handle.stop().await;
        let of_ann = ByteString(stage.sign("ann", Reason::Changed, |list| list));
        let version = version_of(&of_ann);
        // The same change a second later is another list.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        stage.post("ada", Reason::Changed, |list| list).await;
        let shown = show_lists(&stage, stage.id("bob"), move |lists| {
            for list in lists.iter_mut().filter(|list| version_of(list) == version) {
                *list = of_ann.clone();
            }
        });
        let watching = stage.watch("bob", "door").await;
        Self { stage, sending, watching, version, lies: vec![shown] }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lists() {
    let _all = checked().await;
    let mut case = TwoLists::prepare().await;
    // The camera's commit names another list than the one that was verified here.
    let alarm = case.watching.alarms.wait_for("group-rule-broken").await;
    assert!(alarm.to_string().contains("another device list"), "{alarm}");
    // Once he is shown both, with the names of those who signed.
    case.lies.clear();
    case.stage.middle.tell(case.stage.id("bob"), Event::List { version: case.version });
    let named = || {
        let alarms = case.watching.alarms.all();
        alarms.iter().any(|alarm| {
            matches!(alarm, Alarm::TwoHistories { signers, .. }
                if signers.contains(&"ada".to_owned()) && signers.contains(&"ann".to_owned()))
        })
    };
    eventually("both signers named", named).await;
    refused("two-lists", "list-histories", "two-histories");
    case.stage.close().await;
}

/// List n+1 without bob is shown to everybody but the camera, which therefore makes no Remove.
pub struct WithoutRemove {
    pub stage: Stage,
    pub sending: Sending,
    pub bob: DeviceId,
    pub _ada: Watching,
    pub lies: Vec<Lie>,
}

impl WithoutRemove {
    pub async fn prepare() -> Self {
        let stage = Stage::open().await;
        let (sending, watching) = running(&stage).await;
        watching.handle.stop().await;
        let (door, bob) = (stage.id("door"), stage.id("bob"));
        let shown =
            home::look(&stage.home("door")).expect("the camera's folder").chain().lists().count() as u64;
        let hidden = show_lists(&stage, door, move |lists| lists.retain(|list| version_of(list) <= shown));
        let untold =
            stage.middle.on_event(move |to, event| to != door || !matches!(event, Event::List { .. }));
        stage.remove("ada", bob).await;
        let ada = stage.see("ada", "door").await;
        Self { stage, sending, bob, _ada: ada, lies: vec![hidden, untold] }
    }

    /// How many of the frames that are sealed now the removed device opens.
    pub async fn opened_by_bob(&self) -> usize {
        let frames = self.stage.relay.listen(60).await;
        opened_with(self.stage.keys("bob", self.stage.id("door")), &frames)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn list_without_remove() {
    let _all = checked().await;
    let mut case = WithoutRemove::prepare().await;
    let alarm = case.sending.alarms.wait_for("list-withheld").await;
    assert!(alarm.to_string().starts_with("ada"), "it says who knows more: {alarm}");
    // What was withheld comes: at once bob is out.
    case.lies.clear();
    case.stage.middle.tell(case.stage.id("door"), Event::List { version: 4 });
    eventually("bob's removal", || !case.stage.members("door").contains(&case.bob)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(case.opened_by_bob().await, 0);
    refused("list-without-remove", "list-shown", "list-withheld");
    case.stage.close().await;
}

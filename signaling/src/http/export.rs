//! The route that reads out everything about a household: one JSON document, written page by page.

use std::io;
use std::time::{Instant, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::poll_fn;
use latchkey_api::export::{Export, ExportedWelcomes};
use latchkey_api::problem::Problem;
use latchkey_signaling_core::export::Exporting;
use latchkey_signaling_core::store::StoreError;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::app::{App, to_the_end};
use crate::http::caller::SignedIn;
use crate::refusal::Refusal;

/// Reads out everything that the server has about the caller's household. An answer that breaks off is no whole
/// document.
#[utoipa::path(
    get, path = "/v1/export", tag = "households", security(("device" = [])),
    responses(
        (status = 200, body = Export),
        (status = 403, body = Problem, description = "`forbidden`: only admins"),
        (status = 429, body = Problem, description = "`rate-limited`: a device reads out six times an hour"),
    ),
)]
pub(crate) async fn read(State(app): State<App>, SignedIn(caller): SignedIn) -> Result<Response, Refusal> {
    app.limits
        .export(caller.household_id(), caller.device(), Instant::now())
        .inspect_err(|_| app.metrics.rate_limited("export"))?;
    let signaling = app.signaling.clone();
    let export =
        to_the_end(async move { Ok(signaling.begin_export(&caller, SystemTime::now()).await?) }).await?;
    let (pages, mut written) = mpsc::channel(PAGES_AHEAD);
    tokio::spawn(async move {
        let mut page = Page { text: Vec::new(), pages };
        if let Err(Broken::Store(error)) = write(&app, &export, &mut page).await {
            tracing::warn!(%error, "an export broke off");
            // The connection is cut, so that nobody takes a part for the whole.
            let _ = page.pages.send(Err(io::Error::other("the store failed"))).await;
        }
    });
    let body = Body::from_stream(poll_fn(move |context| written.poll_recv(context)));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The fields of [`Export`], in their order.
async fn write(app: &App, export: &Exporting, page: &mut Page) -> Result<(), Broken> {
    page.text.push(b'{');
    page.field("household", &export.household());
    page.text.push(b',');
    page.field("root_public", &latchkey_api::encoding::ByteString::from(export.root_public().as_slice()));
    page.text.extend(b",\"lists\":[");
    let mut after = 0;
    loop {
        let found = app.signaling.exported_lists(export, after).await?;
        page.items(&found.lists, after == 0).await?;
        after += found.lists.len() as u64;
        if !found.more {
            break;
        }
    }
    page.text.extend(b"],\"audit\":[");
    let mut after = 0;
    loop {
        let found = app.signaling.exported_audit(export, after).await?;
        page.items(&found.rows, after == 0).await?;
        let Some(last) = found.rows.last().filter(|_| found.more) else { break };
        after = last.seq;
    }
    page.text.extend(b"],\"groups\":[");
    for (at, group) in export.groups().enumerate() {
        page.text.extend(if at == 0 { &b"{"[..] } else { b",{" });
        page.field("group", &group.group);
        page.text.push(b',');
        page.field("next_epoch", &group.next_epoch);
        page.text.push(b',');
        page.field("last_seq", &group.last_seq);
        page.text.push(b',');
        page.field("cursors", &group.cursors);
        page.text.extend(b",\"messages\":[");
        let mut after = 0;
        loop {
            let found = app.signaling.exported_messages(export, group.group, after).await?;
            page.items(&found.messages, after == 0).await?;
            let Some(last) = found.messages.last().filter(|_| found.more) else { break };
            after = last.seq;
        }
        page.text.extend(b"]}");
    }
    page.text.extend(b"],\"welcomes\":[");
    for (at, device) in export.welcomed().enumerate() {
        let welcomes = app.signaling.exported_welcomes(export, device).await?.welcomes;
        page.items(&[ExportedWelcomes { device, welcomes }], at == 0).await?;
    }
    page.text.extend(b"],");
    page.field("key_packages", &export.key_packages());
    page.text.push(b',');
    page.field("sessions", &export.sessions());
    page.text.push(b'}');
    page.send().await
}

/// What is written next.
struct Page {
    text: Vec<u8>,
    pages: mpsc::Sender<io::Result<Bytes>>,
}

impl Page {
    fn field(&mut self, name: &str, value: &impl Serialize) {
        self.value(&name);
        self.text.push(b':');
        self.value(value);
    }

    /// Items of an array that is open, and sends what is written when it is much.
    async fn items<T: Serialize>(&mut self, items: &[T], first: bool) -> Result<(), Broken> {
        for (at, item) in items.iter().enumerate() {
            if at > 0 || !first {
                self.text.push(b',');
            }
            self.value(item);
        }
        if self.text.len() >= PAGE_BYTES { self.send().await } else { Ok(()) }
    }

    fn value(&mut self, value: &impl Serialize) {
        serde_json::to_writer(&mut self.text, value).expect("types of the API are JSON");
    }

    async fn send(&mut self) -> Result<(), Broken> {
        let page = Bytes::from(std::mem::take(&mut self.text));
        self.pages.send(Ok(page)).await.map_err(|_| Broken::ReaderLeft)
    }
}

/// Why an export is not whole.
enum Broken {
    ReaderLeft,
    Store(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

const PAGE_BYTES: usize = 64 * 1024;
const PAGES_AHEAD: usize = 2;

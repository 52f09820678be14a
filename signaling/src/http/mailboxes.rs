//! Routes of mailboxes: no sign-in, small, short-lived.

use std::time::SystemTime;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use latchkey_api::encoding::ByteString;
use latchkey_api::mailbox::{MailAccepted, Mailbox, PostMail};
use latchkey_api::problem::{Problem, ProblemCode};

use crate::app::{App, to_the_end};
use crate::http::body::{After, Asked, Body, Named};
use crate::http::caller::Open;
use crate::refusal::Refusal;

/// Puts a sealed message into a mailbox whose name (16 bytes) both sides know.
#[utoipa::path(
    post, path = "/v1/mailboxes/{id}", tag = "mailboxes",
    params(("id" = String, Path, description = "16 bytes as base64url.")), request_body = PostMail,
    responses(
        (status = 201, body = MailAccepted),
        (status = 413, body = Problem, description = "`too-large`: above 4 KiB"),
        (status = 422, body = Problem, description = "`limit-reached`: 16 messages wait"),
        (status = 503, body = Problem, description = "`unavailable`: all mailboxes are full"),
    ),
)]
pub(crate) async fn write(
    State(app): State<App>,
    _: Open,
    Named(id): Named<ByteString>,
    Body(request): Body<PostMail>,
) -> Result<(StatusCode, Json<MailAccepted>), Refusal> {
    let mailbox = name(&id)?;
    let accepted = to_the_end(async move {
        Ok(app.signaling.post_mail(mailbox, request.message.as_slice(), SystemTime::now()).await?)
    })
    .await?;
    Ok((StatusCode::CREATED, Json(accepted)))
}

/// Reads the messages of a mailbox after `after`, oldest first. Each is kept for ten minutes.
#[utoipa::path(
    get, path = "/v1/mailboxes/{id}", tag = "mailboxes",
    params(
        ("id" = String, Path, description = "16 bytes as base64url."),
        ("after" = Option<u64>, Query, description = "A message's number."),
    ),
    responses((status = 200, body = Mailbox)),
)]
pub(crate) async fn read(
    State(app): State<App>,
    _: Open,
    Named(id): Named<ByteString>,
    Asked(After { after }): Asked<After>,
) -> Result<Json<Mailbox>, Refusal> {
    Ok(Json(app.signaling.mail(name(&id)?, after, SystemTime::now()).await?))
}

fn name(id: &ByteString) -> Result<[u8; 16], Refusal> {
    let name = id.as_slice().try_into();
    name.map_err(|_| Refusal::new(ProblemCode::BadRequest, "a mailbox is named by 16 bytes as base64url"))
}

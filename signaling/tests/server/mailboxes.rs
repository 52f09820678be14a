//! Mailboxes: small, bounded, open to whoever knows the name.

use latchkey_api::encoding::to_text;
use latchkey_api::mailbox::{MAX_MESSAGE_BYTES, MAX_MESSAGES, MailAccepted, Mailbox, PostMail};
use latchkey_api::problem::ProblemCode;
use reqwest::StatusCode;

use crate::home::random;
use crate::running::Running;

fn mail(message: Vec<u8>) -> PostMail {
    PostMail { message: message.into() }
}

#[tokio::test]
async fn messages_are_read_in_order_by_whoever_knows_the_name() {
    let running = Running::start().await;
    let client = &running.client;
    let path = format!("/v1/mailboxes/{}", to_text(&random::<16>()));
    assert!(client.get(&path).await.ok::<Mailbox>(StatusCode::OK).messages.is_empty());
    let first: MailAccepted = client.post(&path, &mail(b"one".to_vec())).await.ok(StatusCode::CREATED);
    let second: MailAccepted = client.post(&path, &mail(b"two".to_vec())).await.ok(StatusCode::CREATED);
    assert!(second.seq > first.seq);
    for _ in 0..2 {
        let read: Mailbox = client.get(&path).await.ok(StatusCode::OK);
        assert_eq!(
            read.messages.iter().map(|mail| mail.message.as_slice()).collect::<Vec<_>>(),
            [b"one", b"two"]
        );
    }
    let rest: Mailbox = client.get(&format!("{path}?after={}", first.seq)).await.ok(StatusCode::OK);
    assert_eq!(rest.messages.len(), 1);
    let other = format!("/v1/mailboxes/{}", to_text(&random::<16>()));
    assert!(client.get(&other).await.ok::<Mailbox>(StatusCode::OK).messages.is_empty());
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_mailbox_has_bounds() {
    let running = Running::start().await;
    let client = &running.client;
    let path = format!("/v1/mailboxes/{}", to_text(&random::<16>()));
    client.post(&path, &mail(vec![0; MAX_MESSAGE_BYTES + 1])).await.problem(ProblemCode::TooLarge);
    for _ in 0..MAX_MESSAGES {
        let _: MailAccepted =
            client.post(&path, &mail(vec![7; MAX_MESSAGE_BYTES])).await.ok(StatusCode::CREATED);
    }
    client.post(&path, &mail(b"more".to_vec())).await.problem(ProblemCode::LimitReached);
    let full: Mailbox = client.get(&path).await.ok(StatusCode::OK);
    assert_eq!(full.messages.len(), MAX_MESSAGES);
    for name in [to_text(&random::<15>()), to_text(&random::<17>()), "*".into(), "x y".into()] {
        client.get(&format!("/v1/mailboxes/{name}")).await.problem(ProblemCode::BadRequest);
    }
    running.server.shutdown().await;
}

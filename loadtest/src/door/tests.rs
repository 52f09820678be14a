//! Doors of servers that are not ours, each with manners of its own.

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get, post};

use super::*;

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n";
const SDP: &str = "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\n";

/// Serves until the test ends; returns its address.
async fn serve(router: Router) -> Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Url::parse(&url).unwrap()
}

#[tokio::test]
async fn an_answer_comes_with_its_whole_address_and_can_be_ended() {
    let answer = async |headers: HeaderMap, offer: String| {
        assert_eq!(headers["content-type"], "application/sdp");
        assert_eq!(headers["authorization"], "Bearer secret");
        assert_eq!(offer, OFFER);
        let link = "<stun:stun.example.net>; rel=\"ice-server\"";
        (StatusCode::CREATED, [("location", "../session/7"), ("link", link)], SDP)
    };
    let router = Router::new()
        .route("/room/whep", post(answer))
        .route("/session/7", delete(async || StatusCode::OK))
        .route("/session/8", delete(async || StatusCode::NOT_FOUND))
        .route("/session/9", delete(async || StatusCode::FORBIDDEN));
    let server = serve(router).await;
    let door = Door::new().unwrap();
    let url = server.join("room/whep").unwrap();
    let answer = door.post(&url, Some("secret"), OFFER.to_owned()).await.unwrap();
    assert_eq!(answer.sdp, SDP);
    assert_eq!(answer.resource, server.join("session/7").ok());
    door.delete(&answer.resource.unwrap(), None).await.unwrap();
    door.delete(&server.join("session/8").unwrap(), None).await.unwrap();
    let error = door.delete(&server.join("session/9").unwrap(), None).await.unwrap_err();
    assert!(matches!(error, DoorError::Refused { status: 403, .. }), "{error}");
}

#[tokio::test]
async fn a_server_may_say_200_and_name_no_session() {
    let server = serve(Router::new().route("/whip", post(async || SDP))).await;
    let answer = Door::new().unwrap().post(&server.join("whip").unwrap(), None, OFFER.to_owned()).await;
    assert_eq!(answer.unwrap(), Answer { sdp: SDP.to_owned(), resource: None });
}

#[tokio::test]
async fn each_refusal_keeps_what_the_server_says() {
    let problem =
        r#"{"type":"x","title":"No publisher","status":409,"detail":"wait for it","code":"no-publisher"}"#;
    let router = Router::new()
        .route("/problem", post(async move || (StatusCode::CONFLICT, problem)))
        .route("/error", post(async || (StatusCode::BAD_REQUEST, r#"{"error":"no stream on it"}"#)))
        .route("/text", post(async || (StatusCode::UNAUTHORIZED, "go away\nplease")))
        .route("/page", post(async || (StatusCode::BAD_GATEWAY, "<html>")))
        .route("/welcome", post(async || "hello"))
        .route("/other", get(async || "hello"));
    let server = serve(router).await;
    let door = Door::new().unwrap();
    let ask =
        async |path: &str| door.post(&server.join(path).unwrap(), None, OFFER.to_owned()).await.unwrap_err();
    let refused = |status, code: &str, detail: &str| DoorError::Refused {
        status,
        code: code.to_owned(),
        detail: detail.to_owned(),
    };
    assert_eq!(ask("problem").await, refused(409, "no-publisher", "wait for it"));
    assert_eq!(ask("problem").await.code(), Some("no-publisher"));
    assert_eq!(ask("error").await, refused(400, "http", "no stream on it"));
    assert_eq!(ask("text").await, refused(401, "http", "go away"));
    assert_eq!(ask("page").await, refused(502, "http", "no reason given"));
    assert_eq!(ask("other").await, refused(405, "http", "no reason given"));
    assert!(matches!(ask("welcome").await, DoorError::NotSdp { .. }));
}

#[tokio::test]
async fn nobody_there_and_nobody_quick_are_told_apart() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = Url::parse(&format!("http://127.0.0.1:{port}/whep")).unwrap();
    let error = Door::new().unwrap().post(&nobody, None, OFFER.to_owned()).await.unwrap_err();
    let DoorError::Unreachable { host, reason } = &error else { panic!("{error}") };
    assert_eq!(host, &format!("127.0.0.1:{port}"));
    assert!(reason.to_lowercase().contains("refused"), "{reason}");

    let server = serve(Router::new().route("/whep", post(std::future::pending::<&str>))).await;
    let hasty = Door { limit: Duration::from_secs(1), ..Door::new().unwrap() };
    let error = hasty.post(&server.join("whep").unwrap(), None, OFFER.to_owned()).await.unwrap_err();
    assert!(matches!(error, DoorError::TooSlow { seconds: 1, .. }), "{error}");
}

#[tokio::test]
async fn a_bearer_that_no_header_may_have_is_not_sent() {
    let url = Url::parse("http://127.0.0.1:9/whep").unwrap();
    let error = Door::new().unwrap().post(&url, Some("two\nlines"), OFFER.to_owned()).await;
    assert_eq!(error.unwrap_err(), DoorError::BadBearer);
}

//! What goes wrong is said in one form, and nothing a client sends makes the server fail.

use latchkey_api::problem::ProblemCode;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::running::Running;

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let running = Running::start().await;
    let client = &running.client;
    for path in ["/", "/v1", "/v1/nothing", "/v2/lists", "/v1/lists/1", "/metrics"] {
        client.get(path).await.problem(ProblemCode::NotFound);
    }
    for (method, path) in [
        (Method::GET, "/v1/households"),
        (Method::PUT, "/v1/lists"),
        (Method::DELETE, "/v1/sessions"),
        (Method::GET, "/v1/groups/x/commits"),
        (Method::POST, "/v1/events"),
    ] {
        client.send(client.request(method, path)).await.problem(ProblemCode::MethodNotAllowed);
    }
    running.server.shutdown().await;
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_problems() {
    let running = Running::start().await;
    let client = &running.client;
    let post = |body: Vec<u8>, kind: Option<&str>| {
        let request = client.request(Method::POST, "/v1/auth/challenge").body(body);
        client.send(match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        })
    };
    let json = Some("application/json; charset=utf-8");
    let good = r#"{"household":"AAAAAAAAAAAAAAAAAAAAAA","device":"AAAAAAAAAAAAAAAAAAAAAA"}"#;
    assert_eq!(post(good.into(), json).await.status, StatusCode::OK);
    post(good.into(), None).await.problem(ProblemCode::UnsupportedMediaType);
    post(good.into(), Some("text/plain")).await.problem(ProblemCode::UnsupportedMediaType);
    for bad in [
        "".to_owned(),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        good.replace("AAAAAAAAAAAAAAAAAAAAAA", "AAAA"),
        good.replace("AAAAAAAAAAAAAAAAAAAAAA", "!!!!!!!!!!!!!!!!!!!!!!"),
        good.replace('}', r#","more":1}"#),
        "[".repeat(50_000),
        "\u{0}".to_owned(),
    ] {
        post(bad.into_bytes(), json).await.problem(ProblemCode::BadRequest);
    }
    post(vec![0xff; 100], json).await.problem(ProblemCode::BadRequest);
    post(vec![b' '; 64 * 1024 + 1], json).await.problem(ProblemCode::TooLarge);
    running.server.shutdown().await;
}

#[tokio::test]
async fn nothing_a_client_posts_makes_the_server_fail() {
    let running = Running::with(|config| {
        config.device_burst = 100_000;
        config.address_burst = 100_000;
        config.open_burst = 100_000;
        config.household_burst = 100_000;
        config.message_burst = 100_000;
    })
    .await;
    let home = running.home().await;
    let group = home.group();
    let camera = running.client.signed_in(&home, &home.camera).await;
    let id = home.viewer.id.to_string();
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("AAAA"),
        json!("\u{0}"),
        json!([]),
        json!([[]]),
        json!({}),
        json!("A".repeat(40_000)),
        json!(id),
        json!([{"device": id, "welcome": "AAEAAwA"}]),
    ];
    let paths = [
        "/v1/households".to_owned(),
        "/v1/auth/challenge".into(),
        "/v1/auth/session".into(),
        "/v1/lists".into(),
        "/v1/key-packages".into(),
        "/v1/key-packages/claim".into(),
        format!("/v1/groups/{group}/commits"),
        format!("/v1/groups/{group}/messages"),
        format!("/v1/groups/{group}/cursor"),
        format!("/v1/groups/{group}/rejoin"),
        "/v1/households/self/deletion".into(),
        "/v1/sessions".into(),
        "/v1/mailboxes/AAAAAAAAAAAAAAAAAAAAAA".into(),
    ];
    let fields = [
        "household",
        "device",
        "nonce",
        "signature",
        "root_public",
        "invite_code",
        "seq",
        "list",
        "packages",
        "last_resort",
        "epoch",
        "commit",
        "welcomes",
        "message",
        "camera",
        "scope",
    ];
    let mut asked = 0;
    for path in &paths {
        for value in &values {
            let mut body = serde_json::Map::new();
            for field in fields {
                body.insert(field.to_owned(), value.clone());
                let answer = camera.post(path, &body).await;
                assert!(is_judged(answer.status), "{path} {body:?}: {}", answer.status);
                asked += 1;
            }
            for field in fields {
                let answer = camera.post(path, &json!({ field: value })).await;
                assert!(is_judged(answer.status), "{path} {field} {value}: {}", answer.status);
                asked += 1;
            }
        }
    }
    println!("asked {asked} odd things");
    assert_eq!(camera.get("/v1/lists").await.status, StatusCode::OK);
    running.server.shutdown().await;
}

#[tokio::test]
async fn the_openapi_document_names_every_route_and_its_types() {
    let running = Running::start().await;
    let document: Value = running.client.get("/v1/openapi.json").await.ok(StatusCode::OK);
    let routes: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    let mut expected = vec![
        "post /v1/households",
        "post /v1/auth/challenge",
        "post /v1/auth/session",
        "get /v1/lists",
        "post /v1/lists",
        "post /v1/households/self/deletion",
        "get /v1/audit",
        "get /v1/export",
        "post /v1/groups/{group}/cursor",
        "post /v1/groups/{group}/rejoin",
        "post /v1/key-packages",
        "post /v1/key-packages/claim",
        "post /v1/groups/{group}/commits",
        "post /v1/groups/{group}/messages",
        "get /v1/groups/{group}/messages",
        "get /v1/welcomes",
        "delete /v1/welcomes/{id}",
        "post /v1/sessions",
        "get /v1/cameras",
        "get /v1/events",
        "post /v1/mailboxes/{id}",
        "get /v1/mailboxes/{id}",
        "post /v1/probes",
        "get /v1/probes/socket",
        "get /livez",
    ];
    let mut routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    routes.sort_unstable();
    expected.sort_unstable();
    assert_eq!(routes, expected);
    // Every reference leads somewhere, and every route is really there.
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name} is missing");
    }
    for route in routes {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path.replace("{group}", "x").replace("{id}", "x");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let answer = running.client.send(running.client.request(method, &path)).await;
        let lost = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&answer.status);
        assert!(!lost, "{route}: {}", answer.status);
    }
    // The router, the document and the page for people name the same routes.
    let routed: Vec<String> = include_str!("../../src/http/mod.rs")
        .split(".route(\"")
        .skip(1)
        .flat_map(|route| {
            let (path, handlers) = route.split_once('"').unwrap();
            let handlers = handlers.split(".route(").next().unwrap().lines().next().unwrap();
            ["get", "post", "delete"]
                .into_iter()
                .filter(move |method| handlers.contains(&format!("{method}(")))
                .map(move |method| format!("{method} {path}"))
        })
        .filter(|route| route != "get /v1/openapi.json")
        .collect();
    let mut routed: Vec<&str> = routed.iter().map(String::as_str).collect();
    routed.sort_unstable();
    assert_eq!(routed, expected);
    let documented = include_str!("../../docs/api.md");
    for route in &expected {
        let (method, path) = route.split_once(' ').unwrap();
        let name = format!("`{} {path}", method.to_uppercase());
        let named = documented
            .match_indices(&name)
            .any(|(at, _)| documented[at + name.len()..].starts_with(['`', '?']));
        assert!(named, "{name} is not in api.md");
    }
    for named in documented.split('`').filter(|text| text.contains(" /v1/") || text.ends_with(" /livez")) {
        let route = named.split('?').next().unwrap();
        let (method, path) = route.split_once(' ').unwrap();
        let route = format!("{} {path}", method.to_lowercase());
        assert!(expected.contains(&route.as_str()) || route == "get /v1/openapi.json", "{named} is no route");
    }
    for code in ProblemCode::ALL {
        assert!(documented.contains(&format!("`{}`", code.as_str())), "{} is not in api.md", code.as_str());
    }
    running.server.shutdown().await;
}

#[tokio::test]
async fn answers_are_not_cached_and_the_ops_port_counts_without_ids() {
    let running = Running::start().await;
    let home = running.home().await;
    let viewer = running.client.signed_in(&home, &home.viewer).await;
    let answer = viewer.get(&format!("/v1/groups/{}/messages", home.group())).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    let ops = crate::client::Client::new(&running.server.urls().ops);
    let metrics = String::from_utf8(ops.get("/metrics").await.body).unwrap();
    assert!(metrics.starts_with("relay_rooms 0\n"), "the relay's come first: {metrics}");
    let line = "signal_requests_total{code=\"200\",route=\"/v1/groups/{group}/messages\"} 1";
    assert!(metrics.contains(line), "{metrics}");
    assert!(metrics.contains("auth_attempts_total{method=\"signature\",outcome=\"ok\"} 1"), "{metrics}");
    for id in [home.id.to_string(), home.viewer.id.to_string(), home.group().to_string()] {
        assert!(!metrics.contains(&id));
    }
    running.server.shutdown().await;
}

/// The request was read and judged: no failure, and no limit that kept it from being read.
fn is_judged(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

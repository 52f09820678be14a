//! Signing in: who gets a token, and who learns nothing.

use latchkey_api::auth::{ChallengeRequest, SignedIn};
use latchkey_api::list::Lists;
use latchkey_api::problem::ProblemCode;
use reqwest::{Method, StatusCode};

use crate::home::{Device, now, random};
use crate::running::Running;

#[tokio::test]
async fn a_listed_device_signs_in_and_reads_its_lists() {
    let running = Running::start().await;
    let home = running.home().await;
    for device in [&home.camera, &home.admin, &home.viewer, &home.guest] {
        let client = running.client.signed_in(&home, device).await;
        let lists: Lists = client.get("/v1/lists").await.ok(StatusCode::OK);
        assert_eq!(lists.lists.len(), 1);
        assert!(!lists.more);
    }
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_token_lasts_an_hour_and_is_not_kept_in_clear() {
    let running = Running::start().await;
    let home = running.home().await;
    let asked = now();
    let challenge = running.client.challenge(home.id, &home.viewer).await;
    assert!((asked + 60..=now() + 60).contains(&challenge.expires_at));
    let answer = running.client.answer(home.id, &home.viewer, &challenge);
    let asked = now();
    let signed_in: SignedIn = running.client.post("/v1/auth/session", &answer).await.ok(StatusCode::CREATED);
    assert!((asked + 3600..=now() + 3600).contains(&signed_in.expires_at));
    let folder = running.folder().to_owned();
    let mut searched = 0;
    for file in std::fs::read_dir(&folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        searched += bytes.len();
        let found = bytes.windows(signed_in.token.len()).any(|window| window == signed_in.token.as_bytes());
        assert!(!found, "the token stands in the data folder");
    }
    assert!(searched > 4096, "the database was searched");
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_wrong_signature_and_an_unknown_device_are_told_the_same() {
    let running = Running::start().await;
    let home = running.home().await;
    let client = &running.client;

    let challenge = client.challenge(home.id, &home.viewer).await;
    let mut wrong = client.answer(home.id, &home.viewer, &challenge);
    wrong.signature.0[7] ^= 1;
    let refused = client.post("/v1/auth/session", &wrong).await;
    let said = refused.problem(ProblemCode::SignInFailed);
    assert_eq!(refused.headers["www-authenticate"], "Bearer");

    let stranger = Device::new();
    for (household, device) in [(home.id, &stranger), (latchkey_api::id::HouseholdId(random()), &home.viewer)]
    {
        let challenge = client.challenge(household, device).await;
        assert_eq!(challenge.nonce.0.len(), 32);
        let answer = client.answer(household, device, &challenge);
        let refused = client.post("/v1/auth/session", &answer).await;
        assert_eq!(refused.problem(ProblemCode::SignInFailed), said);
    }
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_nonce_is_good_once_and_for_its_device_only() {
    let running = Running::start().await;
    let home = running.home().await;
    let client = &running.client;
    let challenge = client.challenge(home.id, &home.viewer).await;
    let for_another = client.answer(home.id, &home.admin, &challenge);
    client.post("/v1/auth/session", &for_another).await.problem(ProblemCode::SignInFailed);

    let answer = client.answer(home.id, &home.viewer, &challenge);
    let _: SignedIn = client.post("/v1/auth/session", &answer).await.ok(StatusCode::CREATED);
    client.post("/v1/auth/session", &answer).await.problem(ProblemCode::SignInFailed);

    let mut made_up = answer.clone();
    made_up.nonce = random::<32>().to_vec().into();
    client.post("/v1/auth/session", &made_up).await.problem(ProblemCode::SignInFailed);
    running.server.shutdown().await;
}

#[tokio::test]
async fn of_ten_answers_to_one_challenge_at_once_one_counts() {
    let running = Running::start().await;
    let home = running.home().await;
    let challenge = running.client.challenge(home.id, &home.viewer).await;
    let answer = running.client.answer(home.id, &home.viewer, &challenge);
    let tries = (0..10).map(|_| {
        let (client, answer) = (running.client.clone(), answer.clone());
        tokio::spawn(async move { client.post("/v1/auth/session", &answer).await.status })
    });
    let mut good = 0;
    for attempt in tries.collect::<Vec<_>>() {
        let status = attempt.await.unwrap();
        good += usize::from(status == StatusCode::CREATED);
        assert!(status == StatusCode::CREATED || status == StatusCode::UNAUTHORIZED);
    }
    assert_eq!(good, 1);
    running.server.shutdown().await;
}

#[tokio::test]
async fn a_server_in_the_middle_cannot_pass_a_challenge_on() {
    let running = Running::start().await;
    let home = running.home().await;
    let client = &running.client;
    let challenge = client.challenge(home.id, &home.viewer).await;
    // The device dialled another server and signs that name.
    let elsewhere = crate::client::Client { base: "http://10.0.0.9:9601".into(), ..client.clone() };
    let answer = elsewhere.answer(home.id, &home.viewer, &challenge);
    client.post("/v1/auth/session", &answer).await.problem(ProblemCode::SignInFailed);
    // Nor does this server take a public name for its own that the operator did not name.
    let request = client
        .request(Method::POST, "/v1/auth/challenge")
        .header("host", "evil.example")
        .json(&ChallengeRequest { household: home.id, device: home.viewer.id });
    client.send(request).await.problem(ProblemCode::WrongAudience);
    running.server.shutdown().await;
}

#[tokio::test]
async fn without_a_good_token_nothing_is_read() {
    let running = Running::start().await;
    let mut client = running.client.clone();
    for token in [None, Some(String::new()), Some("x".repeat(43)), Some("x".repeat(5000))] {
        client.token = token;
        for path in ["/v1/lists", "/v1/welcomes", "/v1/cameras", "/v1/events"] {
            let refused = client.get(path).await;
            refused.problem(ProblemCode::NotSignedIn);
            assert_eq!(refused.headers["www-authenticate"], "Bearer");
        }
    }
    running.server.shutdown().await;
}

//! Registration by invite code: what is said without one, with a wrong one, and with one that is used up.

use latchkey_api::problem::ProblemCode;
use latchkey_signaling::{Registration, make_invite_code};
use reqwest::StatusCode;

use crate::client::Client;
use crate::home::Home;
use crate::process::{Process, run};
use crate::running::Running;

#[tokio::test]
async fn a_household_needs_a_code_and_uses_it_up() {
    let running = Running::with(|config| config.registration = Registration::Invite).await;
    let mut config = latchkey_signaling::ServerConfig::loopback(running.folder());
    config.registration = Registration::Invite;
    let code = make_invite_code(&config, 2, 1).await.unwrap().text().to_string();
    let register = async |home: &Home, code: Option<&str>| {
        let mut registration = home.registration();
        registration.invite_code = code.map(str::to_owned);
        running.client.post("/v1/households", &registration).await
    };

    let [first, second, third] = std::array::from_fn(|_| Home::new());
    let said = register(&first, None).await.problem(ProblemCode::InviteCodeNeeded);
    assert!(said.detail.contains("ask its operator"), "{}", said.detail);
    let mut wrong = code.clone().into_bytes();
    let at = wrong.len() - 2;
    wrong[at] = if wrong[at] == b'A' { b'B' } else { b'A' };
    let wrong = String::from_utf8(wrong).unwrap();
    for bad in ["", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAA", &wrong, &"A".repeat(50_000)] {
        register(&first, Some(bad)).await.problem(ProblemCode::InviteCodeRefused);
    }
    assert_eq!(register(&first, Some(&format!(" {code}\n"))).await.status, StatusCode::CREATED);
    let again = register(&first, None).await;
    assert_eq!(again.status, StatusCode::CREATED, "who is registered needs no code");
    assert_eq!(register(&second, Some(&code)).await.status, StatusCode::CREATED);
    register(&third, Some(&code)).await.problem(ProblemCode::InviteCodeRefused);
    assert_eq!(register(&second, Some(&code)).await.status, StatusCode::CREATED);

    // The code stands nowhere in the data folder.
    for file in std::fs::read_dir(running.folder()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(code.len()).any(|window| window == code.as_bytes()));
        let secret = latchkey_api::encoding::from_text(&code).unwrap();
        assert!(!bytes.windows(16).any(|window| window == &secret[4..]));
    }
    running.server.shutdown().await;
}

#[tokio::test]
async fn of_ten_registrations_at_once_with_one_code_one_counts() {
    let running = Running::with(|config| config.registration = Registration::Invite).await;
    let config = latchkey_signaling::ServerConfig::loopback(running.folder());
    let code = make_invite_code(&config, 1, 1).await.unwrap().text().to_string();
    let race = (0..10).map(|_| {
        let client = running.client.clone();
        let mut registration = Home::new().registration();
        registration.invite_code = Some(code.clone());
        tokio::spawn(async move { client.post("/v1/households", &registration).await })
    });
    let mut registered = 0;
    for answer in race.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        if answer.status == StatusCode::CREATED {
            registered += 1;
        } else {
            answer.problem(ProblemCode::InviteCodeRefused);
        }
    }
    assert_eq!(registered, 1);
    running.server.shutdown().await;
}

#[tokio::test]
async fn an_open_server_ignores_codes() {
    let running = Running::start().await;
    let mut registration = Home::new().registration();
    registration.invite_code = Some("whatever".into());
    assert_eq!(running.client.post("/v1/households", &registration).await.status, StatusCode::CREATED);
    running.server.shutdown().await;
}

/// The operator's way: a server that runs, and the command beside it.
#[tokio::test]
async fn the_command_prints_a_code_for_the_server_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start_with(folder.path(), "127.0.0.1:0", &["--registration", "invite"]).await;
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let printed = run(&["invite-code", "--uses", "3", "--days", "2", "--data-dir", data]);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let code = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(code.trim().len(), 27, "nothing but the code: {code}");
    let said = String::from_utf8(printed.stderr).unwrap();
    assert!(said.contains("3 household(s) within 2 day(s)"), "{said}");
    let client = Client::new(&process.ready.signaling_url);
    let mut registration = Home::new().registration();
    client.post("/v1/households", &registration).await.problem(ProblemCode::InviteCodeNeeded);
    registration.invite_code = Some(code.trim().to_owned());
    assert_eq!(client.post("/v1/households", &registration).await.status, StatusCode::CREATED);
    for bad in [&["invite-code", "--uses", "0"][..], &["invite-code", "--days", "400"], &["invite"]] {
        assert_eq!(run(bad).status.code(), Some(2), "{bad:?}");
    }
}

//! A passphrase typed at a terminal: asked for before anything happens, and never shown.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use latchkey::vault::{Method, Unlock, status};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::house::{House, LIMIT};
use crate::made;
use crate::program::{aside, ended, latchkey, start};

/// A command with a person at its terminal.
struct Person {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of the screen was there when the last question was answered.
    answered: usize,
    /// The terminal stays when the command goes.
    _terminal: OwnedFd,
}

impl Person {
    fn at(command: &mut Command) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let terminal: OwnedFd =
            File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap().into();
        command
            .stdin(Stdio::from(terminal.try_clone().unwrap()))
            .stderr(Stdio::from(terminal.try_clone().unwrap()));
        let child = start(command);
        let keyboard = File::from(keyboard);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (shown, mut from) = (Arc::clone(&screen), keyboard.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                shown.lock().unwrap().extend_from_slice(&bytes[..length]);
            }
        });
        Self { child, keyboard, screen, answered: 0, _terminal: terminal }
    }

    fn sees(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until the screen ends with this question, and types an answer.
    fn answers(&mut self, question: &str, answer: &str) {
        let began = Instant::now();
        while !(self.sees().len() > self.answered && self.sees().ends_with(question)) {
            assert!(began.elapsed() < LIMIT, "{question:?} is not asked: {}", self.sees());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.answered = self.sees().len();
        self.keyboard.write_all(answer.as_bytes()).unwrap();
    }

    /// Waits until the screen shows this: what a command said last may be read after its end.
    fn is_told(&self, text: &str) {
        let began = Instant::now();
        while !self.sees().contains(text) {
            assert!(began.elapsed() < LIMIT, "{text:?} is not shown: {}", self.sees());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn end(&mut self) -> Option<i32> {
        ended(&mut self.child).code()
    }
}

impl Drop for Person {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn method(home: &Path) -> Option<Method> {
    status(home).unwrap().method
}

#[test]
fn what_is_typed_is_taken_and_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    made(&home, &Unlock::default());
    let change = ["vault", "change", "passphrase"];

    let mut person = Person::at(&mut latchkey(&home, &change));
    person.answers("keys: ", "correct horse\r");
    person.answers("again: ", "correct house\r");
    assert_eq!(person.end(), Some(2));
    person.is_told("differ");
    assert_eq!(method(&home), Some(Method::KeyFile));

    let mut person = Person::at(&mut latchkey(&home, &change));
    // A slip of the finger, a line given up, and a letter of two bytes taken back.
    person.answers("keys: ", "wrong\u{15}correct horsee\u{7f}ä\u{7f}\r");
    person.answers("again: ", "correct horse\r");
    assert_eq!(person.end(), Some(0), "{}", person.sees());
    assert_eq!(method(&home), Some(Method::Passphrase));
    println!("{}", person.sees());
    for typed in ["correct", "horse", "wrong"] {
        assert!(!person.sees().contains(typed), "{typed} is shown: {}", person.sees());
    }

    let mut person = Person::at(&mut latchkey(&home, &["vault", "change", "keyfile"]));
    person.answers("home: ", "a guess\r");
    person.answers("again: ", "correct horse\r");
    assert_eq!(person.end(), Some(0), "{}", person.sees());
    assert_eq!(method(&home), Some(Method::KeyFile));
}

#[test]
fn ctrl_c_at_the_question_changes_nothing_and_leaves_the_terminal_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    made(&home, &Unlock::default());
    let mut person = Person::at(&mut latchkey(&home, &["vault", "change", "passphrase"]));
    person.answers("keys: ", "correct\u{3}");
    assert_eq!(person.end(), Some(2));
    person.is_told("stopped at the passphrase");
    assert_eq!(method(&home), Some(Method::KeyFile));
    // What is typed now is shown again.
    person.keyboard.write_all(b"echo?").unwrap();
    person.is_told("echo?");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_makes_a_household_at_a_terminal_chooses() {
    let house = House::open().await;
    let (url, ada, bob) = (house.url().to_owned(), house.home("ada"), house.home("bob"));
    aside(move || {
        let create = |home: &Path| {
            let mut command = latchkey(home, &["household", "create", "--server", &url, "--name", "Ada"]);
            // No keyring answers here.
            command.env("LATCHKEY_VAULT", "auto").env_remove("DBUS_SESSION_BUS_ADDRESS");
            command
        };
        let mut person = Person::at(&mut create(&ada));
        person.answers("instead): ", "correct horse\r");
        person.answers("again: ", "correct horse\r");
        assert_eq!(person.end(), Some(0), "{}", person.sees());
        assert_eq!(method(&ada), Some(Method::Passphrase));
        let mut person = Person::at(&mut latchkey(&ada, &["devices"]));
        for question in ["ada: ", "again: ", "again: "] {
            person.answers(question, "a guess\r");
        }
        assert_eq!(person.end(), Some(2));
        person.is_told("is not the passphrase of");

        let mut person = Person::at(&mut create(&bob));
        person.answers("instead): ", "\r");
        assert_eq!(person.end(), Some(0), "{}", person.sees());
        assert_eq!(method(&bob), Some(Method::KeyFile));
    })
    .await;
    house.close().await;
}

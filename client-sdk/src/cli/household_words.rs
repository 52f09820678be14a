//! The twelve words at a terminal: shown once on a screen of their own, then three are asked back.

use std::io::{self, BufRead, Write};
use std::path::Path;

/// Shows the words and asks three of them back; returns whether the answers were right in three tries.
pub(super) fn shown_and_asked(
    words: &str,
    input: &mut impl BufRead,
    out: &mut impl Write,
) -> io::Result<bool> {
    let all: Vec<&str> = words.split(' ').collect();
    write!(out, "{OTHER_SCREEN}")?;
    writeln!(out, "Write these twelve words down and keep them where no one looks.")?;
    writeln!(out, "They are shown once, and are the only way back if all admins are lost.\n")?;
    let rows = all.len().div_ceil(COLUMNS);
    for row in 0..rows {
        for at in (row..all.len()).step_by(rows) {
            write!(out, "  {:>2}  {:<10}", at + 1, all[at])?;
        }
        writeln!(out)?;
    }
    write!(out, "\nPress Enter when they are on paper; three of them are asked then. ")?;
    out.flush()?;
    let read = input.read_line(&mut String::new());
    write!(out, "{FIRST_SCREEN}")?;
    out.flush()?;
    if read? == 0 {
        return Ok(false);
    }
    let mut tries = TRIES;
    for at in positions(all.len()).ok_or_else(|| io::Error::other("no random bytes"))? {
        loop {
            write!(out, "Word {}: ", at + 1)?;
            out.flush()?;
            let mut line = zeroize::Zeroizing::new(String::new());
            if input.read_line(&mut line)? == 0 {
                return Ok(false);
            }
            if line.trim().eq_ignore_ascii_case(all[at]) {
                break;
            }
            tries -= 1;
            if tries == 0 {
                return Ok(false);
            }
            let left = if tries == 1 { "1 try is" } else { "2 tries are" };
            writeln!(out, "That is not word {}; look at your paper, {left} left.", at + 1)?;
        }
    }
    Ok(true)
}

/// Takes the words off the screen when the command is stopped while they are shown.
pub(super) fn hide(out: &mut impl Write) {
    let _ = write!(out, "{FIRST_SCREEN}").and_then(|()| out.flush());
}

/// Writes a new file that only its owner can read. Fails with the reason, also when it is there already.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            "it exists already: name another file, or delete that one first".to_owned()
        }
        _ => error.to_string(),
    })?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| {
        let _ = std::fs::remove_file(path);
        error.to_string()
    })
}

/// Three different places, in ascending order; `None` without randomness.
fn positions(of: usize) -> Option<Vec<usize>> {
    let mut places: Vec<usize> = (0..of).collect();
    let mut chosen = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).ok()?;
        let at = u64::from_le_bytes(bytes) % places.len() as u64;
        chosen.push(places.remove(usize::try_from(at).ok()?));
    }
    chosen.sort_unstable();
    Some(chosen)
}

/// How many words are asked back.
const ASKED: usize = 3;
/// How many wrong answers end it.
const TRIES: usize = 3;
const COLUMNS: usize = 3;
/// The alternate screen keeps no history; cleared, with the cursor at its beginning.
const OTHER_SCREEN: &str = "\x1b[?1049h\x1b[2J\x1b[H";
const FIRST_SCREEN: &str = "\x1b[2J\x1b[?1049l";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const WORDS: &str = "one two three four five six seven eight nine ten eleven twelve";

    /// Answers each question by `reply`; the questions are read from what was written so far.
    struct Person<'a> {
        seen: std::rc::Rc<std::cell::RefCell<Vec<u8>>>,
        reply: &'a dyn Fn(usize, usize) -> String,
        asked: usize,
        line: Vec<u8>,
    }

    impl io::Read for Person<'_> {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            unreachable!("lines are read")
        }
    }

    impl BufRead for Person<'_> {
        fn fill_buf(&mut self) -> io::Result<&[u8]> {
            if self.line.is_empty() {
                let seen = String::from_utf8(self.seen.borrow().clone()).unwrap();
                self.line = match seen.rsplit("Word ").next().filter(|_| seen.ends_with(": ")) {
                    None => b"\n".to_vec(),
                    Some(question) => {
                        let number: usize = question.trim_end_matches(": ").parse().unwrap();
                        self.asked += 1;
                        (self.reply)(self.asked, number).into_bytes()
                    }
                };
            }
            Ok(&self.line)
        }

        fn consume(&mut self, amount: usize) {
            self.line.drain(..amount);
        }
    }

    #[derive(Clone)]
    struct Screen(std::rc::Rc<std::cell::RefCell<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn asked(reply: &dyn Fn(usize, usize) -> String) -> (bool, String) {
        let seen = std::rc::Rc::default();
        let mut person = Person { seen: std::rc::Rc::clone(&seen), reply, asked: 0, line: Vec::new() };
        let right = shown_and_asked(WORDS, &mut person, &mut Screen(std::rc::Rc::clone(&seen))).unwrap();
        (right, String::from_utf8(seen.take()).unwrap())
    }

    fn word(number: usize) -> String {
        format!(" {} \n", WORDS.split(' ').nth(number - 1).unwrap().to_uppercase())
    }

    #[test]
    fn three_different_words_are_asked_and_the_screen_is_left() {
        for _ in 0..50 {
            let (right, screen) = asked(&|_, number| word(number));
            assert!(right);
            let (shown, after) = screen.split_once(FIRST_SCREEN).unwrap();
            assert!(shown.starts_with(OTHER_SCREEN) && shown.contains(" 12  twelve"), "{shown}");
            assert!(!WORDS.split(' ').any(|word| after.contains(word)), "{after}");
            let mut places: Vec<&str> =
                after.split("Word ").skip(1).map(|rest| rest.split(':').next().unwrap()).collect();
            assert_eq!(places.len(), 3);
            places.dedup();
            assert_eq!(places.len(), 3, "{after}");
        }
    }

    #[test]
    fn wrong_words_are_asked_again_and_the_third_is_the_end() {
        let (right, screen) = asked(&|turn, number| if turn <= 2 { "no\n".to_owned() } else { word(number) });
        assert!(right, "{screen}");
        assert!(screen.contains("2 tries are left") && screen.contains("1 try is left"), "{screen}");
        let (right, screen) = asked(&|_, _| "no\n".to_owned());
        assert!(!right, "{screen}");
        assert_eq!(screen.matches("Word ").count(), 3, "{screen}");
        let (right, _) = asked(&|_, _| String::new());
        assert!(!right, "the end of input is no answer");
    }
}

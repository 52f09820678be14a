//! Asks for a passphrase at the terminal and shows nothing of it.

use std::io::{IsTerminal, Write, stderr, stdin};
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::vault::{Asker, Passphrase, UnlockError};

/// The terminal at which this process was started.
pub(super) struct Terminal(());

impl Terminal {
    /// Returns the terminal if somebody is at it: what is typed comes here, and what is asked is seen.
    pub(super) fn here() -> Option<Self> {
        (stdin().is_terminal() && stderr().is_terminal()).then_some(Self(()))
    }
}

impl Asker for Terminal {
    fn ask(&self, sentence: &str) -> Result<Passphrase, UnlockError> {
        let quiet = Quiet::begin().map_err(failed)?;
        let _ = write!(stderr(), "{sentence}").and_then(|()| stderr().flush());
        let answer = read();
        drop(quiet);
        let _ = writeln!(stderr());
        answer
    }
}

/// Takes what is typed, byte by byte, until Enter.
fn read() -> Result<Passphrase, UnlockError> {
    let mut typed: Passphrase = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0; 1]);
    loop {
        match rustix::io::read(stdin().as_fd(), byte.as_mut_slice()) {
            Ok(0) => return Err(UnlockError::Stopped),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(failed(error)),
        }
        match byte[0] {
            b'\n' | b'\r' => return Ok(typed),
            END_OF_TEXT => return Err(UnlockError::Stopped),
            END_OF_TRANSMISSION if typed.is_empty() => return Err(UnlockError::Stopped),
            BACKSPACE | DELETE => take_letter_back(&mut typed),
            KILL_LINE => typed.clear(),
            control if control.is_ascii_control() => {}
            _ if typed.len() == LONGEST => {
                let reason = format!("it is longer than {LONGEST} bytes");
                return Err(UnlockError::PassphraseFile { from: TERMINAL.to_owned(), reason });
            }
            letter => typed.push(letter),
        }
    }
}

/// Takes the last letter back, all bytes of it.
fn take_letter_back(typed: &mut Passphrase) {
    while typed.pop().is_some_and(|byte| byte & 0xC0 == 0x80) {}
}

/// The terminal shows nothing, and gives bytes as they are typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    /// Ctrl-C arrives as a byte, so that no signal ends this process with the terminal still mute.
    fn begin() -> rustix::io::Result<Self> {
        let before = tcgetattr(stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin(), OptionalActions::Now, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

fn failed(error: Errno) -> UnlockError {
    UnlockError::PassphraseFile { from: TERMINAL.to_owned(), reason: error.to_string() }
}

const TERMINAL: &str = "the terminal";
/// The longest passphrase, in bytes.
const LONGEST: usize = 1024;
/// Ctrl-C.
const END_OF_TEXT: u8 = 0x03;
/// Ctrl-D.
const END_OF_TRANSMISSION: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
/// Ctrl-U.
const KILL_LINE: u8 = 0x15;
const DELETE: u8 = 0x7F;

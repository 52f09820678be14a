//! The device lists: this device's chain from the root on, and what the server shows in its place.

use latchkey_api::device_list::{ListChain, ListError};

use crate::home::{Home, HomeError};
use crate::signaling::Signaling;
use crate::verify::{Report, Verdict};

/// Checks the lists and takes new ones in.
pub(super) async fn check(
    home: &mut Home,
    signaling: &Signaling,
    report: &mut Report,
) -> Result<(), HomeError> {
    check_own(home, report);
    let shown = signaling.lists_after(0).await?;
    check_shown(home, &shown, report);
    match home.take_lists(&shown) {
        Ok(_) | Err(HomeError::List(_)) => {}
        Err(error) => return Err(error),
    }
    check_histories(home, report);
    check_entry(home, report);
    Ok(())
}

/// Verifies every list that this device keeps again, from the root key on.
fn check_own(home: &Home, report: &mut Report) {
    let replayed = replay(home, home.chain().lists().map(|list| list.as_bytes()));
    match replayed {
        Ok(chain)
            if chain.head().map(|head| head.version()) == home.chain().head().map(|head| head.version()) =>
        {
            let count = chain.lists().count();
            report.add(
                "own-lists",
                Verdict::Good,
                format!("the {count} device lists this device keeps follow from the household's root, each signed by an admin of the one before or by the twelve words"),
            );
        }
        Ok(_) => {
            report.add("own-lists", Verdict::Wrong, "the device lists this device keeps are not complete");
        }
        Err(error) => {
            report.add(
                "own-lists",
                Verdict::Wrong,
                format!("the device lists this device keeps are not valid: {error}"),
            );
        }
    }
}

/// Compares the server's lists with this device's, hash by hash, and verifies those that are new.
fn check_shown(home: &Home, shown: &[Vec<u8>], report: &mut Report) {
    let own: Vec<&[u8]> = home.chain().lists().map(|list| list.as_bytes()).collect();
    if let Some(at) = own.iter().zip(shown).position(|(own, shown)| *own != shown.as_slice()) {
        let text = format!(
            "the server shows another device list {} than this device has verified: it shows two histories, or an admin signed two",
            at + 1
        );
        return report.add("server-lists", Verdict::Wrong, text);
    }
    if shown.len() < own.len() {
        let text = format!(
            "the server shows {} device lists although this device has verified {}: it may hide a removal, or have lost data",
            shown.len(),
            own.len()
        );
        return report.add("server-lists", Verdict::Wrong, text);
    }
    match replay(home, shown.iter().map(Vec::as_slice)) {
        Ok(_) => {
            let new = shown.len() - own.len();
            let text = format!(
                "the server shows the same {} lists, and {new} newer ones that follow them",
                own.len()
            );
            report.add("server-lists", Verdict::Good, text);
        }
        Err(error) => {
            report.add(
                "server-lists",
                Verdict::Wrong,
                format!("the server shows a device list that is not valid: {error}"),
            );
        }
    }
}

fn check_histories(home: &Home, report: &mut Report) {
    let Some(head) = home.chain().head() else { return };
    for rival in home.chain().rivals() {
        let text = format!(
            "two device lists {} are signed, one by {} and one by {}: an admin joins them by any change of the list of devices",
            head.list().version,
            home.names().signer(head.list().signer),
            home.names().signer(rival.list().signer),
        );
        report.add("one-history", Verdict::Wrong, text);
    }
    if home.chain().rival().is_none() {
        let version = head.list().version;
        report.add("one-history", Verdict::Good, format!("no second device list {version} was ever seen"));
    }
}

fn check_entry(home: &Home, report: &mut Report) {
    let own = home.identity().public();
    match home.entry() {
        Ok(entry) if (entry.mls_public, entry.enrol_public) == (own.mls_public, own.enrol_public) => {
            report.add("own-entry", Verdict::Good, "this device is on the newest list with its own keys");
        }
        Ok(_) => report.add(
            "own-entry",
            Verdict::Wrong,
            "the newest list names other keys for this device than it has",
        ),
        Err(error) => report.add("own-entry", Verdict::Wrong, error.to_string()),
    }
}

fn replay<'a>(home: &Home, lists: impl Iterator<Item = &'a [u8]>) -> Result<ListChain, ListError> {
    let mut chain = ListChain::new(home.chain().root_public())?;
    for list in lists {
        chain.accept(list, None)?;
    }
    Ok(chain)
}

//! The server's log of the household: an unbroken chain of rows, held against the lists.

use std::collections::BTreeMap;

use latchkey_api::audit::{AuditHead, AuditKind, AuditRow};
use latchkey_api::device_list::Signer;
use latchkey_api::id::DeviceId;
use zeroize::Zeroizing;

use crate::home::{Home, HomeError};
use crate::signaling::{Signaling, SignalingError};
use crate::verify::{Report, Verdict};

/// Checks the log, and keeps how far it was read.
pub(super) async fn check(
    home: &mut Home,
    signaling: &Signaling,
    report: &mut Report,
) -> Result<(), HomeError> {
    let rows = match signaling.audit_after(0).await {
        Ok(rows) => rows,
        Err(error @ SignalingError::Refused { .. }) => {
            report.add("server-log", Verdict::Open, format!("the server's log cannot be read: {error}"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let head = match AuditHead::default().follow(&home.household(), &rows) {
        Ok(head) => head,
        Err(broken) => {
            report.add("server-log", Verdict::Wrong, format!("the server's log was altered: {broken}"));
            return Ok(());
        }
    };
    if let Some(text) = contradiction(home, &rows) {
        report.add("server-log", Verdict::Wrong, text);
        return Ok(());
    }
    report.add(
        "server-log",
        Verdict::Good,
        format!(
            "the server's log has {} rows without a gap, and goes on from where it was last read",
            rows.len()
        ),
    );
    check_lists(home, &rows, report);
    check_access(home, &rows, report);
    keep(home, head)
}

/// What the log says now against what it said when it was last read.
fn contradiction(home: &Home, rows: &[AuditRow]) -> Option<String> {
    let known = kept(home)?;
    let at = usize::try_from(known.seq.checked_sub(1)?).ok()?;
    match rows.get(at) {
        None => Some(format!(
            "the server's log has {} rows, but had {} when this device last read it: it was cut",
            rows.len(),
            known.seq
        )),
        Some(row) if row.hash.as_slice() != known.hash => Some(format!(
            "row {} of the server's log is another than when this device last read it: it was rewritten",
            known.seq
        )),
        Some(_) => None,
    }
}

/// Every list has its row with its signer, and every row its list.
fn check_lists(home: &Home, rows: &[AuditRow], report: &mut Report) {
    let mut accepted = BTreeMap::new();
    for row in rows {
        match row.known_kind() {
            Some(AuditKind::HouseholdFounded) => drop(accepted.insert(1, None)),
            Some(AuditKind::ListAccepted) => drop(accepted.insert(row.detail, row.actor)),
            _ => {}
        }
    }
    for list in home.chain().lists().map(|list| list.list()) {
        let signer = match list.signer {
            Signer::Root => None,
            Signer::Device(device) => Some(device),
        };
        match accepted.remove(&list.version) {
            Some(actor) if actor == signer => {}
            Some(_) => {
                let text = format!(
                    "the server's log names another signer of device list {} than the list itself",
                    list.version
                );
                return report.add("log-of-lists", Verdict::Wrong, text);
            }
            None => {
                let text =
                    format!("the server's log does not say when device list {} was accepted", list.version);
                return report.add("log-of-lists", Verdict::Wrong, text);
            }
        }
    }
    match accepted.keys().next() {
        Some(version) => {
            let text = format!(
                "the server's log says that device list {version} was accepted, but the server does not show it"
            );
            report.add("log-of-lists", Verdict::Wrong, text);
        }
        None => {
            report.add("log-of-lists", Verdict::Good, "the server's log and the device lists say the same");
        }
    }
}

/// Who asked to watch what, and whether the lists ever allowed it.
fn check_access(home: &Home, rows: &[AuditRow], report: &mut Report) {
    let views = rows.iter().filter(|row| row.known_kind() == Some(AuditKind::ViewGranted));
    let mut counts: BTreeMap<(DeviceId, DeviceId), u64> = BTreeMap::new();
    for row in views {
        let (Some(viewer), Some(camera)) = (row.actor, row.subject) else {
            let text = format!(
                "row {} of the server's log lets somebody watch without saying whom or what",
                row.seq
            );
            return report.add("log-of-access", Verdict::Wrong, text);
        };
        let listed = home.chain().lists().any(|list| list.list().device(viewer).is_some());
        if !listed {
            let text = format!(
                "row {} of the server's log lets {viewer} watch, which was never a device of this household",
                row.seq
            );
            return report.add("log-of-access", Verdict::Wrong, text);
        }
        *counts.entry((viewer, camera)).or_default() += 1;
    }
    let who: Vec<String> = counts
        .iter()
        .map(|((viewer, camera), count)| {
            let times = if *count == 1 { "once".to_owned() } else { format!("{count} times") };
            format!("{:?} watched {:?} {times}", home.name_of(*viewer), home.name_of(*camera))
        })
        .collect();
    let text = match who.is_empty() {
        true => "by the server's log nobody has watched".to_owned(),
        false => format!("by the server's log {}", who.join(", ")),
    };
    report.add(
        "log-of-access",
        Verdict::Good,
        format!("{text}; a server could leave rows out, but whoever is not on the list could open nothing"),
    );
}

fn kept(home: &Home) -> Option<AuditHead> {
    let (seq, hash) = home.vault().record(RECORD)?.split_first_chunk()?;
    Some(AuditHead { seq: u64::from_be_bytes(*seq), hash: hash.try_into().ok()? })
}

fn keep(home: &mut Home, head: AuditHead) -> Result<(), HomeError> {
    if home.vault().is_read_only() {
        return Ok(());
    }
    let record = [head.seq.to_be_bytes().as_slice(), &head.hash].concat();
    home.vault_mut().put(RECORD, Zeroizing::new(record));
    Ok(home.vault().save()?)
}

/// Record of the last row of the log that was verified.
const RECORD: &str = "audit-head";

//! Which processors the bench measures on, and from which it drives.

use latchkey_relay_floor::cores;

/// Lets the calling thread, and what it starts from now on, run on the first `count` processors only: where relay and floor
/// are measured.
pub(crate) fn measured(count: usize) {
    pin(of_measured(count));
}

/// Returns the first `count` processors: where relay and floor are measured.
pub(crate) fn of_measured(count: usize) -> &'static [usize] {
    let all = cores::allowed();
    &all[..count.clamp(1, all.len())]
}

/// Lets the calling thread, and what it starts from now on, run on the processors where nothing is measured; when `count`
/// measured ones leave none, on all.
pub(crate) fn driver(count: usize) {
    let all = cores::allowed();
    pin(all.get(count..).filter(|rest| !rest.is_empty()).unwrap_or(all));
}

/// Lets this process open `sockets` files and some more; says so when it may not.
pub(crate) fn allow_sockets(sockets: u64) {
    if let Err(refused) = cores::allow_sockets(sockets) {
        eprintln!("forward: {refused}");
    }
}

/// Returns the load average of the last minute, as the system prints it.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// Where the system does not let us choose, the run goes on wherever it is.
fn pin(processors: &[usize]) {
    let _ = cores::pin_this_thread(processors);
}

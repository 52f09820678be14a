//! What the bench asks of the system: which processors threads run on, how much CPU they used, how many sockets it may have.
#![allow(unsafe_code)]

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Lets the calling thread, and what it starts from now on, run on the first `count` processors only: where relay and floor
/// are measured.
pub(crate) fn measured(count: usize) {
    pin(of_measured(count));
}

/// Returns the first `count` processors: where relay and floor are measured.
pub(crate) fn of_measured(count: usize) -> &'static [usize] {
    let all = allowed();
    &all[..count.clamp(1, all.len())]
}

/// Lets the calling thread, and what it starts from now on, run on the processors where nothing is measured; when `count`
/// measured ones leave none, on all.
pub(crate) fn driver(count: usize) {
    let all = allowed();
    pin(all.get(count..).filter(|rest| !rest.is_empty()).unwrap_or(all));
}

/// Lets this process open `sockets` files and some more; says so when it may not.
pub(crate) fn allow_sockets(sockets: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = sockets + 128;
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    limit.current = Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    let allowed = if setrlimit(Resource::Nofile, limit).is_ok() { limit.current } else { None };
    if allowed != Some(wanted) {
        eprintln!(
            "forward: {wanted} open files are needed and this process may not have them: ulimit -n {wanted}"
        );
    }
}

/// Returns the CPU time that all threads of a process have used, those that ended included: the sum of what their
/// `/proc/PID/task/*/schedstat` says, up to this moment.
pub(crate) fn process_cpu(id: u32) -> io::Result<Duration> {
    let mut of_process = 0;
    // SAFETY: `of_process` lives over the call.
    match unsafe { libc::clock_getcpuclockid(id as libc::pid_t, &raw mut of_process) } {
        0 => clock(of_process),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Returns the load average of the last minute, as the system prints it.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}

/// Processors that this process was started on.
fn allowed() -> &'static [usize] {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let set = sched_getaffinity(None).unwrap_or_default();
        let known: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect();
        if known.is_empty() { vec![0] } else { known }
    })
}

/// Where the system does not let us choose, the run goes on wherever it is.
fn pin(processors: &[usize]) {
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    let _ = sched_setaffinity(None, &set);
}

fn clock(id: libc::clockid_t) -> io::Result<Duration> {
    // SAFETY: all-zero is a valid timespec, and it lives over the call.
    let (done, time) = unsafe {
        let mut time: libc::timespec = std::mem::zeroed();
        (libc::clock_gettime(id, &raw mut time), time)
    };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

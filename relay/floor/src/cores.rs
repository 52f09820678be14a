//! Which processors threads run on, how much CPU they used, and how many sockets this process may have.
#![allow(unsafe_code)]

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Files that a run needs beside its sockets.
const FURTHER_FILES: u64 = 128;

/// This process may not open as many files as the run needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{wanted} open files are needed and this process may have {may}; raise the limit: ulimit -n {wanted}"
)]
#[non_exhaustive]
pub struct TooFewFiles {
    /// How many are needed.
    pub wanted: u64,
    /// How many it may have.
    pub may: u64,
}

/// Lets this process open so many sockets, and some files more.
///
/// # Errors
/// [`TooFewFiles`] when the system does not allow it; as many as it does allow are then to be had.
pub fn allow_sockets(sockets: u64) -> Result<(), TooFewFiles> {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = sockets + FURTHER_FILES;
    let Some(current) = limit.current.filter(|current| *current < wanted) else { return Ok(()) };
    let asked = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    limit.current = Some(asked);
    let may = if setrlimit(Resource::Nofile, limit).is_ok() { asked } else { current };
    if may < wanted { Err(TooFewFiles { wanted, may }) } else { Ok(()) }
}

/// Returns the processors that this process was started on, ascending; never empty.
#[must_use]
pub fn allowed() -> &'static [usize] {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let known = sched_getaffinity(None).map(|set| members(&set)).unwrap_or_default();
        if known.is_empty() { vec![0] } else { known }
    })
}

/// Lets the calling thread, and what it starts from now on, run on these processors only; on none named, wherever it is.
///
/// # Errors
/// What the system said, when none of them is there or it does not let this process choose.
pub fn pin_this_thread(processors: &[usize]) -> io::Result<()> {
    // Whoever asks later what this process was started on is told of the time before.
    let _ = allowed();
    if processors.is_empty() {
        return Ok(());
    }
    Ok(sched_setaffinity(None, &set_of(processors))?)
}

/// Lets every thread that a process has now, and what they start from now on, run on these processors only.
///
/// # Errors
/// What the system said, when there is no such process, it is another user's, or none of the processors is there.
pub fn pin_process(pid: u32, processors: &[usize]) -> io::Result<()> {
    let set = set_of(processors);
    // A thread that starts while the others are pinned may inherit the old processors: once more, until none is new.
    let mut pinned = Vec::new();
    loop {
        let threads = threads_of(pid)?;
        if threads.iter().all(|thread| pinned.contains(thread)) {
            return Ok(());
        }
        for thread in threads.into_iter().filter(|thread| !pinned.contains(thread)).collect::<Vec<_>>() {
            match sched_setaffinity(Pid::from_raw(thread), &set) {
                // One that has ended needs no processor.
                Ok(()) | Err(rustix::io::Errno::SRCH) => pinned.push(thread),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Returns the processors that a process's first thread may run on, ascending.
///
/// # Errors
/// What the system said, when there is no such process.
pub fn of_process(pid: u32) -> io::Result<Vec<usize>> {
    let pid = Pid::from_raw(pid.cast_signed()).ok_or(rustix::io::Errno::SRCH)?;
    Ok(members(&sched_getaffinity(Some(pid))?))
}

/// Returns the CPU time that the calling thread has used.
#[must_use]
pub fn thread_cpu() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or_default()
}

/// Returns the CPU time that all threads of a process have used, those that ended included, exact to the moment.
///
/// # Errors
/// What the system said, when there is no such process.
pub fn process_cpu(pid: u32) -> io::Result<Duration> {
    let mut of_process = 0;
    // SAFETY: `of_process` lives over the call.
    match unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut of_process) } {
        0 => clock(of_process),
        error => Err(io::Error::from_raw_os_error(error)),
    }
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
    Ok(Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec as u32))
}

fn threads_of(pid: u32) -> io::Result<Vec<i32>> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    Ok(tasks.flatten().filter_map(|task| task.file_name().to_str()?.parse().ok()).collect())
}

fn set_of(processors: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    processors.iter().filter(|processor| **processor < CpuSet::MAX_CPU).for_each(|one| set.set(*one));
    set
}

fn members(set: &CpuSet) -> Vec<usize> {
    (0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// One more than the largest number that Linux gives a process.
    const NOBODY: u32 = (1 << 22) + 1;

    #[test]
    fn a_pinned_thread_and_what_it_starts_stay_where_they_are_put() {
        let one = *allowed().last().unwrap();
        let (here, child) = std::thread::spawn(move || {
            pin_this_thread(&[one]).unwrap();
            let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
            let of_child = of_process(child.id()).unwrap();
            // The kernel tells a thread of its own processors, so that this is not the process's first thread.
            let here = members(&sched_getaffinity(None).unwrap());
            child.kill().unwrap();
            child.wait().unwrap();
            (here, of_child)
        })
        .join()
        .unwrap();
        assert_eq!((here, child), (vec![one], vec![one]));
        assert!(pin_this_thread(&[]).is_ok());
        assert!(pin_this_thread(&[CpuSet::MAX_CPU]).is_err(), "no such processor");
    }

    #[test]
    fn a_process_is_pinned_from_outside() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let one = allowed()[0];
        pin_process(child.id(), &[one]).unwrap();
        assert_eq!(of_process(child.id()).unwrap(), [one]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(pin_process(child.id(), &[one]).is_err());
    }

    #[test]
    fn the_limit_of_files_grows_and_a_refusal_says_what_to_do() {
        assert_eq!(allow_sockets(1), Ok(()));
        let maximum = getrlimit(Resource::Nofile).maximum;
        if let Some(maximum) = maximum {
            let refused = allow_sockets(maximum).unwrap_err();
            assert_eq!((refused.wanted, refused.may), (maximum + FURTHER_FILES, maximum));
            assert!(refused.to_string().contains("ulimit -n"));
        }
    }

    #[test]
    fn work_is_seen_on_both_clocks() {
        // What passes between these two looks is the process's, too.
        let (process, thread) = (process_cpu(std::process::id()).unwrap(), thread_cpu());
        let mut sum = 0u64;
        while thread_cpu() - thread < Duration::from_millis(5) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(process_cpu(std::process::id()).unwrap() - process >= Duration::from_millis(5));
        assert!(process_cpu(NOBODY).is_err());
    }
}

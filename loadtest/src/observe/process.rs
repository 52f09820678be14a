//! What the system says of a process: CPU, memory, threads, files, context switches.

use std::io;
use std::time::Duration;

use latchkey_relay_floor::cores;

/// What a process has used up to a moment, and what it holds at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUse {
    /// CPU time, exact.
    pub cpu: Duration,
    /// Of it in user code, in the kernel's ticks (10 ms as a rule).
    pub user: Duration,
    /// Of it in the kernel, in ticks.
    pub sys: Duration,
    /// Resident memory, kilobytes.
    pub rss_kb: u64,
    /// Threads.
    pub threads: u64,
    /// Open files, sockets among them; 0 where it is another user's process.
    pub files: u64,
    /// Context switches of the threads that it has now, voluntary or not.
    pub switches: u64,
}

/// Returns the CPU time that all threads of a process have used, those that ended included.
///
/// # Errors
/// What the system said, when there is no such process.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    cores::process_cpu(pid)
}

/// Returns the CPU time that this process has used.
#[must_use]
pub fn own_cpu() -> Duration {
    cpu(std::process::id()).unwrap_or_default()
}

/// Returns what a process has used so far and holds now; none when it is not there.
#[must_use]
pub fn look_at(pid: u32) -> Option<ProcessUse> {
    let folder = format!("/proc/{pid}");
    let stat = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
    let (user, sys) = times_of(&stat)?;
    let status = std::fs::read_to_string(format!("{folder}/status")).ok()?;
    let tasks = std::fs::read_dir(format!("{folder}/task")).ok()?.flatten();
    let switches = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok());
    Some(ProcessUse {
        cpu: cpu(pid).unwrap_or(user + sys),
        user,
        sys,
        rss_kb: field(&status, "VmRSS:"),
        threads: field(&status, "Threads:"),
        files: std::fs::read_dir(format!("{folder}/fd")).map_or(0, |files| files.count() as u64),
        switches: switches.map(|status| switches_of(&status)).sum(),
    })
}

/// Returns the CPU time of one thread of this process in user code and in the kernel, in the kernel's ticks; none when it is
/// not there.
#[must_use]
pub fn thread_times(thread: i32) -> Option<(Duration, Duration)> {
    times_of(&std::fs::read_to_string(format!("/proc/self/task/{thread}/stat")).ok()?)
}

/// User and system time of `/proc/PID/stat`. The name in it may hold blanks and parentheses.
fn times_of(stat: &str) -> Option<(Duration, Duration)> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut next = || Some(ticks(fields.next()?.parse().ok()?));
    Some((next()?, next()?))
}

fn ticks(count: u64) -> Duration {
    Duration::from_micros(count * 1_000_000 / rustix::param::clock_ticks_per_second().max(1))
}

fn switches_of(status: &str) -> u64 {
    field(status, "voluntary_ctxt_switches:") + field(status, "nonvoluntary_ctxt_switches:")
}

/// A field of `/proc/PID/status`; 0 when it is not there: a process that ends has no memory any more.
fn field(status: &str, name: &str) -> u64 {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn captured_texts_are_read() {
        let stat =
            "4711 (a (very) odd name) S 1 4711 4711 0 -1 4194560 1234 0 5 0 250 130 0 0 20 0 9 0 81 2 3";
        let per_second = rustix::param::clock_ticks_per_second();
        let (user, sys) = times_of(stat).unwrap();
        assert_eq!(user.as_micros(), u128::from(250_000_000 / per_second));
        assert_eq!(sys.as_micros(), u128::from(130_000_000 / per_second));
        assert_eq!(times_of("4711 (cut off) S 1"), None);

        let status = "Name:\tx\nVmRSS:\t   20480 kB\nThreads:\t9\nvoluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t6\n";
        assert_eq!((field(status, "VmRSS:"), field(status, "Threads:")), (20_480, 9));
        assert_eq!(switches_of(status), 156);
        assert_eq!(field("Name:\tx\n", "VmRSS:"), 0);
    }

    #[test]
    fn a_child_that_works_is_seen_to_work_and_one_that_ended_is_not_there() {
        // It works while it is told to, and waits for its input else.
        let script = "read line; i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done; read line";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let before = look_at(child.id()).unwrap();
        assert!(before.rss_kb > 0 && before.files >= 3, "{before:?}");
        assert_eq!(before.threads, 1);
        child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        let mut said = [0; 5];
        io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
        let after = look_at(child.id()).unwrap();
        assert!(after.cpu > before.cpu + Duration::from_millis(1), "{before:?} {after:?}");
        assert!(after.switches > before.switches, "it woke at least once: {before:?} {after:?}");
        // Ticks are coarse, and both halves are rounded.
        assert!(after.user + after.sys <= after.cpu + Duration::from_millis(40), "{after:?}");
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(look_at(child.id()), None);
    }
}

//! Starts programs that end when this process does, however that comes about: even killed, it leaves nobody behind.
//!
//! The system ties a program's end to that of the *thread* that started it, so all of them are started by one thread, which
//! lives as long as the process. What a program inherits of a thread, the processors it may use, it gets of the one that asks.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// One program to be started.
struct Order {
    command: Command,
    cores: CpuSet,
    answer: Sender<io::Result<Child>>,
}

/// The way to the thread.
static STARTER: Mutex<Starter> = Mutex::new(Starter::Idle);

enum Starter {
    /// Nothing was to be started yet.
    Idle,
    Serving(Sender<Order>),
    /// Nothing can be started any more.
    Ended,
}

/// Starts a program that is killed when this process ends.
///
/// # Errors
/// What the system said.
pub(super) fn start(command: Command) -> io::Result<Child> {
    let (answer, started) = channel();
    let order = Order { command, cores: sched_getaffinity(None)?, answer };
    let gone = |_| io::Error::other("the thread that starts programs has ended");
    {
        let mut starter = STARTER.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = match &*starter {
            Starter::Serving(orders) => orders.clone(),
            Starter::Idle => {
                let (orders, taken) = channel();
                std::thread::Builder::new().name("starter".to_owned()).spawn(move || serve(&taken))?;
                *starter = Starter::Serving(orders.clone());
                orders
            }
            Starter::Ended => return Err(gone(())),
        };
        orders.send(order).map_err(|_| gone(()))?;
    }
    started.recv().map_err(|_| gone(()))?
}

/// Kills all programs that are still there: without orders the thread ends, and they with it. No other can be started.
pub(super) fn end() {
    *STARTER.lock().unwrap_or_else(PoisonError::into_inner) = Starter::Ended;
}

fn serve(orders: &Receiver<Order>) {
    while let Ok(Order { command, cores, answer }) = orders.recv() {
        // Whoever asked may have gone: then the program is nobody's, and is dropped, which does not end it.
        if let Err(unwanted) = answer.send(spawn(command, &cores))
            && let Ok(mut child) = unwanted.0
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn spawn(mut command: Command, cores: &CpuSet) -> io::Result<Child> {
    sched_setaffinity(None, cores)?;
    let parent = getpid();
    let tie = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have ended before that.
        if getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: between fork and exec `tie` makes two system calls and builds an error from a number: no lock, no memory.
    unsafe { command.pre_exec(tie) };
    command.spawn()
}

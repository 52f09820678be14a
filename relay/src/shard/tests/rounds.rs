//! A room's reports go out with its packets, and wake the thread only where none come.

use super::*;
use crate::shard::timers::Timer;

/// What a thread does at `now`.
fn turn(worker: &mut Worker, now: Instant) {
    worker.take_over(now);
    worker.do_what_is_due(now);
    worker.outbox.flush();
}

/// Lets the thread wait until then; returns how often a room woke it.
fn wait(worker: &mut Worker, until: Instant) -> usize {
    let mut woken = 0;
    while let Some(due) = worker.next_deadline().filter(|due| *due < until) {
        woken += usize::from(matches!(worker.timers.next(), Some((Timer::Room(_), _))));
        turn(worker, due);
    }
    woken
}

fn reports(worker: &Worker) -> u64 {
    worker.outbox.tally.packets(Direction::Out, PacketKind::Rtcp)
}

#[test]
fn a_live_room_never_wakes_its_thread_for_reports() {
    let mut worker = worker();
    let publisher = SocketAddr::from(([127, 0, 0, 1], 9));
    admit(&mut worker, 1, Role::Publish, 1, publisher);
    let viewers: Vec<_> = (10..20u8).map(|seed| (seed, bind())).collect();
    for (seed, (_, address)) in &viewers {
        admit(&mut worker, 1, Role::View, *seed, *address);
    }
    let (mut camera, mut now) = (Camera::new(1), Instant::now());
    let step = Duration::from_millis(40);
    for index in 0..50 {
        feed(&mut worker, publisher, &mut camera.frame(index == 0), now);
        turn(&mut worker, now);
        now += step;
    }
    let (before, mut woken) = (reports(&worker), 0);
    for _ in 0..100 {
        feed(&mut worker, publisher, &mut camera.frame(false), now);
        turn(&mut worker, now);
        now += step;
        woken += wait(&mut worker, now);
    }
    let sent = reports(&worker) - before;
    // Ten viewers for four seconds, and what the camera is told.
    assert!((40..=70).contains(&sent), "{sent} reports");
    assert_eq!(woken, 0);

    // Without pictures there are reminders all the same.
    let woken = wait(&mut worker, now + Duration::from_secs(4));
    assert!((36..=44).contains(&woken), "{woken} rounds without pictures");
}

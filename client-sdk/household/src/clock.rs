//! Time: the machine's natively, the page's in a browser, where neither `std` nor tokio has any.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use web_time::Instant;

/// Returns the wall clock.
#[allow(clippy::disallowed_methods, reason = "this is the one place that asks it")]
pub fn now() -> SystemTime {
    #[cfg(not(target_arch = "wasm32"))]
    return SystemTime::now();
    #[cfg(target_arch = "wasm32")]
    return web_time::web::SystemTimeExt::to_std(web_time::SystemTime::now());
}

/// Returns the wall clock in whole seconds since the Unix epoch.
pub fn unix_seconds() -> u64 {
    now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Returns the wall clock in milliseconds since the Unix epoch.
pub(crate) fn unix_millis() -> u64 {
    let since = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// It took longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;

/// Waits for so long.
#[allow(clippy::disallowed_methods, reason = "this is the one place that waits")]
pub(crate) async fn sleep(pause: Duration) {
    #[cfg(not(target_arch = "wasm32"))]
    tokio::time::sleep(pause).await;
    #[cfg(target_arch = "wasm32")]
    gloo_timers::future::sleep(pause.min(LONGEST_TIMER)).await;
}

/// Waits until then.
pub(crate) async fn sleep_until(moment: Instant) {
    loop {
        let left = moment.saturating_duration_since(Instant::now());
        sleep(left).await;
        if Instant::now() >= moment {
            return;
        }
    }
}

/// Waits for `work`, at most `limit`.
pub(crate) async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = sleep(limit) => Err(Elapsed),
    }
}

/// A page's timer counts milliseconds in 31 bits, and wraps.
#[cfg(target_arch = "wasm32")]
const LONGEST_TIMER: Duration = Duration::from_secs(24 * 3600);

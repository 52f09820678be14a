//! The rows `shards`: what a packet costs with two shards beside what it costs with one, in turn.

use std::time::Duration;

use anyhow::Context as _;

use crate::workload::{Shape, Workload};
use crate::{Options, Run, cores, relay};

/// Prints a row for each number of viewers: the second thread wakes once per frame, whoever shares in it.
pub(crate) fn rows(options: &Options) -> anyhow::Result<()> {
    let asked = options.viewers;
    asked.map_or(vec![100, 300], |one| vec![one]).into_iter().try_for_each(|viewers| row(options, viewers))
}

/// Runs one and two shards in turn and prints the round with the median ratio.
fn row(options: &Options, viewers: usize) -> anyhow::Result<()> {
    let profile = options.profile.as_deref().unwrap_or("gcm128");
    cores::allow_sockets(viewers as u64);
    let run = |shards| {
        let workload = Workload {
            shape: Shape::Burst,
            viewers,
            measured_cores: shards,
            warm_up: Duration::from_secs(2),
            window: Duration::from_secs(options.seconds),
        };
        relay(&workload, profile, &options.relay).with_context(|| format!("the relay with {shards} shards"))
    };
    let mut rounds: Vec<(Run, Run)> =
        (0..options.rounds.max(1)).map(|_| Ok((run(1)?, run(2)?))).collect::<anyhow::Result<_>>()?;
    let ratio = |(one, two): &(Run, Run)| two.us_per_packet / one.us_per_packet;
    rounds.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let (one, two) = &rounds[rounds.len() / 2];
    let ratios: Vec<String> = rounds.iter().map(|round| format!("{:.2}", ratio(round))).collect();
    println!(
        "forward: shape=shards profile={profile} viewers={viewers} one_shard_us={:.2} two_shards_us={:.2} \
         two_shards_ratio={:.2} one_shard_p99_us={} two_shards_p99_us={} loss_pct={:.3} not_opened={} load={} ratios={}",
        one.us_per_packet,
        two.us_per_packet,
        two.us_per_packet / one.us_per_packet,
        one.seen.latency.value_at_quantile(0.99),
        two.seen.latency.value_at_quantile(0.99),
        one.loss_pct.max(two.loss_pct),
        one.seen.failed + two.seen.failed,
        cores::load(),
        ratios.join(","),
    );
    Ok(())
}

//! Whether a scenario makes sense as a whole, told in sentences that say what to change.

use crate::fleet::network::Profile;
use crate::scenario::Scenario;

/// Returns the first thing that is wrong: its key, and a sentence.
pub(super) fn first_fault(scenario: &Scenario) -> Option<(String, String)> {
    let fault = |key: &str, sentence: String| Some((key.to_owned(), sentence));
    for (key, value, bounds) in numbers(scenario) {
        if !(bounds.0..=bounds.1).contains(&value) {
            return fault(key, format!("{value} is not from {} to {}", bounds.0, bounds.1));
        }
    }
    let (households, camera, phases) = (&scenario.households, &scenario.camera, &scenario.phases);
    if households.cameras + households.members + 1 > LIST_HOLDS {
        let all = households.cameras + households.members + 1;
        return fault(
            "households.members",
            format!(
                "a household's list holds {LIST_HOLDS} devices, and {all} are asked for (the admin's is one of them)"
            ),
        );
    }
    let steps = &scenario.viewers.steps;
    if steps.iter().any(|step| *step == 0 || *step > MOST_VIEWERS) {
        return fault("viewers.steps", format!("a step has from 1 to {MOST_VIEWERS} viewers"));
    }
    if let Some(pair) = steps.windows(2).find(|pair| pair[1] <= pair[0]) {
        let (before, step) = (pair[0], pair[1]);
        return fault(
            "viewers.steps",
            format!(
                "{step} comes after {before}, and steps ascend: viewers only join from one step to the next"
            ),
        );
    }
    if let Some(last) = steps.last().filter(|last| **last != scenario.viewers.count) {
        let count = scenario.viewers.count;
        return fault(
            "viewers.steps",
            format!("the last step is {last}, and viewers.count is {count}: make them the same"),
        );
    }
    if phases.steady.0.is_zero() {
        return fault("phases.steady", "nothing is measured in no time: give it at least 1 s".to_owned());
    }
    if let Err(error) = camera.shape().check() {
        return fault("camera", error.to_string());
    }
    let removable = u64::from(households.count) * u64::from(households.members - 1);
    if u64::from(scenario.removals.count) > removable {
        return fault(
            "removals.count",
            format!(
                "{} removals are asked for, and {removable} devices can be removed (each household keeps one member)",
                scenario.removals.count
            ),
        );
    }
    if scenario.removals.count > 0 && scenario.removals.per_s == 0.0 {
        return fault(
            "removals.per_s",
            "is 0 although removals.count is not: say how many a second".to_owned(),
        );
    }
    if scenario.removals.per_s > 0.0 && scenario.removals.count == 0 {
        return fault(
            "removals.count",
            "is 0 although removals.per_s is not: say how many in all".to_owned(),
        );
    }
    if scenario.storm.share.0 > 0.0 && scenario.storm.at.0 >= phases.steady.0 {
        return fault(
            "storm.at",
            format!(
                "{} is not within phases.steady, {}: measure longer (--seconds {}), or let it come earlier (--set storm.at={})",
                scenario.storm.at,
                phases.steady,
                scenario.storm.at.0.as_secs() + 1,
                phases.steady.0.as_secs_f64() / 2.0,
            ),
        );
    }
    network_fault(scenario).or_else(|| {
        let negative =
            scenario.assert.set().into_iter().find(|(_, bound)| !bound.is_finite() || *bound < 0.0);
        negative.map(|(name, bound)| {
            (format!("assert.{name}"), format!("{bound} is no bound: give a number from 0 on"))
        })
    })
}

fn network_fault(scenario: &Scenario) -> Option<(String, String)> {
    for (index, given) in scenario.network.iter().enumerate() {
        if Profile::from_name(&given.profile).is_none() {
            let known = Profile::ALL.map(Profile::name);
            let sentence = format!("there is no profile {:?}; there are {}", given.profile, known.join(", "));
            return Some((format!("[[network]] no. {}", index + 1), sentence));
        }
    }
    let sum: f64 = scenario.network.iter().map(|network| network.share.0).sum();
    (sum > 100.0)
        .then(|| ("[[network]]".to_owned(), format!("the shares add up to {sum} %, more than all viewers")))
}

/// Each number with its key and the bounds it must keep.
fn numbers(scenario: &Scenario) -> Vec<(&'static str, f64, (f64, f64))> {
    let Scenario { households, viewers, churn, removals, intruders, server, .. } = scenario;
    vec![
        ("households.count", f64::from(households.count), (1.0, 1000.0)),
        ("households.cameras", f64::from(households.cameras), (1.0, 32.0)),
        ("households.members", f64::from(households.members), (1.0, 60.0)),
        ("viewers.count", f64::from(viewers.count), (1.0, f64::from(MOST_VIEWERS))),
        ("viewers.opens_one_in", f64::from(viewers.opens_one_in), (1.0, 100_000.0)),
        ("viewers.player_delay", viewers.player_delay.0.as_secs_f64(), (0.0, 10.0)),
        ("churn.joins_per_s", churn.joins_per_s, (0.0, 1000.0)),
        ("churn.leaves_per_s", churn.leaves_per_s, (0.0, 1000.0)),
        ("removals.per_s", removals.per_s, (0.0, 100.0)),
        ("intruders.per_s", intruders.per_s, (0.0, 1000.0)),
        ("intruders.garbage_per_s", intruders.garbage_per_s, (0.0, 1_000_000.0)),
        ("server.shards", f64::from(server.shards), (1.0, 64.0)),
    ]
}

/// Devices that a signed list holds.
const LIST_HOLDS: u32 = 64;
/// One process can hold so many sockets where the system allows it.
const MOST_VIEWERS: u32 = 20_000;

//! Which layer wins, and what is said of keys and values that cannot be.

use std::time::Duration;

use super::*;
use crate::scenario::Pace;
use crate::scenario::shipped::SHIPPED;
use crate::scenario::units::{BitRate, Percent, Span};

fn file(text: &str) -> (tempfile::TempDir, Layers) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("evening.toml");
    std::fs::write(&path, text).unwrap();
    (dir, Layers { source: Source::File(path), ..Layers::default() })
}

fn refused(text: &str) -> String {
    file(text).1.resolve().unwrap_err().to_string()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn units_are_read_and_the_rest_is_as_the_defaults_say() {
    let (_dir, layers) = file(
        "name = \"x\"\n[camera]\nbitrate = \"500 kbit/s\"\npace = \"spread\"\n[phases]\nsteady = \"500 ms\"\n\
         [[network]]\nprofile = \"wifi\"\nshare = \"50 %\"\n[assert]\np99_ms = 20\n",
    );
    let scenario = layers.resolve().unwrap();
    assert_eq!((scenario.camera.bitrate, scenario.camera.pace), (BitRate(500_000), Pace::Spread));
    assert_eq!(scenario.phases.steady, Span(Duration::from_millis(500)));
    assert_eq!(scenario.network[0].share, Percent(50.0));
    assert_eq!((scenario.assert.p99_ms, scenario.assert.let_in), (Some(20.0), Some(0.0)));
    assert_eq!(scenario.camera.fps, Scenario::default().camera.fps);
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let (_dir, mut layers) = file("[viewers]\ncount = 5\n[camera]\nfps = 10\ngop = 7\n");
    layers.variables = pairs(&[
        ("LATCHKEY_LOADTEST_CAMERA_FPS", "15"),
        ("LATCHKEY_LOADTEST_VIEWERS_OPENS_ONE_IN", "4"),
        ("LATCHKEY_LOADTEST_CAMERA_GOP", ""),
        ("PATH", "x"),
    ]);
    layers.set = pairs(&[("camera.fps", "20"), ("phases.steady", "3 s"), ("viewers.steps", "2,4")]);
    let scenario = layers.resolve().unwrap();
    assert_eq!((scenario.camera.fps, scenario.camera.gop, scenario.viewers.opens_one_in), (20.0, 7, 4));
    assert_eq!(scenario.phases.steady, Span(Duration::from_secs(3)));
    assert_eq!((scenario.viewers.steps.as_slice(), scenario.viewers.count), ([2, 4].as_slice(), 4));
}

#[test]
fn a_single_step_needs_no_list() {
    let (_dir, mut layers) = file("[viewers]\nsteps = [25, 50]\ncount = 50\n");
    for said in ["5", "[5]", "5,"] {
        layers.set = pairs(&[("viewers.steps", said)]);
        let viewers = layers.resolve().unwrap().viewers;
        assert_eq!((viewers.steps.as_slice(), viewers.count), ([5].as_slice(), 5), "{said}");
    }
    let (_dir, layers) = file("[viewers]\nsteps = 7\n");
    assert_eq!(layers.resolve().unwrap().viewers.steps, [7]);
    for wrong in ["-5", "many", "5.5"] {
        let (_dir, mut layers) = file("");
        layers.set = pairs(&[("viewers.steps", wrong)]);
        let sentence = layers.resolve().unwrap_err().to_string();
        assert!(sentence.contains("viewers.steps") && sentence.contains("25,50,100"), "{sentence}");
    }
}

#[test]
fn more_or_fewer_viewers_keep_the_steps_below() {
    let (_dir, mut layers) = file("[viewers]\nsteps = [25, 50, 100]\ncount = 100\n");
    layers.set = pairs(&[("viewers.count", "60")]);
    assert_eq!(layers.resolve().unwrap().viewers.steps, [25, 50, 60]);
    layers.set = pairs(&[("viewers.count", "200")]);
    assert_eq!(layers.resolve().unwrap().viewers.steps, [25, 50, 100, 200]);
}

#[test]
fn unknown_keys_are_refused_with_the_nearest() {
    let sentence = refused("[viewers]\ncuont = 5\n");
    assert!(
        sentence.ends_with("evening.toml has an unknown key \"cuont\" in [viewers]: did you mean \"count\"?"),
        "{sentence}"
    );
    assert!(refused("[viewer]\ncount = 5\n").ends_with("did you mean \"viewers\"?"));
    assert!(refused("[storm]\nqqq = 5\n").ends_with("there are at, share"));
    let (_dir, mut layers) = file("");
    layers.variables = pairs(&[("LATCHKEY_LOADTEST_VIEWERS_COUNTS", "5")]);
    let sentence = layers.resolve().unwrap_err().to_string();
    assert!(sentence.contains("variable LATCHKEY_LOADTEST_VIEWERS_COUNTS has an unknown key"), "{sentence}");
    layers.variables.clear();
    layers.set = pairs(&[("assert.p99ms", "5")]);
    let sentence = layers.resolve().unwrap_err().to_string();
    assert!(sentence.starts_with("the command line") && sentence.ends_with("\"p99_ms\"?"), "{sentence}");
}

#[test]
fn values_that_make_no_sense_are_named_with_their_key() {
    for (text, wanted) in [
        ("[phases]\nsteady = \"10 parsecs\"\n", "phases.steady: \"10 parsecs\" is no time"),
        ("[phases]\nsteady = 0\n", "phases.steady: nothing is measured"),
        ("[camera]\nfps = 0\n", "camera: a camera sends 1 to 240 frames a second, not 0"),
        ("[camera]\npace = \"fast\"\n", "camera.pace: \"fast\" is neither \"burst\" nor \"spread\""),
        ("[camera]\nfps = \"abc\"\n", "camera.fps: \"abc\" is no number"),
        ("[viewers]\ncount = 2.5\n", "viewers.count: 2.5 is no whole number from 0 on"),
        ("[viewers]\ncount = -5\n", "viewers.count: -5 is no whole number from 0 on"),
        ("[camera]\npacket_bytes = 70000\n", "camera.packet_bytes: 70000 is no whole number from 0 to 65535"),
        ("[camera]\nclip = 5\n", "camera.clip: 5 is no text: put quotes around it"),
        ("[server]\npin = 1\n", "server.pin: 1 is neither true nor false"),
        ("viewers = 5\n", "viewers: 5 is no section: write [viewers] and its keys below"),
        ("[network]\nprofile = \"wifi\"\n", "network: networks are a list: write [[network]]"),
        ("[[network]]\nprofile = \"wifi\"\n", "the first [[network]]: it has no share"),
        (
            "[[network]]\nprofile = \"wifi\"\nshare = 200\n",
            "share of the first [[network]]: \"200\" is no share",
        ),
        ("[viewers]\nsteps = [5, 10, 10]\n", "viewers.steps: 10 comes after 10, and steps ascend"),
        ("[households]\nmembers = 70\n", "households.members: 70 is not from 1 to 60"),
        ("[households]\ncameras = 10\nmembers = 60\n", "holds 64 devices, and 71 are asked for"),
        ("[[network]]\nprofile = \"wify\"\nshare = 5\n", "there is no profile \"wify\"; there are"),
        (
            "[[network]]\nprofile = \"wifi\"\nshare = 60\n[[network]]\nprofile = \"fair\"\nshare = 60\n",
            "120 %",
        ),
        ("[removals]\ncount = 3\nper_s = 1\n", "2 devices can be removed"),
        ("[removals]\ncount = 1\n", "removals.per_s"),
        (
            "[storm]\nat = \"20 s\"\nshare = 5\n",
            "storm.at: 20 s is not within phases.steady, 10 s: measure longer (--seconds 21), or let it come earlier \
             (--set storm.at=5)",
        ),
        ("[viewers]\nsteps = [5, 10]\ncount = 7\n", "the last step is 10, and viewers.count is 7"),
        ("[assert]\nloss_pct = -1\n", "assert.loss_pct: -1 is no bound"),
        ("[viewers\n", "line 1"),
    ] {
        let sentence = refused(text);
        assert!(sentence.contains(wanted) && !sentence.contains('\n'), "{text:?}: {sentence}");
        assert!(sentence.contains("evening.toml"), "{sentence}");
    }
}

#[test]
fn a_printed_scenario_reads_as_itself() {
    for shipped in SHIPPED {
        let layers = Layers { source: Source::Shipped(*shipped), ..Layers::default() };
        let scenario = layers.resolve().unwrap();
        let (_dir, again) = file(&scenario.to_toml());
        assert_eq!(again.resolve().unwrap(), scenario, "{}", shipped.name);
    }
}

#[test]
fn every_key_is_described() {
    let guide = include_str!("../../../docs/scenarios.md");
    let all: toml::Table = toml::from_str(&Scenario::default().to_toml()).unwrap();
    let sections = all.iter().filter_map(|(name, value)| Some((name, value.as_table()?)));
    for (name, section) in sections {
        let described = guide.split(&format!("**`[{name}]`**")).nth(1);
        let described = described.unwrap_or_else(|| panic!("[{name}] is not described"));
        let here = described.split("**`[").next().unwrap();
        for key in section.keys().filter(|_| name != "assert") {
            assert!(here.contains(&format!("`{key}`")), "{name}.{key} is not described");
        }
    }
    for key in crate::scenario::assert::Assert::KEYS {
        assert!(guide.contains(&format!("`{key}`")), "assert.{key} is not described");
    }
    for profile in crate::fleet::network::Profile::ALL {
        assert!(guide.contains(&format!("`{}`", profile.name())), "{profile:?} is not described");
    }
}

#[test]
fn a_scenario_that_is_nowhere_is_said_so() {
    let sentence = Source::find("no-such").unwrap_err().to_string();
    assert!(sentence.contains("\"no-such\"") && sentence.contains("doorbell-evening"), "{sentence}");
    for (given, wanted) in [
        ("doorbel-evening", "there is no scenario \"doorbel-evening\": did you mean doorbell-evening?"),
        ("nosuch.toml", "there is no file nosuch.toml here"),
        ("/nowhere/nosuch.toml", "there is no file /nowhere/nosuch.toml"),
    ] {
        assert_eq!(Source::find(given).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn what_a_flag_cannot_say_is_told_with_what_to_write() {
    let (_dir, mut layers) = file("");
    layers.set = pairs(&[("network.profile", "wifi")]);
    let sentence = layers.resolve().unwrap_err().to_string();
    let wanted = "the command line: network: networks are a list: write [[network]] with a profile and a share in a file";
    assert_eq!(sentence, wanted);
    layers.set = pairs(&[("camera.fps", "abc")]);
    assert_eq!(
        layers.resolve().unwrap_err().to_string(),
        "the command line: camera.fps: \"abc\" is no number"
    );
}

//! Reports of every kind of run: they are whole, name the right limit, and fetch nothing.

use crate::measure::line::{FaultLine, Line, LineError, Party, SecondLine, StepLine};
use crate::report::limit::{Kind, find};
use crate::report::run::split;
use crate::report::sample::{Sample, cases};
use crate::report::table::{self, Paint};
use crate::report::{ReadError, fit, limit, page, read, served};

/// A driver that is late where nothing went wrong hides nothing; where something did, nothing can be told.
#[test]
fn a_late_driver_counts_where_something_broke() {
    let late = Sample { late_pct: 8.0, driver_each: 0.05, ..Sample::default() };
    let well = find(&split(&late.lines())[0]);
    assert_eq!(well.kind, Kind::Nothing);
    assert!(well.sentence.contains("the driver sent 8 % of its packets late"), "{}", well.sentence);
    let broken = find(&split(&Sample { lost: Some((100, 2.0)), ..late }.lines())[0]);
    assert_eq!(broken.kind, Kind::Driver);
    assert!(broken.sentence.contains("something else kept the machine busy"), "{}", broken.sentence);
}

#[test]
fn what_the_run_says_of_its_driver_is_believed() {
    let at_s = 4.0 * 17.0;
    let text = "the threads that drive viewers were busy 97 % of the time".to_owned();
    let fault = FaultLine { at_s, party: Party::Driver, code: "driver-overloaded".into(), text, count: 1 };
    let told = Sample { faults: vec![fault.clone()], ..Sample::default() };
    assert_eq!(find(&split(&told.lines())[0]).kind, Kind::Driver);
    let of_another_step = Sample { faults: vec![FaultLine { at_s: 3.0, ..fault }], ..Sample::default() };
    assert_eq!(find(&split(&of_another_step.lines())[0]).kind, Kind::Nothing);
}

#[test]
fn a_run_that_could_not_begin_says_why() {
    let mut lines = Sample { steps: Vec::new(), ..Sample::default() }.lines();
    let Some(Line::Verdict(verdict)) = lines.last_mut() else { panic!("no verdict") };
    verdict.limit = "no server answers at this address".into();
    assert_eq!(limit(&lines), "no server answers at this address");
}

/// Half of the frames of a lossy network may be late where the scenario asks for nothing of the kind.
#[test]
fn steps_are_judged_by_what_the_scenario_asserts() {
    let late = Sample { base_ms: 60.0, checks: vec![("loss_pct", 1.0)], ..Sample::default() };
    let lines = late.lines();
    let words = fit::words(&split(&lines)[0]);
    assert_eq!(words.figure, "≥ 100");
    assert!(words.sentence.contains("Judged by what the scenario asserts: loss"), "{}", words.sentence);
    assert!(words.sentence.contains("p99, of which it asserts nothing, was"), "{}", words.sentence);
    assert_eq!(find(&split(&lines)[0]).kind, Kind::Nothing);

    let unasked = Sample { checks: Vec::new(), ..late }.lines();
    let words = fit::words(&split(&unasked)[0]);
    assert!(words.figure.starts_with('<'), "{words:?}");
    assert!(words.sentence.contains("The scenario asserts nothing of it"), "{}", words.sentence);
}

/// What a search asks for stands in its first line.
#[test]
fn a_search_brings_its_bounds() {
    let cases = cases();
    let (_, files) = cases.iter().find(|(case, _)| *case == "search").unwrap();
    let mut lines = files[0].clone();
    let bounds = |lines: &[Line]| {
        let bounds = served::Bounds::of(&split(lines)[0]);
        (bounds.loss_pct, bounds.p99_ms)
    };
    assert_eq!(bounds(&lines), (Some(0.5), Some(100.0)));
    let Some(Line::Run(run)) = lines.first_mut() else { panic!("no run") };
    (run.max_loss_pct, run.max_p99_ms) = (Some(2.0), Some(20.0));
    assert_eq!(bounds(&lines), (Some(2.0), Some(20.0)));
}

fn kind(name: &str) -> Kind {
    let cases = cases();
    let (_, files) = cases.iter().find(|(case, _)| *case == name).unwrap();
    find(&split(&files[0])[0]).kind
}

#[test]
fn each_case_is_told_its_limit() {
    let expected = [
        ("ramp", Kind::Nothing),
        ("failing", Kind::ServerCpu),
        ("driver", Kind::Driver),
        ("lossy", Kind::Network),
        ("one-viewer", Kind::Nothing),
        ("empty", Kind::Untold),
        ("unwatched", Kind::Nothing),
        ("search", Kind::ServerCpu),
    ];
    for (name, expected) in expected {
        assert_eq!(kind(name), expected, "{name}");
    }
}

#[test]
fn what_is_extrapolated_says_so() {
    let told = |cpu_each: f64| limit(&Sample { cpu_each, ..Sample::default() }.lines());
    let half = told(0.55);
    assert!(
        half.contains("100 viewers used 56.5 % of a core; by that figure about 180 would fill one core"),
        "{half}"
    );
    assert!(half.contains("extrapolated, not measured"), "{half}");
    assert!(told(0.42).contains("by that figure more than 200 would fill one core"), "{}", told(0.42));
    for (idle, said) in
        [(0.08, "was nearly idle (9.5 % of one core)"), (0.3, "had room (31.5 % of one core)")]
    {
        let told = told(idle);
        assert!(told.contains(said) && !told.contains("extrapolated"), "{told}");
        assert!(told.ends_with("to find its limit: latchkey-loadtest breakpoint --from 100"), "{told}");
    }
    assert!(!limit(&Sample { steps: vec![2], ..Sample::default() }.lines()).contains("extrapolated"));
}

#[test]
fn limits_that_no_processor_explains_are_told_apart() {
    let lossy = Sample { lost: Some((100, 2.0)), ..Sample::default() };
    let kind = |sample: &Sample| find(&split(&sample.lines())[0]).kind;
    assert_eq!(kind(&lossy), Kind::Loss);
    assert_eq!(kind(&Sample { socket_drops: 400, ..lossy.clone() }), Kind::SocketBuffers);
    assert_eq!(kind(&Sample { base_ms: 60.0, ..Sample::default() }), Kind::Latency);
    let one_thread = Sample { cpu_each: 1.0, server_cores: vec![0, 1, 2], driver_each: 0.1, ..lossy };
    assert_eq!(kind(&one_thread), Kind::ServerThread);
    let mut refused = Sample::default().lines();
    for line in &mut refused {
        if let Line::Step(step) = line {
            step.viewers_ok = step.viewers / 2;
            step.joins.failed = step.viewers / 2;
        }
    }
    assert_eq!(find(&split(&refused)[0]).kind, Kind::Joins);
    let told = limit(&refused);
    assert!(told.starts_with("joins: 12 failed, so 13 of 25 viewers were not well served"), "{told}");
}

#[test]
fn pages_are_whole_and_fetch_nothing() {
    for (name, files) in cases() {
        let page = page::html(&files);
        well_formed(&page).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        for fetched in ["http:", "https:", "<script", "src=", "@import", "url(", "<link"] {
            assert!(!page.contains(fetched), "{name} has {fetched}");
        }
        for bare in ["NaN", "inf,", "inf\"", "null"] {
            assert!(!page.contains(bare), "{name} has {bare}");
        }
        assert!(page.contains("Viewers that fit") && page.contains("What limits it"), "{name}");
    }
}

#[test]
fn a_hostile_name_stays_a_name() {
    let hostile = "</title><script>alert(1)</script><img src=x onerror=\"x\">";
    let sample = Sample { scenario: hostile.into(), server: hostile.into(), ..Sample::default() };
    let page = page::html(&[sample.lines(), sample.lines()]);
    assert!(!page.contains("<script") && !page.contains("<img"));
    well_formed(&page).unwrap();
}

#[test]
fn the_first_screen_answers() {
    let pages = cases();
    let page = |name: &str| page::html(&pages.iter().find(|(case, _)| *case == name).unwrap().1);
    let failing = page("failing");
    assert!(failing.contains(">75</p>"), "75 viewers fit");
    assert!(failing.contains(">5 of 6 checks</p>") && failing.contains(">Server CPU</p>"));
    assert!(
        failing.contains("<code>join-refused</code></td><td class=\"n\">7</td>"),
        "faults of one kind are one"
    );
    let ramp = page("ramp");
    assert!(
        ramp.contains(">≥ 100</p>") && ramp.contains(">Nothing</p>") && ramp.contains(">Nothing yet</p>")
    );
    let rounds = page("rounds");
    assert!(
        rounds.contains("the middle one of 3 rounds") && rounds.contains("3.17 to 3.83"),
        "rounds are told as one"
    );
    let driver = page("driver");
    assert!(driver.contains(">The driver</p>") && driver.contains("cannot be held against the server"));
}

#[test]
fn every_plot_survives_no_one_and_two_points() {
    for seconds in [0, 1, 2] {
        for steps in [vec![], vec![7], vec![7, 9], vec![0]] {
            let sample = Sample { seconds, steps, ..Sample::default() };
            let page = page::html(&[sample.lines()]);
            well_formed(&page).unwrap();
            assert!(!page.contains("NaN") && !page.contains("inf,"), "{seconds} s");
        }
    }
    let bare = vec![Line::Run(Box::default()), Line::Second(Box::default()), Line::Step(Box::default())];
    well_formed(&page::html(&[bare])).unwrap();
    well_formed(&page::html(&[])).unwrap();
}

#[test]
fn numbers_that_are_none_are_not_drawn() {
    let mut lines = Sample::default().lines();
    for line in &mut lines {
        match line {
            Line::Second(second) => broken_second(second),
            Line::Step(step) => broken_step(step),
            _ => {}
        }
    }
    let page = page::html(std::slice::from_ref(&lines));
    well_formed(&page).unwrap();
    assert!(!page.contains("NaN") && !page.contains("inf\"") && !page.contains("inf,"));
    assert!(!table::verdict(&lines, Paint::Plain).contains("NaN"));
}

fn broken_second(second: &mut SecondLine) {
    (second.mbit_in, second.mbit_out) = (f64::NAN, f64::INFINITY);
    (second.frame_latency.p50_ms, second.frame_latency.p99_ms) = (f64::NAN, f64::NAN);
}

fn broken_step(step: &mut StepLine) {
    (step.loss_pct, step.mbit_out, step.driver_cpu_pct) = (f64::NAN, f64::NAN, f64::INFINITY);
    (step.frame_latency.p50_ms, step.frame_latency.max_ms) = (f64::NAN, f64::INFINITY);
    if let Some(server) = &mut step.server {
        (server.us_per_packet, server.cpu_pct) = (f64::NAN, f64::INFINITY);
    }
}

#[test]
fn tables_fit_a_terminal() {
    for (name, files) in cases() {
        for lines in &files {
            let text = table::verdict(lines, Paint::Plain);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(widest <= 100, "{name}: {widest} columns\n{text}");
            assert!(!text.contains('\u{1b}'), "{name}");
        }
    }
    let failing = cases().remove(1).1.remove(0);
    assert!(table::verdict(&failing, Paint::Colours).contains("\u{1b}[1;31m"));
    assert!(table::checks(&failing, Paint::Plain).contains("✗ fails"));
    assert!(table::trials(&failing, Paint::Plain).contains("✗ too much lost"));
    assert_eq!(table::steps(&failing, Paint::Plain).lines().count(), 6);
    assert!(table::verdict(&failing, Paint::Plain).ends_with("\nFAIL\n"));
    assert_eq!(table::steps(&[], Paint::Plain), "");
}

#[test]
fn a_file_that_is_no_run_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let path = dir.path().join("run.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path)
    };
    let error = file("hello\n").unwrap_err();
    assert!(matches!(&error, ReadError::NoLine { reason: LineError { number: 1, .. }, .. }), "{error}");
    assert!(error.to_string().contains("is the file a run's --json output?"), "{error}");
    let error = file("").unwrap_err();
    assert!(matches!(error, ReadError::NoRun { .. }), "{error}");
    let error = read(&dir.path().join("none")).unwrap_err();
    assert!(matches!(error, ReadError::Unreadable { .. }), "{error}");
    let lines = Sample::default().lines();
    let text: Vec<String> = lines.iter().map(Line::to_json).collect();
    let back = file(&text.join("\n")).unwrap();
    assert_eq!((back.len(), back.first()), (lines.len(), lines.first()));
}

#[test]
fn faults_of_others_are_not_held_against_the_server() {
    let cases = cases();
    let (_, files) = cases.iter().find(|(case, _)| *case == "driver").unwrap();
    let run = &split(&files[0])[0];
    assert!(run.faults.iter().all(|fault| fault.party == Party::Driver));
    let failed = crate::report::checks::Failed::of(run);
    assert!(failed.items.iter().all(|item| !item.contains("driver-overloaded")), "{failed:?}");
}

/// Pages of every case, for the eye: `LATCHKEY_PAGES=dir cargo test -p latchkey-loadtest --lib pages_for_the_eye -- --ignored`.
#[test]
#[ignore = "writes pages and tables into $LATCHKEY_PAGES"]
fn pages_for_the_eye() {
    let dir = std::path::PathBuf::from(std::env::var_os("LATCHKEY_PAGES").unwrap());
    std::fs::create_dir_all(&dir).unwrap();
    for (name, files) in cases() {
        std::fs::write(dir.join(format!("{name}.html")), page::html(&files)).unwrap();
        let tables: Vec<String> = files.iter().map(|lines| table::verdict(lines, Paint::Plain)).collect();
        std::fs::write(dir.join(format!("{name}.txt")), tables.join("\n")).unwrap();
    }
}

/// Checks that every tag is closed in its turn and every attribute quoted; void tags and the doctype are HTML's own.
fn well_formed(page: &str) -> Result<(), String> {
    const VOID: [&str; 3] = ["meta", "br", "link"];
    let mut open: Vec<&str> = Vec::new();
    let style = page.find("<style>").zip(page.find("</style>")).map(|(from, to)| from + 7..to);
    let mut rest = 0;
    while let Some(found) = page[rest..].find('<') {
        let from = rest + found;
        if style.as_ref().is_some_and(|style| style.contains(&from)) {
            return Err("a tag inside the style sheet".into());
        }
        let to = from + page[from..].find('>').ok_or("a tag that does not end")?;
        let tag = &page[from + 1..to];
        rest = to + 1;
        if tag.contains('<') || tag.matches('"').count() % 2 == 1 {
            return Err(format!("<{tag}> is not whole"));
        }
        let name = tag.split_whitespace().next().unwrap_or("");
        if let Some(closed) = tag.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Err(format!("</{closed}> closes what is not open"));
            }
        } else if !tag.starts_with('!') && !VOID.contains(&name) {
            open.push(name);
        }
    }
    let bare = page.split('&').skip(1).find(|part| part.find(';').is_none_or(|end| end > 6));
    match (open.first(), bare) {
        (Some(open), _) => Err(format!("<{open}> is not closed")),
        (None, Some(bare)) => Err(format!("a bare & before {}", &bare[..bare.len().min(10)])),
        (None, None) => Ok(()),
    }
}

/// Whatever was measured until then, a server that dies carries nobody.
#[test]
fn a_server_that_went_away_is_not_praised() {
    let text = "the server's process ended 9 s into the run; its last words: out of memory".to_owned();
    let fault = FaultLine { at_s: 9.0, party: Party::Server, code: "server-gone".into(), text, count: 1 };
    let lines = Sample { faults: vec![fault], ..Sample::default() }.lines();
    let words = fit::words(&split(&lines)[0]);
    assert_eq!(words.figure, "–");
    assert_eq!(
        words.sentence,
        "The server's process ended 9 s into the run. The server went away during this step, so it is not counted."
    );
    assert_eq!(find(&split(&lines)[0]).kind, Kind::ServerGone);
}

//! What is wrong with a scenario, in one sentence for its author instead of one for a programmer.

use figment::error::{Actual, Kind};

use crate::scenario::layers::ScenarioError;
use crate::scenario::shipped::SHIPPED;

/// One sentence for the first thing that is wrong.
pub(super) fn explain(error: figment::Error, file: &str) -> ScenarioError {
    let Some(error) = error.into_iter().next() else {
        return ScenarioError::Value {
            place: file.to_owned(),
            key: "scenario".to_owned(),
            reason: "cannot be read".to_owned(),
        };
    };
    let place = error.metadata.as_ref().map_or(file.to_owned(), |metadata| metadata.name.to_string());
    if let Kind::UnknownField(key, known) = &error.kind {
        let section = error.path.len().checked_sub(2).map(|end| &error.path[..=end]);
        return ScenarioError::UnknownKey {
            place,
            key: key.clone(),
            section: section.map_or(String::new(), |section| format!(" in {}", named(section))),
            suggestion: nearest(key, known),
        };
    }
    let key = if error.path.is_empty() { "scenario".to_owned() } else { key(&error.path) };
    ScenarioError::Value { place, key, reason: reason(&error.path, &error.kind) }
}

/// Says which shipped scenario was meant, or which there are.
pub(super) fn scenario(given: &str) -> String {
    let names: Vec<&str> = SHIPPED.iter().map(|shipped| shipped.name).collect();
    match most_alike(given, &names) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("name a TOML file, or one of those that are shipped: {}", names.join(", ")),
    }
}

/// Returns a key as an author knows it: one of a list of tables by its place in it.
fn key(path: &[String]) -> String {
    match path {
        [list, number, rest @ ..] if number.parse::<usize>().is_ok() => match rest {
            [] => named(&[list.clone(), number.clone()]),
            rest => format!("{} of {}", rest.join("."), named(&[list.clone(), number.clone()])),
        },
        path => path.join("."),
    }
}

/// Returns a section as it stands in a file.
fn named(path: &[String]) -> String {
    match path {
        [list, number, ..] if let Ok(number) = number.parse::<usize>() => {
            let nth = match number {
                0 => "first".to_owned(),
                1 => "second".to_owned(),
                2 => "third".to_owned(),
                more => format!("{}th", more + 1),
            };
            format!("the {nth} [[{list}]]")
        }
        path => format!("[{}]", path.join(".")),
    }
}

fn reason(path: &[String], kind: &Kind) -> String {
    match kind {
        Kind::InvalidType(..) if path == ["network"] => {
            "networks are a list: write [[network]] with a profile and a share in a file".to_owned()
        }
        Kind::InvalidType(given, wanted) | Kind::InvalidValue(given, wanted) => refused(path, given, wanted),
        Kind::UnknownVariant(given, known) => match known {
            [one, other] => format!("{given:?} is neither {one:?} nor {other:?}"),
            known => format!("{given:?} is none of {}", known.join(", ")),
        },
        Kind::MissingField(key) => format!("it has no {key}"),
        Kind::ISizeOutOfRange(number) => format!("{number} is no whole number from 0 on"),
        Kind::USizeOutOfRange(number) => format!("{number} is too large a number"),
        other => other.to_string().trim_end().replace('\n', "; "),
    }
}

/// Says that one kind of value was given and another is wanted.
fn refused(path: &[String], given: &Actual, wanted: &str) -> String {
    let said = match given {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a section".to_owned(),
        other => other.to_string(),
    };
    match wanted {
        "f32" | "f64" => format!("{said} is no number"),
        "u32" | "u64" | "usize" => format!("{said} is no whole number from 0 on"),
        "u8" => format!("{said} is no whole number from 0 to 255"),
        "u16" => format!("{said} is no whole number from 0 to 65535"),
        "a string" => format!("{said} is no text: put quotes around it"),
        "a boolean" => format!("{said} is neither true nor false"),
        wanted if wanted.starts_with("struct ") => {
            let section = path.join(".");
            format!("{said} is no section: write [{section}] and its keys below")
        }
        wanted => format!("{said} is not what is wanted here, {wanted}"),
    }
}

/// Says which key was meant, or which there are.
fn nearest(key: &str, known: &[&str]) -> String {
    match most_alike(key, known) {
        Some(known) => format!("did you mean {known:?}?"),
        None => format!("there are {}", known.join(", ")),
    }
}

fn most_alike<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |known: &str| match strsim::damerau_levenshtein(given, known) {
        0 | 1 => 1.0,
        _ => strsim::jaro_winkler(given, known),
    };
    let ranked = known.iter().map(|known| (likeness(known), *known));
    let best = ranked.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(likeness, _)| *likeness > ALIKE);
    best.map(|(_, known)| known)
}

/// Jaro-Winkler likeness, from 0 to 1, from which on a name is suggested for another.
const ALIKE: f64 = 0.75;

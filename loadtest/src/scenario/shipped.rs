//! The scenarios that come with the program, found by their bare names.

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug)]
pub struct Shipped {
    /// Its name: that of the file without its end.
    pub name: &'static str,
    /// The file.
    pub toml: &'static str,
}

macro_rules! shipped {
    ($($name:literal),+) => {
        &[$(Shipped {
            name: $name,
            toml: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/", $name, ".toml")),
        }),+]
    };
}

/// All of them, by name.
pub const SHIPPED: &[Shipped] = shipped![
    "apartment-block",
    "churn",
    "doorbell-evening",
    "harsh-network",
    "lossy-wifi",
    "one-camera-crowd",
    "revoke-under-load"
];

/// Returns the one of that name.
#[must_use]
pub fn find(name: &str) -> Option<Shipped> {
    SHIPPED.iter().copied().find(|shipped| shipped.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::layers::{Layers, Source};

    #[test]
    fn every_shipped_scenario_is_valid_and_bears_its_name() {
        for shipped in SHIPPED {
            let layers = Layers { source: Source::Shipped(*shipped), ..Layers::default() };
            let scenario = layers.resolve().unwrap_or_else(|error| panic!("{}: {error}", shipped.name));
            assert_eq!(scenario.name, shipped.name);
            assert!(scenario.about.ends_with('.'), "{}: {:?}", shipped.name, scenario.about);
        }
    }

    #[test]
    fn every_file_in_the_folder_is_shipped() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
            .collect();
        names.sort();
        assert_eq!(names, SHIPPED.iter().map(|shipped| shipped.name).collect::<Vec<_>>());
    }
}

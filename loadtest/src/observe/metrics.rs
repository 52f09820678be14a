//! The text that a server's `/metrics` answers with, read once and asked by name and label.

use std::collections::BTreeMap;

/// What a server counts, as it said at one moment. A name that it does not know is told as nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    series: BTreeMap<String, Vec<Series>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Series {
    labels: Vec<(String, String)>,
    value: f64,
}

impl Series {
    fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

impl Metrics {
    /// Reads the text format; lines that are none of it are passed by.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut series: BTreeMap<String, Vec<Series>> = BTreeMap::new();
        for (name, one) in text.lines().filter_map(read_line) {
            series.entry(name.to_owned()).or_default().push(one);
        }
        Self { series }
    }

    /// Returns whether the server told anything under a name that begins so.
    #[must_use]
    pub fn knows(&self, prefix: &str) -> bool {
        self.series.range(prefix.to_owned()..).next().is_some_and(|(name, _)| name.starts_with(prefix))
    }

    /// Returns the sum of all series of a name whose labels are among these; a label named twice may have either value.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let fits = |series: &&Series| {
            labels.iter().all(|(wanted, _)| {
                let value = series.label(wanted);
                labels.iter().any(|(label, allowed)| label == wanted && value == Some(allowed))
            })
        };
        self.of(name).filter(fits).map(|series| series.value).sum::<f64>() as u64
    }

    /// Returns the sums of a name by the value of one label, in the order of the values.
    #[must_use]
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, u64> {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for series in self.of(name) {
            if let Some(value) = series.label(label) {
                *sums.entry(value.to_owned()).or_default() += series.value as u64;
            }
        }
        sums
    }

    /// Returns a histogram's buckets: upper bound and how many were at most so large, ascending, of all its series.
    #[must_use]
    pub fn buckets(&self, name: &str) -> Vec<(f64, u64)> {
        let mut buckets: Vec<(f64, u64)> = Vec::new();
        for series in self.of(&format!("{name}_bucket")) {
            let Some(bound) = series.label("le").and_then(read_number) else { continue };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += series.value as u64,
                None => buckets.push((bound, series.value as u64)),
            }
        }
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        buckets
    }

    fn of(&self, name: &str) -> impl Iterator<Item = &Series> {
        self.series.get(name).into_iter().flatten()
    }
}

/// Returns the upper bound of the bucket in which `quantile` (0 to 1) of what came between two looks at a histogram lies;
/// 0 where nothing came, and the largest finite bound where it lies above that.
#[must_use]
pub fn quantile_between(earlier: &[(f64, u64)], later: &[(f64, u64)], quantile: f64) -> f64 {
    let before =
        |bound: f64| earlier.iter().find(|(known, _)| *known == bound).map_or(0, |(_, count)| *count);
    let grown: Vec<(f64, u64)> =
        later.iter().map(|(bound, count)| (*bound, count.saturating_sub(before(*bound)))).collect();
    let total = grown.last().map_or(0, |(_, count)| *count);
    if total == 0 {
        return 0.0;
    }
    let wanted = ((total as f64 * quantile).ceil() as u64).clamp(1, total);
    let largest = grown.iter().rev().map(|(bound, _)| *bound).find(|bound| bound.is_finite());
    let found = grown.iter().find(|(_, count)| *count >= wanted).map(|(bound, _)| *bound);
    found.filter(|bound| bound.is_finite()).or(largest).unwrap_or(0.0)
}

/// `name{label="value",...} 12.5 [time]`
fn read_line(line: &str) -> Option<(&str, Series)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let name_ends = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(name_ends);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => read_labels(inside)?,
        None => (Vec::new(), rest),
    };
    let value = read_number(rest.split_whitespace().next()?)?;
    Some((name, Series { labels, value }))
}

/// What stands between the braces, and what stands behind them.
fn read_labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(behind) = rest.strip_prefix('}') {
            return Some((labels, behind));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, behind) = read_quoted(quoted)?;
        labels.push((name.trim().to_owned(), value));
        rest = behind;
    }
}

fn read_quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            _ => value.push(c),
        }
    }
    None
}

fn read_number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP relay_packets_total Packets received and sent.
# TYPE relay_packets_total counter
relay_packets_total{dir="in",kind="video",transport="webrtc"} 100
relay_packets_total{dir="in",kind="rtcp",transport="webrtc"} 7
relay_packets_total{dir="out",kind="video",transport="webrtc"} 1000
relay_packets_total{dir="out",kind="audio",transport="webrtc"} 50
odd{text="a \"quoted\", {braced} \\ value\n"} 1.5e3 1700000000
plain 3
not a line at all
relay_forward_latency_seconds_bucket{transport="webrtc",le="0.0001"} 10
relay_forward_latency_seconds_bucket{transport="webrtc",le="0.001"} 90
relay_forward_latency_seconds_bucket{transport="webrtc",le="+Inf"} 100
broken{le="1
"#;

    #[test]
    fn series_are_summed_by_their_labels() {
        let metrics = Metrics::read(TEXT);
        assert_eq!(metrics.sum("relay_packets_total", &[]), 1157);
        let media = [("dir", "out"), ("kind", "video"), ("kind", "audio")];
        assert_eq!(metrics.sum("relay_packets_total", &media), 1050);
        assert_eq!(metrics.sum("relay_packets_total", &[("dir", "in"), ("kind", "video")]), 100);
        assert_eq!(metrics.sum("plain", &[]), 3);
        assert_eq!(metrics.sum("odd", &[("text", "a \"quoted\", {braced} \\ value\n")]), 1500);
        assert_eq!((metrics.sum("unknown", &[]), metrics.by("unknown", "x").len()), (0, 0));
        assert_eq!(metrics.by("relay_packets_total", "kind")["video"], 1100);
        assert!(metrics.knows("relay_") && !metrics.knows("janus_"));
        assert!(!Metrics::read("<html>404</html>\n").knows("relay_"));
    }

    #[test]
    fn quantiles_are_of_what_came_in_between() {
        let later = Metrics::read(TEXT).buckets("relay_forward_latency_seconds");
        assert_eq!(later, [(0.0001, 10), (0.001, 90), (f64::INFINITY, 100)]);
        assert_eq!(quantile_between(&[], &later, 0.05), 0.0001);
        assert_eq!(quantile_between(&[], &later, 0.5), 0.001);
        assert_eq!(quantile_between(&[], &later, 0.99), 0.001, "above the last bound");
        let earlier = [(0.0001, 0), (0.001, 80), (f64::INFINITY, 90)];
        assert_eq!(quantile_between(&earlier, &later, 0.99), 0.0001, "all ten that came were fast");
        assert_eq!(quantile_between(&later, &later, 0.5), 0.0);
    }
}

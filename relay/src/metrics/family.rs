//! Metric families made by hand, for what is counted outside of the Prometheus library.

use std::time::Duration;

use prometheus::proto::{
    Bucket, Counter, Gauge as GaugeValue, Histogram as HistogramValue, LabelPair, Metric, MetricFamily,
    MetricType,
};

/// Names and values of one series' labels.
pub(super) type Labels = Vec<(&'static str, &'static str)>;

pub(super) fn counter(name: &str, help: &str, series: Vec<(Labels, u64)>) -> MetricFamily {
    let series = series.into_iter().map(|(labels, value)| (labelled(labels), value as f64)).collect();
    counter_of(name, help, series)
}

/// As [`counter`], with labels that are not constants.
pub(super) fn counter_of(name: &str, help: &str, series: Vec<(Metric, f64)>) -> MetricFamily {
    let metric = |(mut metric, value): (Metric, f64)| {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
        metric
    };
    family(name, help, MetricType::COUNTER, series.into_iter().map(metric).collect())
}

pub(super) fn gauge(name: &str, help: &str, series: Vec<(Labels, f64)>) -> MetricFamily {
    let metric = |(labels, value): (Labels, f64)| {
        let mut gauge = GaugeValue::default();
        gauge.set_value(value);
        let mut metric = labelled(labels);
        metric.set_gauge(gauge);
        metric
    };
    family(name, help, MetricType::GAUGE, series.into_iter().map(metric).collect())
}

/// `cells` holds one count for each bound and one for what is above, none of them cumulative.
pub(super) fn histogram(
    name: &str,
    help: &str,
    labels: Labels,
    bounds: &[Duration],
    (cells, sum): (&[u64], Duration),
) -> MetricFamily {
    let bounds = bounds.iter().map(Duration::as_secs_f64);
    histogram_of(name, help, labels, bounds, (cells, sum.as_secs_f64()))
}

/// As [`histogram`], of anything.
pub(super) fn histogram_of(
    name: &str,
    help: &str,
    labels: Labels,
    bounds: impl Iterator<Item = f64>,
    (cells, sum): (&[u64], f64),
) -> MetricFamily {
    let mut seen = 0;
    let buckets = bounds.zip(cells).map(|(bound, count)| {
        seen += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(seen);
        bucket
    });
    let mut value = HistogramValue::default();
    value.set_bucket(buckets.collect());
    value.set_sample_count(cells.iter().sum());
    value.set_sample_sum(sum);
    let mut metric = labelled(labels);
    metric.set_histogram(value);
    family(name, help, MetricType::HISTOGRAM, vec![metric])
}

pub(super) fn labelled<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Metric {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    Metric::from_label(labels.into_iter().map(pair).collect())
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

#[cfg(test)]
mod tests {
    use prometheus::{Encoder, TextEncoder};

    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_everything() {
        let bounds = [Duration::from_millis(1), Duration::from_millis(2)];
        let labels = vec![("transport", "webrtc")];
        let values = (&[3, 0, 4][..], Duration::from_millis(50));
        let family = histogram("relay_x_seconds", "x", labels, &bounds, values);
        let mut text = Vec::new();
        TextEncoder::new().encode(&[family], &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for line in [
            "relay_x_seconds_bucket{transport=\"webrtc\",le=\"0.001\"} 3",
            "relay_x_seconds_bucket{transport=\"webrtc\",le=\"0.002\"} 3",
            "relay_x_seconds_bucket{transport=\"webrtc\",le=\"+Inf\"} 7",
            "relay_x_seconds_sum{transport=\"webrtc\"} 0.05",
            "relay_x_seconds_count{transport=\"webrtc\"} 7",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }
}

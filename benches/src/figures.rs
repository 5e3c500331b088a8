//! Figures, and how they are printed.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::workload::Workload;

/// Something measured.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) workload: Workload,
    pub(crate) row: String,
    pub(crate) contender: String,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
    /// The same for whoever does nothing but what cannot be avoided.
    pub(crate) limit: Option<f64>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    BytesPerEvent,
    BytesPerEntry,
    EventsPerSecond,
    BytesPerSecond,
    Seconds,
    SecondsPerEvent,
    Bytes,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::BytesPerEvent => "bytes/event",
            Self::BytesPerEntry => "bytes/entry",
            Self::EventsPerSecond => "events/s",
            Self::BytesPerSecond => "bytes/s",
            Self::Seconds => "s",
            Self::SecondsPerEvent => "s/event",
            Self::Bytes => "bytes",
        }
    }

    fn more_is_better(self) -> bool {
        matches!(self, Self::EventsPerSecond | Self::BytesPerSecond)
    }

    /// How many times the cost of `other` the `value` is: below 1 is better.
    fn ratio(self, value: f64, other: f64) -> f64 {
        if self.more_is_better() { other / value } else { value / other }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::BytesPerEvent | Self::BytesPerEntry => format!("{value:.2} B"),
            Self::EventsPerSecond => format!("{:.2} M/s", value / 1e6),
            Self::BytesPerSecond if value < 1e9 => format!("{:.0} MB/s", value / 1e6),
            Self::BytesPerSecond => format!("{:.2} GB/s", value / 1e9),
            Self::Bytes => format!("{:.1} MiB", value / f64::from(1 << 20)),
            Self::Seconds | Self::SecondsPerEvent => match value {
                value if value >= 1.0 => format!("{value:.2} s"),
                value if value >= 1e-3 => format!("{:.2} ms", value * 1e3),
                value if value >= 1e-6 => format!("{:.2} µs", value * 1e6),
                value => format!("{:.1} ns", value * 1e9),
            },
        }
    }
}

/// Prints a table for each workload: a row for each question, a column for each contender, and what our first two are against the best
/// peer and against the limit.
pub(crate) fn print(figures: &[Figure]) {
    let mut out = String::new();
    for workload in distinct(figures.iter().map(|figure| figure.workload)) {
        let figures: Vec<&Figure> = figures.iter().filter(|figure| figure.workload == workload).collect();
        let names = distinct(figures.iter().map(|figure| figure.contender.as_str()));
        let ours: Vec<&str> = names.iter().copied().filter(|name| is_ours(name)).take(2).collect();
        let mut table = vec![vec![workload.name().to_owned()]];
        table[0].extend(names.iter().map(|name| (*name).to_owned()));
        for name in &ours {
            table[0].extend([format!("{name} / best peer"), format!("{name} / limit")]);
        }
        for (row, unit) in distinct(figures.iter().map(|figure| (figure.row.as_str(), figure.unit))) {
            let find = |name: &str| {
                figures.iter().find(|figure| {
                    (figure.row.as_str(), figure.unit, figure.contender.as_str()) == (row, unit, name)
                })
            };
            let mut cells = vec![row.to_owned()];
            cells.extend(
                names.iter().map(|name| find(name).map_or(String::new(), |figure| unit.text(figure.value))),
            );
            for name in &ours {
                let ratios =
                    find(name).map(|figure| (ratio_to_peers(figure, &figures), ratio_to_limit(figure)));
                let (peers, limit) = ratios.unwrap_or_default();
                cells.extend(
                    [peers, limit].map(|ratio| ratio.map_or(String::new(), |ratio| format!("{ratio:.2}"))),
                );
            }
            table.push(cells);
        }
        write_table(&mut out, &table);
    }
    print!("{out}");
}

/// Everything, for machines.
pub(crate) fn json(figures: &[Figure]) -> Value {
    let all: Vec<&Figure> = figures.iter().collect();
    let rows = figures.iter().map(|figure| {
        json!({
            "workload": figure.workload.name(),
            "row": figure.row,
            "contender": figure.contender,
            "unit": figure.unit.name(),
            "value": figure.value,
            "limit": figure.limit,
            "ratio_to_best_peer": is_ours(&figure.contender).then(|| ratio_to_peers(figure, &all)).flatten(),
            "ratio_to_limit": ratio_to_limit(figure),
        })
    });
    rows.collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("esdb")
}

fn ratio_to_peers(figure: &Figure, all: &[&Figure]) -> Option<f64> {
    let peers = all.iter().filter(|other| {
        (other.workload, &other.row, other.unit) == (figure.workload, &figure.row, figure.unit)
            && !is_ours(&other.contender)
            && other.contender != LIMIT
    });
    // The best peer is the one against whom the ratio is worst. Memory below the budget compares with nothing.
    let peers = peers.filter(|peer| peer.value > 0.0 && figure.value > 0.0);
    peers.map(|peer| figure.unit.ratio(figure.value, peer.value)).max_by(f64::total_cmp)
}

fn ratio_to_limit(figure: &Figure) -> Option<f64> {
    figure.limit.map(|limit| figure.unit.ratio(figure.value, limit))
}

/// The name under which physical limits stand among the contenders.
pub(crate) const LIMIT: &str = "limit";

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for item in items {
        if !found.contains(&item) {
            found.push(item);
        }
    }
    found
}

fn write_table(out: &mut String, table: &[Vec<String>]) {
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    for (at, row) in table.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = match column {
                0 => write!(out, "| {cell:<width$} |"),
                _ => write!(out, " {cell:>width$} |"),
            };
        }
        out.push('\n');
        if at == 0 {
            let lines: Vec<String> = widths.iter().map(|width| "-".repeat(*width + 1)).collect();
            let _ = writeln!(out, "|{}:|", lines.join(":|").replacen(":|", "-|", 1));
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_peer_is_the_hardest_to_beat() {
        let figure = |contender: &str, unit, value| Figure {
            workload: Workload::Visits,
            row: "row".into(),
            contender: contender.into(),
            unit,
            value,
            limit: None,
        };
        for (unit, ours) in [(Unit::Seconds, 0.5), (Unit::EventsPerSecond, 4.0)] {
            let (ours, a, b) = (figure("esdb", unit, ours), figure("a", unit, 1.0), figure("b", unit, 2.0));
            assert_eq!(ratio_to_peers(&ours, &[&ours, &a, &b]), Some(0.5));
        }
    }
}

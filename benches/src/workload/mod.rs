//! The events that are measured: every workload is made up, and the same on every machine.

mod activity;
mod product;
mod sensor;
mod visits;
mod words;

use esdb_format::{EventBuf, Unit};

/// A kind of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Workload {
    /// Page visits: one space, 1,600 hosts as groupings, two indexes on every event, in order of time.
    Visits,
    /// Product analytics: many spaces without groupings, realistic texts, in order of time.
    Product,
    /// Telemetry: 1,000 devices with four sensors each, tiny payloads, in order of time.
    Sensor,
    /// Customers' activity: 100,000 spaces, two indexes, in file order.
    Activity,
    /// The same events as `activity`, in no order at all.
    ActivityShuffled,
}

const DAY: i64 = 86_400;
/// 2026-01-01T00:00:00Z in seconds.
const START: i64 = 1_767_225_600;

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Visits => "visits",
            Self::Product => "product",
            Self::Sensor => "sensor",
            Self::Activity => "activity",
            Self::ActivityShuffled => "activity-shuffled",
        }
    }

    pub(crate) fn unit(self) -> Unit {
        match self {
            Self::Visits => Unit::Seconds,
            _ => Unit::Milliseconds,
        }
    }

    /// How many events the workload is measured with.
    pub(crate) fn full_size(self) -> u64 {
        match self {
            Self::Visits => 1_000_000,
            Self::Product => 2_000_000,
            Self::Sensor => 5_000_000,
            Self::Activity | Self::ActivityShuffled => 20_000_000,
        }
    }

    /// Event number `i` of `count`, in the order of arrival.
    pub(crate) fn event(self, i: u64, count: u64) -> EventBuf {
        match self {
            Self::Visits => visits::event(i, count),
            Self::Product => product::event(i, count),
            Self::Sensor => sensor::event(i),
            Self::Activity => activity::event(i, count),
            Self::ActivityShuffled => activity::event(activity::shuffled(i, count), count),
        }
    }
}

/// Event number `i` of `count` of a workload that grows in spaces: customers' activity, ten events for each, in no order.
pub(crate) fn growing(i: u64, count: u64) -> EventBuf {
    activity::of_customers(activity::shuffled(i, count), 10)
}

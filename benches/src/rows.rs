//! The rows of the table: which questions each workload is asked.

use std::collections::HashMap;

use crate::events::Events;
use crate::question::Question;
use crate::workload::Workload;

/// A row of the table. Its questions are of one kind; the mean of all counts.
pub(crate) struct Row {
    pub(crate) label: &'static str,
    pub(crate) questions: Vec<Question>,
    /// Whether opening the file is a part of it, for each question anew.
    pub(crate) opens: bool,
    pub(crate) per: Per,
}

/// What the time of a row is told for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Question,
    Event,
    /// As bytes and events per second.
    Rate,
}

/// The rows of a workload whose events are in file order.
pub(crate) fn of(workload: Workload, events: &Events) -> Vec<Row> {
    let mut rows =
        vec![Row { label: "full scan", questions: vec![Question::Scan], opens: false, per: Per::Rate }];
    let mut row = |label, opens, per, questions: Vec<Question>| {
        rows.push(Row { label, questions, opens, per });
    };
    let day = 86_400 * workload.unit().per_second();
    let middle = events.timestamp(0).div_euclid(day) * day + 45 * day;
    match workload {
        Workload::Visits => {
            let groupings = keys_near(625, 16, events, |i| vec![(events.space(i), events.grouping(i))]);
            row("one grouping of 625", false, Per::Question, groupings.iter().map(grouping).collect());
            let pairs = |name: &'static str| move |i| pairs(events, i, name);
            let visitors = keys_near(625, 8, events, pairs("visitor"));
            let cities = keys_near(usize::MAX, 1, events, pairs("city"));
            row("index visitor", false, Per::Event, visitors.iter().map(index).collect());
            row("index city", false, Per::Event, cities.iter().map(index).collect());
            let newest = |keys: &[(&[u8], &[u8])], limit| {
                keys.iter().map(|key| newest_of_index(b"visit", key, limit)).collect()
            };
            row("open + 500 newest of a visitor", true, Per::Question, newest(&visitors, 500));
            row("open + 500 newest of a city", true, Per::Question, newest(&cities, 500));
            row(
                "open + newest of a grouping",
                true,
                Per::Question,
                groupings.iter().map(newest_of_grouping).collect(),
            );
            row("open + newest of a visitor", true, Per::Question, newest(&visitors, 1));
            row(
                "newest of a grouping",
                false,
                Per::Question,
                groupings.iter().map(newest_of_grouping).collect(),
            );
            row("newest of a visitor", false, Per::Question, newest(&visitors, 1));
            let days = (0..3).map(|i| Question::Stretch {
                space: b"visit".to_vec(),
                start: middle + i * day,
                end: middle + (i + 1) * day,
            });
            row("one day of one space", false, Per::Question, days.collect());
            row("count by city and day", false, Per::Question, vec![count("city", day)]);
            row("count by visitor and day", false, Per::Question, vec![count("visitor", day)]);
        }
        Workload::Product => {
            let spaces = keys_near(30, 16, events, |i| vec![(events.space(i), events.grouping(i))]);
            row("one space of 30", false, Per::Question, spaces.iter().map(grouping).collect());
            row(
                "open + newest of a space",
                true,
                Per::Question,
                spaces.iter().map(newest_of_grouping).collect(),
            );
            row("newest of a space", false, Per::Question, spaces.iter().map(newest_of_grouping).collect());
            let campaigns = keys_near(400, 8, events, |i| pairs(events, i, "campaign"));
            row("index campaign", false, Per::Event, campaigns.iter().map(index).collect());
            let refund = (b"type".as_slice(), b"refund".as_slice());
            row("index type=refund", false, Per::Event, vec![index(&refund)]);
            let hour = day / 24;
            let hours = (0..3).map(|i| Question::StretchOfAll {
                start: middle + 5 * i * hour,
                end: middle + (5 * i + 1) * hour,
            });
            row("one hour over all spaces", false, Per::Question, hours.collect());
            row("count by type and day", false, Per::Question, vec![count("type", day)]);
        }
        Workload::Sensor => {
            let groupings = keys_near(1_250, 16, events, |i| vec![(events.space(i), events.grouping(i))]);
            row("one grouping of 1250", false, Per::Question, groupings.iter().map(grouping).collect());
            row(
                "open + newest of a grouping",
                true,
                Per::Question,
                groupings.iter().map(newest_of_grouping).collect(),
            );
            row(
                "newest of a grouping",
                false,
                Per::Question,
                groupings.iter().map(newest_of_grouping).collect(),
            );
            let quality = |value: &'static str| (b"quality".as_slice(), value.as_bytes());
            row("index quality=good", false, Per::Event, vec![index(&quality("good"))]);
            row("index quality=bad", false, Per::Event, vec![index(&quality("bad"))]);
            let newest = groupings.iter().map(|(space, _)| newest_of_index(space, &quality("bad"), 1));
            row("open + newest bad of a space", true, Per::Question, newest.collect());
            row("count by quality and day", false, Per::Question, vec![count("quality", day)]);
        }
        Workload::Activity | Workload::ActivityShuffled => {
            row("count by type and day", false, Per::Question, vec![count("type", day)]);
        }
    }
    rows
}

type Key<'a> = (&'a [u8], &'a [u8]);

fn pairs<'a>(events: &'a Events, i: usize, name: &str) -> Vec<Key<'a>> {
    events.pairs(i).filter(|pair| pair.0 == name.as_bytes()).collect()
}

/// Some keys that have about `count` events each.
fn keys_near<'a>(
    count: usize,
    most: usize,
    events: &Events,
    keys: impl Fn(usize) -> Vec<Key<'a>>,
) -> Vec<Key<'a>> {
    let mut counts: HashMap<Key<'a>, usize> = HashMap::new();
    for i in 0..events.len() {
        for key in keys(i) {
            *counts.entry(key).or_default() += 1;
        }
    }
    let mut sorted: Vec<_> = counts.into_iter().map(|(key, found)| (found.abs_diff(count), key)).collect();
    sorted.sort_unstable();
    // Not all from one corner of the file, where many are as near.
    let near = sorted.partition_point(|(off, _)| Some(*off) <= sorted.get(most - 1).map(|last| last.0));
    let step = (near / most).max(1);
    sorted.into_iter().step_by(step).take(most).map(|(_, key)| key).collect()
}

fn grouping(&(space, grouping): &Key<'_>) -> Question {
    Question::Grouping { space: space.to_vec(), grouping: grouping.to_vec() }
}

fn newest_of_grouping(&(space, grouping): &Key<'_>) -> Question {
    Question::NewestOfGrouping { space: space.to_vec(), grouping: grouping.to_vec() }
}

fn index(&(name, value): &Key<'_>) -> Question {
    Question::Index { name: name.to_vec(), value: value.to_vec() }
}

fn newest_of_index(space: &[u8], &(name, value): &Key<'_>, limit: usize) -> Question {
    Question::NewestOfIndex { space: space.to_vec(), name: name.to_vec(), value: value.to_vec(), limit }
}

fn count(name: &str, day: i64) -> Question {
    Question::CountByDay { name: name.into(), day }
}

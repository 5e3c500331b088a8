//! Selectors against a model: a vector of events, filtered and sorted.

use crate::esdb::Folder;

#[derive(Clone, Debug)]
struct Event {
    space: &'static str,
    grouping: &'static str,
    timestamp: i64,
    types: Vec<&'static str>,
    color: &'static str,
    /// The place in the order of arrival, which is also the data.
    arrival: usize,
}

const SPACES: [&str; 3] = ["a", "b", "c"];
const GROUPINGS: [&str; 3] = ["", "g", "h"];
const TYPES: [&str; 3] = ["t", "u", "v"];
const COLORS: [&str; 2] = ["red", "blue"];

/// The same events every time, with many equal timestamps.
fn events() -> Vec<Event> {
    let mut state = 7_u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let event = |arrival| Event {
        space: SPACES[next(3)],
        grouping: GROUPINGS[next(3)],
        timestamp: next(20) as i64 - 5,
        types: TYPES.into_iter().filter(|_| next(3) == 0).collect(),
        color: COLORS[next(2)],
        arrival,
    };
    (0..400).map(event).collect()
}

impl Event {
    fn line(&self) -> String {
        let Self { space, grouping, timestamp, types, color, arrival } = self;
        format!(
            r#"{{"space":"{space}","grouping":"{grouping}","timestamp":{timestamp},"index":{{"type":{types:?},"color":"{color}"}},"data":{arrival}}}"#
        )
    }
}

/// What is selected, by flags and by the model.
#[derive(Clone, Default)]
struct Query {
    space: Option<&'static str>,
    grouping: Option<&'static str>,
    types: Vec<&'static str>,
    color: Option<&'static str>,
    times: Option<(i64, i64)>,
}

impl Query {
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut add = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
        self.space.into_iter().for_each(|space| add("-s", space.into()));
        self.grouping.into_iter().for_each(|grouping| add("-g", grouping.into()));
        self.types.iter().for_each(|of| add("-i", format!("type={of}")));
        self.color.into_iter().for_each(|color| add("-i", format!("color={color}")));
        self.times.into_iter().for_each(|(since, until)| {
            add("-S", since.to_string());
            add("-U", until.to_string());
        });
        words
    }

    fn answer(&self, events: &[Event]) -> Vec<Event> {
        let selects = |event: &&Event| {
            self.space.is_none_or(|space| space == event.space)
                && self.grouping.is_none_or(|grouping| grouping == event.grouping)
                && (self.types.is_empty() || self.types.iter().any(|of| event.types.contains(of)))
                && self.color.is_none_or(|color| color == event.color)
                && self.times.is_none_or(|(since, until)| (since..until).contains(&event.timestamp))
        };
        let mut found: Vec<Event> = events.iter().filter(selects).cloned().collect();
        let is_in_file_order = self.space.is_none() && self.types.is_empty() && self.color.is_none();
        if is_in_file_order {
            found.sort_by_key(|event| (event.space, event.grouping, event.timestamp, event.arrival));
        } else {
            found.sort_by_key(|event| (event.space, event.timestamp, event.grouping, event.arrival));
        }
        found
    }
}

/// Every combination of a few choices for each selector.
fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    let places =
        [(None, None), (Some("b"), None), (Some("b"), Some("")), (Some("c"), Some("h")), (Some("x"), None)];
    for (space, grouping) in places {
        for types in [vec![], vec!["t"], vec!["t", "v"], vec!["x"]] {
            for color in [None, Some("red")] {
                for times in [None, Some((-2, 7)), Some((7, 7))] {
                    queries.push(Query { space, grouping, types: types.clone(), color, times });
                }
            }
        }
    }
    queries
}

#[test]
fn scans_and_counts_answer_as_the_model_does() {
    let events = events();
    let folder = Folder::new();
    let lines: String = events.iter().map(|event| event.line() + "\n").collect();
    folder.run_with("import -q --unit s -o a.esdb".split(' '), lines.as_bytes()).ok();
    for query in queries() {
        let words = query.words();
        let scan = |flags: &str| -> Vec<usize> {
            let verb = ["scan", "a.esdb", "--raw"].into_iter().chain(flags.split_whitespace());
            let run = folder.run_words(verb.map(str::to_owned).chain(words.iter().cloned())).ok();
            run.text().lines().map(|line| line.parse().expect("number")).collect()
        };
        let answer = query.answer(&events);
        let mut expected: Vec<usize> = answer.iter().map(|event| event.arrival).collect();
        assert_eq!(scan(""), expected, "{words:?}");
        assert_eq!(scan("--tail 7"), expected[expected.len().saturating_sub(7)..], "{words:?} --tail 7");
        assert_eq!(scan("-n 7"), expected[..expected.len().min(7)], "{words:?} -n 7");
        expected.reverse();
        assert_eq!(scan("-r"), expected, "{words:?} -r");

        let count = |by: &str| {
            let verb = ["count", "a.esdb"].into_iter().chain(by.split_whitespace()).map(str::to_owned);
            folder.run_words(verb.chain(words.iter().cloned())).ok().text().to_owned()
        };
        assert_eq!(count(""), format!("{}\n", answer.len()), "{words:?}");
        let mut by_type = std::collections::BTreeMap::new();
        answer.iter().flat_map(|event| &event.types).for_each(|of| *by_type.entry(of).or_insert(0) += 1);
        let rows: String = by_type
            .iter()
            .map(|(of, count)| format!("{{\"index\":{{\"type\":\"{of}\"}},\"count\":{count}}}\n"))
            .collect();
        assert_eq!(count("--json --by index type"), rows, "{words:?}");
    }
}

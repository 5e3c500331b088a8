//! The right answers, found in the events themselves by the plainest means.

use std::collections::BTreeMap;

use crate::events::Events;
use crate::question::{Answer, Question, Visitor};

/// Answers a question about events that are in file order.
pub(crate) fn answer(events: &Events, question: &Question) -> Answer {
    let mut visitor = Visitor::checking();
    if let Question::CountByDay { name, day } = question {
        let mut counts: BTreeMap<(&[u8], i64), u64> = BTreeMap::new();
        for i in 0..events.len() {
            for (_, value) in events.pairs(i).filter(|(other, _)| other == name) {
                *counts.entry((value, events.timestamp(i).div_euclid(*day) * day)).or_default() += 1;
            }
        }
        counts.into_iter().for_each(|((value, start), count)| visitor.count(value, start, count));
        return visitor.answer(question);
    }
    let mut found: Vec<usize> = (0..events.len()).filter(|&i| matches(events, i, question)).collect();
    // A stable sort: events of one space and time stay in the order of groupings and arrival.
    if !matches!(question, Question::Scan) {
        found.sort_by_key(|&i| (events.space(i), events.timestamp(i)));
    }
    match question {
        Question::NewestOfGrouping { .. } => {
            found.iter().rev().take(1).for_each(|&i| visitor.event(events.data(i)))
        }
        Question::NewestOfIndex { limit, .. } => {
            found.iter().rev().take(*limit).for_each(|&i| visitor.event(events.data(i)));
        }
        _ => found.iter().for_each(|&i| visitor.event(events.data(i))),
    }
    visitor.answer(question)
}

fn matches(events: &Events, i: usize, question: &Question) -> bool {
    let has = |name: &[u8], value: &[u8]| events.pairs(i).any(|pair| pair == (name, value));
    let time = events.timestamp(i);
    match question {
        Question::Scan | Question::CountByDay { .. } => true,
        Question::Grouping { space, grouping } | Question::NewestOfGrouping { space, grouping } => {
            events.grouping(i) == grouping && events.space(i) == space
        }
        Question::Index { name, value } => has(name, value),
        Question::NewestOfIndex { space, name, value, .. } => has(name, value) && events.space(i) == space,
        Question::Stretch { space, start, end } => (*start..*end).contains(&time) && events.space(i) == space,
        Question::StretchOfAll { start, end } => (*start..*end).contains(&time),
    }
}

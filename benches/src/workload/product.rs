//! Product analytics of a shop: few customers who do much, many who do little, and what they wrote.

use std::fmt::Write;

use esdb_format::EventBuf;

use super::words::{AGENTS, PAGES, TOWNS, TYPES, VOCABULARY};
use super::{DAY, START};
use crate::random::{Draw, mix};

const CUSTOMERS: u64 = 200_000;
const CAMPAIGNS: u64 = 500;
const STRETCH_MS: i64 = 90 * DAY * 1000;

pub(super) fn event(i: u64, count: u64) -> EventBuf {
    let mut draw = Draw::new(i ^ (1 << 40));
    // Every tenth event is somebody's turn, so that all customers are there at full size.
    let rank = if i.is_multiple_of(10) { i / 10 % CUSTOMERS } else { draw.zipf(CUSTOMERS) };
    let customer = identity(rank);
    let kind = TYPES[draw.zipf(TYPES.len() as u64) as usize];
    let campaign = (draw.below(10) == 0).then(|| format!("campaign-{:03}", draw.below(CAMPAIGNS)));
    let timestamp = START * 1000 + draw.moment(i, count, STRETCH_MS);
    let data = Document { customer, kind, campaign: campaign.as_deref(), timestamp }.text(i, &mut draw);
    let mut indexes = vec![(b"type".to_vec(), kind.into())];
    indexes.extend(campaign.map(|campaign| (b"campaign".to_vec(), campaign.into_bytes())));
    EventBuf {
        space: format!("{customer:09}").into_bytes(),
        grouping: Vec::new(),
        timestamp,
        indexes,
        data: data.into_bytes(),
    }
}

/// A number of nine digits, another one for each rank.
fn identity(rank: u64) -> u64 {
    // The factor shares no divisor with the modulus.
    (rank * 618_033_989 + 271_828_182) % 1_000_000_000
}

struct Document<'a> {
    customer: u64,
    kind: &'a str,
    campaign: Option<&'a str>,
    timestamp: i64,
}

impl Document<'_> {
    fn text(&self, i: u64, draw: &mut Draw) -> String {
        // What stays the same for a customer, and for a customer's day.
        let profile = &mut Draw::new(self.customer ^ (4 << 40));
        let session = mix(self.customer ^ (self.timestamp / (DAY * 1000)) as u64);
        let (agent, release, town) = (profile.pick(&AGENTS), 100 + profile.below(30), profile.pick(&TOWNS));
        let mut text = format!(
            r#"{{"id":"{:012x}","type":"{}","customer":{},"session":"{:08x}","ip":"10.{}.{}.{}","town":"{town}","agent":"{agent} {release}.0","url":"https://shop.example.com{}""#,
            mix(i) >> 16,
            self.kind,
            self.customer,
            session >> 32,
            profile.below(4),
            profile.below(256),
            session % 256,
            draw.pick(&PAGES),
        );
        if let Some(campaign) = self.campaign {
            member(&mut text, format_args!(r#""campaign":"{campaign}""#));
        }
        match self.kind {
            "purchase" | "refund" | "add_to_cart" => {
                let (euros, cents) = (draw.below(400), 5 + 10 * draw.below(10));
                member(&mut text, format_args!(r#""amount":{euros}.{cents:02},"currency":"EUR""#));
            }
            "search" => member(&mut text, format_args!(r#""results":{}"#, draw.zipf(300))),
            _ => {}
        }
        text.push_str(r#","text":""#);
        let words = 1 + draw.below(28);
        sentences(&mut text, words, draw);
        text.push_str("\"}");
        text
    }
}

fn member(text: &mut String, member: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = write!(text, ",{member}");
}

/// Appends words as people write them: a capital at the beginning, a full stop at the end.
fn sentences(text: &mut String, words: u64, draw: &mut Draw) {
    let (mut begins, mut end) = (true, 5 + draw.below(8));
    for word in 0..words {
        let next = vocabulary()[draw.zipf(vocabulary().len() as u64) as usize];
        if begins {
            text.push_str(&next[..1].to_uppercase());
            text.push_str(&next[1..]);
        } else {
            text.push_str(next);
        }
        begins = word == end || word + 1 == words;
        text.push_str(match (begins, word + 1 == words) {
            (_, true) => ".",
            (true, false) => ". ",
            (false, false) => " ",
        });
        if begins {
            end = word + 5 + draw.below(8);
        }
    }
}

fn vocabulary() -> &'static [&'static str] {
    static WORDS: std::sync::LazyLock<Vec<&str>> =
        std::sync::LazyLock::new(|| VOCABULARY.split_ascii_whitespace().collect());
    &WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_has_150_to_600_bytes() {
        assert!((0..50_000).all(|i| (150..=600).contains(&event(i, 50_000).data.len())));
    }

    #[test]
    fn data_is_json() {
        for i in 0..1_000 {
            serde_json::from_slice::<serde_json::Value>(&event(i, 1_000).data).unwrap();
        }
    }

    #[test]
    fn identities_differ() {
        let all: std::collections::HashSet<_> = (0..CUSTOMERS).map(identity).collect();
        assert_eq!(all.len(), CUSTOMERS as usize);
    }
}

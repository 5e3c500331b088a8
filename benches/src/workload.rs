//! The events that are measured: every workload is made up, and the same on every machine.

use esdb_format::{EventBuf, Unit};

use crate::random::{Draw, mix};

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

const CITIES: u64 = 19;
const HOSTS: u64 = 1_600;
const DAY_MS: i64 = 86_400_000;
/// 2026-01-01T00:00:00Z in seconds.
const START: i64 = 1_767_225_600;

const NAMES: [&str; 40] = [
    "olivia", "noah", "emma", "liam", "ava", "mason", "mia", "jacob", "sophia", "ethan", "chloe", "lucas",
    "harper", "logan", "amelia", "jackson", "ella", "aiden", "lily", "elijah", "grace", "carter", "zoe",
    "owen", "nora", "wyatt", "hazel", "henry", "violet", "isaac", "aurora", "gavin", "stella", "adrian",
    "lucy", "miles", "paisley", "roman", "naomi", "felix",
];
const SURNAMES: [&str; 20] = [
    "smith", "johnson", "brown", "garcia", "miller", "davis", "wilson", "anderson", "thomas", "moore",
    "martin", "lee", "clark", "lewis", "walker", "young", "king", "wright", "scott", "green",
];
const TOWNS: [&str; 19] = [
    "Ashford",
    "Baldock",
    "Carlisle",
    "Dunmore",
    "Elmswell",
    "Fairview",
    "Glenwood",
    "Hartley",
    "Ilkeston",
    "Juniper",
    "Kingsbridge",
    "Lakeside",
    "Milford",
    "Norwood",
    "Oakham",
    "Preston",
    "Redhill",
    "Stanton",
    "Thornbury",
];
const TYPES: [&str; 12] = [
    "page_view",
    "click",
    "search",
    "scroll",
    "add_to_cart",
    "purchase",
    "signup",
    "login",
    "share",
    "video_play",
    "error",
    "refund",
];
const PAGES: [&str; 16] = [
    "/",
    "/pricing",
    "/docs/getting-started",
    "/docs/api/reference",
    "/blog/how-we-count-events",
    "/products/lamp",
    "/products/desk",
    "/products/chair",
    "/cart",
    "/checkout",
    "/account/settings",
    "/account/orders",
    "/search",
    "/support/contact",
    "/about",
    "/careers",
];
const WORDS: [&str; 64] = [
    "the",
    "order",
    "was",
    "delivered",
    "late",
    "and",
    "customer",
    "asked",
    "for",
    "a",
    "refund",
    "because",
    "package",
    "arrived",
    "damaged",
    "support",
    "answered",
    "within",
    "an",
    "hour",
    "with",
    "new",
    "label",
    "please",
    "find",
    "attached",
    "invoice",
    "for",
    "your",
    "records",
    "we",
    "noticed",
    "unusual",
    "activity",
    "on",
    "account",
    "from",
    "unknown",
    "device",
    "if",
    "this",
    "you",
    "can",
    "ignore",
    "message",
    "otherwise",
    "reset",
    "password",
    "thanks",
    "shopping",
    "at",
    "our",
    "store",
    "see",
    "what",
    "others",
    "bought",
    "this",
    "week",
    "summer",
    "sale",
    "ends",
    "tonight",
    "everything",
];
const AGENTS: [&str; 6] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "okhttp/4.12.0",
];

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
            Self::Visits => visit(i, count),
            Self::Product => product(i, count),
            Self::Sensor => reading(i),
            Self::Activity => activity(i, count),
            Self::ActivityShuffled => activity(shuffled(i, count), count),
        }
    }
}

fn address(n: u64) -> String {
    let name = NAMES[(n % 40) as usize];
    let surname = SURNAMES[(n / 40 % 20) as usize];
    let domain = if (n / 800).is_multiple_of(2) { "test.com" } else { "example.com" };
    format!("{name}{surname}@{domain}")
}

fn visit(i: u64, count: u64) -> EventBuf {
    let mut draw = Draw::new(i);
    let host = address(draw.below(HOSTS));
    let visitor = address(mix(7) % HOSTS + draw.below(HOSTS));
    let city = TOWNS[draw.zipf(CITIES) as usize];
    let timestamp = START + (i as i128 * 90 * 86_400 / i128::from(count.max(1))) as i64;
    let data = format!(
        r#"{{"type":"visit","host":"{host}","city":"{city}","visitor":"{visitor}","timestamp":{timestamp}}}"#
    );
    EventBuf {
        space: b"visit".to_vec(),
        grouping: host.into_bytes(),
        timestamp,
        indexes: vec![(b"city".to_vec(), city.into()), (b"visitor".to_vec(), visitor.into_bytes())],
        data: data.into_bytes(),
    }
}

fn product(i: u64, count: u64) -> EventBuf {
    let mut draw = Draw::new(i ^ (1 << 40));
    let customer = mix(draw.zipf(200_000)) % 1_000_000_000;
    let kind = TYPES[draw.zipf(12) as usize];
    let campaign = (draw.below(10) == 0).then(|| format!("campaign-{:03}", draw.below(500)));
    let step = 90 * DAY_MS / count.max(1) as i64;
    let timestamp = START * 1000 + i as i64 * step + draw.below(step.max(1) as u64) as i64;
    let mut data = format!(
        r#"{{"id":"{:016x}","type":"{kind}","customer":{customer},"url":"https://shop.example.com{}","ip":"10.{}.{}.{}","agent":"{}""#,
        mix(i),
        draw.pick(&PAGES),
        draw.below(4),
        draw.below(256),
        draw.below(256),
        draw.pick(&AGENTS),
    );
    if let Some(campaign) = &campaign {
        data.push_str(&format!(r#","campaign":"{campaign}""#));
    }
    if kind == "purchase" || kind == "refund" {
        data.push_str(&format!(r#","amount":{}.{:02},"currency":"EUR""#, draw.below(400), draw.below(100)));
    }
    data.push_str(r#","text":""#);
    for word in 0..draw.below(40) {
        if word > 0 {
            data.push(' ');
        }
        data.push_str(draw.pick(&WORDS));
    }
    data.push_str("\"}");
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

fn reading(i: u64) -> EventBuf {
    let mut draw = Draw::new(i ^ (2 << 40));
    let (round, channel) = (i / 4_000, i % 4_000);
    let (device, sensor) = (channel / 4, channel % 4);
    let jitter = if draw.below(20) == 0 { draw.below(5) as i64 } else { 0 };
    let timestamp = START * 1000 + round as i64 * 1000 + jitter;
    let quality = if draw.below(100) == 0 { "bad" } else { "good" };
    let value = 20.0 + device as f64 / 100.0 + (draw.below(200) as f64) / 100.0;
    let data = format!(r#"{{"v":{value:.2}}}"#);
    EventBuf {
        space: format!("device-{device:04}").into_bytes(),
        grouping: ["humidity", "pressure", "temperature", "voltage"][sensor as usize].into(),
        timestamp,
        indexes: vec![(b"quality".to_vec(), quality.into())],
        data: data.into_bytes(),
    }
}

const ACTIVITY_SPACES: u64 = 100_000;

/// In file order: space by space, and in each by time. No two events share a space and a time.
fn activity(i: u64, count: u64) -> EventBuf {
    let each = count.div_ceil(ACTIVITY_SPACES).max(1);
    let (customer, place) = (i / each, i % each);
    let mut draw = Draw::new(i ^ (3 << 40));
    let kind = TYPES[draw.zipf(12) as usize];
    let city = draw.pick(&TOWNS);
    let timestamp = START * 1000 + place as i64 * 3_600_000 + draw.below(3_600_000) as i64;
    let data = format!(
        r#"{{"type":"{kind}","city":"{city}","url":"https://shop.example.com{}","session":"{:012x}","duration_ms":{}}}"#,
        draw.pick(&PAGES),
        mix(i) >> 16,
        draw.below(60_000)
    );
    EventBuf {
        space: format!("customer-{customer:06}").into_bytes(),
        grouping: Vec::new(),
        timestamp,
        indexes: vec![(b"city".to_vec(), city.into()), (b"type".to_vec(), kind.into())],
        data: data.into_bytes(),
    }
}

/// A permutation of the numbers below `count`.
fn shuffled(i: u64, count: u64) -> u64 {
    // A prime that divides no count in use: stepping by it visits every number once.
    const STEP: u128 = 2_147_483_647;
    ((u128::from(i) * STEP + 12_345) % u128::from(count.max(1))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffled_visits_every_number_once() {
        let mut seen: Vec<u64> = (0..10_000).map(|i| shuffled(i, 10_000)).collect();
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..10_000));
    }

    #[test]
    fn activity_comes_in_file_order() {
        let events: Vec<_> = (0..300_000).map(|i| activity(i, 300_000)).collect();
        assert!(events.is_sorted_by(|a, b| a.cmp_file_order(b).is_lt()));
        assert!(events.iter().all(|event| event.data.len() >= 100));
    }
}

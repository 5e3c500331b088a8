//! Telemetry: devices with four sensors each, that report every second a slowly moving value.

use esdb_format::EventBuf;

use super::START;
use crate::random::{Draw, mix};

const DEVICES: u64 = 1_000;
const SENSORS: [&str; 4] = ["humidity", "pressure", "temperature", "voltage"];
/// The least value of each, in thousandths.
const BASES: [i64; 4] = [45_000, 1_008_000, -6_000, 3_000];
const CHANNELS: u64 = DEVICES * SENSORS.len() as u64;

pub(super) fn event(i: u64) -> EventBuf {
    let mut draw = Draw::new(i ^ (2 << 40));
    let (round, channel) = (i / CHANNELS, i % CHANNELS);
    let (device, sensor) = (channel / SENSORS.len() as u64, channel % SENSORS.len() as u64);
    let phase = (mix(device) % 1000) as i64;
    let jitter = if draw.below(10) == 0 { draw.below(5) as i64 - 2 } else { 0 };
    let timestamp = START * 1000 + round as i64 * 1000 + phase + jitter;
    let quality = if draw.below(100) == 0 { "bad" } else { "good" };
    // A triangle wave of ten minutes, in thousandths, and noise on it.
    let base = BASES[sensor as usize] + (mix(channel ^ (5 << 40)) % 10_000) as i64;
    let swing = (round % 600).abs_diff(300) as i64 * 5;
    let value = base + swing + draw.below(800) as i64;
    let data = format!(r#"{{"val":{}}}"#, value as f64 / 1000.0);
    EventBuf {
        space: format!("device-{device:04}").into_bytes(),
        grouping: SENSORS[sensor as usize].into(),
        timestamp,
        indexes: vec![(b"quality".to_vec(), quality.into())],
        data: data.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_has_8_to_16_bytes() {
        assert!((0..50_000).all(|i| (8..=16).contains(&event(i * 100).data.len())));
    }

    #[test]
    fn one_event_in_a_hundred_is_bad() {
        let bad = (0..100_000).filter(|&i| event(i).indexes[0].1 == b"bad").count();
        assert!((900..1_100).contains(&bad), "{bad}");
    }
}

//! Numbers that look random and are the same everywhere: every event is a function of its number.

/// A well-mixed number for `n` (the finalizer of SplitMix64).
pub(crate) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Draws one number after another for one event.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// A number below `most`.
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = mix(self.0);
        ((u128::from(self.0) * u128::from(most)) >> 64) as u64
    }

    /// A number below `most` whose small values are common, about as Zipf's law has it.
    pub(crate) fn zipf(&mut self, most: u64) -> u64 {
        self.0 = mix(self.0);
        let uniform = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        ((most as f64 + 1.0).powf(uniform) - 1.0) as u64
    }

    /// When event `i` of `count` happens, of `stretch` units: somewhere in its share, so that events come in order of time.
    pub(crate) fn moment(&mut self, i: u64, count: u64, stretch: i64) -> i64 {
        let share = 1 << 20;
        let place = u128::from(i) * share + u128::from(self.below(share as u64));
        (place * stretch as u128 / (u128::from(count.max(1)) * share)) as i64
    }

    pub(crate) fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

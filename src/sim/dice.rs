//! Chance that can be repeated: the splitmix64 generator. Good enough to vary made-up results, and nothing else.

/// A source of numbers that depends on its seed alone.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to 1, without 1.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
    pub(super) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number in the range.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, chance: u32) -> bool {
        self.share() * 100.0 < f64::from(chance)
    }

    /// One of several; `None` when there is none.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let count = items.len() as u64;
        items.get(self.next().checked_rem(count)? as usize)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_one_sequence() {
        let draw = |seed| {
            let mut dice = Dice::new(seed);
            (0..5).map(|_| dice.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn numbers_stay_in_their_range_and_fill_it() {
        let mut dice = Dice::new(1);
        let drawn: Vec<f64> = (0..1000).map(|_| dice.between(3.0, 5.0)).collect();
        assert!(drawn.iter().all(|value| (3.0..5.0).contains(value)));
        assert!(drawn.iter().any(|value| *value < 3.1) && drawn.iter().any(|value| *value > 4.9));
        let hits = (0..1000).filter(|_| dice.percent(30)).count();
        assert!((200..400).contains(&hits), "{hits}");
        let mut seen = [false; 3];
        (0..100).for_each(|_| seen[*dice.pick(&[0, 1, 2]).unwrap()] = true);
        assert_eq!((seen, dice.pick::<u8>(&[])), ([true; 3], None));
    }
}

//! Zipf's law with exponent 1: account k is chosen k times as seldom as account 1. Apart from the
//! rest because it is arithmetic: rejection-inversion (Hörmann and Derflinger 1996), which needs no
//! table and about one logarithm a number.

use crate::report::float;

/// Numbers from 0 to `count - 1`, the small ones often.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    count: u64,
    /// The area under 1/x from where number 1's share begins.
    area_min: f64,
    /// The area up to where the last number's share ends.
    area_max: f64,
    /// How far below its number a place may lie and be taken without looking closer.
    near: f64,
}

impl Zipf {
    /// Of so many numbers, at least one.
    pub fn new(count: u64) -> Self {
        let count = count.max(1);
        let area_min = area(1.5) - 1.0;
        let area_max = area(float(count) + 0.5);
        let near = 2.0 - place(area(2.5) - 0.5);
        Self { count, area_min, area_max, near }
    }

    /// One of them.
    #[expect(clippy::as_conversions, reason = "a float of 1 to `count`, rounded")]
    pub fn pick(&self) -> u64 {
        loop {
            let chosen = self.area_max + fastrand::f64() * (self.area_min - self.area_max);
            let place = place(chosen);
            let rank = place.round().clamp(1.0, float(self.count));
            if rank - place <= self.near || chosen >= area(rank + 0.5) - 1.0 / rank {
                return rank as u64 - 1;
            }
        }
    }
}

/// The area under 1/x up to x.
fn area(x: f64) -> f64 {
    x.ln()
}

/// Where the area is so large: the inverse.
fn place(area: f64) -> f64 {
    area.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_as_often_as_the_law_says() {
        const COUNT: u64 = 50;
        const DRAWS: u64 = 3_000_000;
        let zipf = Zipf::new(COUNT);
        let mut seen = [0_u64; 50];
        for _ in 0..DRAWS {
            seen[usize::try_from(zipf.pick()).unwrap()] += 1;
        }
        let harmonic: f64 = (1..=COUNT).map(|rank| 1.0 / float(rank)).sum();
        for (rank, seen) in (1..).zip(seen) {
            let expected = float(DRAWS) / (float(rank) * harmonic);
            // Six standard deviations.
            let off = (float(seen) - expected).abs();
            assert!(off < 6.0 * expected.sqrt(), "{rank}: {seen} instead of {expected:.0}");
        }
    }

    #[test]
    fn one_number_is_always_chosen() {
        assert!((0..100).all(|_| Zipf::new(1).pick() == 0));
    }
}

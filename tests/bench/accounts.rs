//! Which accounts there are, and which one comes next.

use crate::zipf::Zipf;
use clap::ValueEnum;

/// Account 0's name. Names are numbers because pgbench has no other way to make them.
pub const FIRST: u64 = 10_000_000_000;

/// A prime, so that the popular accounts don't live side by side in the database.
const SCATTER: u64 = 2_654_435_761;

/// Which accounts are used.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, ValueEnum)]
pub enum Spread {
    /// Any of them, equally likely.
    Random,
    /// Always the same one.
    Hot,
    /// By Zipf's law: a few of them often, most of them seldom.
    Zipf,
}

/// Picks accounts.
#[derive(Clone, Copy, Debug)]
pub struct Accounts {
    pub count: u64,
    spread: Spread,
    zipf: Zipf,
}

impl Accounts {
    pub fn new(count: u64, spread: Spread) -> Self {
        Self { count, spread, zipf: Zipf::new(count) }
    }

    /// The next account's number.
    pub fn pick(&self) -> u64 {
        match self.spread {
            Spread::Random => fastrand::u64(0..self.count),
            Spread::Hot => 0,
            Spread::Zipf => self.zipf.pick() * SCATTER % self.count,
        }
    }

    /// Another account than this one.
    pub fn other_than(&self, number: u64) -> u64 {
        (number + fastrand::u64(1..self.count.max(2))) % self.count
    }
}

/// An account's name.
pub fn name(number: u64) -> String {
    (FIRST + number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spread_stays_among_the_accounts() {
        for spread in [Spread::Random, Spread::Hot, Spread::Zipf] {
            let accounts = Accounts::new(3, spread);
            for _ in 0..1_000 {
                let number = accounts.pick();
                assert!(number < 3);
                let other = accounts.other_than(number);
                assert!(other < 3 && other != number);
            }
        }
    }
}
